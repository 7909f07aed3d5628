#include "operations/operation_record.h"

#include <gtest/gtest.h>

#include <chrono>

#include "store/both_engines_fixture.h"

namespace berth::operations {
namespace {

using std::chrono::seconds;

/// The table of operations on every store that it must work on.
class OperationRecordTest : public ::testing::TestWithParam<store::Dialect> {
 protected:
  OperationRecordTest() : database_(place_.ready(store::embedded_migrations())) {}

  static Operation operation(const std::string& id, const std::string& resource, int age = 0) {
    Operation operation;
    operation.id = OperationId(id);
    operation.kind = "instance.start";
    operation.engine = EngineId("lxd");
    operation.resource_type = "instance";
    operation.resource_id = resource;
    operation.input = R"({"name":"web"})";
    operation.origin = {UserId(7), "alice", "192.0.2.1", "lxd-panel", RequestId("request-1")};
    operation.created_at = Timestamp(seconds(1'750'000'000 - age));
    operation.updated_at = operation.created_at;
    operation.deadline_at = operation.created_at + seconds(60);
    return operation;
  }
  static Operation ended(Operation operation) {
    operation.state = State::failed;
    operation.failure = Failure{ErrorCode::conflict, "instance.state", {"状态不对", "wrong state"}};
    operation.finished_at = operation.created_at + seconds(5);
    return operation;
  }

  template <class Body>
  auto write(Body body) {
    auto result = database_->write(body);
    return result;
  }
  Result<void> insert(const Operation& operation) {
    return write([&](store::Transaction& transaction) { return record::insert(transaction, operation); });
  }
  bool finish(const Operation& operation) {
    const auto done = write([&](store::Transaction& transaction) { return record::finish(transaction, operation); });
    return done.value();
  }
  std::optional<Operation> find(const std::string& id) {
    return database_->read([&](store::Transaction& transaction) { return record::find(transaction, OperationId(id)); })
        .value();
  }
  Page list(const Filter& filter) {
    return database_->read([&](store::Transaction& transaction) { return record::list(transaction, filter); }).value();
  }

  store::Place place_{GetParam()};
  std::unique_ptr<store::Database> database_;
};

INSTANTIATE_TEST_SUITE_P(Stores, OperationRecordTest,
                         ::testing::Values(store::Dialect::sqlite, store::Dialect::postgresql), store::engine_name);

TEST_P(OperationRecordTest, KeepsEveryFieldFromBeginningToEnd) {
  ASSERT_TRUE(insert(operation("one", "web")));
  Operation at_work = operation("one", "web");
  at_work.progress = 40;
  at_work.stage = "复制";
  at_work.may_cancel = true;
  at_work.handle = "engine-17";
  ASSERT_TRUE(write([&](store::Transaction& transaction) { return record::update_progress(transaction, at_work); }));
  ASSERT_TRUE(write([&](store::Transaction& transaction) { return record::update_handle(transaction, at_work); }));
  auto found = find("one");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->state, State::running);
  EXPECT_EQ(found->progress, 40);
  EXPECT_EQ(found->stage, "复制");
  EXPECT_TRUE(found->may_cancel);
  EXPECT_EQ(found->handle, "engine-17");
  EXPECT_EQ(found->input, R"({"name":"web"})");
  EXPECT_EQ(found->origin.user_id, UserId(7));
  EXPECT_EQ(found->origin.request_id, RequestId("request-1"));
  EXPECT_EQ(found->deadline_at - found->created_at, seconds(60));
  EXPECT_FALSE(found->finished_at);

  ASSERT_TRUE(finish(ended(at_work)));
  found = find("one");
  EXPECT_EQ(found->state, State::failed);
  EXPECT_FALSE(found->may_cancel);
  ASSERT_TRUE(found->failure);
  EXPECT_EQ(found->failure->code, ErrorCode::conflict);
  EXPECT_EQ(found->failure->message.zh, "状态不对");
  EXPECT_EQ(found->finished_at, at_work.created_at + seconds(5));
}

TEST_P(OperationRecordTest, HasOneOpenOperationForAResource) {
  ASSERT_TRUE(insert(operation("one", "web")));
  const auto second = insert(operation("two", "web"));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::already_exists);
  EXPECT_EQ(second.error().reason(), "store.unique");
  ASSERT_TRUE(finish(ended(operation("one", "web"))));
  EXPECT_TRUE(insert(operation("two", "web")));
}

TEST_P(OperationRecordTest, EndsOnlyOnce) {
  ASSERT_TRUE(insert(operation("one", "web")));
  EXPECT_TRUE(finish(ended(operation("one", "web"))));
  Operation again = ended(operation("one", "web"));
  again.state = State::succeeded;
  EXPECT_FALSE(finish(again));
  EXPECT_EQ(find("one")->state, State::failed);
  EXPECT_FALSE(
      write([&](store::Transaction& transaction) { return record::update_progress(transaction, again); }).value());
  EXPECT_FALSE(write([&](store::Transaction& transaction) {
                 return record::request_cancel(transaction, again.id, again.created_at);
               }).value());
}

TEST_P(OperationRecordTest, ListsTheNewestFirstByAnyFilter) {
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(insert(operation("id-" + std::to_string(i), "web-" + std::to_string(i), i)));
  }
  ASSERT_TRUE(finish(ended(operation("id-3", "web-3", 3))));
  Filter page;
  page.limit = 2;
  page.offset = 1;
  const Page second = list(page);
  EXPECT_EQ(second.total, 5);
  ASSERT_EQ(second.operations.size(), 2u);
  EXPECT_EQ(second.operations[0].id.value(), "id-1");
  EXPECT_EQ(second.operations[1].id.value(), "id-2");

  Filter all;
  all.state = State::failed;
  all.kind_prefix = "instance.";
  all.resource_type = "instance";
  all.resource_id = "web-3";
  all.user_id = UserId(7);
  EXPECT_EQ(list(all).total, 1);
  all.kind_prefix = "INSTANCE.";
  EXPECT_EQ(list(all).total, 0);
  Filter hostile;
  hostile.resource_id = "' OR 1=1 --";
  EXPECT_EQ(list(hostile).total, 0);
  Filter beyond;
  beyond.offset = 100;
  EXPECT_EQ(list(beyond).total, 5);
  EXPECT_TRUE(list(beyond).operations.empty());
}

TEST_P(OperationRecordTest, FindsWhatIsOpen) {
  ASSERT_TRUE(insert(operation("old", "web-1", 10)));
  ASSERT_TRUE(insert(operation("new", "web-2", 1)));
  ASSERT_TRUE(insert(operation("done", "web-3", 5)));
  ASSERT_TRUE(finish(ended(operation("done", "web-3", 5))));
  const auto open =
      database_->read([](store::Transaction& transaction) { return record::open(transaction, 10); }).value();
  ASSERT_EQ(open.size(), 2u);
  EXPECT_EQ(open[0].id.value(), "old");
  EXPECT_EQ(database_->read([](store::Transaction& transaction) { return record::count_open(transaction); }).value(),
            2);
}

TEST_P(OperationRecordTest, ForgetsTheOldestEndedOnesAndNeverAnOpenOne) {
  ASSERT_TRUE(insert(operation("open", "a", 5000)));
  for (int age = 1; age <= 4; ++age) {
    const Operation old = operation("old-" + std::to_string(age), "b" + std::to_string(age), age * 1000);
    ASSERT_TRUE(insert(old));
    ASSERT_TRUE(finish(ended(old)));
  }
  const Timestamp before = operation("", "").created_at - seconds(1500);
  const auto forget = [&](std::int64_t limit) {
    return write([&](store::Transaction& transaction) { return record::forget_ended(transaction, before, limit); })
        .value();
  };
  EXPECT_EQ(forget(2), 2);
  EXPECT_FALSE(find("old-4"));
  EXPECT_FALSE(find("old-3"));
  EXPECT_EQ(forget(2), 1);
  EXPECT_EQ(forget(2), 0);
  EXPECT_TRUE(find("old-1"));
  EXPECT_TRUE(find("open"));
}

}  // namespace
}  // namespace berth::operations
