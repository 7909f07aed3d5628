// Many callers at once, on SQLite and on PostgreSQL alike.
#include <atomic>
#include <future>
#include <mutex>
#include <thread>

#include "eventually.h"
#include "store/both_engines_fixture.h"

namespace berth::store {
namespace {

using testing::eventually;
using namespace std::chrono_literals;

class ConcurrencyTest : public BothEngines {
 protected:
  std::uint64_t counted(const char* name, metrics::Labels labels = {}) {
    return place_.metrics().counter(name, "", std::move(labels)).value();
  }
  double waiting() { return place_.metrics().gauge("berth_store_queue_depth", "").value(); }

  // Holds the writer inside a transaction until it is let go.
  class Hold {
   public:
    explicit Hold(Database& database) {
      std::promise<void> inside;
      auto reached = inside.get_future();
      thread_ = std::thread([this, &database, inside = std::move(inside)]() mutable {
        held_ = database.write([&](Transaction& transaction) -> Result<void> {
          BERTH_CHECK(transaction.query("SELECT count(*) FROM things"));
          inside.set_value();
          let_go_.get_future().wait();
          return {};
        });
      });
      reached.wait();
    }
    ~Hold() { static_cast<void>(let_go()); }
    Result<void> let_go() {
      if (thread_.joinable()) {
        let_go_.set_value();
        thread_.join();
      }
      return held_;
    }

   private:
    std::promise<void> let_go_;
    Result<void> held_;
    std::thread thread_;
  };
};

INSTANTIATE_TEST_SUITE_P(Engines, ConcurrencyTest, ::testing::Values(Dialect::sqlite, Dialect::postgresql),
                         engine_name);

TEST_P(ConcurrencyTest, loses_no_update_of_what_was_read_before) {
  const std::int64_t id = add("counter", 0);
  constexpr int kThreads = 8;
  constexpr int kRounds = 50;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&] {
        for (int round = 0; round < kRounds; ++round) {
          const auto done = database().write([&](Transaction& transaction) -> Result<void> {
            const auto rows = BERTH_TRY(transaction.query("SELECT number FROM things WHERE id = :id", {{"id", id}}));
            BERTH_CHECK(transaction.execute("UPDATE things SET number = :number WHERE id = :id",
                                            {{"number", rows.front().integer("number") + 1}, {"id", id}}));
            return {};
          });
          EXPECT_TRUE(done) << done.error().describe();
        }
      });
    }
  }
  const auto number = database().read([&](Transaction& transaction) -> Result<std::int64_t> {
    return BERTH_TRY(transaction.query("SELECT number FROM things WHERE id = :id", {{"id", id}}))
        .front()
        .integer("number");
  });
  EXPECT_EQ(number, kThreads * kRounds);
}

TEST_P(ConcurrencyTest, commits_the_writes_that_wait_together) {
  constexpr int kWriters = 16;
  const std::uint64_t commits_before = counted("berth_store_commits_total");
  const std::uint64_t writes_before = counted("berth_store_commit_writes_total");
  Hold hold(database());
  {
    std::vector<std::jthread> writers;
    for (int writer = 0; writer < kWriters; ++writer) {
      writers.emplace_back([&, writer] { add("writer " + std::to_string(writer)); });
    }
    ASSERT_TRUE(eventually([&] { return waiting() == kWriters; }));
    EXPECT_TRUE(hold.let_go());
  }
  EXPECT_EQ(count(), kWriters);
  EXPECT_EQ(counted("berth_store_commit_writes_total") - writes_before, kWriters + 1);
  // The held one closed its group, so at least one group held many.
  EXPECT_LE(counted("berth_store_commits_total") - commits_before, 4);
}

TEST_P(ConcurrencyTest, lets_only_the_write_fail_that_is_wrong) {
  add("taken");
  std::atomic<int> good = 0;
  std::atomic<int> bad = 0;
  std::atomic<int> thrown = 0;
  Hold hold(database());
  {
    std::vector<std::jthread> writers;
    for (int writer = 0; writer < 12; ++writer) {
      writers.emplace_back([&, writer] {
        try {
          const auto result = database().write([&](Transaction& transaction) -> Result<void> {
            BERTH_CHECK(transaction.insert("INSERT INTO things (name) VALUES (:name)",
                                           {{"name", "first of " + std::to_string(writer)}}));
            if (writer % 3 == 0) throw std::out_of_range("a bug");
            BERTH_CHECK(transaction.insert(
                "INSERT INTO things (name) VALUES (:name)",
                {{"name", writer % 3 == 1 ? std::string("taken") : "second of " + std::to_string(writer)}}));
            return {};
          });
          ++(result ? good : bad);
        } catch (const std::out_of_range&) {
          ++thrown;
        }
      });
    }
    ASSERT_TRUE(eventually([&] { return waiting() == 12; }));
    EXPECT_TRUE(hold.let_go());
  }
  EXPECT_EQ(good, 4);
  EXPECT_EQ(bad, 4);
  EXPECT_EQ(thrown, 4);
  EXPECT_EQ(count(), 1 + 2 * good);
}

TEST_P(ConcurrencyTest, reads_beside_a_write_that_takes_long) {
  add("committed");
  const Hold hold(database());
  EXPECT_EQ(count(), 1);
}

TEST_P(ConcurrencyTest, reads_one_unchanging_state) {
  add("before");
  const auto counts = database().read([&](Transaction& transaction) -> Result<std::pair<std::int64_t, std::int64_t>> {
    constexpr auto kSql = "SELECT count(*) AS n FROM things";
    const std::int64_t first = BERTH_TRY(transaction.query(kSql)).front().integer("n");
    std::jthread([&] { add("meanwhile"); }).join();
    return std::pair(first, BERTH_TRY(transaction.query(kSql)).front().integer("n"));
  });
  EXPECT_EQ(counts, std::pair(std::int64_t{1}, std::int64_t{1}));
  EXPECT_EQ(count(), 2);
}

TEST_P(ConcurrencyTest, counts_what_it_does) {
  add("x");
  count();
  const Result<void> refused = database().write([](Transaction&) -> Result<void> {
    return Error(ErrorCode::conflict, "test.no", {"否", "no"});
  });
  EXPECT_FALSE(refused);
  constexpr auto kName = "berth_store_transactions_total";
  EXPECT_EQ(counted(kName, {{"kind", "write"}, {"outcome", "committed"}}), 1);
  EXPECT_EQ(counted(kName, {{"kind", "write"}, {"outcome", "rolled_back"}}), 1);
  EXPECT_EQ(counted(kName, {{"kind", "read"}, {"outcome", "committed"}}), 1);
  EXPECT_EQ(place_.metrics().histogram("berth_store_transaction_seconds", "", {{"kind", "write"}}).count(), 2);
}

class WaitLimitTest : public ConcurrencyTest {
 protected:
  void SetUp() override {
    place_.settings().wait = 200ms;
    place_.settings().readers = 1;
    ConcurrencyTest::SetUp();
  }
};

INSTANTIATE_TEST_SUITE_P(Engines, WaitLimitTest, ::testing::Values(Dialect::sqlite, Dialect::postgresql), engine_name);

TEST_P(WaitLimitTest, gives_up_a_write_that_cannot_begin_in_time) {
  Hold hold(database());
  const auto started = std::chrono::steady_clock::now();
  const auto refused = database().write(
      [](Transaction& transaction) { return transaction.insert("INSERT INTO things (name) VALUES ('late')"); });
  EXPECT_LT(std::chrono::steady_clock::now() - started, 5s);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::unavailable);
  EXPECT_EQ(refused.error().reason(), "store.unavailable");
  static_cast<void>(hold.let_go());
  EXPECT_EQ(count(), 0);
  add("afterwards");
}

TEST_P(WaitLimitTest, gives_up_a_read_that_gets_no_connection_in_time) {
  const auto refused = database().read([&](Transaction&) -> Result<std::string> {
    std::string reason;
    std::jthread([&] {
      const auto second = database().read([](Transaction&) -> Result<void> { return {}; });
      if (!second) reason = second.error().reason();
    }).join();
    return reason;
  });
  EXPECT_EQ(refused, "store.unavailable");
  EXPECT_EQ(count(), 0);
}

class NotifyTest : public BothEngines {
 protected:
  void SetUp() override {
    BothEngines::SetUp();
    database().listen([this](std::string_view channel, std::string_view payload) {
      const std::lock_guard lock(mutex_);
      heard_.push_back(std::string(channel) + "=" + std::string(payload));
    });
  }
  Result<void> notify(std::string_view channel, std::string_view payload) {
    return database().write([&](Transaction& transaction) { return database().notify(transaction, channel, payload); });
  }
  std::vector<std::string> heard() {
    const std::lock_guard lock(mutex_);
    return heard_;
  }

  std::mutex mutex_;
  std::vector<std::string> heard_;
};

INSTANTIATE_TEST_SUITE_P(Engines, NotifyTest, ::testing::Values(Dialect::sqlite, Dialect::postgresql), engine_name);

TEST_P(NotifyTest, tells_in_order_what_was_committed) {
  EXPECT_TRUE(notify("users", "one\ntwo 三"));
  EXPECT_TRUE(notify("keys", ""));
  EXPECT_TRUE(eventually([&] { return heard().size() == 2; }));
  EXPECT_EQ(heard(), (std::vector<std::string>{"users=one\ntwo 三", "keys="}));
}

TEST_P(NotifyTest, tells_nothing_of_what_was_rolled_back) {
  EXPECT_FALSE(database().write([&](Transaction& transaction) -> Result<void> {
    BERTH_CHECK(database().notify(transaction, "users", "rolled back"));
    return Error(ErrorCode::conflict, "test.no", {"否", "no"});
  }));
  EXPECT_TRUE(notify("users", "committed"));
  EXPECT_TRUE(eventually([&] { return !heard().empty(); }));
  EXPECT_EQ(heard(), std::vector<std::string>{"users=committed"});
}

TEST_P(NotifyTest, tells_only_after_the_change_can_be_read) {
  std::atomic<std::int64_t> seen = -1;
  database().listen([&](std::string_view, std::string_view) { seen = count(); });
  EXPECT_TRUE(database().write([&](Transaction& transaction) -> Result<void> {
    BERTH_CHECK(transaction.insert("INSERT INTO things (name) VALUES ('x')"));
    return database().notify(transaction, "things", "x");
  }));
  EXPECT_TRUE(eventually([&] { return seen != -1; }));
  EXPECT_EQ(seen, 1);
}

TEST_P(NotifyTest, refuses_a_payload_that_is_too_long) {
  const auto refused = notify("users", std::string(Database::kMaxNotification, 'x'));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::too_large);
  EXPECT_TRUE(notify("users", std::string(Database::kMaxNotification - 5, 'x')));
}

TEST_P(NotifyTest, belongs_to_a_write) {
  EXPECT_THROW(static_cast<void>(database().read(
                   [&](Transaction& transaction) { return database().notify(transaction, "users", "x"); })),
               std::logic_error);
}

TEST_P(NotifyTest, survives_a_listener_that_throws) {
  database().listen([](std::string_view, std::string_view) { throw std::runtime_error("a bug"); });
  EXPECT_TRUE(notify("users", "1"));
  EXPECT_TRUE(notify("users", "2"));
  EXPECT_TRUE(eventually([&] { return heard().size() == 2; }));
}

}  // namespace
}  // namespace berth::store
