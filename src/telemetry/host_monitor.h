#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/clock.h"
#include "metrics/registry.h"
#include "telemetry/host_readings.h"

namespace berth::telemetry {

/// The machine that Berth runs on, at one moment. Immutable. Percentages have one decimal.
struct HostSnapshot {
  std::uint32_t cpu_cores = 1;
  double cpu_percent = 0;          ///< 0 to 100 of all cores together, over the last interval
  std::uint64_t memory_total = 0;  ///< MiB
  std::uint64_t memory_used = 0;   ///< MiB; total without what is available
  double memory_percent = 0;
  std::uint64_t disk_total = 0;      ///< GiB, of the file system that holds the configured path
  std::uint64_t disk_used = 0;       ///< GiB
  double disk_percent = 0;           ///< of what ordinary users may fill, as df shows it
  double network_received_rate = 0;  ///< bytes per second over the last interval, physical interfaces
  double network_sent_rate = 0;
  Timestamp taken_at;
};

using HostSnapshotPointer = std::shared_ptr<const HostSnapshot>;

/// Samples the host on a thread of its own. Thread-safe; a reader takes a pointer and waits for no sample.
class HostMonitor {
 public:
  struct Settings {
    std::filesystem::path disk_path = "/";
    std::chrono::milliseconds interval{1000};
    std::filesystem::path proc = "/proc";  ///< replaced by tests
    std::filesystem::path interfaces = "/sys/class/net";
  };

  /// Takes the first sample, so that `snapshot` has everything but what needs an interval, and registers the
  /// gauges. `metrics` and `clock` must outlive it.
  HostMonitor(Settings settings, metrics::Registry& metrics, const Clock& clock = system_clock());
  HostMonitor(const HostMonitor&) = delete;
  HostMonitor& operator=(const HostMonitor&) = delete;
  ~HostMonitor();

  void start();
  /// Ends the thread. Idempotent.
  void stop();

  /// The newest sample; never null.
  HostSnapshotPointer snapshot() const;
  /// Takes a sample now, on the caller's thread. What cannot be read keeps its last value.
  void sample();

 private:
  struct Totals {
    CpuReading cpu;
    std::uint64_t received_bytes = 0;
    std::uint64_t sent_bytes = 0;
    Instant at{};
  };
  struct Gauges;

  void run();
  void read_cpu(HostSnapshot& snapshot, Totals& totals) const;
  void read_memory(HostSnapshot& snapshot) const;
  void read_disk(HostSnapshot& snapshot) const;
  void read_network(HostSnapshot& snapshot, Totals& totals) const;

  Settings settings_;
  const Clock& clock_;
  std::unique_ptr<Gauges> gauges_;

  std::mutex sampling_;  // one sample at a time; guards last_
  std::optional<Totals> last_;
  mutable std::mutex published_;  // held for a pointer's copy only
  HostSnapshotPointer snapshot_;

  std::mutex stopping_mutex_;
  std::condition_variable stopping_changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace berth::telemetry
