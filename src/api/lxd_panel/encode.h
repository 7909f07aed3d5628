#pragma once

#include "api/lxd_panel/wire.h"
#include "compute/instance.h"
#include "telemetry/host_monitor.h"

namespace berth::api::lxd_panel {

/// Whether a viewer may see root passwords.
enum class Secrets { hidden, shown };

/// What an instance without a limit may use, in bytes.
struct HostTotals {
  std::uint64_t memory_bytes = 0;
  std::uint64_t disk_bytes = 0;
  bool operator==(const HostTotals&) const = default;
};

InstanceInfo info_of(const compute::Instance& instance, Secrets secrets);
ResourceUsage usage_of(const compute::Instance& instance, const HostTotals& host);
InstanceDetail detail_of(const compute::Instance& instance, const HostTotals& host, Secrets secrets);
MonitoredInstance monitored_of(const compute::Instance& instance, const HostTotals& host);
HostInfo host_info_of(const telemetry::HostSnapshot& host);
HostTotals totals_of(const telemetry::HostSnapshot& host);
SnapshotInfo snapshot_of(const compute::InstanceSnapshot& snapshot);
ImageInfo image_of(const compute::Image& image);

/// True if both come out of `info_of` alike, whatever their counters.
bool same_info(const compute::Instance& a, const compute::Instance& b);

}  // namespace berth::api::lxd_panel
