#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "metrics/registry.h"
#include "store/database.h"

namespace berth::telemetry {

enum class SeriesKind {
  counter,  ///< how much there was of something: amounts add up
  gauge,    ///< how something stands: values are averaged
};

/// "traffic.in" of "container:12".
struct SeriesName {
  std::string metric;
  std::string subject;
  auto operator<=>(const SeriesName&) const = default;
};

/// One stretch of time.
struct SeriesPoint {
  Timestamp at;              ///< its beginning
  double total = 0;          ///< a counter's amount; a gauge's sum
  std::int64_t samples = 0;  ///< measurements in it
  double peak = 0;           ///< a counter's highest rate per second; a gauge's highest value
};

struct SeriesHistory {
  std::chrono::seconds step{0};
  std::vector<SeriesPoint> points;  ///< in order; stretches without a measurement are missing
};

/// The history of counters and gauges in three resolutions: 10 s for two hours, a minute for two days, an hour for 400
/// days. Measurements are gathered in memory and written in batches, so a crash loses the last of them; nobody who
/// measures ever waits for the store. Thread-safe.
class SeriesStore {
 public:
  struct Resolution {
    std::chrono::seconds step;
    std::chrono::seconds keep;
    std::chrono::seconds longest_gap;  ///< an amount over a longer time is told only in coarser ones
  };
  static constexpr std::array<Resolution, 3> kResolutions = {
      {{std::chrono::seconds(10), std::chrono::hours(2), std::chrono::minutes(2)},
       {std::chrono::minutes(1), std::chrono::hours(48), std::chrono::hours(1)},
       {std::chrono::hours(1), std::chrono::hours(400 * 24), std::chrono::hours(48)}}};
  static constexpr std::int64_t kMostPoints = 2000;  ///< of one answer

  struct Settings {
    std::chrono::milliseconds flush_interval{30'000};
    std::size_t pending_limit = 500'000;  ///< points in memory; what the store does not take beyond that is dropped
    std::size_t batch = 200;              ///< series written in one transaction
  };

  SeriesStore(Settings settings, store::Database& database, metrics::Registry& metrics, const Clock& clock);
  SeriesStore(const SeriesStore&) = delete;
  SeriesStore& operator=(const SeriesStore&) = delete;
  ~SeriesStore();

  /// Begins and ends writing by itself; `stop` writes what is there. Idempotent.
  void start();
  void stop();

  /// So much came between two moments; spread evenly over them.
  void count(const SeriesName& name, Timestamp from, Timestamp until, double amount);
  /// So it stood at that moment.
  void sample(const SeriesName& name, Timestamp at, double value);

  /// Writes what was gathered. What the store does not take is kept for the next time.
  Result<void> flush();
  /// What there was in [from, until), in steps of `step` or, if 0, of what makes at most 300 of them. A step is made
  /// as coarse as what is kept for `from` needs. Errors: invalid_argument "series.range" with the field "from" or
  /// "step" (empty, longer than 400 days, more than kMostPoints).
  Result<SeriesHistory> query(const SeriesName& name, Timestamp from, Timestamp until, std::chrono::seconds step);
  /// The step that `query` takes. The same errors.
  Result<std::chrono::seconds> step_for(Timestamp from, Timestamp until, std::chrono::seconds wish) const;
  /// Forgets what is older than its resolution keeps. A clock that is set forward while this runs makes nothing older.
  /// Yields how many points.
  Result<std::int64_t> sweep();

 private:
  struct Slot {
    std::int64_t resolution;  ///< seconds
    std::int64_t at;          ///< microseconds
    auto operator<=>(const Slot&) const = default;
  };
  struct Amount {
    double total = 0;
    std::int64_t samples = 0;
    double peak = 0;
  };
  struct Pending {
    SeriesKind kind = SeriesKind::counter;
    std::map<Slot, Amount> slots;
  };
  using Batch = std::map<SeriesName, Pending>;

  void add(Pending& pending, Slot slot, double total, double peak);
  void put_back(Batch batch);
  Batch take_batch();
  Result<void> write(const Batch& batch);
  Result<std::int64_t> id_of(store::Transaction& transaction, const SeriesName& name, SeriesKind kind,
                             std::map<SeriesName, std::int64_t>& found) const;
  void run();

  const Settings settings_;
  store::Database& database_;
  const Clock& clock_;
  const Timestamp began_;
  const Instant began_instant_;
  metrics::Counter& dropped_;
  metrics::Histogram& flush_time_;

  std::mutex mutex_;  // guards the next two; never held while the store is waited for
  Batch pending_;
  std::size_t pending_slots_ = 0;

  /// Held exclusively while a batch moves from memory to the store, so that a reader finds each amount once.
  std::shared_mutex moving_;
  std::map<SeriesName, std::int64_t> ids_;  // guarded by moving_

  std::mutex stopping_mutex_;
  std::condition_variable stopping_changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace berth::telemetry
