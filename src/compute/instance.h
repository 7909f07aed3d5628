#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/result.h"
#include "compute/container.h"

namespace berth::compute {

/// The states that every engine's own words are turned into. `unresponsive`: the engine knows the instance
/// but its guest process does not answer.
enum class Status { running, stopped, frozen, starting, stopping, restarting, error, unresponsive };
enum class InstanceType { container, virtual_machine };

/// Stable lower-case names ("running", "virtual_machine"), for logs and machine-readable answers.
std::string_view name(Status status);
std::string_view name(InstanceType type);

/// How much an instance may use. Nothing means no limit.
struct InstanceLimits {
  std::optional<double> cpus;  ///< cores, above 0
  std::optional<std::uint64_t> memory_bytes;
  std::optional<std::uint64_t> disk_bytes;  ///< of the root disk
  bool operator==(const InstanceLimits&) const = default;
};

/// Counters as the engine gives them, at one moment.
struct InstanceCounters {
  std::uint64_t cpu_ns = 0;  ///< processor time used since start, all cores
  std::uint64_t memory_bytes = 0;
  std::uint64_t disk_bytes = 0;              ///< 0 where the storage cannot tell
  std::uint64_t network_received_bytes = 0;  ///< since start, without loopback
  std::uint64_t network_sent_bytes = 0;
  bool operator==(const InstanceCounters&) const = default;
};

/// One instance at one moment. Immutable once published; shared by snapshots of the inventory.
struct Instance {
  std::string name;
  std::string engine_id;  ///< the engine's own id, another one when it was made anew; "" where it has none
  Status status = Status::stopped;
  std::string engine_status;  ///< the engine's own word ("Running"), shown by lxd-panel
  InstanceType type = InstanceType::container;
  std::optional<std::string> ipv4;  ///< first global address
  std::optional<std::string> ipv6;
  std::string architecture;
  Timestamp created_at;
  std::string description;
  std::string image;  ///< what it was made from, in words; may be empty
  std::string owner;  ///< UUID of the Berth user it belongs to; "" for nobody
  InstanceLimits limits;
  std::uint32_t snapshots = 0;
  InstanceCounters counters;
  double cpu_percent = 0;  ///< 0 to 100 of its own allotment, over the last interval
  Instant measured{};      ///< when `counters` were read
  bool operator==(const Instance&) const = default;
};

using InstancePointer = std::shared_ptr<const Instance>;

/// A state of an instance to return to.
struct InstanceSnapshot {
  std::string name;
  Timestamp created_at;
  bool stateful = false;  ///< holds the memory too
  std::optional<Timestamp> expires_at;
  std::optional<std::uint64_t> size_bytes;
};

/// What an instance can be made from.
struct Image {
  std::string fingerprint;
  std::vector<std::string> aliases;
  std::string description;
  std::string os;
  std::string release;
  std::string architecture;
  InstanceType type = InstanceType::container;
  std::uint64_t size_bytes = 0;
  std::optional<Timestamp> created_at;
  Timestamp uploaded_at;
};

/// The complete wish for a new instance.
struct NewInstance {
  std::string name;
  std::string image;                           ///< alias, fingerprint or reference
  std::optional<ContainerSettings> container;  ///< for engines that have containers()
  InstanceType type = InstanceType::container;
  std::string description;
  InstanceLimits limits;
  std::string owner;  ///< UUID; "" for nobody
  bool start = true;
};

/// A new instance's changes; what is absent stays.
struct InstanceChange {
  std::optional<std::string> description;
  /// Each limit: absent leaves it, an inner nothing removes it.
  std::optional<std::optional<double>> cpus;
  std::optional<std::optional<std::uint64_t>> memory_bytes;
  std::optional<std::optional<std::uint64_t>> disk_bytes;
};

/// The most that any limit may ask for; what is beyond is a slip of the finger.
inline constexpr double kMaximumCpus = 4096;
inline constexpr std::uint64_t kMinimumMemoryBytes = 1ULL << 20;
inline constexpr std::uint64_t kMinimumDiskBytes = 1ULL << 20;
inline constexpr std::uint64_t kMaximumBytes = 1ULL << 50;
/// Of a description, in bytes of UTF-8.
inline constexpr std::size_t kMaximumDescription = 4096;

/// Letters, digits and '-', 1 to 63, beginning with a letter, not ending with '-': a host name label (RFC 1123
/// as LXD narrows it). Errors: invalid_argument "instance.name" with the field "name".
Result<void> check_instance_name(std::string_view name);
/// Letters, digits, '-', '_' and '.', 1 to 63, beginning with a letter or digit. Errors: invalid_argument
/// "snapshot.name" with the field "name".
Result<void> check_snapshot_name(std::string_view name);
/// Every limit within its range. Errors: invalid_argument "instance.limits"; each bad field is named
/// ("cpus", "memory_bytes", "disk_bytes").
Result<void> check_limits(const InstanceLimits& limits);
/// UTF-8 without control characters but tab and line end, at most kMaximumDescription. Errors: invalid_argument
/// "instance.description" with the field "description".
Result<void> check_description(std::string_view description);

/// What every caller is told about an instance that is not there or not its own.
Error instance_not_found(std::string_view name);
Error engine_unavailable();

}  // namespace berth::compute
