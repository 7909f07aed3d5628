#include "compute/inventory.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <thread>

#include "drivers/fake/fake_engine.h"
#include "eventually.h"

namespace berth::compute {
namespace {

using berth::testing::eventually;
using drivers::fake::FakeEngine;
using std::chrono::milliseconds;
using std::chrono::seconds;

class InventoryTest : public ::testing::Test {
 protected:
  /// An inventory that reads everything at the start and then, within a test, by itself no more.
  static Inventory::Settings by_events() {
    Inventory::Settings settings;
    settings.tick = seconds(600);
    settings.read_deadline = seconds(10);
    settings.get_deadline = seconds(10);
    return settings;
  }
  static Inventory::Settings by_ticks() {
    Inventory::Settings settings;
    settings.tick = milliseconds(20);
    settings.read_deadline = milliseconds(100);
    settings.get_deadline = milliseconds(50);
    return settings;
  }

  void begin(FakeEngine::Settings engine, Inventory::Settings settings) {
    engine_ = std::make_unique<FakeEngine>(engine);
    inventory_ = std::make_unique<Inventory>(EngineId("fake"), *engine_, settings, metrics_);
  }
  /// Begins and waits for the first full reads to be over.
  void begin_quiet(std::size_t instances) {
    begin({.instances = instances, .moving_counters = false}, by_events());
    inventory_->start();
    // Events are told in order, so that what follows one has seen the gap with which the watch begins.
    ASSERT_TRUE(eventually([&] { return connected(); }));
    engine_->create_outside("zz-probe");
    ASSERT_TRUE(eventually([&] { return status("zz-probe").has_value(); }));
    engine_->remove_outside("zz-probe");
    ASSERT_TRUE(eventually([&] { return !status("zz-probe"); }));
    ASSERT_TRUE(inventory_->refresh_all(soon()));
  }
  void TearDown() override {
    if (engine_) engine_->faults().hang(false);
    inventory_.reset();
  }

  bool connected() const { return inventory_->snapshot()->health.connected; }
  std::optional<Status> status(const std::string& name) const {
    const auto instance = inventory_->snapshot()->find(name);
    return instance ? std::optional(instance->status) : std::nullopt;
  }
  Deadline soon() const { return Deadline::after(seconds(10)); }

  metrics::Registry metrics_;
  std::unique_ptr<FakeEngine> engine_;
  std::unique_ptr<Inventory> inventory_;
};

TEST_F(InventoryTest, HasAnEmptySnapshotBeforeItStarts) {
  begin({.instances = 3}, by_events());
  ASSERT_NE(inventory_->snapshot(), nullptr);
  EXPECT_TRUE(inventory_->snapshot()->instances.empty());
  EXPECT_FALSE(inventory_->snapshot()->health.ever_connected);
}

TEST_F(InventoryTest, ReadsEverythingAtTheStart) {
  begin_quiet(20);
  const auto snapshot = inventory_->snapshot();
  EXPECT_EQ(snapshot->instances.size(), 20u);
  EXPECT_EQ(snapshot->health.info->product, "Fake");
  EXPECT_TRUE(snapshot->health.ever_connected);
  EXPECT_NE(snapshot->read_at, Instant{});
}

TEST_F(InventoryTest, FollowsAnEventWithOneSingleRead) {
  begin_quiet(20);
  const auto lists = engine_->faults().calls("list");
  const auto gets = engine_->faults().calls("get");
  const auto begin = std::chrono::steady_clock::now();
  engine_->stop_outside("inst-00003");
  ASSERT_TRUE(eventually([&] { return status("inst-00003") == Status::stopped; }));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(2));
  EXPECT_EQ(engine_->faults().calls("list"), lists);
  EXPECT_EQ(engine_->faults().calls("get"), gets + 1);
}

TEST_F(InventoryTest, LeavesTheOthersTheSamePointersWhenOneChanges) {
  begin_quiet(50);
  const auto before = inventory_->snapshot();
  engine_->stop_outside("inst-00025");
  ASSERT_TRUE(eventually([&] { return status("inst-00025") == Status::stopped; }));
  const auto after = inventory_->snapshot();
  ASSERT_EQ(after->instances.size(), 50u);
  for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(before->instances[i] == after->instances[i], i != 24) << i;
  EXPECT_EQ(after->revision, before->revision + 1);
  EXPECT_EQ(before->find("inst-00025")->status, Status::running) << "a snapshot never changes";
}

TEST_F(InventoryTest, FollowsCreationRemovalAndRenaming) {
  begin_quiet(3);
  engine_->create_outside("fresh");
  ASSERT_TRUE(eventually([&] { return status("fresh") == Status::running; }));
  engine_->remove_outside("inst-00001");
  ASSERT_TRUE(eventually([&] { return !status("inst-00001"); }));
  engine_->rename_outside("inst-00002", "renamed");
  EXPECT_TRUE(eventually([&] { return !status("inst-00002") && status("renamed"); }));
}

TEST_F(InventoryTest, TellsSubscribersOfEachSnapshotInOrder) {
  begin_quiet(5);
  std::mutex mutex;
  SnapshotPointer last = inventory_->snapshot();
  bool in_order = true;
  std::atomic<int> told{0};
  const auto subscription =
      inventory_->changed().subscribe([&](const SnapshotPointer& before, const SnapshotPointer& after) {
        const std::lock_guard lock(mutex);
        in_order = in_order && before == last && after->revision >= before->revision && inventory_->snapshot() == after;
        last = after;
        ++told;
      });
  std::vector<std::thread> threads;
  for (int i = 1; i <= 4; ++i) {
    threads.emplace_back([&, i] {
      const std::string name = "inst-0000" + std::to_string(i);
      for (int round = 0; round < 10; ++round) {
        round % 2 == 0 ? engine_->stop_outside(name) : engine_->start_outside(name);
        inventory_->refresh(name, soon());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(eventually([&] { return told >= 4; }));
  const std::lock_guard lock(mutex);
  EXPECT_TRUE(in_order);
}

TEST_F(InventoryTest, AnswersABurstOfEventsWithFewReads) {
  begin_quiet(1000);
  const auto lists = engine_->faults().calls("list");
  const auto gets = engine_->faults().calls("get");
  engine_->faults().drop_events(true);
  for (int i = 1; i <= 1000; ++i) engine_->stop_outside(fmt::format("inst-{:05}", i));
  engine_->faults().drop_events(false);
  engine_->report_everything();
  ASSERT_TRUE(eventually([&] {
    const auto snapshot = inventory_->snapshot();
    return std::ranges::all_of(snapshot->instances,
                               [](const auto& instance) { return instance->status == Status::stopped; });
  }));
  EXPECT_LE(engine_->faults().calls("list") - lists, 5u);
  EXPECT_LE(engine_->faults().calls("get") - gets, 200u);
}

TEST_F(InventoryTest, ReadsEverythingAfterAGap) {
  begin_quiet(5);
  engine_->disconnect_events();
  engine_->stop_outside("inst-00002");
  engine_->reconnect_events();
  EXPECT_TRUE(eventually([&] { return status("inst-00002") == Status::stopped; }));
}

TEST_F(InventoryTest, FindsLostChangesAtTheNextTick) {
  begin({.instances = 5, .moving_counters = false}, by_ticks());
  inventory_->start();
  ASSERT_TRUE(eventually([&] { return connected(); }));
  engine_->faults().drop_events(true);
  engine_->stop_outside("inst-00002");
  engine_->remove_outside("inst-00003");
  engine_->create_outside("fresh");
  EXPECT_TRUE(eventually([&] {
    return status("inst-00002") == Status::stopped && !status("inst-00003") && status("fresh") == Status::running;
  }));
}

TEST_F(InventoryTest, KeepsItsInstancesWhileTheEngineRefusesAndHealsByItself) {
  begin({.instances = 5, .moving_counters = false}, by_ticks());
  inventory_->start();
  ASSERT_TRUE(eventually([&] { return connected(); }));
  engine_->faults().refuse_connections(true);
  ASSERT_TRUE(eventually([&] { return !connected(); }));
  const auto snapshot = inventory_->snapshot();
  EXPECT_EQ(snapshot->instances.size(), 5u);
  EXPECT_TRUE(snapshot->health.ever_connected);
  EXPECT_EQ(snapshot->health.problem->reason(), "engine.unavailable");
  engine_->stop_outside("inst-00001");
  engine_->faults().refuse_connections(false);
  EXPECT_TRUE(eventually([&] { return connected() && status("inst-00001") == Status::stopped; }));
  EXPECT_FALSE(inventory_->snapshot()->health.problem);
}

TEST_F(InventoryTest, CountsGarbageAndHangingAsNotConnected) {
  begin({.instances = 5, .moving_counters = false}, by_ticks());
  inventory_->start();
  ASSERT_TRUE(eventually([&] { return connected(); }));
  engine_->faults().answer_garbage(true);
  ASSERT_TRUE(eventually([&] { return !connected(); }));
  EXPECT_EQ(inventory_->snapshot()->health.problem->reason(), "engine.protocol");
  engine_->faults().answer_garbage(false);
  ASSERT_TRUE(eventually([&] { return connected(); }));
  engine_->faults().hang(true);
  ASSERT_TRUE(eventually([&] { return !connected(); }));
  EXPECT_EQ(inventory_->snapshot()->health.problem->reason(), "engine.timeout");
  EXPECT_EQ(inventory_->snapshot()->instances.size(), 5u);
  engine_->faults().hang(false);
  EXPECT_TRUE(eventually([&] { return connected(); }));
}

TEST_F(InventoryTest, ForgivesAsManyFailuresAsItsSettingSays) {
  auto settings = by_ticks();
  settings.failures_until_disconnected = 3;
  begin({.instances = 1, .moving_counters = false}, settings);
  ASSERT_TRUE(inventory_->refresh_all(soon()));
  engine_->faults().refuse_connections(true);
  EXPECT_FALSE(inventory_->refresh_all(soon()));
  EXPECT_FALSE(inventory_->refresh_all(soon()));
  EXPECT_TRUE(connected());
  EXPECT_FALSE(inventory_->refresh_all(soon()));
  EXPECT_FALSE(connected());
}

TEST_F(InventoryTest, StartsWithoutAnEngineAndFindsItLater) {
  begin({.instances = 2, .moving_counters = false}, by_ticks());
  engine_->faults().refuse_connections(true);
  inventory_->start();
  ASSERT_TRUE(eventually([&] { return inventory_->snapshot()->health.problem.has_value(); }));
  EXPECT_FALSE(inventory_->snapshot()->health.ever_connected);
  engine_->faults().refuse_connections(false);
  EXPECT_TRUE(eventually([&] { return inventory_->snapshot()->instances.size() == 2; }));
}

TEST_F(InventoryTest, AnEventDuringAFullReadIsNotOverwrittenByIt) {
  begin_quiet(5);
  // A full read of data as they were, which ends only after the event was followed.
  engine_->faults().hang_call("list", true);
  auto full = std::async(std::launch::async, [&] { return inventory_->refresh_all(soon()).has_value(); });
  ASSERT_TRUE(eventually([&] { return engine_->faults().waiting_calls() == 1; }));
  engine_->stop_outside("inst-00002");
  EXPECT_TRUE(eventually([&] { return status("inst-00002") == Status::stopped; })) << "although a list hangs";
  engine_->faults().hang_call("list", false);
  ASSERT_TRUE(full.get());
  EXPECT_EQ(status("inst-00002"), Status::stopped);
}

TEST_F(InventoryTest, OneHungInstanceHoldsUpNobodyForLong) {
  auto settings = by_ticks();
  begin({.instances = 10, .moving_counters = false}, settings);
  inventory_->start();
  ASSERT_TRUE(eventually([&] { return connected(); }));
  engine_->faults().hang_instance("inst-00003", true);
  engine_->start_outside("inst-00003");
  EXPECT_TRUE(eventually([&] { return status("inst-00003") == Status::unresponsive; }));
  engine_->stop_outside("inst-00004");
  EXPECT_TRUE(eventually([&] { return status("inst-00004") == Status::stopped; }));
  EXPECT_TRUE(connected());
  engine_->faults().hang_instance("inst-00003", false);
  EXPECT_TRUE(eventually([&] { return status("inst-00003") == Status::running; }));
}

TEST_F(InventoryTest, ReadersAreNotHeldUpByAHungEngine) {
  begin_quiet(100);
  engine_->faults().hang(true);
  auto full = std::async(std::launch::async, [&] { (void)inventory_->refresh_all(soon()); });
  ASSERT_TRUE(eventually([&] { return engine_->faults().waiting_calls() == 1; }));
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 10'000; ++i) ASSERT_EQ(inventory_->snapshot()->instances.size(), 100u);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(1));
  engine_->faults().hang(false);
  full.get();
}

TEST_F(InventoryTest, RefreshPublishesWhatTheEngineHasNow) {
  begin_quiet(5);
  engine_->faults().drop_events(true);
  engine_->stop_outside("inst-00002");
  inventory_->refresh("inst-00002", soon());
  EXPECT_EQ(status("inst-00002"), Status::stopped);
  engine_->remove_outside("inst-00002");
  const auto gone = inventory_->reread("inst-00002", soon());
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().reason(), "instance.not_found");
  EXPECT_EQ(status("inst-00002"), std::nullopt);
}

TEST_F(InventoryTest, RefreshThatFailsIsMadeUpFor) {
  begin_quiet(5);
  engine_->faults().drop_events(true);
  engine_->stop_outside("inst-00002");
  engine_->faults().fail("get", 1, engine_unavailable());
  inventory_->refresh("inst-00002", soon());
  EXPECT_TRUE(eventually([&] { return status("inst-00002") == Status::stopped; }));
}

TEST_F(InventoryTest, MeasuresCpuUseBetweenTicks) {
  begin({.instances = 1, .moving_counters = true, .host_cores = 4}, by_ticks());
  inventory_->start();
  ASSERT_TRUE(eventually([&] {
    const auto instance = inventory_->snapshot()->find("inst-00001");
    return instance && instance->cpu_percent > 0;
  }));
  // inst-00001 uses 8 % of one of the four cores that the engine says it has.
  EXPECT_NEAR(inventory_->snapshot()->find("inst-00001")->cpu_percent, 2, 0.3);
}

TEST_F(InventoryTest, StopsPromptlyWhileTheEngineHangs) {
  auto settings = by_ticks();
  settings.read_deadline = milliseconds(300);
  settings.get_deadline = milliseconds(200);
  begin({.instances = 5}, settings);
  inventory_->start();
  ASSERT_TRUE(eventually([&] { return connected(); }));
  engine_->faults().hang(true);
  engine_->start_outside("inst-00001");
  ASSERT_TRUE(eventually([&] { return engine_->faults().waiting_calls() > 0; }));
  const auto begin = std::chrono::steady_clock::now();
  inventory_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(2));
  inventory_->stop();
}

TEST_F(InventoryTest, StopsAtOnceWhereNothingHangs) {
  begin_quiet(5);
  const auto begin = std::chrono::steady_clock::now();
  inventory_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(2));
}

TEST_F(InventoryTest, ShowsItsAgeAndSizeAsMetrics) {
  begin_quiet(5);
  const std::string text = metrics_.text();
  EXPECT_NE(text.find("berth_inventory_instances{engine=\"fake\"} 5"), std::string::npos) << text;
  EXPECT_NE(text.find("berth_inventory_connected{engine=\"fake\"} 1"), std::string::npos);
  EXPECT_NE(text.find("berth_inventory_age_seconds{engine=\"fake\"} "), std::string::npos);
  EXPECT_NE(text.find("berth_inventory_read_seconds"), std::string::npos);
}

TEST_F(InventoryTest, SurvivesChangesReadsAndReadersAtOnce) {
  begin({.instances = 50}, by_ticks());
  inventory_->start();
  ASSERT_TRUE(eventually([&] { return connected(); }));
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      while (!done) {
        const auto snapshot = inventory_->snapshot();
        for (std::size_t at = 1; at < snapshot->instances.size(); ++at) {
          ASSERT_LT(snapshot->instances[at - 1]->name, snapshot->instances[at]->name);
        }
      }
    });
  }
  threads.emplace_back([&] {
    for (int round = 0; round < 100; ++round) {
      const std::string name = "extra-" + std::to_string(round % 7);
      if (!engine_->create_outside(name)) engine_->remove_outside(name);
      inventory_->refresh(name, soon());
    }
  });
  threads.emplace_back([&] {
    for (int round = 0; round < 20; ++round) (void)inventory_->refresh_all(soon());
  });
  threads[2].join();
  threads[3].join();
  done = true;
  threads[0].join();
  threads[1].join();
  ASSERT_TRUE(inventory_->refresh_all(soon()));
  EXPECT_EQ(inventory_->snapshot()->instances.size(), engine_->list(soon())->size());
}

}  // namespace
}  // namespace berth::compute
