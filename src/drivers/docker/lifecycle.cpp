#include "drivers/docker/lifecycle.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "drivers/docker/decode.h"
#include "drivers/docker/settings.h"
#include "drivers/docker/words.h"

namespace berth::drivers::docker {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kForceTime{2000};  // what is left for the end by force, of a deadline
constexpr milliseconds kPause{50};

/// How many of the guest's seconds fit into the deadline.
std::chrono::seconds grace_within(std::chrono::seconds grace, Deadline deadline) {
  const auto room = std::chrono::duration_cast<std::chrono::seconds>(deadline.remaining() - kForceTime);
  return std::clamp(grace, std::chrono::seconds(0), std::max(room, std::chrono::seconds(0)));
}

Result<void> act(Api& api, http::Method method, const std::string& path, const std::string& name, Deadline deadline) {
  BERTH_TRY(api.call(method, path, {}, Subject::of_container(name), deadline));
  return {};
}

/// Somebody else removes it just now.
Result<void> wait_until_gone(Api& api, const std::string& path, const std::string& name, Deadline deadline) {
  while (!deadline.expired()) {
    const auto found = api.get(path + "/json", Subject::of_container(name), deadline);
    if (!found && found.error().code() == ErrorCode::not_found) return {};
    if (!found) return found.error();
    std::this_thread::sleep_for(std::min(kPause, deadline.remaining()));
  }
  return timed_out();
}

}  // namespace

Result<void> start_container(Api& api, const std::string& name, Deadline deadline) {
  const std::string path = BERTH_TRY(api.container_path(name, deadline));
  return act(api, http::Method::post, path + "/start", name, deadline);
}

Result<void> stop_container(Api& api, const std::string& name, std::chrono::seconds grace, Deadline deadline) {
  const std::string path = BERTH_TRY(api.container_path(name, deadline));
  return act(api, http::Method::post, fmt::format("{}/stop?t={}", path, grace_within(grace, deadline).count()), name,
             deadline);
}

Result<void> restart_container(Api& api, const std::string& name, std::chrono::seconds grace, Deadline deadline) {
  const std::string path = BERTH_TRY(api.container_path(name, deadline));
  const auto document = BERTH_TRY(api.get(path + "/json", Subject::of_container(name), deadline));
  const auto status = decode_status(document.root()["State"]["Status"].string().value_or(""));
  if (status != compute::Status::running && status != compute::Status::frozen &&
      status != compute::Status::restarting) {
    return Error(ErrorCode::conflict, "instance.state", {"容器未在运行", "The container is not running"});
  }
  return act(api, http::Method::post, fmt::format("{}/restart?t={}", path, grace_within(grace, deadline).count()), name,
             deadline);
}

Result<void> remove_container(Api& api, const std::string& name, Deadline deadline) {
  const auto path = api.container_path(name, deadline);
  if (!path && path.error().code() == ErrorCode::not_found) return {};
  if (!path) return path.error();
  auto removed = act(api, http::Method::delete_, *path + "?v=true", name, deadline);
  if (removed || removed.error().code() == ErrorCode::not_found) return {};
  if (contains(removed.error().detail(), "already in progress")) return wait_until_gone(api, *path, name, deadline);
  return removed;
}

Result<void> rename_container(Api& api, const std::string& name, const std::string& new_name, Deadline deadline) {
  const std::string path = BERTH_TRY(api.container_path(name, deadline));
  // Docker knows a taken name from an unknown container, so that each gets its own words.
  auto renamed = act(api, http::Method::post, path + "/rename?name=" + http::percent_encode(new_name), name, deadline);
  if (renamed || renamed.error().reason() != "instance.exists") return renamed;
  return translate(409, "already exists", Subject::of_container(new_name));
}

Result<std::string> update_container(Api& api, const std::string& name, const compute::InstanceChange& change,
                                     Deadline deadline) {
  const auto subject = Subject::of_container(name);
  const std::string path = BERTH_TRY(api.container_path(name, deadline));
  const auto document = BERTH_TRY(api.get(path + "/json", subject, deadline));
  const json::View container = document.root();
  if (change.description && *change.description != container["Config"]["Labels"][kDescriptionLabel].string_or("")) {
    return unsupported(
        {"Docker 不能修改现有容器的描述", "Docker cannot change the description of a container that exists"});
  }
  const std::string body = BERTH_TRY(write_update(change, container["HostConfig"]));
  std::string id = container["Id"].string_or("");
  if (body.empty()) return id;
  const auto updated = api.call(http::Method::post, path + "/update", body, subject, deadline);
  if (updated) return id;
  // The container was there just now: it is the call that the engine does not know (Podman 4).
  if (updated.error().reason() == "instance.not_found" && !contains(updated.error().detail(), "no such container")) {
    return unsupported(
        {"该引擎不能修改现有容器的资源限制", "This engine cannot change the limits of a container that exists"});
  }
  return updated.error();
}

}  // namespace berth::drivers::docker
