#include "compute/service_fixture.h"

namespace berth::compute {
namespace {

using operations::State;
using std::chrono::milliseconds;
using std::chrono::seconds;

class InstanceReconcilerTest : public ServiceFixture {
 protected:
  InstanceReconcilerTest() { begin({.instances = 10, .moving_counters = false}); }

  static operations::Operation open(std::string kind, std::string resource, std::string input) {
    operations::Operation operation;
    operation.id = OperationId("open-" + resource);
    operation.kind = std::move(kind);
    operation.engine = EngineId("fake");
    operation.resource_type = operation.kind.starts_with("image.") ? "image" : "instance";
    operation.resource_id = std::move(resource);
    operation.input = std::move(input);
    operation.created_at = system_clock().now();
    return operation;
  }
  State verdict(const std::string& kind, const std::string& resource, const std::string& input) {
    return take(service_->reconcile(open(kind, resource, input))).state;
  }
};

TEST_F(InstanceReconcilerTest, JudgesStartStopAndRestartByTheStatus) {
  EXPECT_EQ(verdict("instance.start", "inst-00001", R"({"name":"inst-00001"})"), State::succeeded);
  EXPECT_EQ(verdict("instance.start", "inst-00010", R"({"name":"inst-00010"})"), State::failed);
  EXPECT_EQ(verdict("instance.stop", "inst-00010", R"({"name":"inst-00010"})"), State::succeeded);
  EXPECT_EQ(verdict("instance.stop", "inst-00001", R"({"name":"inst-00001"})"), State::failed);
  EXPECT_EQ(verdict("instance.restart", "inst-00001", R"({"name":"inst-00001"})"), State::succeeded);
  EXPECT_EQ(verdict("instance.restart", "inst-00010", R"({"name":"inst-00010"})"), State::failed);
}

TEST_F(InstanceReconcilerTest, SaysThatTheInstanceIsGone) {
  const auto judged = take(service_->reconcile(open("instance.start", "gone", R"({"name":"gone"})")));
  EXPECT_EQ(judged.state, State::failed);
  EXPECT_EQ(judged.failure->reason, "instance.not_found");
  EXPECT_EQ(judged.failure->message.zh, "实例 gone 不存在");
}

TEST_F(InstanceReconcilerTest, JudgesADeletionByAbsence) {
  EXPECT_EQ(verdict("instance.delete", "gone", R"({"name":"gone"})"), State::succeeded);
  const auto there = take(service_->reconcile(open("instance.delete", "inst-00010", R"({"name":"inst-00010"})")));
  EXPECT_EQ(there.state, State::failed);
  EXPECT_EQ(there.failure->reason, "operation.interrupted");
}

TEST_F(InstanceReconcilerTest, FinishesACreationThatWasOnlyToBeStarted) {
  engine_->create_outside("web", false);
  EXPECT_EQ(verdict("instance.create", "web", R"({"name":"web","start":true})"), State::succeeded);
  EXPECT_EQ(take(engine_->get("web", soon())).status, Status::running);
  EXPECT_EQ(shown("web"), Status::running);
}

TEST_F(InstanceReconcilerTest, LeavesACreatedOneStoppedThatWasNotToRun) {
  engine_->create_outside("web", false);
  EXPECT_EQ(verdict("instance.create", "web", R"({"name":"web","start":false})"), State::succeeded);
  EXPECT_EQ(take(engine_->get("web", soon())).status, Status::stopped);
}

TEST_F(InstanceReconcilerTest, SaysThatACreationLeftNothing) {
  EXPECT_EQ(verdict("instance.create", "web", R"({"name":"web","start":true})"), State::failed);
}

TEST_F(InstanceReconcilerTest, SaysWhyACreatedOneDoesNotStart) {
  engine_->create_outside("web", false);
  engine_->faults().fail("start", 1, Error(ErrorCode::exhausted, "engine.full", {"满", "full"}));
  const auto judged = take(service_->reconcile(open("instance.create", "web", R"({"name":"web","start":true})")));
  EXPECT_EQ(judged.state, State::failed);
  EXPECT_EQ(judged.failure->reason, "engine.full");
}

TEST_F(InstanceReconcilerTest, WaitsWhileTheEngineStillWorks) {
  auto operation = open("instance.create", "web", R"({"name":"web","start":true})");
  operation.handle = "fake-work-before";
  engine_->keep_working("fake-work-before", true);
  EXPECT_EQ(take(service_->reconcile(operation)).state, State::running);
  engine_->keep_working("fake-work-before", false);
  engine_->create_outside("web", true);
  EXPECT_EQ(take(service_->reconcile(operation)).state, State::succeeded);
}

TEST_F(InstanceReconcilerTest, JudgesARenameByTheNames) {
  const std::string input = R"({"name":"inst-00010","new_name":"renamed"})";
  EXPECT_EQ(verdict("instance.rename", "inst-00010", input), State::failed);
  engine_->rename_outside("inst-00010", "renamed");
  EXPECT_EQ(verdict("instance.rename", "inst-00010", input), State::succeeded);
  engine_->remove_outside("renamed");
  EXPECT_EQ(verdict("instance.rename", "inst-00010", input), State::failed);
}

TEST_F(InstanceReconcilerTest, JudgesAnUpdateByTheLimits) {
  InstanceChange change;
  change.cpus = 2.0;
  change.disk_bytes = std::optional<std::uint64_t>();
  ASSERT_TRUE(engine_->update("inst-00001", change, soon()));
  EXPECT_EQ(verdict("instance.update", "inst-00001", R"({"name":"inst-00001","cpus":2.0,"disk_bytes":null})"),
            State::succeeded);
  EXPECT_EQ(verdict("instance.update", "inst-00001", R"({"name":"inst-00001","cpus":3.0})"), State::failed);
  EXPECT_EQ(verdict("instance.update", "inst-00001", R"({"name":"inst-00001","cpus":null})"), State::failed);
  EXPECT_EQ(verdict("instance.update", "inst-00001", R"({"name":"inst-00001","description_token":"x"})"),
            State::failed);
}

TEST_F(InstanceReconcilerTest, JudgesSnapshotsByPresence) {
  const std::string input = R"({"name":"inst-00001","snapshot":"one"})";
  EXPECT_EQ(verdict("instance.snapshot.create", "inst-00001", input), State::failed);
  EXPECT_EQ(verdict("instance.snapshot.delete", "inst-00001", input), State::succeeded);
  ASSERT_TRUE(engine_->create_snapshot("inst-00001", "one", false, {}, soon()));
  EXPECT_EQ(verdict("instance.snapshot.create", "inst-00001", input), State::succeeded);
  EXPECT_EQ(verdict("instance.snapshot.delete", "inst-00001", input), State::failed);
  EXPECT_EQ(verdict("instance.snapshot.restore", "inst-00001", input), State::failed);
}

TEST_F(InstanceReconcilerTest, JudgesTheRemovalOfAnImageByAbsence) {
  EXPECT_EQ(verdict("image.delete", "gone", R"({"name":"gone"})"), State::succeeded);
  EXPECT_EQ(verdict("image.delete", FakeEngine::kImage, R"({"name":"busybox"})"), State::failed);
}

TEST_F(InstanceReconcilerTest, AsksAgainWhileTheEngineDoesNotAnswer) {
  engine_->faults().refuse_connections(true);
  for (const char* kind : {"instance.start", "instance.create", "instance.delete", "instance.rename"}) {
    const auto judged = service_->reconcile(open(kind, "inst-00001", R"({"name":"inst-00001","new_name":"x"})"));
    expect_error(judged, ErrorCode::unavailable, "engine.unavailable");
  }
}

TEST_F(InstanceReconcilerTest, GivesUpOnInputThatItCannotRead) {
  EXPECT_EQ(verdict("instance.start", "inst-00001", "not json"), State::failed);
  EXPECT_EQ(verdict("instance.start", "inst-00001", "{}"), State::failed);
  EXPECT_EQ(verdict("instance.unheard-of", "inst-00001", R"({"name":"inst-00001"})"), State::failed);
}

TEST_F(InstanceReconcilerTest, ReadsBackTheInputThatTheServiceRecords) {
  // Each kind is recorded by a real call that fails, then judged from its record.
  const auto broken = [] { return Error(ErrorCode::internal, "engine.protocol", {"坏", "broken"}); };
  engine_->faults().fail("create", 1, broken());
  take(take(service_->create(admin(), wish("web")))->wait(soon()));
  engine_->faults().fail("update", 1, broken());
  InstanceChange change;
  change.memory_bytes = 1ULL << 30;
  EXPECT_FALSE(service_->update(admin(), "inst-00001", change));
  engine_->faults().fail("rename", 1, broken());
  EXPECT_FALSE(service_->rename(admin(), "inst-00010", "renamed"));
  engine_->create_outside("web", false);
  ASSERT_TRUE(engine_->update("inst-00001", change, soon()));
  engine_->rename_outside("inst-00010", "renamed");
  for (const auto& operation : take(operations_->list({})).operations) {
    EXPECT_EQ(operation.state, State::failed);
    EXPECT_EQ(take(service_->reconcile(operation)).state, State::succeeded) << operation.kind << operation.input;
  }
  EXPECT_EQ(take(engine_->get("web", soon())).status, Status::running) << "the wish to start it was recorded too";
}

TEST_F(InstanceReconcilerTest, SettlesWhatACrashLeftOpen) {
  const auto operation = open("instance.create", "web", R"({"name":"web","start":true})");
  take(database_->write([&](store::Transaction& transaction) -> Result<void> {
    return operations::record::insert(transaction, operation);
  }));
  engine_->create_outside("web", false);
  engine_->faults().refuse_connections(true);
  operations_->reconcile_with("instance.", pool_,
                              [&](const operations::Operation& left) { return service_->reconcile(left); });
  ASSERT_TRUE(operations_->reconcile_open());
  expect_error(operations_->submit({.kind = "instance.delete",
                                    .engine = EngineId("fake"),
                                    .resource_type = "instance",
                                    .resource_id = "web",
                                    .input = "{}",
                                    .audit_details = "{}",
                                    .origin = {},
                                    .time_limit = seconds(1)},
                                   pool_, [](operations::Context&) -> Result<std::string> { return std::string(); }),
               ErrorCode::conflict, "operation.busy");
  engine_->faults().refuse_connections(false);
  EXPECT_TRUE(testing::eventually([&] { return take(operations_->open_count()) == 0; }));
  EXPECT_EQ(take(operations_->find(operation.id)).state, State::succeeded);
  EXPECT_EQ(take(engine_->get("web", soon())).status, Status::running);
}

}  // namespace
}  // namespace berth::compute
