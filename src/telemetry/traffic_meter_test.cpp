#include "telemetry/traffic_meter.h"

#include <map>
#include <set>

#include "eventually.h"
#include "telemetry/telemetry_fixture.h"

namespace berth::telemetry {
namespace {

using namespace std::chrono_literals;

/// Counters as the test sets them.
class Counters final : public TrafficSource {
 public:
  explicit Counters(const Clock& clock) : clock_(clock) {}
  std::vector<TrafficSample> sample() const override {
    const std::lock_guard lock(mutex_);
    std::vector<TrafficSample> samples;
    for (const auto& [id, sample] : samples_) samples.push_back(sample);
    return samples;
  }
  void set(std::int64_t id, std::uint64_t in, std::uint64_t out, std::uint64_t incarnation = 0) {
    const std::lock_guard lock(mutex_);
    samples_[id] = {id, in, out, clock_.instant(), incarnation};
  }
  bool exists(std::int64_t container) const override {
    const std::lock_guard lock(mutex_);
    return !gone_.contains(container);
  }
  /// Its server does not answer, or it stands still.
  void silence(std::int64_t id) {
    const std::lock_guard lock(mutex_);
    samples_.erase(id);
  }
  void remove(std::int64_t id) {
    silence(id);
    const std::lock_guard lock(mutex_);
    gone_.insert(id);
  }

 private:
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<std::int64_t, TrafficSample> samples_;
  std::set<std::int64_t> gone_;
};

class TrafficMeterTest : public TelemetryFixture {
 protected:
  TrafficMeterTest() { restart(); }
  void restart(TrafficMeter::Settings settings = {}) {
    meter_.reset();
    series_ = std::make_unique<SeriesStore>(SeriesStore::Settings(), *database_, place_.metrics(), clock_);
    meter_ = must(TrafficMeter::create(settings, {*database_, *series_, place_.metrics(), clock_, counters_}));
  }
  void measure(std::int64_t id, std::uint64_t in, std::uint64_t out, std::uint64_t incarnation = 0) {
    counters_.set(id, in, out, incarnation);
    meter_->measure();
  }
  void stop_daemon() {
    must(meter_->flush());
    must(series_->flush());
  }

  Counters counters_{clock_};
  std::unique_ptr<SeriesStore> series_;
  std::unique_ptr<TrafficMeter> meter_;
};

INSTANTIATE_TEST_SUITE_P(Engines, TrafficMeterTest,
                         ::testing::Values(store::Dialect::sqlite, store::Dialect::postgresql), store::engine_name);

TEST_P(TrafficMeterTest, TellsRatesFromWhatWasAdded) {
  measure(1, 1000, 500);
  EXPECT_EQ(meter_->now(1).in_rate, 0) << "nobody knows since when it has counted";
  EXPECT_EQ(meter_->now(1).in_bytes, 1000U);
  pass(5s);
  measure(1, 6000, 1000);
  EXPECT_DOUBLE_EQ(meter_->now(1).in_rate, 1000);
  EXPECT_DOUBLE_EQ(meter_->now(1).out_rate, 100);
  EXPECT_EQ(meter_->now(1).in_bytes, 6000U);
  EXPECT_EQ(meter_->now(1).measured_at, clock_.now());
  pass(5s);
  measure(1, 6000, 1000);
  EXPECT_EQ(meter_->now(1).in_rate, 0);
  EXPECT_EQ(meter_->now(99).in_bytes, 0U);
}

TEST_P(TrafficMeterTest, CarriesOnWhenAContainerRestarts) {
  measure(1, 10000, 5000);
  pass(5s);
  measure(1, 700, 300);  // less than before: it counts from 0 again
  EXPECT_EQ(meter_->now(1).in_bytes, 10700U);
  EXPECT_EQ(meter_->now(1).out_bytes, 5300U);
  EXPECT_DOUBLE_EQ(meter_->now(1).in_rate, 140);
  pass(5s);
  measure(1, 0, 0);  // stopped
  pass(5s);
  measure(1, 100, 100);
  EXPECT_EQ(meter_->now(1).in_bytes, 10800U);
}

TEST_P(TrafficMeterTest, SeesARestartThatCountedFurtherThanBefore) {
  measure(1, 1000, 1000, 7);
  pass(5s);
  measure(1, 5000, 5000, 8);
  EXPECT_EQ(meter_->now(1).in_bytes, 6000U);
}

TEST_P(TrafficMeterTest, CarriesOnWhenTheDaemonRestarts) {
  measure(1, 1000, 1000);
  pass(5s);
  measure(1, 3000, 2000);
  stop_daemon();
  pass(20s);
  restart();
  EXPECT_EQ(meter_->now(1).in_bytes, 3000U);
  EXPECT_EQ(meter_->now(1).in_rate, 0) << "that was another run";
  measure(1, 5000, 2200);
  EXPECT_EQ(meter_->now(1).in_bytes, 5000U) << "what came meanwhile counts too";
  EXPECT_DOUBLE_EQ(meter_->now(1).in_rate, 100);
  EXPECT_EQ(meter_->total().in_bytes, 5000U);
  pass(1s);
  const auto history = must(meter_->history(1, clock_.now() - 60s, clock_.now(), 10s));
  double in = 0;
  for (const auto& point : history.points) in += point.in_bytes;
  EXPECT_DOUBLE_EQ(in, 4000) << "all but what it had when it was first seen";
}

TEST_P(TrafficMeterTest, CarriesOnWhenBothRestart) {
  measure(1, 10000, 10000);
  stop_daemon();
  pass(60s);
  restart();
  measure(1, 400, 40);
  EXPECT_EQ(meter_->now(1).in_bytes, 10400U);
  EXPECT_EQ(meter_->total().out_bytes, 10040U);
}

TEST_P(TrafficMeterTest, LosesNothingOfItsSumsWhenTheDaemonIsKilled) {
  measure(1, 1000, 1000);
  must(meter_->flush());
  pass(5s);
  measure(1, 5000, 1000);
  restart();  // without a flush
  pass(5s);
  measure(1, 6000, 1000);
  EXPECT_EQ(meter_->now(1).in_bytes, 6000U);
  EXPECT_EQ(meter_->total().in_bytes, 6000U);
}

TEST_P(TrafficMeterTest, AddsAllTogetherAndKeepsWhatIsGone) {
  measure(1, 0, 0);
  measure(2, 0, 0);
  pass(10s);
  counters_.set(1, 1000, 100);
  measure(2, 3000, 300);
  EXPECT_DOUBLE_EQ(meter_->total().in_rate, 400);
  EXPECT_DOUBLE_EQ(meter_->total().out_rate, 40);
  EXPECT_EQ(meter_->total().in_bytes, 4000U);
  counters_.remove(1);
  must(meter_->forget_gone());
  EXPECT_EQ(meter_->now(1).in_bytes, 0U);
  EXPECT_DOUBLE_EQ(meter_->total().in_rate, 300);
  EXPECT_EQ(meter_->total().in_bytes, 4000U);
  stop_daemon();
  restart();
  EXPECT_EQ(meter_->total().in_bytes, 4000U);
  EXPECT_EQ(count("SELECT count(*) AS n FROM traffic_counters WHERE subject = 1"), 0);
}

TEST_P(TrafficMeterTest, ForgetsNobodyWhoIsOnlySilent) {
  measure(1, 1000, 100);
  counters_.silence(1);
  must(meter_->forget_gone());
  EXPECT_EQ(meter_->now(1).in_bytes, 1000U);
}

TEST_P(TrafficMeterTest, ForgetsWhatWentWhileNobodyLooked) {
  measure(1, 1000, 100);
  measure(2, 1000, 100);
  stop_daemon();
  counters_.remove(1);
  restart();
  EXPECT_EQ(meter_->now(1).in_bytes, 1000U) << "as the store has it";
  must(meter_->forget_gone());
  EXPECT_EQ(meter_->now(1).in_bytes, 0U);
  EXPECT_EQ(meter_->now(2).in_bytes, 1000U);
  EXPECT_EQ(count("SELECT count(*) AS n FROM traffic_counters WHERE subject = 1"), 0);
}

TEST_P(TrafficMeterTest, DoesSoByItself) {
  restart({.interval = 10ms, .flush_interval = 0ms, .stale = 30s});
  meter_->start();
  for (std::int64_t id = 1; id <= 1000; ++id) counters_.set(id, 1, 1);
  EXPECT_TRUE(berth::testing::eventually(
      [&] { return count("SELECT count(*) AS n FROM traffic_counters WHERE subject > 0") == 1000; }));
  for (std::int64_t id = 1; id <= 1000; ++id) counters_.remove(id);
  EXPECT_TRUE(berth::testing::eventually(
      [&] { return count("SELECT count(*) AS n FROM traffic_counters WHERE subject > 0") == 0; }));
  EXPECT_EQ(meter_->total().in_bytes, 1000U);
  meter_->stop();
}

TEST_P(TrafficMeterTest, TellsNoRateOfAServerThatNoLongerAnswers) {
  measure(1, 0, 0);
  pass(5s);
  measure(1, 5000, 5000);
  counters_.remove(1);
  pass(30s);
  meter_->measure();
  EXPECT_DOUBLE_EQ(meter_->now(1).in_rate, 1000);
  pass(1s);
  EXPECT_EQ(meter_->now(1).in_rate, 0);
  EXPECT_EQ(meter_->total().in_rate, 0);
  EXPECT_EQ(meter_->now(1).in_bytes, 5000U);
  measure(1, 8100, 5000);
  EXPECT_DOUBLE_EQ(meter_->now(1).in_rate, 100) << "over all the time that was not measured";
}

TEST_P(TrafficMeterTest, CountsNoSampleTwice) {
  measure(1, 0, 0);
  pass(5s);
  measure(1, 1000, 0);
  pass(5s);
  meter_->measure();  // the engine was not asked anew
  EXPECT_EQ(meter_->now(1).in_bytes, 1000U);
  EXPECT_DOUBLE_EQ(meter_->now(1).in_rate, 200);
}

TEST_P(TrafficMeterTest, TellsItsHistoryWithoutGaps) {
  measure(1, 0, 0);
  for (int i = 1; i <= 6; ++i) {
    pass(10s);
    measure(1, static_cast<std::uint64_t>(i) * 1000, 0);
  }
  pass(30s);
  const auto history = must(meter_->history(1, clock_.now() - 100s, clock_.now(), 10s));
  EXPECT_EQ(history.step, 10s);
  ASSERT_EQ(history.points.size(), 10U);
  for (std::size_t i = 1; i < history.points.size(); ++i) {
    EXPECT_EQ(history.points[i].at - history.points[i - 1].at, 10s);
  }
  EXPECT_DOUBLE_EQ(history.points[0].in_bytes, 0);
  EXPECT_DOUBLE_EQ(history.points[1].in_bytes, 1000);
  EXPECT_DOUBLE_EQ(history.points[1].in_peak, 100);
  EXPECT_DOUBLE_EQ(history.points[9].in_bytes, 0);
  const auto all = must(meter_->history(std::nullopt, clock_.now() - 600s, clock_.now(), 60s));
  double in = 0;
  for (const auto& point : all.points) in += point.in_bytes;
  EXPECT_DOUBLE_EQ(in, 6000);
}

TEST_P(TrafficMeterTest, TellsTheHighestRateOfAllTogether) {
  measure(1, 0, 0);
  measure(2, 0, 0);
  pass(10s);
  counters_.set(1, 1000, 0);
  measure(2, 3000, 0);
  pass(1s);
  const auto peak = [&](std::optional<std::int64_t> container) {
    double highest = 0;
    for (const auto& point : must(meter_->history(container, clock_.now() - 60s, clock_.now(), 60s)).points) {
      highest = std::max(highest, point.in_peak);
    }
    return highest;
  };
  EXPECT_DOUBLE_EQ(peak(2), 300);
  EXPECT_DOUBLE_EQ(peak(std::nullopt), 400);
}

TEST_P(TrafficMeterTest, SavesManyContainersInBatches) {
  for (std::int64_t id = 1; id <= 1200; ++id) counters_.set(id, 10, 20);
  meter_->measure();
  must(meter_->flush());
  restart();
  EXPECT_EQ(meter_->now(1200).out_bytes, 20U);
  EXPECT_EQ(meter_->total().in_bytes, 12000U);
}

TEST_P(TrafficMeterTest, MeasuresByItself) {
  TrafficMeter::Settings settings;
  settings.interval = 2ms;
  settings.flush_interval = 2ms;
  restart(settings);
  counters_.set(1, 1000, 1000);
  meter_->start();
  EXPECT_TRUE(testing::eventually([&] { return meter_->now(1).in_bytes == 1000; }));
  meter_->stop();
  restart();
  EXPECT_EQ(meter_->now(1).in_bytes, 1000U);
}

}  // namespace
}  // namespace berth::telemetry
