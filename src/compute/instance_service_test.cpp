#include "compute/instance_service.h"

#include <atomic>
#include <set>
#include <thread>

#include "compute/service_fixture.h"

namespace berth::compute {
namespace {

using berth::testing::eventually;
using std::chrono::milliseconds;
using std::chrono::seconds;

class InstanceServiceTest : public ServiceFixture {
 protected:
  InstanceServiceTest() { begin({.instances = 20, .moving_counters = false}); }
};

// inst-00001 runs, inst-00010 is stopped.

TEST_F(InstanceServiceTest, FindsAnInstance) {
  EXPECT_EQ(take(service_->find(admin(), "inst-00001"))->status, Status::running);
}

TEST_F(InstanceServiceTest, SaysNotFoundInTheWordsOfThePanel) {
  const auto found = service_->find(admin(), "nobody");
  expect_error(found, ErrorCode::not_found, "instance.not_found");
  EXPECT_EQ(found.error().message().zh, "实例 nobody 不存在");
  const auto started = service_->start(admin(), "nobody");
  expect_error(started, ErrorCode::not_found, "instance.not_found");
  EXPECT_EQ(started.error().message().zh, "实例 nobody 不存在");
}

TEST_F(InstanceServiceTest, StartsAndShowsItAtOnce) {
  const auto outcome = take(service_->start(admin(), "inst-00010"));
  EXPECT_TRUE(outcome.changed);
  EXPECT_EQ(outcome.operation->kind, "instance.start");
  EXPECT_EQ(outcome.operation->state, operations::State::succeeded);
  EXPECT_EQ(shown("inst-00010"), Status::running);
  const auto records = audited();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].entry.action, "instance.start");
  EXPECT_EQ(records[0].entry.resource_id, "inst-00010");
  EXPECT_EQ(records[0].origin.actor, "admin");
}

TEST_F(InstanceServiceTest, StartingARunningOneChangesNothingAndSaysSo) {
  const auto outcome = take(service_->start(admin(), "inst-00001"));
  EXPECT_FALSE(outcome.changed);
  EXPECT_FALSE(outcome.operation);
  EXPECT_EQ(operations_recorded(), 0);
}

TEST_F(InstanceServiceTest, StoppingAStoppedOneChangesNothing) {
  EXPECT_FALSE(take(service_->stop(admin(), "inst-00010", false)).changed);
  EXPECT_EQ(operations_recorded(), 0);
}

TEST_F(InstanceServiceTest, AsksTheEngineBeforeItSaysThatNothingIsToDo) {
  engine_->stop_outside("inst-00001");  // nobody watches: the snapshot is behind
  ASSERT_EQ(shown("inst-00001"), Status::running);
  EXPECT_TRUE(take(service_->start(admin(), "inst-00001")).changed);
  EXPECT_EQ(take(engine_->get("inst-00001", soon())).status, Status::running);
}

TEST_F(InstanceServiceTest, KnowsAnInstanceThatOnlyTheEngineKnowsYet) {
  engine_->create_outside("fresh", false);
  EXPECT_TRUE(take(service_->start(admin(), "fresh")).changed);
  EXPECT_EQ(shown("fresh"), Status::running);
}

TEST_F(InstanceServiceTest, StopsAndRestarts) {
  EXPECT_TRUE(take(service_->restart(admin(), "inst-00001", false)).changed);
  EXPECT_EQ(shown("inst-00001"), Status::running);
  EXPECT_TRUE(take(service_->stop(admin(), "inst-00001", true)).changed);
  EXPECT_EQ(shown("inst-00001"), Status::stopped);
  expect_error(service_->restart(admin(), "inst-00001", false), ErrorCode::conflict, "instance.state");
}

TEST_F(InstanceServiceTest, RefusesToDeleteARunningOneWithoutForceAndSaysHow) {
  const auto removed = service_->remove(admin(), "inst-00001", false);
  expect_error(removed, ErrorCode::conflict, "instance.running");
  EXPECT_NE(removed.error().message().zh.find("force=true"), std::string::npos);
  EXPECT_NE(removed.error().message().en.find("force=true"), std::string::npos);
  EXPECT_EQ(shown("inst-00001"), Status::running);
  EXPECT_EQ(operations_recorded(), 0);
}

TEST_F(InstanceServiceTest, DeletesAStoppedOneAndWithForceARunningOne) {
  EXPECT_TRUE(take(service_->remove(admin(), "inst-00010", false)).changed);
  EXPECT_EQ(shown("inst-00010"), std::nullopt);
  EXPECT_TRUE(take(service_->remove(admin(), "inst-00001", true)).changed);
  EXPECT_EQ(shown("inst-00001"), std::nullopt);
  expect_error(service_->remove(admin(), "inst-00001", true), ErrorCode::not_found, "instance.not_found");
}

TEST_F(InstanceServiceTest, DeletesWhatWasStoppedOutsideAMomentAgo) {
  engine_->stop_outside("inst-00001");
  EXPECT_TRUE(take(service_->remove(admin(), "inst-00001", false)).changed);
}

TEST_F(InstanceServiceTest, HidesTheInstancesOfOthers) {
  engine_->set_owner("inst-00001", "owner-a");
  take(inventory_->refresh_all(soon()));
  EXPECT_TRUE(service_->find(user("owner-a"), "inst-00001"));
  for (const auto& stranger : {user("owner-b"), user("")}) {
    expect_error(service_->find(stranger, "inst-00001"), ErrorCode::not_found, "instance.not_found");
    expect_error(service_->start(stranger, "inst-00001"), ErrorCode::not_found, "instance.not_found");
    expect_error(service_->stop(stranger, "inst-00001", true), ErrorCode::not_found, "instance.not_found");
    expect_error(service_->restart(stranger, "inst-00001", true), ErrorCode::not_found, "instance.not_found");
    expect_error(service_->remove(stranger, "inst-00001", true), ErrorCode::not_found, "instance.not_found");
    expect_error(service_->rename(stranger, "inst-00001", "x"), ErrorCode::not_found, "instance.not_found");
    expect_error(service_->update(stranger, "inst-00001", {}), ErrorCode::not_found, "instance.not_found");
    expect_error(service_->list_snapshots(stranger, "inst-00001"), ErrorCode::not_found, "instance.not_found");
    expect_error(service_->run(stranger, "inst-00001", {}, seconds(1)), ErrorCode::not_found, "instance.not_found");
  }
  EXPECT_TRUE(take(service_->stop(user("owner-a"), "inst-00001", true)).changed);
  EXPECT_TRUE(service_->find(user("owner-a"), "inst-00010").error().code() == ErrorCode::not_found)
      << "an instance that belongs to nobody is not everybody's";
}

TEST_F(InstanceServiceTest, HidesWhatOnlyTheEngineKnowsYetFromStrangers) {
  engine_->create_outside("fresh", false);
  engine_->set_owner("fresh", "owner-a");
  expect_error(service_->start(user("owner-b"), "fresh"), ErrorCode::not_found, "instance.not_found");
  EXPECT_EQ(take(engine_->get("fresh", soon())).status, Status::stopped);
}

TEST_F(InstanceServiceTest, DoesNotAskTheEngineForNamesThatAreNone) {
  const auto gets = engine_->faults().calls("get");
  for (const char* name : {"", "../x", "a b", "a?b", "实例"}) {
    expect_error(service_->start(admin(), name), ErrorCode::not_found, "instance.not_found");
  }
  EXPECT_EQ(engine_->faults().calls("get"), gets);
}

TEST_F(InstanceServiceTest, PassesOnWhyTheEngineRefused) {
  engine_->faults().fail("start", 1, Error(ErrorCode::exhausted, "engine.full", {"磁盘已满", "disk full"}));
  const auto started = service_->start(admin(), "inst-00010");
  expect_error(started, ErrorCode::exhausted, "engine.full");
  EXPECT_EQ(started.error().message().zh, "磁盘已满");
  const auto records = audited();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].entry.outcome, audit::Outcome::failure);
}

TEST_F(InstanceServiceTest, JoinsAnEqualActionAndRefusesAnotherMeanwhile) {
  engine_->faults().hang_call("start", true);
  std::atomic<int> succeeded{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      if (service_->start(admin(), "inst-00010")) ++succeeded;
    });
  }
  ASSERT_TRUE(eventually([&] { return engine_->faults().waiting_calls() == 1; }));
  expect_error(service_->remove(admin(), "inst-00010", false), ErrorCode::conflict, "operation.busy");
  engine_->faults().hang_call("start", false);
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(succeeded, 3);
  // A thread that came late found it running already.
  EXPECT_LE(engine_->faults().calls("start"), 3u);
  EXPECT_EQ(shown("inst-00010"), Status::running);
}

TEST_F(InstanceServiceTest, FailsAtOnceAndRecordsNothingWhileTheEngineIsKnownToBeGone) {
  engine_->faults().refuse_connections(true);
  EXPECT_FALSE(inventory_->refresh_all(soon()));
  const auto started = service_->start(admin(), "inst-00010");
  expect_error(started, ErrorCode::unavailable, "engine.unavailable");
  EXPECT_EQ(started.error().message().zh, "引擎不可用");
  EXPECT_EQ(operations_recorded(), 0);
  EXPECT_TRUE(service_->find(admin(), "inst-00010")) << "reads go on from the snapshot";
}

TEST_F(InstanceServiceTest, GoesOnAsSoonAsTheEngineIsBackEvenBeforeTheInventoryKnows) {
  engine_->faults().refuse_connections(true);
  EXPECT_FALSE(inventory_->refresh_all(soon()));
  engine_->faults().refuse_connections(false);
  EXPECT_TRUE(take(service_->start(admin(), "inst-00010")).changed);
}

TEST_F(InstanceServiceTest, FailsWithinTheLimitWhereTheEngineHangs) {
  settings_.lifecycle_limit = milliseconds(100);
  service_ = std::make_unique<InstanceService>(EngineId("fake"), *engine_, *inventory_, pool_, *operations_, settings_);
  engine_->faults().hang(true);
  const auto begin = std::chrono::steady_clock::now();
  expect_error(service_->start(admin(), "inst-00010"), ErrorCode::deadline_exceeded, "engine.timeout");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(5));
}

TEST_F(InstanceServiceTest, ReadsFailOnlyWhereTheEngineNeverAnswered) {
  FakeEngine never;
  Inventory empty(EngineId("other"), never, {}, metrics_);
  InstanceService service(EngineId("other"), never, empty, pool_, *operations_, settings_);
  expect_error(service.readable(), ErrorCode::unavailable, "engine.unavailable");
  expect_error(service.find(admin(), "x"), ErrorCode::unavailable, "engine.unavailable");
}

TEST_F(InstanceServiceTest, ActsOnSeveralAndReportsEach) {
  const auto items = take(service_->act(admin(), LifecycleAction::stop,
                                        {"inst-00001", "inst-00010", "nobody", "inst-00002", "inst-00001"}, true));
  ASSERT_EQ(items.size(), 4u);
  EXPECT_EQ(items[0].name, "inst-00001");
  EXPECT_TRUE(items[0].outcome->changed);
  EXPECT_FALSE(items[1].outcome->changed);
  EXPECT_EQ(items[2].outcome.error().reason(), "instance.not_found");
  EXPECT_TRUE(items[3].outcome->changed);
  EXPECT_EQ(shown("inst-00002"), Status::stopped);
}

TEST_F(InstanceServiceTest, ActsOnSeveralAtTheSameTime) {
  engine_->faults().hang_call("stop", true);
  std::thread acting([&] {
    const auto items = service_->act(admin(), LifecycleAction::stop, {"inst-00001", "inst-00002", "inst-00003"}, true);
    ASSERT_TRUE(items);
    for (const auto& item : *items) EXPECT_TRUE(item.outcome) << item.name;
  });
  EXPECT_TRUE(eventually([&] { return engine_->faults().waiting_calls() == 3; }));
  engine_->faults().hang_call("stop", false);
  acting.join();
}

TEST_F(InstanceServiceTest, LimitsHowManyOneCallActsOn) {
  expect_error(service_->act(admin(), LifecycleAction::start, {}, false), ErrorCode::invalid_argument, "instance.bulk");
  const std::vector<std::string> many(21, "inst-00001");
  expect_error(service_->act(admin(), LifecycleAction::start, many, false), ErrorCode::invalid_argument,
               "instance.bulk");
}

TEST_F(InstanceServiceTest, CreatesWithLimitsAndOwner) {
  auto wished = wish("web");
  wished.limits.cpus = 1.5;
  const auto ticket = take(service_->create(user("owner-a"), wished));
  const auto ended = take(ticket->wait(soon()));
  EXPECT_EQ(ended.state, operations::State::succeeded);
  const auto made = take(service_->find(user("owner-a"), "web"));
  EXPECT_EQ(made->status, Status::running);
  EXPECT_EQ(made->owner, "owner-a");
  EXPECT_EQ(made->limits.cpus, 1.5);
  EXPECT_EQ(made->description, wished.description);
}

TEST_F(InstanceServiceTest, KeepsThePasswordOutOfRecordsAndAudit) {
  const auto ticket = take(service_->create(admin(), wish("web")));
  take(ticket->wait(soon()));
  take(service_->update(
      admin(), "web",
      {.description = "web 20001 hunter3 30000 30025", .cpus = {}, .memory_bytes = {}, .disk_bytes = {}}));
  EXPECT_EQ(take(service_->find(admin(), "web"))->description, "web 20001 hunter3 30000 30025");
  for (const auto& operation : take(operations_->list({})).operations) {
    EXPECT_EQ(operation.input.find("hunter"), std::string::npos) << operation.input;
  }
  for (const auto& record : audited()) {
    EXPECT_EQ(record.entry.details.find("hunter"), std::string::npos) << record.entry.details;
    EXPECT_NE(record.entry.details.find("***"), std::string::npos) << record.entry.details;
  }
}

TEST_F(InstanceServiceTest, RefusesToCreateForOthers) {
  auto wished = wish("web");
  wished.owner = "owner-b";
  expect_error(service_->create(user("owner-a"), wished), ErrorCode::permission_denied, "instance.owner");
  expect_error(service_->create(user(""), wish("web")), ErrorCode::permission_denied, "instance.owner");
  EXPECT_TRUE(take(service_->create(admin(), wished))->wait(soon()));
}

TEST_F(InstanceServiceTest, RefusesABadWishBeforeAnythingIsDone) {
  auto bad_name = wish("bad name");
  expect_error(service_->create(admin(), bad_name), ErrorCode::invalid_argument, "instance.name");
  auto no_image = wish("web");
  no_image.image = "";
  expect_error(service_->create(admin(), no_image), ErrorCode::invalid_argument, "instance.image");
  auto bad_limit = wish("web");
  bad_limit.limits.memory_bytes = 1;
  expect_error(service_->create(admin(), bad_limit), ErrorCode::invalid_argument, "instance.limits");
  auto bad_text = wish("web");
  bad_text.description = "\xff";
  expect_error(service_->create(admin(), bad_text), ErrorCode::invalid_argument, "instance.description");
  expect_error(service_->create(admin(), wish("inst-00001")), ErrorCode::already_exists, "instance.exists");
  EXPECT_EQ(operations_recorded(), 0);
}

TEST_F(InstanceServiceTest, MakesTheSameNameOnce) {
  std::atomic<int> made{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      const auto ticket = service_->create(admin(), wish("web"));
      if (!ticket) return;
      const auto ended = (*ticket)->wait(soon());
      if (ended && ended->state == operations::State::succeeded) ++made;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(made, 1);
}

TEST_F(InstanceServiceTest, CancelsACreationThatRuns) {
  FakeEngine slow({.work_time = seconds(60)});
  Inventory inventory(EngineId("slow"), slow, {}, metrics_);
  take(inventory.refresh_all(soon()));
  InstanceService service(EngineId("slow"), slow, inventory, pool_, *operations_, settings_);
  const auto ticket = take(service.create(admin(), wish("web")));
  ASSERT_TRUE(eventually([&] { return ticket->current().may_cancel && !ticket->current().stage.empty(); }));
  ASSERT_TRUE(operations_->cancel(ticket->id(), admin().origin));
  EXPECT_EQ(take(ticket->wait(soon())).state, operations::State::cancelled);
  EXPECT_EQ(inventory.snapshot()->find("web"), nullptr);
}

TEST_F(InstanceServiceTest, RenamesAndShowsBothNamesAtOnce) {
  EXPECT_TRUE(take(service_->rename(admin(), "inst-00010", "renamed")).changed);
  EXPECT_EQ(shown("inst-00010"), std::nullopt);
  EXPECT_EQ(shown("renamed"), Status::stopped);
  EXPECT_FALSE(take(service_->rename(admin(), "renamed", "renamed")).changed);
  expect_error(service_->rename(admin(), "renamed", "inst-00001"), ErrorCode::already_exists, "instance.exists");
  const auto bad = service_->rename(admin(), "renamed", "bad name");
  expect_error(bad, ErrorCode::invalid_argument, "instance.name");
  EXPECT_EQ(bad.error().fields().at(0).field, "new_name");
  expect_error(service_->rename(admin(), "inst-00001", "x"), ErrorCode::conflict, "instance.state");
}

TEST_F(InstanceServiceTest, ChangesLimits) {
  InstanceChange change;
  change.memory_bytes = 1ULL << 30;
  change.disk_bytes = std::optional<std::uint64_t>();
  EXPECT_TRUE(take(service_->update(admin(), "inst-00001", change)).changed);
  const auto after = take(service_->find(admin(), "inst-00001"));
  EXPECT_EQ(after->limits.memory_bytes, 1ULL << 30);
  EXPECT_EQ(after->limits.disk_bytes, std::nullopt);
  EXPECT_FALSE(take(service_->update(admin(), "inst-00001", {})).changed);
  change.cpus = -1.0;
  expect_error(service_->update(admin(), "inst-00001", change), ErrorCode::invalid_argument, "instance.limits");
}

TEST_F(InstanceServiceTest, MakesListsRestoresAndRemovesSnapshots) {
  EXPECT_TRUE(take(service_->create_snapshot(admin(), "inst-00001", "before", false)).changed);
  EXPECT_EQ(take(service_->find(admin(), "inst-00001"))->snapshots, 1u);
  ASSERT_EQ(take(service_->list_snapshots(admin(), "inst-00001")).size(), 1u);
  expect_error(service_->create_snapshot(admin(), "inst-00001", "before", false), ErrorCode::already_exists,
               "snapshot.exists");
  expect_error(service_->create_snapshot(admin(), "inst-00001", "a/b", false), ErrorCode::invalid_argument,
               "snapshot.name");
  EXPECT_TRUE(take(service_->restore_snapshot(admin(), "inst-00001", "before")).changed);
  expect_error(service_->restore_snapshot(admin(), "inst-00001", "none"), ErrorCode::not_found, "snapshot.not_found");
  EXPECT_TRUE(take(service_->remove_snapshot(admin(), "inst-00001", "before")).changed);
  EXPECT_EQ(take(service_->find(admin(), "inst-00001"))->snapshots, 0u);
}

TEST_F(InstanceServiceTest, ListsAndRemovesImages) {
  engine_->add_image("old");
  EXPECT_EQ(take(service_->list_images()).size(), 2u);
  EXPECT_TRUE(take(service_->remove_image(admin(), "old")).changed);
  EXPECT_EQ(take(service_->list_images()).size(), 1u);
  expect_error(service_->remove_image(admin(), "old"), ErrorCode::not_found, "image.not_found");
  EXPECT_EQ(audited().front().entry.action, "image.delete");
}

}  // namespace
}  // namespace berth::compute
