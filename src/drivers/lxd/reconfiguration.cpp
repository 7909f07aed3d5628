#include "drivers/lxd/reconfiguration.h"

#include <algorithm>
#include <thread>

#include "drivers/lxd/limit_words.h"
#include "drivers/lxd/operation.h"
#include "drivers/lxd/request_body.h"
#include "json/write.h"

namespace berth::drivers::lxd {
namespace {

constexpr int kAttempts = 20;
constexpr std::chrono::milliseconds kPause{50};

/// Somebody else changes it at this moment: a little later it may be ours.
bool may_be_repeated(const Result<void>& outcome) {
  return !outcome && (outcome.error().reason() == "engine.changed" || outcome.error().reason() == "instance.state");
}

/// An empty value takes a key away.
StringMap changed_configuration(const compute::InstanceChange& change, bool container) {
  StringMap config;
  if (change.cpus) {
    const CpuWords words = *change.cpus ? write_cpus(**change.cpus) : CpuWords{};
    config["limits.cpu"] = words.cpu;
    if (container) config["limits.cpu.allowance"] = words.allowance;
  }
  if (change.memory_bytes) config["limits.memory"] = *change.memory_bytes ? write_size(**change.memory_bytes) : "";
  return config;
}

StringMap string_map(json::View object) {
  StringMap map;
  for (const auto& [key, value] : object.members()) map.emplace(key, value.string_or(""));
  return map;
}

/// The root disk, the profile's overridden by the instance's own, with the wished size.
DeviceMap changed_root(json::View instance, const std::optional<std::uint64_t>& size) {
  for (const auto& [name, device] : instance["expanded_devices"].members()) {
    if (device["type"].string() != "disk" || device["path"].string() != "/") continue;
    StringMap root = string_map(device);
    root.erase("size");
    if (size) root["size"] = write_size(*size);
    return {{std::string(name), std::move(root)}};
  }
  return {};
}

Result<void> try_update(Api& api, const std::string& name, const compute::InstanceChange& change, Deadline deadline) {
  const Subject subject = Subject::of_instance(name);
  const Answer present = BERTH_TRY(api.get(instance_path(name), subject, deadline));
  const json::View instance = present.metadata();
  Body body;
  StringMap config = changed_configuration(change, instance["type"].string() != "virtual-machine");
  if (!config.empty()) body["config"] = std::move(config);
  if (change.disk_bytes) {
    DeviceMap root = changed_root(instance, *change.disk_bytes);
    if (!root.empty()) body["devices"] = std::move(root);
  }
  if (body.empty() && !change.description) return {};
  // LXD 5.0 empties a description that a PATCH leaves out.
  body["description"] = change.description ? *change.description : instance["description"].string_or("");
  const Answer answer = BERTH_TRY(
      api.call(http::Method::patch, instance_path(name), json::to_json(body), subject, deadline, present.etag()));
  return follow(api, answer, subject, {}, {.stage = "update"}, deadline);
}

}  // namespace

Result<void> update_instance(Api& api, const std::string& name, const compute::InstanceChange& change,
                             Deadline deadline) {
  Result<void> outcome;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    outcome = try_update(api, name, change, deadline);
    if (!may_be_repeated(outcome)) return outcome;
    std::this_thread::sleep_for(std::min(kPause, deadline.remaining()));
  }
  return outcome;
}

}  // namespace berth::drivers::lxd
