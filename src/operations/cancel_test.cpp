#include <atomic>
#include <chrono>
#include <thread>

#include "operations/service_fixture.h"

namespace berth::operations {
namespace {

using std::chrono::milliseconds;

audit::Origin canceller() {
  return {UserId(9), "bob", "192.0.2.2", "lxd-panel", RequestId("request-2")};
}

Error cancelled() {
  return Error(ErrorCode::cancelled, "operation.cancelled", {"已取消", "cancelled"});
}

class CancelTest : public ServiceFixture {};

TEST_F(CancelTest, EndsWorkThatCanEndEarly) {
  Latch begun;
  Latch asked;
  const auto ticket = take(service_->submit(wanted(), pool_, [&](Context& context) -> Result<std::string> {
    context.on_cancel([&] { asked.open(); });
    begun.open();
    asked.wait();
    EXPECT_TRUE(context.cancel_requested());
    return cancelled();
  }));
  ASSERT_TRUE(begun.wait());
  EXPECT_TRUE(ticket->current().may_cancel);
  ASSERT_TRUE(service_->cancel(ticket->id(), canceller()));
  const Operation ended = take(ticket->wait(soon()));
  EXPECT_EQ(ended.state, State::cancelled);
  EXPECT_TRUE(ended.cancel_requested);
  EXPECT_EQ(take(service_->find(ended.id)).state, State::cancelled);
  const auto records = audited();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[1].entry.action, "operation.cancel");
  EXPECT_EQ(records[1].origin.actor, "bob");
  EXPECT_EQ(records[0].entry.outcome, audit::Outcome::failure);
  EXPECT_NE(records[0].entry.details.find("\"cancelled\":true"), std::string::npos);
}

TEST_F(CancelTest, UndoesWhatCancelledWorkHadMade) {
  Latch begun;
  Latch asked;
  std::atomic<bool> undone{false};
  const auto ticket = take(service_->submit(wanted(), pool_, [&](Context& context) -> Result<std::string> {
    context.undo().push([&] { undone = true; });
    context.on_cancel([&] { asked.open(); });
    begun.open();
    asked.wait();
    return cancelled();
  }));
  ASSERT_TRUE(begun.wait());
  ASSERT_TRUE(service_->cancel(ticket->id(), canceller()));
  ASSERT_TRUE(ticket->wait(soon()));
  EXPECT_TRUE(undone);
}

TEST_F(CancelTest, IsRefusedWhereWorkCannotEndEarly) {
  Latch begun;
  Latch go;
  const auto ticket = take(service_->submit(wanted(), pool_, [&](Context&) -> Result<std::string> {
    begun.open();
    go.wait();
    return std::string("null");
  }));
  ASSERT_TRUE(begun.wait());
  const auto refused = service_->cancel(ticket->id(), canceller());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason(), "operation.not_cancellable");
  EXPECT_EQ(refused.error().code(), ErrorCode::unsupported);
  go.open();
  service_->drain(soon());  // what the work refers to must outlive it
}

TEST_F(CancelTest, IsRefusedAfterTheEnd) {
  const Operation ended = run(wanted(), succeeding());
  const auto refused = service_->cancel(ended.id, canceller());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason(), "operation.finished");
}

TEST_F(CancelTest, TakesAWaitingOneOutOfTheQueue) {
  WorkerPool one({.name = "one", .threads = 1, .queue_limit = 4});
  Latch go;
  const auto before = take(service_->submit(wanted("a"), one, [&](Context&) -> Result<std::string> {
    go.wait();
    return std::string("null");
  }));
  std::atomic<bool> worked{false};
  const auto waiting = take(service_->submit(wanted("b"), one, [&](Context&) -> Result<std::string> {
    worked = true;
    return std::string("null");
  }));
  ASSERT_TRUE(service_->cancel(waiting->id(), canceller()));
  ASSERT_TRUE(service_->cancel(waiting->id(), canceller()));
  go.open();
  EXPECT_EQ(take(waiting->wait(soon())).state, State::cancelled);
  EXPECT_FALSE(worked);
  service_->drain(soon());
}

TEST_F(CancelTest, ThatComesTooLateLeavesSuccess) {
  Latch begun;
  Latch asked;
  const auto ticket = take(service_->submit(wanted(), pool_, [&](Context& context) -> Result<std::string> {
    context.on_cancel([&] { asked.open(); });
    begun.open();
    asked.wait();
    return std::string("null");
  }));
  ASSERT_TRUE(begun.wait());
  ASSERT_TRUE(service_->cancel(ticket->id(), canceller()));
  EXPECT_EQ(take(ticket->wait(soon())).state, State::succeeded);
}

TEST_F(CancelTest, NeverCallsAnActionAfterItsWorkEnded) {
  for (int round = 0; round < 50; ++round) {
    auto alive = std::make_shared<std::atomic<bool>>(true);
    Latch begun;
    const auto ticket = take(service_->submit(wanted(), pool_, [&, alive](Context& context) -> Result<std::string> {
      std::atomic<bool>* on_stack = alive.get();
      context.on_cancel([on_stack, alive] { EXPECT_TRUE(on_stack->load()); });
      begun.open();
      return std::string("null");
    }));
    ASSERT_TRUE(begun.wait());
    std::thread canceller_thread([&] { (void)service_->cancel(ticket->id(), canceller()); });
    ASSERT_TRUE(ticket->wait(soon()));
    *alive = false;
    canceller_thread.join();
  }
}

TEST_F(CancelTest, IsNotBegunWhereItCannotBeRecorded) {
  Latch begun;
  Latch go;
  std::atomic<bool> told{false};
  const auto ticket = take(service_->submit(wanted(), pool_, [&](Context& context) -> Result<std::string> {
    context.on_cancel([&] { told = true; });
    begun.open();
    go.wait();
    return std::string("null");
  }));
  ASSERT_TRUE(begun.wait());
  flaky_->writes_fail = true;
  EXPECT_FALSE(service_->cancel(ticket->id(), canceller()));
  flaky_->writes_fail = false;
  EXPECT_FALSE(told);
  EXPECT_FALSE(ticket->current().cancel_requested);
  go.open();
  service_->drain(soon());  // what the work refers to must outlive it
}

}  // namespace
}  // namespace berth::operations
