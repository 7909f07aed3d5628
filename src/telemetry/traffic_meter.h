#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "metrics/registry.h"
#include "store/database.h"
#include "telemetry/series_store.h"

namespace berth::telemetry {

/// The traffic counters of one container as its engine gave them.
struct TrafficSample {
  std::int64_t container = 0;   ///< its id, above 0
  std::uint64_t in_bytes = 0;   ///< received by the container since it was started
  std::uint64_t out_bytes = 0;  ///< sent by it
  Instant measured{};           ///< when the engine was asked
  /// Another number once the counters began anew (the container's start time, a hash of the engine's id); 0 where that
  /// is not known: then a counter that went back tells it.
  std::uint64_t incarnation = 0;
};

/// Where the meter gets its samples from. Answers from memory; thread-safe.
class TrafficSource {
 public:
  virtual ~TrafficSource() = default;
  /// Of every container whose counters are known. One whose server does not answer is left out, never given as 0.
  virtual std::vector<TrafficSample> sample() const = 0;
  /// False only for a container that is gone for good.
  virtual bool exists(std::int64_t container) const = 0;
};

struct Traffic {
  double in_rate = 0;  ///< bytes per second over the last interval; 0 once that is too long ago
  double out_rate = 0;
  std::uint64_t in_bytes = 0;  ///< all that ever came, over every restart
  std::uint64_t out_bytes = 0;
  std::optional<Timestamp> measured_at;
};

struct TrafficPoint {
  Timestamp at;
  double in_bytes = 0;
  double out_bytes = 0;
  double in_peak = 0;  ///< highest rate in bytes per second
  double out_peak = 0;
};

struct TrafficHistory {
  std::chrono::seconds step{0};
  std::vector<TrafficPoint> points;  ///< in order, without gaps
};

/// How much traffic each container and all together have, now, in all and over time. What a container counted is
/// carried on when it restarts (its counter begins anew) and when the daemon does (the store has both the last counter
/// and the sum). Thread-safe; `now` and `total` answer from memory.
class TrafficMeter {
 public:
  struct Settings {
    std::chrono::milliseconds interval{5000};
    std::chrono::milliseconds flush_interval{30'000};
    std::chrono::seconds stale{30};  ///< a rate older than this is no longer told
  };
  struct Parts {
    store::Database& database;
    SeriesStore& series;
    metrics::Registry& metrics;
    const Clock& clock;
    const TrafficSource& source;
  };

  /// Loads the sums. Everything in `parts` outlives the meter.
  static Result<std::unique_ptr<TrafficMeter>> create(Settings settings, const Parts& parts);
  TrafficMeter(const TrafficMeter&) = delete;
  TrafficMeter& operator=(const TrafficMeter&) = delete;
  ~TrafficMeter();

  /// Begins and ends measuring; `stop` writes the sums. Idempotent.
  void start();
  void stop();
  /// Takes one round of samples now.
  void measure();
  /// Writes the sums that changed.
  Result<void> flush();
  /// Forgets the containers that are gone for good, in memory and in the store, also those that went while nobody
  /// looked; done by itself at each flush. The sum of all keeps what they had; their history ends, and stays as long as
  /// history does.
  Result<void> forget_gone();

  /// Zeros for a container that was never measured.
  Traffic now(std::int64_t container) const;
  /// All containers together, also those that are gone.
  Traffic total() const;
  /// Of one container, or of all together. Errors: those of SeriesStore::query.
  Result<TrafficHistory> history(std::optional<std::int64_t> container, Timestamp from, Timestamp until,
                                 std::chrono::seconds step) const;

 private:
  struct State {
    std::uint64_t incarnation = 0;
    std::uint64_t raw_in = 0;
    std::uint64_t raw_out = 0;
    std::uint64_t total_in = 0;
    std::uint64_t total_out = 0;
    double in_rate = 0;
    double out_rate = 0;
    Timestamp measured_at;
    std::optional<Instant> measured;  ///< nothing: by an earlier run
    std::uint64_t unsaved_in = 0;     ///< of the totals, not yet in the store's sum of all
    std::uint64_t unsaved_out = 0;
    bool dirty = false;
  };
  struct Growth {
    std::int64_t container = 0;
    Timestamp from;
    Timestamp until;
    std::uint64_t in = 0;
    std::uint64_t out = 0;
  };
  struct Gauges;

  TrafficMeter(Settings settings, const Parts& parts);

  Result<void> load();
  /// Yields what came since the container's last sample.
  std::optional<Growth> take(const TrafficSample& sample, Timestamp now, Instant instant);
  void tell(const std::vector<Growth>& growths);
  bool fresh(const State& state, Instant instant) const;
  Result<void> save(const std::vector<std::pair<std::int64_t, State>>& states);
  void run();

  const Settings settings_;
  Parts parts_;
  std::unique_ptr<Gauges> gauges_;

  std::mutex flushing_;
  mutable std::shared_mutex mutex_;  // guards the next two; never held while the store is waited for
  std::unordered_map<std::int64_t, State> states_;
  State total_;

  std::mutex stopping_mutex_;
  std::condition_variable stopping_changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace berth::telemetry
