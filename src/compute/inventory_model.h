#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "compute/inventory.h"

namespace berth::compute {

/// Builds the snapshots of an inventory from reads that may overlap: what a read that began earlier brings
/// never replaces what a later one brought, but for counters that the later one had from before both. Computes CPU
/// use between reads. Not thread-safe.
class InventoryModel {
 public:
  /// Names a read; greater ones began later.
  using Mark = std::uint64_t;

  /// `host_cores` stand in for what an engine does not tell of its machine.
  explicit InventoryModel(std::uint32_t host_cores);

  const SnapshotPointer& snapshot() const { return snapshot_; }

  /// Each read begins here, before the engine is asked, and ends with exactly one of the calls below.
  Mark begin_read(Instant now = std::chrono::steady_clock::now());
  /// The whole content; instances that it does not name are gone. Yields the snapshot to publish, or null if
  /// a read that began later was applied meanwhile.
  SnapshotPointer apply_all(Mark mark, std::vector<Instance> instances, EngineInfo info, Timestamp now);
  /// One instance. Null if that changes nothing or something newer is known.
  SnapshotPointer apply_one(Mark mark, Instance instance);
  /// An instance that the engine does not have. Null if that changes nothing.
  SnapshotPointer apply_missing(Mark mark, const std::string& name);
  /// A read that brought nothing.
  void abandon(Mark mark);

  /// The engine does not answer; the instances stay. Null if that was known.
  SnapshotPointer disconnect(const Error& problem);

 private:
  /// What is kept about an instance beside what is published.
  struct Entry {
    Mark mark = 0;                     ///< of the read that brought it
    std::optional<Instant> cpu_since;  ///< where the interval of its CPU use begins
    std::uint64_t cpu_ns = 0;          ///< the counter then
  };
  enum class Change { none, counters, structure };

  void end_read(Mark mark);
  std::size_t position(std::string_view name) const;
  void measure_cpu(Entry& entry, const Instance* before, Instance& fresh) const;
  /// Yields the pointer to publish for a fresh reading of `before`, the same one if nothing changed.
  InstancePointer merge(Entry& entry, const InstancePointer& before, Instance fresh, Change& change) const;
  SnapshotPointer publish(InventorySnapshot next, Change change);

  double host_cores_;  ///< as the engine says, once it has
  SnapshotPointer snapshot_;
  std::vector<Entry> entries_;           ///< beside snapshot_->instances, in the same order
  std::map<std::string, Mark> removed_;  ///< found missing by a read that began before one still under way ended
  std::map<Mark, Instant> reading_;      ///< the reads under way, and when they began
  Mark last_mark_ = 0;
  Mark last_full_ = 0;  ///< of the newest full read that was applied
};

}  // namespace berth::compute
