#include "api/lxd_panel/encode.h"

#include <cmath>

#include "compute/description.h"

namespace berth::api::lxd_panel {
namespace {

constexpr std::uint64_t kMiB = 1ULL << 20U;
constexpr std::uint64_t kGiB = 1ULL << 30U;

double one_decimal(double value) {
  return std::round(value * 10) / 10;
}

}  // namespace

InstanceInfo info_of(const compute::Instance& instance, Secrets secrets) {
  return {instance.name,
          instance.engine_status,
          instance.ipv4,
          instance.ipv6,
          instance.architecture,
          format_local(instance.created_at),
          secrets == Secrets::shown ? instance.description : compute::mask_password(instance.description)};
}

ResourceUsage usage_of(const compute::Instance& instance, const HostTotals& host) {
  const auto& counters = instance.counters;
  return {one_decimal(instance.cpu_percent),
          counters.memory_bytes / kMiB,
          instance.limits.memory_bytes.value_or(host.memory_bytes) / kMiB,
          counters.disk_bytes / kMiB,
          instance.limits.disk_bytes.value_or(host.disk_bytes) / kMiB,
          counters.network_received_bytes / kMiB,
          counters.network_sent_bytes / kMiB};
}

InstanceDetail detail_of(const compute::Instance& instance, const HostTotals& host, Secrets secrets) {
  const compute::InstanceAccess access = compute::parse_description(instance.description);
  return {info_of(instance, secrets), usage_of(instance, host), access.ssh_port, access.nat_ports,
          secrets == Secrets::shown ? access.root_password : std::nullopt};
}

MonitoredInstance monitored_of(const compute::Instance& instance, const HostTotals& host) {
  const compute::InstanceAccess access = compute::parse_description(instance.description);
  return {instance.name,   instance.engine_status, instance.ipv4, usage_of(instance, host),
          access.ssh_port, access.nat_ports};
}

HostInfo host_info_of(const telemetry::HostSnapshot& host) {
  return {host.cpu_cores,      host.cpu_percent, host.memory_total, host.memory_used,
          host.memory_percent, host.disk_total,  host.disk_used,    host.disk_percent};
}

HostTotals totals_of(const telemetry::HostSnapshot& host) {
  return {host.memory_total * kMiB, host.disk_total * kGiB};
}

SnapshotInfo snapshot_of(const compute::InstanceSnapshot& snapshot) {
  return {snapshot.name, format_local(snapshot.created_at), snapshot.stateful,
          snapshot.expires_at ? std::optional(format_local(*snapshot.expires_at)) : std::nullopt,
          snapshot.size_bytes ? std::optional(*snapshot.size_bytes / kMiB) : std::nullopt};
}

ImageInfo image_of(const compute::Image& image) {
  return {image.fingerprint,
          image.aliases,
          image.description,
          image.os,
          image.release,
          image.architecture,
          image.type == compute::InstanceType::container ? "container" : "virtual-machine",
          image.size_bytes / kMiB,
          format_local(image.uploaded_at)};
}

bool same_info(const compute::Instance& a, const compute::Instance& b) {
  return a.name == b.name && a.engine_status == b.engine_status && a.ipv4 == b.ipv4 && a.ipv6 == b.ipv6 &&
         a.description == b.description && a.created_at == b.created_at && a.architecture == b.architecture;
}

}  // namespace berth::api::lxd_panel
