#include "drivers/lxd/creation.h"

#include "base/encoding.h"
#include "base/log.h"
#include "base/undo_stack.h"
#include "drivers/lxd/decode.h"
#include "drivers/lxd/lifecycle.h"
#include "drivers/lxd/limit_words.h"
#include "drivers/lxd/operation.h"
#include "drivers/lxd/request_body.h"
#include "json/write.h"

namespace berth::drivers::lxd {
namespace {

/// Marks which call made an instance, so that cleaning up never touches one that was there before.
constexpr const char* kCreationKey = "user.berth.creation";

/// The root disk that the default profile gives; empty if it gives none.
Result<std::pair<std::string, StringMap>> profile_root(Api& api, Deadline deadline) {
  const Answer answer = BERTH_TRY(api.get("/profiles/default", {}, deadline));
  for (const auto& [name, device] : answer.metadata()["devices"].members()) {
    if (device["type"].string() != "disk" || device["path"].string() != "/") continue;
    StringMap root;
    for (const auto& [key, value] : device.members()) root.emplace(key, value.string_or(""));
    return std::pair<std::string, StringMap>(name, std::move(root));
  }
  return std::pair<std::string, StringMap>("root", {});
}

Result<std::string> first_pool(Api& api, Deadline deadline) {
  const Answer answer = BERTH_TRY(api.get("/storage-pools", {}, deadline));
  const std::string_view path = answer.metadata().at(0).string().value_or("");
  const auto name = http::percent_decode(path.substr(path.rfind('/') + 1));
  if (name && !name->empty()) return *name;
  return Error(ErrorCode::conflict, "engine.no_storage",
               {"引擎没有存储池，请先创建一个", "The engine has no storage pool; create one first"});
}

Result<DeviceMap> root_device(Api& api, const std::string& storage_pool, const compute::InstanceLimits& limits,
                              Deadline deadline) {
  auto [name, root] = BERTH_TRY(profile_root(api, deadline));
  const bool as_in_profile = root.contains("pool") && (storage_pool.empty() || storage_pool == root["pool"]);
  if (as_in_profile && !limits.disk_bytes) return DeviceMap{};
  root["type"] = "disk";
  root["path"] = "/";
  if (!as_in_profile) root["pool"] = storage_pool.empty() ? BERTH_TRY(first_pool(api, deadline)) : storage_pool;
  if (limits.disk_bytes) root["size"] = write_size(*limits.disk_bytes);
  return DeviceMap{{std::move(name), std::move(root)}};
}

StringMap configuration(const compute::NewInstance& wish, const std::string& creation) {
  StringMap config{{kCreationKey, creation}};
  if (!wish.owner.empty()) config.emplace(kOwnerKey, wish.owner);
  if (wish.limits.cpus) {
    CpuWords words = write_cpus(*wish.limits.cpus);
    config.emplace("limits.cpu", std::move(words.cpu));
    // A virtual machine takes whole processors only.
    if (!words.allowance.empty() && wish.type == compute::InstanceType::container) {
      config.emplace("limits.cpu.allowance", std::move(words.allowance));
    }
  }
  if (wish.limits.memory_bytes) config.emplace("limits.memory", write_size(*wish.limits.memory_bytes));
  return config;
}

/// Removes what this call has made, and only that.
void remove_own(Api& api, const std::string& name, const std::string& creation, Deadline deadline) {
  const auto made = api.get(instance_path(name), Subject::of_instance(name), deadline);
  if (!made || made->metadata()["config"][kCreationKey].string() != creation) return;
  auto removed = stop_instance(api, name, std::chrono::seconds(0), {}, deadline);
  if (removed) removed = remove_instance(api, name, {}, deadline);
  if (!removed) log::warning("lxd", "half-made instance {} stays: {}", name, removed.error().describe());
}

/// The image must be looked for under its own name; every other failure is the instance's.
Error name_image(Error error, const compute::NewInstance& wish) {
  if (error.reason() != "image.not_found") return error;
  return translate(404, "image not found", Subject::of_image(wish.image));
}

Result<void> make(Api& api, const compute::NewInstance& wish, const Body& body, const FollowSteps& steps,
                  const compute::EngineProgress& progress, Deadline deadline) {
  const Subject subject = Subject::of_instance(wish.name);
  const Answer started = BERTH_TRY(api.call(http::Method::post, "/instances", json::to_json(body), subject, deadline));
  auto made = follow(api, started, subject, progress, steps, deadline);
  if (made) return made;
  // Busy: someone else is making an instance of that name just now.
  if (made.error().reason() == "instance.state") return translate(409, "already exists", subject);
  if (made.error().reason() != "engine.operation_gone") return made;
  const auto present = api.get(instance_path(wish.name), subject, deadline);
  if (!present) return present.error();
  return {};
}

}  // namespace

Result<void> create_instance(Api& api, Images& images, const std::string& storage_pool,
                             const compute::NewInstance& wish, const compute::EngineProgress& progress,
                             Deadline deadline) {
  const std::string fingerprint = BERTH_TRY(images.resolve(wish.image, deadline));
  DeviceMap devices = BERTH_TRY(root_device(api, storage_pool, wish.limits, deadline));
  const std::string creation = random_uuid();
  const Body body{
      {"name", wish.name},
      {"type", wish.type == compute::InstanceType::virtual_machine ? "virtual-machine" : "container"},
      {"description", wish.description},
      {"source", StringMap{{"type", "image"}, {"fingerprint", fingerprint}}},
      {"profiles", std::vector<std::string>{"default"}},
      {"config", configuration(wish, creation)},
      {"devices", std::move(devices)},
  };

  UndoStack undo;
  undo.push([&] {
    if (!deadline.expired()) remove_own(api, wish.name, creation, deadline);
  });
  const FollowSteps making{.from = 0, .to = wish.start ? 80 : 100, .stage = "create"};
  if (auto made = make(api, wish, body, making, progress, deadline); !made) {
    if (made.error().code() == ErrorCode::already_exists) undo.clear();
    return name_image(take_error(made), wish);
  }
  if (progress.cancelled()) return cancelled();
  // LXD 5.0 ignores "start" in the request for a new instance.
  if (wish.start) BERTH_CHECK(start_instance(api, wish.name, progress, {80, 100, "start"}, deadline));
  undo.clear();
  return {};
}

}  // namespace berth::drivers::lxd
