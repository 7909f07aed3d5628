#include "compute/inventory_model.h"

#include <gtest/gtest.h>

#include <chrono>

namespace berth::compute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class InventoryModelTest : public ::testing::Test {
 protected:
  static Instance instance(std::string name, Status status = Status::running) {
    Instance instance;
    instance.name = std::move(name);
    instance.status = status;
    instance.measured = start_;
    return instance;
  }
  /// With a CPU counter as it stands `at` after the start.
  static Instance used(std::string name, std::chrono::nanoseconds cpu, std::chrono::nanoseconds at) {
    Instance one = instance(std::move(name));
    one.counters.cpu_ns = static_cast<std::uint64_t>(cpu.count());
    one.measured = start_ + at;
    return one;
  }
  SnapshotPointer full(std::vector<Instance> instances) {
    return model_.apply_all(model_.begin_read(), std::move(instances), {}, Timestamp{});
  }
  SnapshotPointer one(Instance fresh) { return model_.apply_one(model_.begin_read(), std::move(fresh)); }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& instance : model_.snapshot()->instances) names.push_back(instance->name);
    return names;
  }
  double percent(const char* name) const { return model_.snapshot()->find(name)->cpu_percent; }

  using Names = std::vector<std::string>;
  static inline const Instant start_ = std::chrono::steady_clock::now();
  InventoryModel model_{4};
};

TEST_F(InventoryModelTest, BeginsEmptyAndDisconnected) {
  EXPECT_TRUE(model_.snapshot()->instances.empty());
  EXPECT_FALSE(model_.snapshot()->health.connected);
  EXPECT_FALSE(model_.snapshot()->health.ever_connected);
  EXPECT_EQ(model_.snapshot()->find("a"), nullptr);
}

TEST_F(InventoryModelTest, SortsByNameAndFindsByIt) {
  full({instance("b"), instance("c"), instance("a"), instance("b")});
  EXPECT_EQ(names(), (Names{"a", "b", "c"}));
  EXPECT_EQ(model_.snapshot()->find("b")->name, "b");
  EXPECT_EQ(model_.snapshot()->find("bb"), nullptr);
  EXPECT_EQ(model_.snapshot()->find("d"), nullptr);
}

TEST_F(InventoryModelTest, KeepsThePointerAndRevisionOfWhatDidNotChange) {
  const auto first = full({instance("a"), instance("b")});
  Instance later = instance("a");
  later.measured += seconds(5);
  const auto second = full({later, instance("b")});
  EXPECT_EQ(first->instances[0], second->instances[0]);
  EXPECT_EQ(first->instances[1], second->instances[1]);
  EXPECT_EQ(first->revision, second->revision);
  EXPECT_GE(second->read_at, first->read_at);
}

TEST_F(InventoryModelTest, TellsAChangeOfCountersFromAChangeOfStructure) {
  const auto first = full({instance("a"), instance("b")});
  Instance busy = instance("a");
  busy.counters.memory_bytes = 5;
  const auto second = full({busy, instance("b")});
  EXPECT_EQ(second->revision, first->revision + 1);
  EXPECT_EQ(second->structure_revision, first->structure_revision);
  EXPECT_NE(first->instances[0], second->instances[0]);
  EXPECT_EQ(first->instances[1], second->instances[1]);
  const auto third = full({busy, instance("b", Status::stopped)});
  EXPECT_EQ(third->revision, second->revision + 1);
  EXPECT_EQ(third->structure_revision, second->structure_revision + 1);
}

TEST_F(InventoryModelTest, ChangesOneAmongMany) {
  full({instance("a"), instance("c")});
  const auto before = model_.snapshot();
  const auto added = one(instance("b"));
  ASSERT_NE(added, nullptr);
  EXPECT_EQ(names(), (Names{"a", "b", "c"}));
  EXPECT_EQ(before->instances[1], added->instances[2]);
  EXPECT_EQ(one(instance("b")), nullptr) << "nothing changed";
  ASSERT_NE(one(instance("b", Status::stopped)), nullptr);
  EXPECT_EQ(model_.snapshot()->find("b")->status, Status::stopped);
  ASSERT_NE(model_.apply_missing(model_.begin_read(), "b"), nullptr);
  EXPECT_EQ(names(), (Names{"a", "c"}));
  EXPECT_EQ(model_.apply_missing(model_.begin_read(), "b"), nullptr);
}

TEST_F(InventoryModelTest, FullReadDropsWhatItDoesNotName) {
  full({instance("a"), instance("b"), instance("c")});
  full({instance("b")});
  EXPECT_EQ(names(), Names{"b"});
}

TEST_F(InventoryModelTest, OlderFullReadDoesNotUndoASingleReadThatBeganLater) {
  full({instance("a"), instance("b")});
  const auto slow = model_.begin_read();
  one(instance("a", Status::stopped));
  model_.apply_all(slow, {instance("a"), instance("b")}, {}, Timestamp{});
  EXPECT_EQ(model_.snapshot()->find("a")->status, Status::stopped);
}

TEST_F(InventoryModelTest, OlderFullReadBringsCountersToASingleReadThatHadThemFromBefore) {
  full({used("a", seconds(1), seconds(0)), instance("b")});
  const auto slow = model_.begin_read(start_ + seconds(4));
  Instance described = used("a", seconds(1), seconds(0));
  described.description = "new";
  one(described);
  model_.apply_all(slow, {used("a", seconds(2), seconds(5)), instance("b")}, {}, Timestamp{});
  const auto a = model_.snapshot()->find("a");
  EXPECT_EQ(a->description, "new");
  EXPECT_EQ(std::chrono::nanoseconds(a->counters.cpu_ns), seconds(2));
  EXPECT_EQ(a->measured, start_ + seconds(5));
  EXPECT_DOUBLE_EQ(a->cpu_percent, 5) << "one second of five, on four cores";
}

TEST_F(InventoryModelTest, OlderFullReadKeepsTheCountersThatASingleReadMeasuredItself) {
  full({used("a", seconds(1), seconds(0))});
  const auto slow = model_.begin_read(start_ + seconds(4));
  one(used("a", seconds(2), seconds(5)));
  // Measured before the other, although it says later: the engine took its time to answer.
  model_.apply_all(slow, {used("a", seconds(1), seconds(6))}, {}, Timestamp{});
  EXPECT_EQ(std::chrono::nanoseconds(model_.snapshot()->find("a")->counters.cpu_ns), seconds(2));
}

TEST_F(InventoryModelTest, OlderFullReadBringsNoCountersToWhatHasStoppedMeanwhile) {
  full({used("a", seconds(1), seconds(0))});
  const auto slow = model_.begin_read(start_ + seconds(4));
  one(instance("a", Status::stopped));
  model_.apply_all(slow, {used("a", seconds(2), seconds(5))}, {}, Timestamp{});
  EXPECT_EQ(model_.snapshot()->find("a")->counters.cpu_ns, 0u);
}

TEST_F(InventoryModelTest, SaysWhenTheReadBeganThatConfirmedEverything) {
  const auto read = model_.begin_read(start_ + seconds(3));
  EXPECT_EQ(model_.apply_all(read, {instance("a")}, {}, Timestamp{})->read_at, start_ + seconds(3));
}

TEST_F(InventoryModelTest, OlderFullReadDoesNotDropWhatAppearedMeanwhile) {
  full({instance("a")});
  const auto slow = model_.begin_read();
  one(instance("b"));
  model_.apply_all(slow, {instance("a")}, {}, Timestamp{});
  EXPECT_EQ(names(), (Names{"a", "b"}));
}

TEST_F(InventoryModelTest, OlderFullReadDoesNotBringBackWhatVanishedMeanwhile) {
  full({instance("a"), instance("b")});
  const auto slow = model_.begin_read();
  model_.apply_missing(model_.begin_read(), "b");
  model_.apply_missing(model_.begin_read(), "never-known");
  model_.apply_all(slow, {instance("a"), instance("b"), instance("never-known")}, {}, Timestamp{});
  EXPECT_EQ(names(), Names{"a"});
}

TEST_F(InventoryModelTest, OlderSingleReadDoesNotUndoALaterOne) {
  full({instance("a")});
  const auto slow = model_.begin_read();
  one(instance("a", Status::stopped));
  EXPECT_EQ(model_.apply_one(slow, instance("a")), nullptr);
  EXPECT_EQ(model_.snapshot()->find("a")->status, Status::stopped);
}

TEST_F(InventoryModelTest, OlderSingleReadDoesNotUndoALaterFullRead) {
  full({instance("a")});
  const auto slow = model_.begin_read();
  full({});
  EXPECT_EQ(model_.apply_one(slow, instance("a")), nullptr);
  const auto slow_missing = model_.begin_read();
  full({instance("a")});
  EXPECT_EQ(model_.apply_missing(slow_missing, "a"), nullptr);
  EXPECT_EQ(names(), Names{"a"});
}

TEST_F(InventoryModelTest, OlderFullReadIsDroppedAfterALaterOne) {
  const auto slow = model_.begin_read();
  full({instance("b")});
  EXPECT_EQ(model_.apply_all(slow, {instance("a")}, {}, Timestamp{}), nullptr);
  EXPECT_EQ(names(), Names{"b"});
}

TEST_F(InventoryModelTest, WhatVanishedMayComeBackLater) {
  full({instance("a")});
  const auto long_read = model_.begin_read();
  model_.apply_missing(model_.begin_read(), "a");
  one(instance("a"));
  EXPECT_EQ(names(), Names{"a"});
  model_.abandon(long_read);
  full({instance("a")});
  EXPECT_EQ(names(), Names{"a"});
}

TEST_F(InventoryModelTest, DisconnectionKeepsTheInstancesAndIsToldOnce) {
  full({instance("a")});
  const auto connected = model_.snapshot();
  const auto gone = model_.disconnect(engine_unavailable());
  ASSERT_NE(gone, nullptr);
  EXPECT_FALSE(gone->health.connected);
  EXPECT_TRUE(gone->health.ever_connected);
  EXPECT_EQ(gone->health.problem->reason(), "engine.unavailable");
  EXPECT_EQ(gone->instances, connected->instances);
  EXPECT_GT(gone->revision, connected->revision);
  EXPECT_EQ(gone->read_at, connected->read_at);
  EXPECT_EQ(model_.disconnect(engine_unavailable()), nullptr);
  const auto back = full({instance("a")});
  EXPECT_TRUE(back->health.connected);
  EXPECT_FALSE(back->health.problem);
  EXPECT_GT(back->structure_revision, gone->structure_revision);
}

TEST_F(InventoryModelTest, MeasuresCpuUseOfTheHostsCoresOverTheInterval) {
  full({used("a", seconds(100), seconds(0))});
  EXPECT_EQ(percent("a"), 0);
  full({used("a", seconds(110), seconds(5))});
  EXPECT_DOUBLE_EQ(percent("a"), 50);  // 10 s of 4 cores × 5 s
}

TEST_F(InventoryModelTest, MeasuresCpuUseOfTheCoresThatTheEngineTells) {
  const auto read = [&](std::vector<Instance> instances) {
    EngineInfo info;
    info.cpus = 8;
    return model_.apply_all(model_.begin_read(), std::move(instances), info, Timestamp{});
  };
  const auto limited = [](std::chrono::nanoseconds cpu, std::chrono::nanoseconds at) {
    Instance one = used("two-cores", cpu, at);
    one.limits.cpus = 2;
    return one;
  };
  read({used("free", seconds(0), seconds(0)), limited(seconds(0), seconds(0))});
  read({used("free", seconds(20), seconds(5)), limited(seconds(5), seconds(5))});
  EXPECT_DOUBLE_EQ(percent("free"), 50);       // 20 s of 8 cores × 5 s
  EXPECT_DOUBLE_EQ(percent("two-cores"), 50);  // 5 s of 2 cores × 5 s
}

TEST_F(InventoryModelTest, MeasuresCpuUseOfItsOwnLimit) {
  Instance first = used("a", seconds(0), seconds(0));
  first.limits.cpus = 0.5;
  Instance second = used("a", seconds(1), seconds(4));
  second.limits.cpus = 0.5;
  full({first});
  full({second});
  EXPECT_DOUBLE_EQ(percent("a"), 50);
}

TEST_F(InventoryModelTest, ALimitAboveTheHostsCoresCountsAsThese) {
  Instance first = used("a", seconds(0), seconds(0));
  first.limits.cpus = 64;
  Instance second = used("a", seconds(4), seconds(2));
  second.limits.cpus = 64;
  full({first});
  full({second});
  EXPECT_DOUBLE_EQ(percent("a"), 50);
}

TEST_F(InventoryModelTest, ClampsCpuUseToAHundred) {
  full({used("a", seconds(0), seconds(0))});
  full({used("a", seconds(500), seconds(5))});
  EXPECT_DOUBLE_EQ(percent("a"), 100);
}

TEST_F(InventoryModelTest, ACounterThatBeganAgainCountsFromZero) {
  full({used("a", seconds(1000), seconds(0))});
  full({used("a", seconds(4), seconds(5))});
  EXPECT_DOUBLE_EQ(percent("a"), 20);
}

TEST_F(InventoryModelTest, KeepsTheFigureWhereTheIntervalIsTooShort) {
  full({used("a", seconds(0), seconds(0))});
  full({used("a", seconds(10), seconds(5))});
  one(used("a", seconds(11), seconds(5) + milliseconds(10)));
  EXPECT_DOUBLE_EQ(percent("a"), 50);
  full({used("a", seconds(20), seconds(10))});
  EXPECT_DOUBLE_EQ(percent("a"), 50);  // measured from the last whole interval
}

TEST_F(InventoryModelTest, AStoppedOneUsesNothingAndBeginsAnew) {
  full({used("a", seconds(0), seconds(0))});
  full({used("a", seconds(10), seconds(5))});
  Instance stopped = used("a", seconds(0), seconds(10));
  stopped.status = Status::stopped;
  full({stopped});
  EXPECT_EQ(percent("a"), 0);
  full({used("a", seconds(3), seconds(15))});
  EXPECT_EQ(percent("a"), 0);
  full({used("a", seconds(13), seconds(20))});
  EXPECT_DOUBLE_EQ(percent("a"), 50);
}

TEST_F(InventoryModelTest, BlankCountersOfAnUnresponsiveOneDoNotDistortTheNextFigure) {
  full({used("a", seconds(1000), seconds(0))});
  Instance hung = used("a", seconds(0), seconds(5));
  hung.status = Status::unresponsive;
  full({hung});
  EXPECT_EQ(percent("a"), 0);
  full({used("a", seconds(1020), seconds(10))});
  EXPECT_DOUBLE_EQ(percent("a"), 50);  // 20 s of 4 cores × 10 s
}

TEST_F(InventoryModelTest, ATimeThatRunsBackwardsIsNoInterval) {
  full({used("a", seconds(10), seconds(10))});
  full({used("a", seconds(20), seconds(5))});
  EXPECT_EQ(percent("a"), 0);
}

}  // namespace
}  // namespace berth::compute
