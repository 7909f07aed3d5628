#include "drivers/fake/fake_engine.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

#include "compute/description.h"
#include "engines/instance_engine_conformance.h"
#include "eventually.h"

namespace berth::testing {

EngineUnderTest make_fake_engine() {
  auto fake = std::make_shared<drivers::fake::FakeEngine>();
  EngineUnderTest under_test;
  under_test.engine = fake.get();
  under_test.image = drivers::fake::FakeEngine::kImage;
  under_test.limit = std::chrono::seconds(10);
  under_test.start_outside = [fake](const std::string& name) { fake->start_outside(name); };
  under_test.stop_outside = [fake](const std::string& name) { fake->stop_outside(name); };
  under_test.remove_outside = [fake](const std::string& name) { fake->remove_outside(name); };
  under_test.disposable_image = [fake] { return fake->add_image("disposable"); };
  under_test.owner = std::move(fake);
  return under_test;
}

INSTANTIATE_TEST_SUITE_P(Fake, InstanceEngineConformance, ::testing::Values(&make_fake_engine));

}  // namespace berth::testing

namespace berth::drivers::fake {
namespace {

using berth::testing::eventually;
using std::chrono::milliseconds;

Deadline soon() {
  return Deadline::after(std::chrono::seconds(10));
}

TEST(FakeEngine, BeginsWithValidInstances) {
  FakeEngine engine({.instances = 20});
  const auto all = engine.list(soon());
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 20u);
  EXPECT_EQ(all->front().name, "inst-00001");
  for (const auto& instance : *all) {
    EXPECT_TRUE(compute::check_instance_name(instance.name));
    const auto access = compute::parse_description(instance.description);
    EXPECT_TRUE(access.ssh_port && access.nat_ports && access.root_password) << instance.description;
    if (instance.status == compute::Status::running) {
      EXPECT_TRUE(instance.ipv4 && instance.ipv4->starts_with("10."));
    }
  }
  EXPECT_EQ(all->at(9).status, compute::Status::stopped);
}

TEST(FakeEngine, UsesMoreAndMoreWhereCountersMove) {
  FakeEngine engine({.instances = 1});
  const auto first = engine.get("inst-00001", soon());
  ASSERT_TRUE(first);
  EXPECT_TRUE(eventually([&] { return engine.get("inst-00001", soon())->counters.cpu_ns > first->counters.cpu_ns; }));
}

TEST(FakeEngine, StandsStillWhereCountersDoNot) {
  FakeEngine engine({.instances = 1, .moving_counters = false});
  const auto first = engine.get("inst-00001", soon());
  const auto second = engine.get("inst-00001", soon());
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->counters, second->counters);
}

TEST(FakeFaults, RefusedConnectionsAreUnavailableUntilTheyAreNot) {
  FakeEngine engine({.instances = 1});
  engine.faults().refuse_connections(true);
  const auto refused = engine.list(soon());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason(), "engine.unavailable");
  engine.faults().refuse_connections(false);
  EXPECT_TRUE(engine.list(soon()));
}

TEST(FakeFaults, AHungEngineAnswersAtTheDeadline) {
  FakeEngine engine;
  engine.faults().hang(true);
  const auto begin = std::chrono::steady_clock::now();
  const auto answer = engine.info(Deadline::after(milliseconds(60)));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().reason(), "engine.timeout");
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(60));
}

TEST(FakeFaults, ACallThatHangsGoesOnWhenItIsReleased) {
  FakeEngine engine({.instances = 1});
  engine.faults().hang(true);
  auto answer = std::async(std::launch::async, [&] { return engine.list(soon()).has_value(); });
  ASSERT_TRUE(eventually([&] { return engine.faults().waiting_calls() == 1; }));
  engine.faults().hang(false);
  EXPECT_TRUE(answer.get());
}

TEST(FakeFaults, AnswersGarbage) {
  FakeEngine engine;
  engine.faults().answer_garbage(true);
  const auto answer = engine.list(soon());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().reason(), "engine.protocol");
}

TEST(FakeFaults, FailsTheCallThatWasNamed) {
  FakeEngine engine({.instances = 1});
  engine.faults().fail("get", 2, Error(ErrorCode::exhausted, "engine.full", {"满", "full"}));
  EXPECT_TRUE(engine.get("inst-00001", soon()));
  const auto second = engine.get("inst-00001", soon());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().reason(), "engine.full");
  EXPECT_TRUE(engine.get("inst-00001", soon()));
  EXPECT_EQ(engine.faults().calls("get"), 3u);
}

TEST(FakeFaults, AHungInstanceHoldsUpOnlyCallsAboutIt) {
  FakeEngine engine({.instances = 3});
  engine.faults().hang_instance("inst-00002", true);
  const auto all = engine.list(soon());
  ASSERT_TRUE(all);
  EXPECT_EQ(all->at(0).status, compute::Status::running);
  EXPECT_EQ(all->at(1).status, compute::Status::unresponsive);
  EXPECT_FALSE(engine.get("inst-00002", Deadline::after(milliseconds(30))));
  EXPECT_TRUE(engine.get("inst-00003", soon()));
}

TEST(FakeFaults, DroppedEventsAreLost) {
  FakeEngine engine({.instances = 2});
  berth::testing::EventCollector events;
  const auto watch = engine.watch(events);
  engine.faults().drop_events(true);
  engine.stop_outside("inst-00001");
  engine.faults().drop_events(false);
  engine.stop_outside("inst-00002");
  ASSERT_TRUE(events.wait([](const auto& event) { return event.instance == "inst-00002"; }, milliseconds(5000)));
  EXPECT_FALSE(events.wait([](const auto& event) { return event.instance == "inst-00001"; }, milliseconds(0)));
}

TEST(FakeFaults, AReconnectedStreamBeginsWithAGap) {
  FakeEngine engine({.instances = 1});
  berth::testing::EventCollector events;
  const auto watch = engine.watch(events);
  ASSERT_TRUE(events.wait_for_gap(milliseconds(5000)));
  engine.disconnect_events();
  engine.stop_outside("inst-00001");
  const std::size_t before = events.count();
  engine.reconnect_events();
  EXPECT_TRUE(eventually([&] { return events.count() == before + 1; }));
}

TEST(FakeFaults, WorkThatIsCancelledChangesNothing) {
  FakeEngine engine({.work_time = milliseconds(5000)});
  compute::EngineProgress progress;
  std::atomic<bool> begun{false};
  progress.report = [&](int, std::string) { begun = true; };
  progress.cancelled = [&] { return begun.load(); };
  compute::NewInstance wish;
  wish.name = "one";
  wish.image = FakeEngine::kImage;
  const auto created = engine.create(wish, progress, soon());
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code(), ErrorCode::cancelled);
  EXPECT_FALSE(engine.get("one", soon()));
}

TEST(FakeEngine, KnowsItsWorkWhileItRuns) {
  FakeEngine engine({.instances = 10, .work_time = milliseconds(50)});
  compute::EngineProgress progress;
  std::string handle;
  bool worked = false;
  progress.adopt = [&](std::string adopted) -> Result<void> {
    handle = adopted;
    return {};
  };
  progress.report = [&](int, std::string) { worked = engine.still_working(handle, soon()).value_or(false); };
  ASSERT_TRUE(engine.start("inst-00010", progress, soon()));
  EXPECT_TRUE(worked);
  EXPECT_FALSE(engine.still_working(handle, soon()).value_or(true));
}

TEST(FakeEngine, ProcessesEndWithoutTheEngineAndComeBackByTheirPolicies) {
  FakeEngine engine({.containers = true});
  using compute::RestartPolicy;
  const auto put = [&](const std::string& name, RestartPolicy policy) {
    compute::ContainerSettings settings;
    settings.restart_policy = policy;
    ASSERT_TRUE(engine.create_outside(name, FakeEngine::kImage, settings));
  };
  put("never", RestartPolicy::no);
  put("always", RestartPolicy::always);
  put("unless", RestartPolicy::unless_stopped);
  put("halted", RestartPolicy::unless_stopped);
  EXPECT_EQ(engine.processes().size(), 4u);
  ASSERT_TRUE(engine.stop("halted", std::chrono::seconds(0), compute::EngineProgress{}, soon()));
  ASSERT_TRUE(engine.stop_outside("always"));
  EXPECT_TRUE(engine.kill_processes("unless"));
  EXPECT_FALSE(engine.kill_processes("unless"));
  engine.kill_processes();
  EXPECT_EQ(engine.processes().size(), 0u);
  const auto started = engine.begin_anew();
  EXPECT_EQ(started, (std::vector{engine.engine_id_of("always"), engine.engine_id_of("unless")}));
  EXPECT_EQ(engine.processes().size(), 2u);
}

TEST(FakeEngine, ACallIsJudgedBeforeItAndAfterIt) {
  FakeEngine engine({.containers = true});
  ASSERT_TRUE(engine.create_outside("web", FakeEngine::kImage, {}, false));
  const Error lost(ErrorCode::deadline_exceeded, "engine.timeout", {"超时", "timeout"});
  Faults::Moment refused = Faults::Moment::before;
  engine.faults().judge_calls([&](std::string_view call, const std::string&, Faults::Moment moment) -> Result<void> {
    if (call == "start" && moment == refused) return lost;
    return {};
  });
  EXPECT_FALSE(engine.start("web", compute::EngineProgress{}, soon()));
  EXPECT_EQ(engine.running(), 0u);
  refused = Faults::Moment::after;
  EXPECT_FALSE(engine.start("web", compute::EngineProgress{}, soon()));
  EXPECT_EQ(engine.running(), 1u) << "only the answer got lost";
}

}  // namespace
}  // namespace berth::drivers::fake
