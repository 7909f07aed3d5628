#include "drivers/docker/resources.h"

#include "compute/container.h"
#include "json/write.h"

namespace berth::drivers::docker {
namespace {

struct NewVolume {
  std::string Name;
};
BOOST_DESCRIBE_STRUCT(NewVolume, (), (Name))

struct NewNetwork {
  std::string Name;
  std::string Driver = "bridge";
  /// Older engines make a second one of the same name without it.
  bool CheckDuplicate = true;
};
BOOST_DESCRIBE_STRUCT(NewNetwork, (), (Name, Driver, CheckDuplicate))

/// Docker's rule is the same for containers, volumes and networks.
Result<void> check_name(const std::string& name, std::string_view reason, Text message) {
  if (compute::check_container_name(name)) return {};
  return Error(ErrorCode::invalid_argument, reason, message).with_field("name", message);
}

Result<void> check_volume(const std::string& name) {
  return check_name(name, "volume.name", {"卷名称无效", "Not a volume's name"});
}
Result<void> check_network(const std::string& name) {
  return check_name(name, "network.name", {"网络名称无效", "Not a network's name"});
}

Result<void> remove(Api& api, std::string_view folder, const std::string& name, const Subject& subject,
                    Deadline deadline) {
  const auto removed =
      api.call(http::Method::delete_, std::string(folder) + http::percent_encode(name), {}, subject, deadline);
  if (removed || removed.error().code() == ErrorCode::not_found) return {};
  return removed.error();
}

}  // namespace

Result<std::vector<compute::Volume>> Volumes::list_volumes(Deadline deadline) {
  const auto document = BERTH_TRY(api_.get("/volumes", {}, deadline));
  std::vector<compute::Volume> volumes;
  for (const auto entry : document.root()["Volumes"].elements()) {
    compute::Volume volume;
    volume.name = entry["Name"].string_or("");
    if (volume.name.empty()) return nonsense("a volume without a name");
    for (const auto& [key, value] : entry["Labels"].members()) volume.labels.emplace(key, value.string_or(""));
    if (const auto created = parse_timestamp(entry["CreatedAt"].string().value_or(""))) volume.created_at = *created;
    volumes.push_back(std::move(volume));
  }
  return volumes;
}

Result<void> Volumes::create_volume(const std::string& name, Deadline deadline) {
  BERTH_CHECK(check_volume(name));
  BERTH_TRY(api_.call(http::Method::post, "/volumes/create", json::to_json(NewVolume{name}), Subject::of_volume(name),
                      deadline));
  return {};
}

Result<void> Volumes::remove_volume(const std::string& name, Deadline deadline) {
  if (!check_volume(name)) return {};
  return remove(api_, "/volumes/", name, Subject::of_volume(name), deadline);
}

Result<std::vector<compute::ContainerNetwork>> Networks::list_networks(Deadline deadline) {
  const auto document = BERTH_TRY(api_.get("/networks", {}, deadline));
  if (!document.root().is_array()) return nonsense("the networks are no list");
  std::vector<compute::ContainerNetwork> networks;
  for (const auto entry : document.root().elements()) {
    compute::ContainerNetwork network{.name = entry["Name"].string_or(""), .driver = entry["Driver"].string_or("")};
    network.built_in =
        network.name == "bridge" || network.name == "host" || network.name == "none" || network.name == "podman";
    networks.push_back(std::move(network));
  }
  return networks;
}

Result<void> Networks::create_network(const std::string& name, Deadline deadline) {
  BERTH_CHECK(check_network(name));
  NewNetwork wish;
  wish.Name = name;
  const auto created =
      api_.call(http::Method::post, "/networks/create", json::to_json(wish), Subject::of_network(name), deadline);
  if (created || created.error().code() == ErrorCode::already_exists) return {};
  return created.error();
}

Result<void> Networks::remove_network(const std::string& name, Deadline deadline) {
  if (!check_network(name)) return {};
  return remove(api_, "/networks/", name, Subject::of_network(name), deadline);
}

}  // namespace berth::drivers::docker
