#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "compute/container_engine.h"
#include "compute/engine.h"
#include "fleet/server.h"

namespace berth::fleet {

struct HealthSettings {
  std::chrono::milliseconds interval{2000};  ///< between measurements
  std::chrono::milliseconds limit{2000};     ///< by when an answer must be there
  int failures_until_unreachable = 3;        ///< in a row
  int answers_until_healthy = 2;             ///< in a row, after it was unreachable or degraded
  int answers_until_degraded = 2;            ///< in a row that show the same kind of trouble
  std::chrono::milliseconds slow{1000};      ///< an answer that takes longer is trouble
  double disk_full = 0.9;                    ///< share of the disk beyond which it is trouble
  std::chrono::milliseconds clock_off{5000};
};

/// One look at a server.
struct HealthMeasurement {
  bool answered = false;
  std::string problem;  ///< why it did not answer, for an operator
  std::chrono::milliseconds latency{0};
  std::string product;
  std::optional<compute::EngineCapacity> capacity;  ///< nothing where the engine cannot tell
};

/// Turns measurements into a state that does not flap. The first answer counts at once; from then on it takes several
/// in a row to change. Not thread-safe.
class HealthRule {
 public:
  HealthRule(const HealthSettings& settings, const Clock& clock) : settings_(settings), clock_(clock) {}

  /// True if the health changed.
  bool apply(const HealthMeasurement& measurement);
  /// What is known now; containers and reservations are for others to fill in.
  const ServerStatus& status() const { return status_; }

 private:
  bool note_failure(const HealthMeasurement& measurement);
  bool note_answer(const HealthMeasurement& measurement);
  /// What is wrong with a server that answers; empty for nothing.
  std::string trouble_of(const HealthMeasurement& measurement) const;
  bool become(ServerHealth health, std::string reason);

  const HealthSettings settings_;
  const Clock& clock_;
  ServerStatus status_;
  int failures_ = 0;
  int answers_ = 0;
  int good_answers_ = 0;
  int bad_answers_ = 0;
};

/// Measures one server by itself, on a thread of its own, so that one that hangs holds up nobody else. Thread-safe.
class ServerProbe {
 public:
  /// `changed` is called from the probe's thread when the health changed; it must be short.
  using Changed = std::function<void(const ServerStatus& before, const ServerStatus& now)>;

  ServerProbe(compute::InstanceEngine& engine, const HealthSettings& settings, const Clock& clock, Changed changed);
  ServerProbe(const ServerProbe&) = delete;
  ServerProbe& operator=(const ServerProbe&) = delete;
  ~ServerProbe() { stop(); }

  /// At most once.
  void start();
  /// Returns when no engine call of its thread runs any more: within `limit`. Idempotent.
  void stop();
  /// Measures now instead of at the next turn; returns at once.
  void hurry();
  /// Measures on the caller's thread.
  ServerStatus measure_now();
  ServerStatus status() const;

 private:
  void run();
  HealthMeasurement look();

  compute::InstanceEngine& engine_;
  const HealthSettings settings_;
  const Clock& clock_;
  const Changed changed_;
  mutable std::mutex rule_mutex_;
  HealthRule rule_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool hurried_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace berth::fleet
