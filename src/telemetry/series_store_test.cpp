#include "telemetry/series_store.h"

#include <fmt/format.h>

#include <cmath>

#include "eventually.h"
#include "operations/flaky_database.h"
#include "telemetry/telemetry_fixture.h"

namespace berth::telemetry {
namespace {

using namespace std::chrono_literals;

const SeriesName kIn{"traffic.in", "container:1"};

class SeriesStoreTest : public TelemetryFixture {
 protected:
  SeriesStoreTest() { restart(); }
  void restart(SeriesStore::Settings settings = {}) {
    series_ = std::make_unique<SeriesStore>(settings, *database_, place_.metrics(), clock_);
  }
  SeriesHistory query(std::chrono::seconds ago, std::chrono::seconds step, const SeriesName& name = kIn) {
    return must(series_->query(name, clock_.now() - ago, clock_.now(), step));
  }
  /// A hundred bytes each ten seconds.
  void run(std::chrono::seconds time) {
    for (auto passed = 0s; passed < time; passed += 10s) {
      pass(10s);
      series_->count(kIn, clock_.now() - 10s, clock_.now(), 100);
    }
  }
  static double sum(const SeriesHistory& history) {
    double total = 0;
    for (const auto& point : history.points) total += point.total;
    return total;
  }

  std::unique_ptr<SeriesStore> series_;
};

INSTANTIATE_TEST_SUITE_P(Engines, SeriesStoreTest,
                         ::testing::Values(store::Dialect::sqlite, store::Dialect::postgresql), store::engine_name);

TEST_P(SeriesStoreTest, TellsTheSameBeforeAndAfterItIsWrittenAndAfterARestart) {
  run(600s);
  const auto check = [&] {
    for (const auto step : {10s, 60s, 300s}) {
      const auto history = query(600s, step);
      EXPECT_EQ(history.step, step);
      EXPECT_EQ(history.points.size(), static_cast<std::size_t>(600 / step.count()));
      EXPECT_DOUBLE_EQ(sum(history), 6000);
      EXPECT_DOUBLE_EQ(history.points.front().total, 10.0 * static_cast<double>(step.count()));
      EXPECT_DOUBLE_EQ(history.points.front().peak, 10);
    }
  };
  check();
  must(series_->flush());
  check();
  run(0s);
  restart();
  check();
}

TEST_P(SeriesStoreTest, AddsToWhatIsWrittenAlready) {
  run(600s);
  must(series_->flush());
  run(600s);
  EXPECT_DOUBLE_EQ(sum(query(1200s, 60s)), 12000) << "half of it in the store, half in memory";
  must(series_->flush());
  EXPECT_DOUBLE_EQ(sum(query(1200s, 60s)), 12000);
  EXPECT_DOUBLE_EQ(sum(query(3600s, 3600s)), 12000);
}

TEST_P(SeriesStoreTest, SpreadsALongGapOverCoarserSteps) {
  series_->count(kIn, clock_.now() - 30min, clock_.now(), 1800);
  EXPECT_DOUBLE_EQ(sum(query(3600s, 10s)), 0) << "nobody knows ten seconds of half an hour";
  const auto minutes = query(3600s, 60s);
  EXPECT_EQ(minutes.points.size(), 30U);
  EXPECT_DOUBLE_EQ(sum(minutes), 1800);
  EXPECT_DOUBLE_EQ(minutes.points.front().total, 60);
  series_->count({"traffic.in", "container:2"}, clock_.now() - 24h * 30, clock_.now(), 480);
  const auto hours = query(24h * 31, 6h, {"traffic.in", "container:2"});
  EXPECT_NEAR(sum(hours), 480, 1e-6);
  EXPECT_LE(hours.points.size(), 9U) << "the last two days of it";
}

TEST_P(SeriesStoreTest, AveragesGauges) {
  const SeriesName cpu{"cpu", "server:1"};
  for (const double value : {10.0, 20.0, 60.0}) {
    series_->sample(cpu, clock_.now(), value);
    pass(1s);
  }
  must(series_->flush());
  series_->sample(cpu, clock_.now(), 30);
  pass(1s);
  const auto history = query(60s, 60s, cpu);
  ASSERT_FALSE(history.points.empty());
  EXPECT_DOUBLE_EQ(sum(history) / 4, 30);
  EXPECT_EQ(history.points.front().samples, 4);
  EXPECT_DOUBLE_EQ(history.points.front().peak, 60);
}

TEST_P(SeriesStoreTest, ChoosesAStepThatIsKeptAndNotTooFine) {
  const auto step = [&](std::chrono::seconds ago, std::chrono::seconds wish) {
    return must(series_->step_for(clock_.now() - ago, clock_.now(), wish));
  };
  EXPECT_EQ(step(600s, 0s), 10s);
  EXPECT_EQ(step(1h, 0s), 30s);
  EXPECT_EQ(step(24h, 0s), 300s);
  EXPECT_EQ(step(24h * 30, 0s), 6h);
  EXPECT_EQ(step(24h * 400, 0s), 24h);
  EXPECT_EQ(step(3h, 10s), 60s) << "ten seconds are kept for two hours";
  EXPECT_EQ(step(24h * 3, 60s), 1h);
  EXPECT_EQ(step(1h, 90s), 120s) << "whole minutes";
  EXPECT_EQ(step(1h, 15s), 20s);
}

TEST_P(SeriesStoreTest, RefusesARangeThatIsNone) {
  const auto now = clock_.now();
  EXPECT_EQ(reason_of(series_->query(kIn, now, now, 60s)), "series.range");
  EXPECT_EQ(reason_of(series_->query(kIn, now, now - 1s, 60s)), "series.range");
  EXPECT_EQ(reason_of(series_->query(kIn, now - 24h * 401, now, 24h)), "series.range");
  EXPECT_EQ(reason_of(series_->query(kIn, now - 40h, now, 60s)), "series.range");
  EXPECT_TRUE(query(3600s, 60s, {"no such", "thing"}).points.empty());
}

TEST_P(SeriesStoreTest, ForgetsEachResolutionInItsTime) {
  run(300s);
  must(series_->flush());
  const auto points = [&](int resolution) {
    return count(fmt::format("SELECT count(*) AS n FROM series_points WHERE resolution = {}", resolution));
  };
  EXPECT_EQ(points(10), 30);
  pass(3h);
  EXPECT_EQ(must(series_->sweep()), 30);
  EXPECT_EQ(points(60), 5);
  pass(50h);
  must(series_->sweep());
  EXPECT_EQ(points(60), 0);
  EXPECT_DOUBLE_EQ(sum(query(24h * 3, 1h)), 3000);
  pass(24h * 400);
  must(series_->sweep());
  EXPECT_EQ(count("SELECT count(*) AS n FROM series"), 0) << "a series without points is forgotten too";
  run(10s);
  must(series_->flush());
  EXPECT_DOUBLE_EQ(sum(query(60s, 60s)), 100);
}

TEST_P(SeriesStoreTest, LosesNoHistoryToAClockThatIsSetForward) {
  /// Whose days can be set apart from its seconds.
  class Jumping final : public Clock {
   public:
    explicit Jumping(const Clock& inner) : inner_(inner) {}
    Timestamp now() const override { return inner_.now() + ahead; }
    Instant instant() const override { return inner_.instant(); }
    std::chrono::hours ahead{0};

   private:
    const Clock& inner_;
  };
  Jumping clock(clock_);
  SeriesStore series({}, *database_, place_.metrics(), clock);
  series.count(kIn, clock.now() - 10s, clock.now(), 100);
  must(series.flush());
  clock.ahead = 24h * 500;
  EXPECT_EQ(must(series.sweep()), 0);
  clock.ahead = 0h;
  pass(1s);
  EXPECT_DOUBLE_EQ(sum(query(60s, 10s)), 100);
}

TEST_P(SeriesStoreTest, WritesManySeriesInBatches) {
  for (int i = 0; i < 450; ++i) {
    series_->count({"traffic.in", fmt::format("container:{}", i)}, clock_.now() - 10s, clock_.now(), i + 1);
  }
  must(series_->flush());
  EXPECT_EQ(count("SELECT count(*) AS n FROM series"), 450);
  pass(1s);
  EXPECT_DOUBLE_EQ(sum(query(60s, 60s, {"traffic.in", "container:449"})), 450);
}

TEST_P(SeriesStoreTest, HoldsNoMoreInMemoryThanItMay) {
  SeriesStore::Settings settings;
  settings.pending_limit = 30;
  restart(settings);
  run(600s);
  pass(1s);
  EXPECT_LT(sum(query(700s, 10s)), 6000);
  EXPECT_EQ(place_.metrics().text().find("berth_series_points_dropped_total 0\n"), std::string::npos);
  must(series_->flush());
  run(10s);
  EXPECT_GE(sum(query(10s, 10s)), 100) << "and goes on";
}

TEST_P(SeriesStoreTest, KeepsWhatTheStoreDidNotTake) {
  operations::FlakyDatabase flaky(*database_);
  SeriesStore series({}, flaky, place_.metrics(), clock_);
  series.count(kIn, clock_.now() - 10s, clock_.now(), 100);
  series.count(kIn, clock_.now() - 10s, clock_.now(), 100);
  pass(1s);
  flaky.writes_fail = true;
  EXPECT_EQ(reason_of(series.flush()), "store.unavailable");
  const auto told = must(series.query(kIn, clock_.now() - 60s, clock_.now(), 60s));
  EXPECT_DOUBLE_EQ(sum(told), 200);
  flaky.writes_fail = false;
  must(series.flush());
  const auto stored = query(60s, 60s);
  EXPECT_DOUBLE_EQ(sum(stored), 200);
  EXPECT_EQ(stored.points.front().samples + (stored.points.size() > 1 ? stored.points[1].samples : 0),
            told.points.front().samples + (told.points.size() > 1 ? told.points[1].samples : 0));
}

TEST_P(SeriesStoreTest, WritesByItself) {
  SeriesStore::Settings settings;
  settings.flush_interval = 2ms;
  restart(settings);
  run(60s);
  series_->start();
  EXPECT_TRUE(testing::eventually([&] { return count("SELECT count(*) AS n FROM series_points") > 0; }));
  run(60s);
  series_->stop();
  restart();
  EXPECT_DOUBLE_EQ(sum(query(180s, 60s)), 1200) << "what was there at the end is written too";
}

}  // namespace
}  // namespace berth::telemetry
