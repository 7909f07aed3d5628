#include "drivers/docker/decode.h"

#include "drivers/docker/api.h"
#include "drivers/docker/settings.h"

namespace berth::drivers::docker {
namespace {

using compute::Instance;
using compute::Status;

void decode_addresses(json::View networks, Instance& instance) {
  for (const auto& [name, network] : networks.members()) {
    const auto ipv4 = network["IPAddress"].string_or("");
    const auto ipv6 = network["GlobalIPv6Address"].string_or("");
    if (!instance.ipv4 && !ipv4.empty()) instance.ipv4 = ipv4;
    if (!instance.ipv6 && !ipv6.empty()) instance.ipv6 = ipv6;
  }
}

void decode_labels(json::View labels, Instance& instance) {
  instance.owner = labels[kOwnerLabel].string_or("");
  instance.description = labels[kDescriptionLabel].string_or("");
}

/// Docker begins names with '/'.
std::string plain_name(std::string_view name) {
  if (name.starts_with('/')) name.remove_prefix(1);
  return std::string(name);
}

}  // namespace

Status decode_status(std::string_view word) {
  if (word == "running") return Status::running;
  if (word == "created" || word == "exited" || word == "configured" || word == "initialized" || word == "stopped") {
    return Status::stopped;
  }
  if (word == "paused") return Status::frozen;
  if (word == "restarting") return Status::restarting;
  if (word == "removing" || word == "stopping") return Status::stopping;
  return Status::error;
}

Result<Instance> decode_listed(json::View entry) {
  Instance instance;
  // A container that others link to has more names, of the form /other/alias.
  for (const auto name : entry["Names"].elements()) {
    std::string plain = plain_name(name.string().value_or(""));
    if (!plain.empty() && plain.find('/') == std::string::npos) {
      instance.name = std::move(plain);
      break;
    }
  }
  instance.engine_id = entry["Id"].string_or("");
  if (instance.engine_id.empty()) return nonsense("a container without an id");
  if (instance.name.empty()) instance.name = instance.engine_id.substr(0, 12);
  instance.engine_status = entry["State"].string_or("");
  instance.status = decode_status(instance.engine_status);
  instance.image = entry["Image"].string_or("");
  instance.created_at = Timestamp(std::chrono::seconds(entry["Created"].integer().value_or(0)));
  decode_labels(entry["Labels"], instance);
  decode_addresses(entry["NetworkSettings"]["Networks"], instance);
  return instance;
}

Result<Instance> decode_inspected(json::View container) {
  Instance instance;
  instance.name = plain_name(container["Name"].string().value_or(""));
  instance.engine_id = container["Id"].string_or("");
  const auto status = container["State"]["Status"].string();
  const auto created = parse_timestamp(container["Created"].string().value_or(""));
  if (instance.name.empty() || instance.engine_id.empty() || !status || !created) {
    return nonsense("a container without a name, an id, a state or a time of birth");
  }
  instance.engine_status = *status;
  instance.status = decode_status(*status);
  instance.created_at = *created;
  instance.image = container["Config"]["Image"].string_or("");
  instance.limits = decode_limits(container["HostConfig"]);
  decode_labels(container["Config"]["Labels"], instance);
  decode_addresses(container["NetworkSettings"]["Networks"], instance);
  return instance;
}

compute::InstanceCounters decode_counters(json::View statistics) {
  compute::InstanceCounters counters;
  counters.cpu_ns = statistics["cpu_stats"]["cpu_usage"]["total_usage"].unsigned_integer().value_or(0);
  const json::View memory = statistics["memory_stats"];
  const std::uint64_t usage = memory["usage"].unsigned_integer().value_or(0);
  // Files that the kernel only keeps because it can: control groups 1 and 2 name them differently.
  const auto v1 = memory["stats"]["total_inactive_file"].unsigned_integer();
  const std::uint64_t reclaimable = v1 ? *v1 : memory["stats"]["inactive_file"].unsigned_integer().value_or(0);
  counters.memory_bytes = reclaimable < usage ? usage - reclaimable : usage;
  for (const auto& [name, network] : statistics["networks"].members()) {
    if (name == "lo") continue;
    counters.network_received_bytes += network["rx_bytes"].unsigned_integer().value_or(0);
    counters.network_sent_bytes += network["tx_bytes"].unsigned_integer().value_or(0);
  }
  return counters;
}

bool has_counters(json::View statistics) {
  return statistics["cpu_stats"]["cpu_usage"]["total_usage"].unsigned_integer().value_or(0) > 0;
}

}  // namespace berth::drivers::docker
