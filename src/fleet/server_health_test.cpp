#include "fleet/server_health.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "drivers/fake/fake_engine.h"
#include "eventually.h"

namespace berth::fleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Timestamp kStart{std::chrono::microseconds(1'750'000'000'000'000)};

class HealthRuleTest : public ::testing::Test {
 protected:
  static HealthMeasurement answer(milliseconds latency = milliseconds(5)) {
    HealthMeasurement measurement;
    measurement.answered = true;
    measurement.latency = latency;
    measurement.product = "Fake 1.0";
    return measurement;
  }
  static HealthMeasurement failure() {
    HealthMeasurement measurement;
    measurement.problem = "refused";
    return measurement;
  }
  HealthMeasurement with_capacity(double disk_used, seconds clock_off = seconds(0)) {
    HealthMeasurement measurement = answer();
    compute::EngineCapacity capacity;
    capacity.cpus = 4;
    capacity.disk_bytes = 1000;
    capacity.disk_free_bytes = static_cast<std::uint64_t>(1000 * (1 - disk_used));
    capacity.clock = clock_.now() + clock_off;
    measurement.capacity = capacity;
    return measurement;
  }

  /// What the rule says after each of: '+' a good answer, 's' a slow one, '-' none. H, D, U and ? are the states.
  std::string states(const std::string& course, const HealthSettings& settings = {}) {
    HealthRule rule(settings, clock_);
    std::string states;
    for (const char step : course) {
      clock_.advance(seconds(2));
      rule.apply(step == '+' ? answer() : step == 's' ? answer(seconds(2)) : failure());
      switch (rule.status().health) {
        case ServerHealth::unknown:
          states += '?';
          break;
        case ServerHealth::healthy:
          states += 'H';
          break;
        case ServerHealth::degraded:
          states += 'D';
          break;
        case ServerHealth::unreachable:
          states += 'U';
          break;
      }
    }
    return states;
  }

  ManualClock clock_{kStart};
};

TEST_F(HealthRuleTest, ItTakesSeveralInARowToChange) {
  struct Case {
    std::string course;
    std::string states;
  };
  const std::vector<Case> cases{
      {"+", "H"},                // the first answer counts at once
      {"s", "D"},                //
      {"---", "??U"},            // one that never answered
      {"+--+--+", "HHHHHHH"},    // failures that are not in a row
      {"+---", "HHHU"},          //
      {"+---+", "HHHUU"},        // one answer is not enough
      {"+---++", "HHHUUH"},      //
      {"+---+-++", "HHHUUUUH"},  // answers in a row
      {"+---ss", "HHHUUD"},      // back, but slow
      {"+---+s", "HHHUUD"},      //
      {"+s+s+s", "HHHHHH"},      // slow now and then
      {"+ss", "HHD"},            //
      {"+ss+s+s", "HHDDDDD"},    // well now and then
      {"+ss++", "HHDDH"},        //
      {"+ss--+", "HHDDDD"},      // two failures are not three
      {"ss---", "DDDDU"},        //
  };
  for (const auto& one : cases) EXPECT_EQ(states(one.course), one.states) << one.course;
}

TEST_F(HealthRuleTest, HowManyItTakesIsConfigured) {
  HealthSettings settings;
  settings.failures_until_unreachable = 1;
  settings.answers_until_healthy = 3;
  settings.answers_until_degraded = 1;
  EXPECT_EQ(states("+-+++s", settings), "HUUUHD");
}

TEST_F(HealthRuleTest, AFullDiskIsTrouble) {
  HealthRule rule({}, clock_);
  rule.apply(with_capacity(0.5));
  EXPECT_EQ(rule.status().health, ServerHealth::healthy);
  rule.apply(with_capacity(0.95));
  EXPECT_FALSE(rule.status().health == ServerHealth::degraded);
  EXPECT_TRUE(rule.apply(with_capacity(0.95)));
  EXPECT_EQ(rule.status().health, ServerHealth::degraded);
  EXPECT_NE(rule.status().reason.find("95 % full"), std::string::npos) << rule.status().reason;
}

TEST_F(HealthRuleTest, AClockThatIsOffIsTrouble) {
  for (const auto off : {seconds(6), seconds(-6)}) {
    HealthRule rule({}, clock_);
    rule.apply(with_capacity(0.1, off));
    EXPECT_EQ(rule.status().health, ServerHealth::degraded);
    ASSERT_TRUE(rule.status().clock_off);
    EXPECT_EQ(std::chrono::round<seconds>(*rule.status().clock_off), off);
  }
  HealthRule rule({}, clock_);
  rule.apply(with_capacity(0.1, seconds(4)));
  EXPECT_EQ(rule.status().health, ServerHealth::healthy);
}

TEST_F(HealthRuleTest, WhatWasLastKnownStaysWhileThereIsNoAnswer) {
  HealthRule rule({}, clock_);
  rule.apply(with_capacity(0.1));
  clock_.advance(seconds(10));
  for (int i = 0; i < 3; ++i) rule.apply(failure());
  EXPECT_EQ(rule.status().reason, "refused");
  EXPECT_EQ(rule.status().product, "Fake 1.0");
  EXPECT_EQ(rule.status().cpus, 4);
  EXPECT_EQ(rule.status().answered_at, kStart);
}

TEST(ServerProbeTest, MeasuresByItselfAndTellsOfChanges) {
  drivers::fake::FakeEngine engine({.host_cores = 3, .containers = true});
  HealthSettings settings;
  settings.interval = milliseconds(5);
  settings.limit = milliseconds(500);
  std::mutex mutex;
  std::vector<ServerHealth> told;
  ServerProbe probe(engine, settings, system_clock(), [&](const ServerStatus&, const ServerStatus& now) {
    const std::lock_guard lock(mutex);
    told.push_back(now.health);
  });
  const auto last = [&](ServerHealth health) {
    return berth::testing::eventually([&] {
      const std::lock_guard lock(mutex);
      return !told.empty() && told.back() == health;
    });
  };
  probe.start();
  EXPECT_TRUE(last(ServerHealth::healthy));
  EXPECT_EQ(probe.status().cpus, 3);
  EXPECT_EQ(probe.status().product, "Fake 1.0");
  engine.faults().refuse_connections(true);
  EXPECT_TRUE(last(ServerHealth::unreachable));
  engine.faults().refuse_connections(false);
  EXPECT_TRUE(last(ServerHealth::healthy));
  compute::EngineCapacity full;
  full.disk_bytes = 100;
  full.disk_free_bytes = 1;
  engine.set_capacity(full);
  EXPECT_TRUE(last(ServerHealth::degraded));
  probe.stop();
}

TEST(ServerProbeTest, AHungEngineCountsAsNoAnswer) {
  drivers::fake::FakeEngine engine({.containers = true});
  engine.faults().hang(true);
  HealthSettings settings;
  settings.limit = milliseconds(10);
  settings.failures_until_unreachable = 1;
  ServerProbe probe(engine, settings, system_clock(), [](const auto&, const auto&) {});
  EXPECT_EQ(probe.measure_now().health, ServerHealth::unreachable);
  engine.faults().hang(false);
}

}  // namespace
}  // namespace berth::fleet
