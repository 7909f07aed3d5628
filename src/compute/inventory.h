#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/signal.h"
#include "base/worker_pool.h"
#include "compute/engine.h"
#include "compute/instance.h"
#include "metrics/registry.h"

namespace berth::compute {

/// Whether an engine answers.
struct EngineHealth {
  bool connected = false;
  bool ever_connected = false;
  std::optional<Error> problem;    ///< why not, if not
  std::optional<EngineInfo> info;  ///< from the last time it answered
};

/// Everything an engine has, at one revision. Immutable, shared, thread-safe.
struct InventorySnapshot {
  std::uint64_t revision = 0;              ///< grows with every change of content or health
  std::uint64_t structure_revision = 0;    ///< grows when anything but counters changed
  std::vector<InstancePointer> instances;  ///< sorted by name; an unchanged one is the same pointer as before
  EngineHealth health;
  Instant read_at{};  ///< when the read began that last confirmed the content
  Timestamp read_time;

  /// By binary search; null if there is none.
  InstancePointer find(std::string_view name) const;
};

using SnapshotPointer = std::shared_ptr<const InventorySnapshot>;

/// Keeps the snapshot of one engine true: events refresh single instances at once, full reads repair everything and
/// measure use, so often that no figure is older than a tick (see ReadPace); while the engine does not answer it is
/// asked every second. Its engine calls run on its own two threads, so a hung engine leaves readers alone. Thread-safe.
class Inventory {
 public:
  struct Settings {
    std::chrono::milliseconds tick{5000};           ///< the oldest that a figure may become
    std::chrono::milliseconds read_deadline{4000};  ///< of one full read
    std::chrono::milliseconds get_deadline{2000};   ///< of one instance
    /// After so many failed reads in a row the engine counts as not connected.
    int failures_until_disconnected = 1;
    std::uint32_t host_cores = 1;  ///< of an instance without a CPU limit, if the engine does not tell
  };

  Inventory(EngineId id, InstanceEngine& engine, Settings settings, metrics::Registry& metrics);
  ~Inventory();

  /// Begins to watch and to read; returns at once. At most once.
  void start();
  /// Returns when no engine call of its threads runs any more: within `read_deadline`. Idempotent.
  void stop();

  /// The newest snapshot; never null. Costs the copy of a shared pointer.
  SnapshotPointer snapshot() const;

  /// Reads one instance now and publishes it; what a finished operation calls, so that its caller reads its
  /// own write. Blocks.
  void refresh(const std::string& name, Deadline deadline);
  /// The same, yielding what the engine answered. One that is gone is not_found and leaves the snapshot.
  Result<InstancePointer> reread(const std::string& name, Deadline deadline);
  /// Reads everything now.
  Result<void> refresh_all(Deadline deadline);

  /// Emitted after each published snapshot with the one before and the new one, from the publishing thread,
  /// in the order of publication. A callback may call `snapshot` but nothing that reads the engine. A full
  /// read that found no change publishes its newer `read_at` under the same revision.
  Signal<const SnapshotPointer&, const SnapshotPointer&>& changed();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace berth::compute
