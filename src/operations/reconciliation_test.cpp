#include <atomic>
#include <chrono>
#include <thread>

#include "operations/service_fixture.h"

namespace berth::operations {
namespace {

using berth::testing::eventually;
using std::chrono::milliseconds;

Error no_answer() {
  return Error(ErrorCode::unavailable, "engine.unavailable", {"引擎不可用", "no engine"});
}

class ReconciliationTest : public ServiceFixture {
 protected:
  bool none_open() {
    return eventually([&] {
      const auto open = service_->open_count();
      return open && *open == 0;
    });
  }
  State state_of(const Operation& operation) { return take(service_->find(operation.id)).state; }
};

class OutcomeTest : public ServiceFixture {};

TEST_F(OutcomeTest, IsKeptUntilTheStoreTakesIt) {
  std::atomic<int> announced{0};
  const auto subscription = service_->changed().subscribe([&](const Operation& operation) {
    if (operation.state != State::running) ++announced;
  });
  Latch go;
  const auto ticket = take(service_->submit(wanted(), pool_, [&](Context&) -> Result<std::string> {
    go.wait();
    return std::string(R"("made")");
  }));
  flaky_->writes_fail = true;
  const int refused = flaky_->refused;
  go.open();
  ASSERT_TRUE(eventually([&] { return flaky_->refused > refused + 3; }));
  EXPECT_FALSE(ticket->wait(Deadline::after(milliseconds(1))));
  EXPECT_EQ(pool_.usage().busy, 0u) << "the pool's threads are free meanwhile";
  EXPECT_EQ(announced, 0);
  flaky_->writes_fail = false;
  const Operation ended = take(ticket->wait(soon()));
  EXPECT_EQ(ended.state, State::succeeded);
  EXPECT_EQ(ended.result, R"("made")");
  EXPECT_EQ(audited().size(), 1u);
  EXPECT_TRUE(eventually([&] { return announced == 1; }));
}

TEST_F(OutcomeTest, ThatWasNeverStoredLeavesTheOperationToTheNextStart) {
  Latch go;
  auto ticket = take(service_->submit(wanted(), pool_, [&](Context&) -> Result<std::string> {
    go.wait();
    return std::string("null");
  }));
  flaky_->writes_fail = true;
  const int refused = flaky_->refused;
  go.open();
  ASSERT_TRUE(eventually([&] { return flaky_->refused > refused; }));
  service_.reset();
  EXPECT_EQ(ticket->wait(soon()).error().reason(), "operation.interrupted");
  flaky_->writes_fail = false;
  restart();
  EXPECT_EQ(take(service_->open_count()), 1);
  std::atomic<int> asked{0};
  service_->reconcile_with("instance.", pool_, [&](const Operation&) -> Result<Verdict> {
    ++asked;
    return Verdict{State::succeeded, "null", std::nullopt};
  });
  ASSERT_TRUE(service_->reconcile_open());
  EXPECT_TRUE(eventually([&] { return take(service_->open_count()) == 0; }));
  EXPECT_EQ(asked, 1);
}

TEST_F(ReconciliationTest, SettlesWhatAnEarlierRunLeftOpen) {
  const auto good = leave_open("web-1", "instance.start", "handle-1");
  const auto bad = leave_open("web-2", "instance.stop");
  service_->reconcile_with("instance.", pool_, [&](const Operation& operation) -> Result<Verdict> {
    if (operation.resource_id == "web-1") {
      EXPECT_EQ(operation.handle, "handle-1");
      return Verdict{State::succeeded, R"("found")", std::nullopt};
    }
    return Verdict{State::failed, "null", Failure{ErrorCode::unavailable, "operation.interrupted", {"中断", "cut"}}};
  });
  ASSERT_TRUE(service_->reconcile_open());
  ASSERT_TRUE(none_open());
  EXPECT_EQ(state_of(good), State::succeeded);
  EXPECT_EQ(take(service_->find(good.id)).result, R"("found")");
  EXPECT_EQ(state_of(bad), State::failed);
  EXPECT_EQ(take(service_->find(bad.id)).failure->reason, "operation.interrupted");
  const auto records = audited();
  ASSERT_EQ(records.size(), 2u);
  for (const auto& record : records) {
    EXPECT_EQ(record.origin.actor, "alice");
    EXPECT_NE(record.entry.details.find("\"reconciled\":true"), std::string::npos);
  }
}

TEST_F(ReconciliationTest, AsksAgainWhileTheEngineDoesNotAnswer) {
  const auto operation = leave_open("web-1", "instance.start");
  std::atomic<int> asked{0};
  service_->reconcile_with("instance.", pool_, [&](const Operation&) -> Result<Verdict> {
    if (++asked < 4) return no_answer();
    return Verdict{State::succeeded, "null", std::nullopt};
  });
  ASSERT_TRUE(service_->reconcile_open());
  ASSERT_TRUE(none_open());
  EXPECT_EQ(asked, 4);
  EXPECT_EQ(state_of(operation), State::succeeded);
}

TEST_F(ReconciliationTest, AsksAgainWhileTheEngineStillWorksOnIt) {
  const auto operation = leave_open("web-1", "instance.create");
  std::atomic<int> asked{0};
  service_->reconcile_with("instance.", pool_, [&](const Operation&) -> Result<Verdict> {
    if (++asked < 3) return Verdict{State::running, "null", std::nullopt};
    return Verdict{State::succeeded, "null", std::nullopt};
  });
  ASSERT_TRUE(service_->reconcile_open());
  ASSERT_TRUE(none_open());
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(state_of(operation), State::succeeded);
}

TEST_F(ReconciliationTest, OneThatStillRunsDoesNotHoldUpTheOthers) {
  leave_open("slow", "instance.create");
  const auto quick = leave_open("quick", "instance.start");
  std::atomic<bool> done{false};
  service_->reconcile_with("instance.", pool_, [&](const Operation& operation) -> Result<Verdict> {
    if (operation.resource_id == "slow" && !done) return Verdict{State::running, "null", std::nullopt};
    return Verdict{State::succeeded, "null", std::nullopt};
  });
  ASSERT_TRUE(service_->reconcile_open());
  EXPECT_TRUE(eventually([&] { return state_of(quick) == State::succeeded; }));
  EXPECT_EQ(take(service_->open_count()), 1);
  done = true;
  EXPECT_TRUE(none_open());
}

TEST_F(ReconciliationTest, TakesAReconcilerThatThrowsForNoAnswer) {
  leave_open("web-1", "instance.start");
  std::atomic<int> asked{0};
  service_->reconcile_with("instance.", pool_, [&](const Operation&) -> Result<Verdict> {
    if (++asked == 1) throw std::runtime_error("a bug");
    return Verdict{State::succeeded, "null", std::nullopt};
  });
  ASSERT_TRUE(service_->reconcile_open());
  EXPECT_TRUE(none_open());
}

TEST_F(ReconciliationTest, WaitsForWhoeverRegistersLate) {
  leave_open("web-1", "instance.start");
  ASSERT_TRUE(service_->reconcile_open());
  EXPECT_EQ(take(service_->open_count()), 1);
  service_->reconcile_with("instance.", pool_, [](const Operation&) -> Result<Verdict> {
    return Verdict{State::succeeded, "null", std::nullopt};
  });
  EXPECT_TRUE(none_open());
}

TEST_F(ReconciliationTest, AsksWhoRegisteredForTheLongestPrefix) {
  leave_open("web-1", "instance.snapshot.create");
  std::atomic<int> general{0};
  std::atomic<int> special{0};
  const auto counting = [](std::atomic<int>& count) {
    return [&count](const Operation&) -> Result<Verdict> {
      ++count;
      return Verdict{State::succeeded, "null", std::nullopt};
    };
  };
  service_->reconcile_with("instance.", pool_, counting(general));
  service_->reconcile_with("instance.snapshot.", pool_, counting(special));
  ASSERT_TRUE(service_->reconcile_open());
  ASSERT_TRUE(none_open());
  EXPECT_EQ(general, 0);
  EXPECT_EQ(special, 1);
}

TEST_F(ReconciliationTest, KeepsTheResourceUntilItIsSettled) {
  const auto operation = leave_open("web-1", "instance.start");
  std::atomic<bool> done{false};
  service_->reconcile_with("instance.", pool_, [&](const Operation&) -> Result<Verdict> {
    if (!done) return no_answer();
    return Verdict{State::succeeded, "null", std::nullopt};
  });
  ASSERT_TRUE(service_->reconcile_open());
  const auto other = service_->submit(wanted("web-1", "instance.stop"), pool_, succeeding());
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().reason(), "operation.busy");
  const auto joined = take(service_->submit(wanted("web-1", "instance.start"), pool_, succeeding()));
  EXPECT_EQ(joined->id(), operation.id);
  done = true;
  EXPECT_EQ(take(joined->wait(soon())).state, State::succeeded);
}

TEST_F(ReconciliationTest, LeavesAloneWhatSomebodyElseSettled) {
  const auto operation = leave_open("web-1", "instance.start");
  std::atomic<bool> answers{false};
  std::atomic<int> asked{0};
  service_->reconcile_with("instance.", pool_, [&](const Operation&) -> Result<Verdict> {
    ++asked;
    return no_answer();
  });
  ASSERT_TRUE(service_->reconcile_open());
  ASSERT_TRUE(eventually([&] { return asked > 0; }));
  Operation settled = operation;
  settled.state = State::cancelled;
  settled.finished_at = system_clock().now();
  ASSERT_TRUE(database_->write([&](store::Transaction& transaction) { return record::finish(transaction, settled); }));
  EXPECT_TRUE(eventually([&] {
    return service_->submit(wanted("web-1", "instance.stop"), pool_, succeeding()).has_value();
  })) << "its resource becomes free";
  service_->drain(soon());
  EXPECT_EQ(state_of(operation), State::cancelled);
  const auto records = audited();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].entry.action, "instance.stop");
}

TEST_F(ReconciliationTest, FindsWhatIsLeftOpenLater) {
  service_->reconcile_with("instance.", pool_, [](const Operation&) -> Result<Verdict> {
    return Verdict{State::succeeded, "null", std::nullopt};
  });
  ASSERT_TRUE(service_->reconcile_open());
  leave_open("web-1", "instance.start");
  EXPECT_TRUE(none_open());
}

TEST_F(ReconciliationTest, LeavesRunningOperationsOfItsOwnAlone) {
  std::atomic<int> asked{0};
  service_->reconcile_with("instance.", pool_, [&](const Operation&) -> Result<Verdict> {
    ++asked;
    return Verdict{State::failed, "null", std::nullopt};
  });
  Latch go;
  const auto ticket = take(service_->submit(wanted(), pool_, [&](Context&) -> Result<std::string> {
    go.wait();
    return std::string("null");
  }));
  ASSERT_TRUE(service_->reconcile_open());
  leave_open("other", "instance.start");
  ASSERT_TRUE(eventually([&] { return asked > 0; }));  // so the store was searched again meanwhile
  go.open();
  EXPECT_EQ(take(ticket->wait(soon())).state, State::succeeded);
  EXPECT_EQ(asked, 1);
}

TEST_F(ReconciliationTest, StoresItsVerdictWhenTheStoreComesBack) {
  leave_open("web-1", "instance.start");
  std::atomic<int> asked{0};
  service_->reconcile_with("instance.", pool_, [&](const Operation&) -> Result<Verdict> {
    ++asked;
    flaky_->writes_fail = true;
    return Verdict{State::succeeded, "null", std::nullopt};
  });
  ASSERT_TRUE(service_->reconcile_open());
  ASSERT_TRUE(eventually([&] { return asked == 1 && flaky_->refused > 0; }));
  flaky_->writes_fail = false;
  EXPECT_TRUE(none_open());
  EXPECT_EQ(asked, 1);
}

TEST_F(ReconciliationTest, EndsWithTheServiceEvenWhileTheEngineDoesNotAnswer) {
  leave_open("web-1", "instance.start");
  service_->reconcile_with("instance.", pool_, [&](const Operation&) -> Result<Verdict> { return no_answer(); });
  ASSERT_TRUE(service_->reconcile_open());
  service_->drain(soon());
  service_.reset();
  restart();
  EXPECT_EQ(take(service_->open_count()), 1);
}

}  // namespace
}  // namespace berth::operations
