#include "operations/operation_service.h"

#include <atomic>
#include <chrono>
#include <set>
#include <stdexcept>
#include <thread>

#include "operations/service_fixture.h"

namespace berth::operations {
namespace {

using berth::testing::eventually;
using std::chrono::milliseconds;

class OperationServiceTest : public ServiceFixture {};

TEST_F(OperationServiceTest, RecordsAnOperationBeforeItsWorkBegins) {
  std::int64_t open = 0;
  run(wanted(), [&](Context& context) -> Result<std::string> {
    open = take(service_->open_count());
    const auto stored = take(service_->find(context.operation().id));
    EXPECT_EQ(stored.state, State::running);
    EXPECT_EQ(stored.origin.actor, "alice");
    return std::string("null");
  });
  EXPECT_EQ(open, 1);
  EXPECT_EQ(take(service_->open_count()), 0);
}

TEST_F(OperationServiceTest, RecordsSuccessTogetherWithItsAuditEntry) {
  auto operation = wanted();
  operation.audit_details = R"({"force":true})";
  const Operation ended = run(operation, [](Context&) -> Result<std::string> { return std::string(R"({"made":1})"); });
  EXPECT_EQ(ended.state, State::succeeded);
  EXPECT_EQ(ended.progress, 100);
  EXPECT_EQ(ended.result, R"({"made":1})");
  EXPECT_TRUE(ended.finished_at);
  EXPECT_EQ(take(service_->find(ended.id)).result, R"({"made":1})");
  const auto records = audited();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].entry.action, "instance.start");
  EXPECT_EQ(records[0].entry.resource_id, "web-1");
  EXPECT_EQ(records[0].entry.outcome, audit::Outcome::success);
  EXPECT_EQ(records[0].entry.details, R"({"operation":")" + ended.id.value() + R"(","force":true})");
  EXPECT_EQ(records[0].origin.actor, "alice");
}

TEST_F(OperationServiceTest, RecordsWhyWorkFailed) {
  const Operation ended = run(wanted(), [](Context&) -> Result<std::string> {
    return Error(ErrorCode::conflict, "instance.state", {"状态不对", "wrong state"}).with_detail("secret detail");
  });
  EXPECT_EQ(ended.state, State::failed);
  const Operation stored = take(service_->find(ended.id));
  ASSERT_TRUE(stored.failure);
  EXPECT_EQ(stored.failure->code, ErrorCode::conflict);
  EXPECT_EQ(stored.failure->reason, "instance.state");
  EXPECT_EQ(stored.failure->message.zh, "状态不对");
  const Error again = to_error(*stored.failure);
  EXPECT_EQ(again.reason(), "instance.state");
  const auto records = audited();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].entry.outcome, audit::Outcome::failure);
  EXPECT_NE(records[0].entry.details.find(R"("reason":"instance.state")"), std::string::npos);
}

TEST_F(OperationServiceTest, TakesWorkThatThrowsForAnInternalFault) {
  for (const bool standard : {true, false}) {
    const Operation ended = run(wanted(), [&](Context&) -> Result<std::string> {
      if (standard) throw std::runtime_error("a bug");
      throw 1;
    });
    EXPECT_EQ(ended.state, State::failed);
    ASSERT_TRUE(ended.failure);
    EXPECT_EQ(ended.failure->code, ErrorCode::internal);
    EXPECT_EQ(ended.failure->message.en.find("a bug"), std::string::npos);
  }
}

TEST_F(OperationServiceTest, UndoesInReverseWhatFailedWorkHadMade) {
  std::string undone;
  run(wanted(), [&](Context& context) -> Result<std::string> {
    context.undo().push([&] { undone += 'a'; });
    context.undo().push([&] { undone += 'b'; });
    return internal_error("no");
  });
  EXPECT_EQ(undone, "ba");
}

TEST_F(OperationServiceTest, UndoesNothingAfterSuccess) {
  std::string undone;
  run(wanted(), [&](Context& context) -> Result<std::string> {
    context.undo().push([&] { undone += 'a'; });
    return std::string("null");
  });
  EXPECT_EQ(undone, "");
}

TEST_F(OperationServiceTest, JoinsAnEqualOneThatRuns) {
  Latch go;
  std::atomic<int> worked{0};
  const auto work = [&]() -> Work {
    return [&](Context&) -> Result<std::string> {
      ++worked;
      go.wait();
      return std::string("null");
    };
  };
  const auto first = take(service_->submit(wanted(), pool_, work()));
  const auto second = take(service_->submit(wanted(), pool_, work()));
  EXPECT_EQ(first->id(), second->id());
  go.open();
  EXPECT_EQ(take(second->wait(soon())).state, State::succeeded);
  EXPECT_EQ(worked, 1);
}

TEST_F(OperationServiceTest, RefusesADifferentOneOnTheSameResource) {
  Latch go;
  const auto first = take(service_->submit(wanted(), pool_, [&](Context&) -> Result<std::string> {
    go.wait();
    return std::string("null");
  }));
  const auto stop = service_->submit(wanted("web-1", "instance.stop"), pool_, succeeding());
  ASSERT_FALSE(stop);
  EXPECT_EQ(stop.error().reason(), "operation.busy");
  EXPECT_EQ(stop.error().code(), ErrorCode::conflict);
  auto other_input = wanted();
  other_input.input = R"({"force":true})";
  EXPECT_FALSE(service_->submit(other_input, pool_, succeeding()));
  EXPECT_TRUE(service_->submit(wanted("web-2"), pool_, succeeding()));
  auto elsewhere = wanted();
  elsewhere.engine = EngineId("docker");
  EXPECT_TRUE(service_->submit(elsewhere, pool_, succeeding()));
  go.open();
  EXPECT_TRUE(first->wait(soon()));
}

TEST_F(OperationServiceTest, GivesTheResourceToOneOfManyThreadsAtOnce) {
  Latch go;
  std::atomic<int> taken{0};
  std::atomic<int> busy{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      auto operation = wanted();
      operation.input = "{\"n\":" + std::to_string(i) + "}";
      const auto ticket = service_->submit(operation, pool_, [&](Context&) -> Result<std::string> {
        go.wait();
        return std::string("null");
      });
      if (ticket) {
        ++taken;
      } else {
        EXPECT_EQ(ticket.error().reason(), "operation.busy");
        ++busy;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(taken, 1);
  EXPECT_EQ(busy, 7);
  EXPECT_EQ(take(service_->open_count()), 1);
  go.open();
  service_->drain(soon());  // what the work refers to must outlive it
}

TEST_F(OperationServiceTest, GivesEqualCallersAtOnceTheSameOperation) {
  Latch go;
  std::mutex mutex;
  std::set<OperationId> ids;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const auto ticket = service_->submit(wanted(), pool_, [&](Context&) -> Result<std::string> {
        go.wait();
        return std::string("null");
      });
      ASSERT_TRUE(ticket);
      const std::lock_guard lock(mutex);
      ids.insert((*ticket)->id());
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(ids.size(), 1u);
  go.open();
  service_->drain(soon());  // what the work refers to must outlive it
}

TEST_F(OperationServiceTest, RefusesAResourceThatIsOpenInTheStoreOnly) {
  leave_open("web-1", "instance.start");
  const auto ticket = service_->submit(wanted(), pool_, succeeding());
  ASSERT_FALSE(ticket);
  EXPECT_EQ(ticket.error().reason(), "operation.busy");
  EXPECT_EQ(take(service_->open_count()), 1);
}

TEST_F(OperationServiceTest, LeavesNoRecordWhereThePoolIsFull) {
  WorkerPool small({.name = "small", .threads = 1, .queue_limit = 1});
  Latch go;
  Latch begun;
  const auto running = take(service_->submit(wanted("a"), small, [&](Context&) -> Result<std::string> {
    begun.open();
    go.wait();
    return std::string("null");
  }));
  ASSERT_TRUE(begun.wait());
  const auto waiting = take(service_->submit(wanted("b"), small, succeeding()));
  const auto refused = service_->submit(wanted("c"), small, succeeding());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason(), "operation.queue_full");
  EXPECT_EQ(refused.error().code(), ErrorCode::exhausted);
  EXPECT_EQ(take(service_->list({})).total, 2);
  go.open();
  ASSERT_TRUE(waiting->wait(soon()));
  EXPECT_TRUE(service_->submit(wanted("c"), small, succeeding()));
  service_->drain(soon());
}

TEST_F(OperationServiceTest, DoesNoWorkThatItCouldNotRecord) {
  flaky_->writes_fail = true;
  std::atomic<bool> worked{false};
  const auto ticket = service_->submit(wanted(), pool_, [&](Context&) -> Result<std::string> {
    worked = true;
    return std::string("null");
  });
  ASSERT_FALSE(ticket);
  EXPECT_EQ(ticket.error().code(), ErrorCode::unavailable);
  flaky_->writes_fail = false;
  run(wanted(), succeeding());
  EXPECT_FALSE(worked);
  EXPECT_EQ(take(service_->list({})).total, 1);
}

TEST_F(OperationServiceTest, TellsAWaiterThatItStillRuns) {
  Latch go;
  const auto ticket = take(service_->submit(wanted(), pool_, [&](Context&) -> Result<std::string> {
    go.wait();
    return std::string("null");
  }));
  const auto waited = ticket->wait(Deadline::after(milliseconds(20)));
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().reason(), "operation.running");
  EXPECT_EQ(waited.error().detail(), ticket->id().value());
  EXPECT_EQ(ticket->current().state, State::running);
  go.open();
  EXPECT_EQ(take(ticket->wait(soon())).state, State::succeeded);
}

TEST_F(OperationServiceTest, FreesTheResourceBeforeItsWaitersGoOn) {
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(run(wanted("web-1", i % 2 == 0 ? "instance.start" : "instance.stop"), succeeding()).state,
              State::succeeded);
  }
}

TEST_F(OperationServiceTest, GivesWorkItsDeadline) {
  auto operation = wanted();
  operation.time_limit = milliseconds(1000);
  milliseconds left{};
  run(operation, [&](Context& context) -> Result<std::string> {
    left = context.deadline().remaining();
    return std::string("null");
  });
  EXPECT_GT(left, milliseconds(0));
  EXPECT_LE(left, milliseconds(1000));
}

TEST_F(OperationServiceTest, DoesNotBeginWorkWhoseTimeRanOutInTheQueue) {
  WorkerPool one({.name = "one", .threads = 1, .queue_limit = 4});
  Latch go;
  const auto before = take(service_->submit(wanted("a"), one, [&](Context&) -> Result<std::string> {
    go.wait();
    return std::string("null");
  }));
  auto late = wanted("b");
  late.time_limit = milliseconds(1);
  std::atomic<bool> worked{false};
  const auto ticket = take(service_->submit(late, one, [&](Context&) -> Result<std::string> {
    worked = true;
    return std::string("null");
  }));
  std::this_thread::sleep_for(milliseconds(3));  // the time that must run out
  go.open();
  const Operation ended = take(ticket->wait(soon()));
  EXPECT_EQ(ended.state, State::failed);
  EXPECT_EQ(ended.failure->reason, "operation.expired");
  EXPECT_FALSE(worked);
  service_->drain(soon());
}

TEST_F(OperationServiceTest, AnnouncesStartProgressAndEndInOrder) {
  std::mutex mutex;
  std::vector<std::pair<State, int>> seen;
  const auto subscription = service_->changed().subscribe([&](const Operation& operation) {
    const std::lock_guard lock(mutex);
    seen.emplace_back(operation.state, operation.progress);
  });
  run(wanted(), [](Context& context) -> Result<std::string> {
    context.progress(30, "copying");
    context.progress(30, "copying");
    context.progress(250, "done");
    return std::string("null");
  });
  ASSERT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex);
    return !seen.empty() && seen.back().first == State::succeeded;
  }));
  const std::lock_guard lock(mutex);
  const std::vector<std::pair<State, int>> expected = {
      {State::running, 0}, {State::running, 30}, {State::running, 100}, {State::succeeded, 100}};
  EXPECT_EQ(seen, expected);
}

TEST_F(OperationServiceTest, StoresProgressSeldomAndShowsItAtOnce) {
  const int before = flaky_->writes;
  const Operation ended = run(wanted(), [&](Context& context) -> Result<std::string> {
    for (int i = 0; i < 1000; ++i) context.progress(i % 100, "step " + std::to_string(i));
    EXPECT_EQ(take(service_->find(context.operation().id)).stage, "step 999");
    EXPECT_TRUE(eventually([&] {
      const auto stored = database_->read(
          [&](store::Transaction& transaction) { return record::find(transaction, context.operation().id); });
      return stored && *stored && (*stored)->stage == "step 999";
    }));
    return std::string("null");
  });
  EXPECT_EQ(ended.stage, "step 999");
  EXPECT_LT(flaky_->writes - before, 50);
}

TEST_F(OperationServiceTest, StoresTheEnginesHandleBeforeWorkGoesOn) {
  run(wanted(), [&](Context& context) -> Result<std::string> {
    EXPECT_TRUE(context.adopt("op-17"));
    EXPECT_EQ(context.operation().handle, "op-17");
    const auto stored = take(database_->read(
        [&](store::Transaction& transaction) { return record::find(transaction, context.operation().id); }));
    EXPECT_EQ(stored->handle, "op-17");
    return std::string("null");
  });
}

TEST_F(OperationServiceTest, TellsWorkThatItsHandleIsNotStored) {
  const Operation ended = run(wanted(), [&](Context& context) -> Result<std::string> {
    flaky_->writes_fail = true;
    const auto adopted = context.adopt("op-17");
    flaky_->writes_fail = false;
    EXPECT_FALSE(adopted);
    return std::string("null");
  });
  EXPECT_EQ(ended.state, State::succeeded);
}

TEST_F(OperationServiceTest, FindsAndPagesThroughOperations) {
  for (int i = 0; i < 5; ++i) run(wanted("web-" + std::to_string(i)), succeeding());
  run(wanted("web-0", "image.delete"), [](Context&) -> Result<std::string> { return internal_error("no"); });
  EXPECT_EQ(take(service_->list({})).total, 6);
  Filter page;
  page.limit = 2;
  page.offset = 1;
  const Page second = take(service_->list(page));
  EXPECT_EQ(second.total, 6);
  ASSERT_EQ(second.operations.size(), 2u);
  EXPECT_EQ(second.operations[0].resource_id, "web-4");
  EXPECT_EQ(second.operations[1].resource_id, "web-3");

  Filter failed;
  failed.state = State::failed;
  EXPECT_EQ(take(service_->list(failed)).total, 1);
  Filter prefix;
  prefix.kind_prefix = "instance.";
  EXPECT_EQ(take(service_->list(prefix)).total, 5);
  prefix.kind_prefix = "instance%";
  EXPECT_EQ(take(service_->list(prefix)).total, 0);
  Filter resource;
  resource.resource_type = "instance";
  resource.resource_id = "web-0";
  EXPECT_EQ(take(service_->list(resource)).total, 2);
  Filter user;
  user.user_id = UserId(8);
  EXPECT_EQ(take(service_->list(user)).total, 0);
}

TEST_F(OperationServiceTest, SaysThatAnUnknownOperationIsNotFound) {
  const auto found = service_->find(OperationId("nothing"));
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().reason(), "operation.not_found");
  EXPECT_EQ(service_->cancel(OperationId("nothing"), {}).error().code(), ErrorCode::not_found);
}

TEST_F(OperationServiceTest, CountsAndMeasuresByKindAndOutcome) {
  run(wanted(), succeeding());
  run(wanted(), [](Context&) -> Result<std::string> { return internal_error("no"); });
  const auto count = [&](const char* outcome) {
    return metrics_
        .counter("berth_operations_total", "Operations that ended", {{"kind", "instance.start"}, {"outcome", outcome}})
        .value();
  };
  EXPECT_EQ(count("succeeded"), 1u);
  EXPECT_EQ(count("failed"), 1u);
  EXPECT_NE(metrics_.text().find("berth_operations_running 0"), std::string::npos);
}

TEST_F(OperationServiceTest, DrainTakesNoNewOnesAndWaitsForTheRunningOnes) {
  Latch begun;
  std::atomic<bool> ended{false};
  const auto ticket = take(service_->submit(wanted(), pool_, [&](Context&) -> Result<std::string> {
    begun.open();
    std::this_thread::sleep_for(milliseconds(30));  // work that takes a while
    ended = true;
    return std::string("null");
  }));
  ASSERT_TRUE(begun.wait());
  service_->drain(soon());
  EXPECT_TRUE(ended);
  EXPECT_EQ(ticket->current().state, State::succeeded);
  const auto late = service_->submit(wanted(), pool_, succeeding());
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().reason(), "operation.draining");
}

TEST_F(OperationServiceTest, DrainEndsAtItsDeadline) {
  Latch go;
  const auto ticket = take(service_->submit(wanted(), pool_, [&](Context&) -> Result<std::string> {
    go.wait();
    return std::string("null");
  }));
  service_->drain(Deadline::after(milliseconds(20)));
  EXPECT_EQ(ticket->current().state, State::running);
  go.open();
  service_->drain(soon());  // what the work refers to must outlive it
}

TEST_F(OperationServiceTest, RecordsAsInterruptedWhatAPoolEndsWithoutRunning) {
  Latch go;
  TicketPointer waiting;
  std::thread opener;
  {
    WorkerPool one({.name = "one", .threads = 1, .queue_limit = 4});
    Latch begun;
    take(service_->submit(wanted("a"), one, [&](Context&) -> Result<std::string> {
      begun.open();
      go.wait();
      return std::string("null");
    }));
    ASSERT_TRUE(begun.wait());
    waiting = take(service_->submit(wanted("b"), one, succeeding()));
    // The pool drops what waits before it joins its threads: only then may the running one end.
    opener = std::thread([&] {
      EXPECT_TRUE(waiting->wait(soon()));
      go.open();
    });
  }
  opener.join();
  const Operation ended = take(waiting->wait(soon()));
  EXPECT_EQ(ended.state, State::failed);
  EXPECT_EQ(ended.failure->reason, "operation.interrupted");
  EXPECT_EQ(take(service_->open_count()), 0);
}

TEST_F(OperationServiceTest, SurvivesManyOperationsAtOnce) {
  std::atomic<int> ended{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 25; ++i) {
        auto ticket = service_->submit(wanted("r" + std::to_string(thread) + "-" + std::to_string(i % 3)), pool_,
                                       [](Context& context) -> Result<std::string> {
                                         context.progress(50, "half");
                                         return std::string("null");
                                       });
        if (ticket && (*ticket)->wait(soon())) ++ended;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(ended, 100);
  EXPECT_EQ(take(service_->list({})).total, 100);
  EXPECT_EQ(take(service_->open_count()), 0);
  EXPECT_EQ(take(audit_->list({})).total, 100);
}

}  // namespace
}  // namespace berth::operations
