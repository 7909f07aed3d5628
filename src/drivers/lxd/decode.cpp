#include "drivers/lxd/decode.h"

#include <array>
#include <cmath>
#include <utility>

#include "drivers/lxd/api.h"
#include "drivers/lxd/limit_words.h"

namespace berth::drivers::lxd {
namespace {

using compute::InstanceType;
using compute::Status;

/// LXD writes "0001-01-01T00:00:00Z" or the epoch for "never".
std::optional<Timestamp> parse_time(json::View text) {
  const auto parsed = parse_timestamp(text.string().value_or(""));
  if (!parsed || parsed->time_since_epoch().count() <= 0) return std::nullopt;
  return *parsed;
}

InstanceType parse_type(json::View type) {
  return type.string() == "virtual-machine" ? InstanceType::virtual_machine : InstanceType::container;
}

/// A configuration as merged from the profiles; the instance's own where the engine gives no merged one.
json::View merged(json::View instance, std::string_view expanded, std::string_view own) {
  return instance[expanded].is_object() ? instance[expanded] : instance[own];
}

std::optional<std::uint64_t> root_size(json::View devices) {
  for (const auto& [name, device] : devices.members()) {
    if (device["type"].string() == "disk" && device["path"].string() == "/") {
      return parse_size(device["size"].string().value_or(""));
    }
  }
  return std::nullopt;
}

compute::InstanceLimits decode_limits(json::View instance, std::uint64_t host_memory) {
  const json::View config = merged(instance, "expanded_config", "config");
  compute::InstanceLimits limits;
  limits.cpus =
      parse_cpus(config["limits.cpu"].string().value_or(""), config["limits.cpu.allowance"].string().value_or(""));
  const std::string_view memory = config["limits.memory"].string().value_or("");
  if (const auto share = parse_percent(memory)) {
    if (host_memory != 0) limits.memory_bytes = static_cast<std::uint64_t>(static_cast<double>(host_memory) * *share);
  } else {
    limits.memory_bytes = parse_size(memory);
  }
  limits.disk_bytes = root_size(merged(instance, "expanded_devices", "devices"));
  return limits;
}

std::string describe_image(json::View config) {
  auto description = config["image.description"].string_or("");
  if (!description.empty()) return description;
  std::string words = config["image.os"].string_or("");
  const std::string release = config["image.release"].string_or("");
  if (!words.empty() && !release.empty()) words += ' ';
  return words + release;
}

std::optional<std::string> global_address(json::View interface, std::string_view family) {
  for (const auto& address : interface["addresses"].elements()) {
    if (address["family"].string() == family && address["scope"].string() == "global") {
      if (const auto text = address["address"].string(); text && !text->empty()) return std::string(*text);
    }
  }
  return std::nullopt;
}

bool is_loopback(std::string_view name, json::View interface) {
  return name == "lo" || interface["type"].string() == "loopback";
}

std::optional<std::string> first_address(json::View network, std::string_view family) {
  if (auto preferred = global_address(network["eth0"], family)) return preferred;
  for (const auto& [name, interface] : network.members()) {
    if (is_loopback(name, interface)) continue;
    if (auto address = global_address(interface, family)) return address;
  }
  return std::nullopt;
}

compute::InstanceCounters decode_counters(json::View state) {
  // A virtual machine without agent reports -1 for what it cannot know.
  const auto count = [](json::View number) { return number.unsigned_integer().value_or(0); };
  compute::InstanceCounters counters;
  counters.cpu_ns = count(state["cpu"]["usage"]);
  counters.memory_bytes = count(state["memory"]["usage"]);
  counters.disk_bytes = count(state["disk"]["root"]["usage"]);
  for (const auto& [name, interface] : state["network"].members()) {
    if (is_loopback(name, interface)) continue;
    counters.network_received_bytes += count(interface["counters"]["bytes_received"]);
    counters.network_sent_bytes += count(interface["counters"]["bytes_sent"]);
  }
  return counters;
}

}  // namespace

compute::Status parse_status(std::string_view word) {
  constexpr std::array<std::pair<std::string_view, Status>, 14> kWords = {{
      {"Running", Status::running},
      {"Ready", Status::running},
      {"Thawed", Status::running},
      {"Stopped", Status::stopped},
      {"Frozen", Status::frozen},
      {"Freezing", Status::frozen},
      {"Starting", Status::starting},
      {"Started", Status::running},
      {"Stopping", Status::stopping},
      {"Aborting", Status::stopping},
      {"Cancelling", Status::stopping},
      {"Restarting", Status::restarting},
      {"Pending", Status::starting},
      {"Error", Status::error},
  }};
  for (const auto& [known, status] : kWords) {
    if (known == word) return status;
  }
  return Status::error;
}

bool has_relative_memory(json::View instance) {
  const json::View config = merged(instance, "expanded_config", "config");
  return parse_percent(config["limits.memory"].string().value_or("")).has_value();
}

Result<compute::Instance> decode_instance(json::View instance, std::uint64_t host_memory) {
  const auto name = instance["name"].string();
  if (!name || name->empty()) return nonsense("an instance without a name");
  compute::Instance decoded;
  decoded.name = *name;
  const json::View state = instance["state"];
  // The state was read after the rest, so its word is the newer one.
  decoded.engine_status = state["status"].string_or(instance["status"].string().value_or(""));
  decoded.status = parse_status(decoded.engine_status);
  decoded.type = parse_type(instance["type"]);
  decoded.architecture = instance["architecture"].string_or("");
  decoded.created_at = parse_time(instance["created_at"]).value_or(Timestamp{});
  decoded.description = instance["description"].string_or("");
  const json::View config = instance["config"];
  decoded.image = describe_image(config);
  decoded.owner = config[kOwnerKey].string_or("");
  decoded.limits = decode_limits(instance, host_memory);
  decoded.snapshots = static_cast<std::uint32_t>(instance["snapshots"].size());
  decoded.ipv4 = first_address(state["network"], "inet");
  decoded.ipv6 = first_address(state["network"], "inet6");
  decoded.counters = decode_counters(state);
  decoded.measured = std::chrono::steady_clock::now();
  return decoded;
}

Result<compute::InstanceSnapshot> decode_snapshot(json::View snapshot) {
  const auto name = snapshot["name"].string();
  if (!name || name->empty()) return nonsense("a snapshot without a name");
  compute::InstanceSnapshot decoded;
  // Older servers write "instance/snapshot".
  decoded.name = name->substr(name->rfind('/') + 1);
  decoded.created_at = parse_time(snapshot["created_at"]).value_or(Timestamp{});
  decoded.stateful = snapshot["stateful"].boolean().value_or(false);
  decoded.expires_at = parse_time(snapshot["expires_at"]);
  decoded.size_bytes = snapshot["size"].unsigned_integer();
  return decoded;
}

Result<compute::Image> decode_image(json::View image) {
  const auto fingerprint = image["fingerprint"].string();
  if (!fingerprint || fingerprint->empty()) return nonsense("an image without a fingerprint");
  compute::Image decoded;
  decoded.fingerprint = *fingerprint;
  for (const auto& alias : image["aliases"].elements()) {
    if (const auto name = alias["name"].string()) decoded.aliases.emplace_back(*name);
  }
  const json::View properties = image["properties"];
  decoded.description = properties["description"].string_or("");
  decoded.os = properties["os"].string_or("");
  decoded.release = properties["release"].string_or("");
  decoded.architecture = image["architecture"].string_or("");
  decoded.type = parse_type(image["type"]);
  decoded.size_bytes = image["size"].unsigned_integer().value_or(0);
  decoded.created_at = parse_time(image["created_at"]);
  decoded.uploaded_at = parse_time(image["uploaded_at"]).value_or(Timestamp{});
  return decoded;
}

}  // namespace berth::drivers::lxd
