// What PostgreSQL's store does when the server, a connection or another node fails, and how nodes
// share it.
#include <future>
#include <mutex>
#include <thread>

#include "eventually.h"
#include "store/both_engines_fixture.h"
#include "store/postgresql_connection.h"

namespace berth::store {
namespace {

using namespace std::chrono_literals;
using testing::eventually;

class PostgresqlFaultTest : public ::testing::Test {
 protected:
  static testing::PostgresqlServer& server() { return testing::PostgresqlServer::instance(); }

  std::string connection_string() { return std::string(place_.settings().postgresql.reveal()); }
  void run_sql(const std::string& sql) { server().run_sql(connection_string(), sql); }
  // Ends the sessions of this database whose last statement is like `pattern`.
  void terminate(const std::string& pattern) {
    run_sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND query LIKE '" +
        pattern + "'");
  }

  static Result<std::int64_t> insert(Database& database, std::string name) {
    return database.write([&](Transaction& transaction) {
      return transaction.insert("INSERT INTO things (name) VALUES (:name)", {{"name", name}});
    });
  }
  static Result<std::int64_t> count(Database& database) {
    return database.read([](Transaction& transaction) -> Result<std::int64_t> {
      return BERTH_TRY(transaction.query("SELECT count(*) AS n FROM things")).front().integer("n");
    });
  }
  static bool is_unavailable(const Error& error) {
    return error.code() == ErrorCode::unavailable && error.reason() == "store.unavailable";
  }

  Place place_{Dialect::postgresql};
};

TEST_F(PostgresqlFaultTest, connects_anew_after_the_server_was_restarted) {
  const auto database = place_.ready();
  ASSERT_TRUE(insert(*database, "before"));
  ASSERT_EQ(count(*database), 1);
  server().restart();
  const auto written = insert(*database, "after");
  EXPECT_TRUE(written) << written.error().describe();
  EXPECT_EQ(count(*database), 2);
}

TEST_F(PostgresqlFaultTest, says_that_the_server_is_down_and_heals) {
  const auto database = place_.ready();
  server().stop();
  const auto write = insert(*database, "x");
  const auto read = count(*database);
  const auto opened = place_.open();
  server().start();
  ASSERT_FALSE(write);
  EXPECT_TRUE(is_unavailable(write.error())) << write.error().describe();
  ASSERT_FALSE(read);
  EXPECT_TRUE(is_unavailable(read.error())) << read.error().describe();
  ASSERT_FALSE(opened);
  EXPECT_TRUE(is_unavailable(opened.error())) << opened.error().describe();
  EXPECT_TRUE(insert(*database, "x"));
  EXPECT_EQ(count(*database), 1);
}

TEST_F(PostgresqlFaultTest, fails_a_write_whose_connection_is_lost_and_goes_on) {
  const auto database = place_.ready();
  const auto lost = database->write([&](Transaction& transaction) -> Result<std::int64_t> {
    BERTH_CHECK(transaction.insert("INSERT INTO things (name) VALUES ('lost')"));
    terminate("%INSERT INTO things%");
    return transaction.insert("INSERT INTO things (name) VALUES ('lost too')");
  });
  ASSERT_FALSE(lost);
  EXPECT_TRUE(is_unavailable(lost.error())) << lost.error().describe();
  EXPECT_EQ(count(*database), 0);
  EXPECT_TRUE(insert(*database, "after"));
}

TEST_F(PostgresqlFaultTest, fails_a_write_whose_connection_is_lost_before_the_commit) {
  const auto database = place_.ready();
  const auto lost = database->write([&](Transaction& transaction) -> Result<void> {
    BERTH_CHECK(transaction.insert("INSERT INTO things (name) VALUES ('lost')"));
    terminate("%INSERT INTO things%");
    return {};
  });
  ASSERT_FALSE(lost);
  EXPECT_TRUE(is_unavailable(lost.error())) << lost.error().describe();
  EXPECT_EQ(count(*database), 0);
}

TEST_F(PostgresqlFaultTest, makes_a_read_again_whose_connection_was_lost) {
  const auto database = place_.ready();
  int runs = 0;
  const auto counted = database->read([&](Transaction& transaction) -> Result<std::int64_t> {
    constexpr auto kSql = "SELECT count(*) AS n FROM things WHERE name <> 'read again'";
    BERTH_CHECK(transaction.query(kSql));
    if (++runs == 1) terminate("%read again%");
    return BERTH_TRY(transaction.query(kSql)).front().integer("n");
  });
  EXPECT_TRUE(counted) << counted.error().describe();
  EXPECT_EQ(runs, 2);
}

TEST_F(PostgresqlFaultTest, gives_up_on_a_server_that_hangs_and_heals) {
  place_.settings().wait = 300ms;
  const auto database = place_.ready();
  ASSERT_EQ(count(*database), 0);
  server().pause();
  const auto started = std::chrono::steady_clock::now();
  const auto write = insert(*database, "x");
  const auto write_took = std::chrono::steady_clock::now() - started;
  const auto read = count(*database);
  const auto both_took = std::chrono::steady_clock::now() - started;
  server().resume();
  ASSERT_FALSE(write);
  EXPECT_TRUE(is_unavailable(write.error())) << write.error().describe();
  EXPECT_LT(write_took, 2s);
  ASSERT_FALSE(read);
  EXPECT_TRUE(is_unavailable(read.error())) << read.error().describe();
  EXPECT_LT(both_took, 10s);
  EXPECT_TRUE(eventually([&] { return insert(*database, "after").has_value(); }));
  EXPECT_TRUE(count(*database));
}

TEST_F(PostgresqlFaultTest, ends_a_statement_that_takes_too_long) {
  place_.settings().wait = 200ms;
  const auto database = place_.ready();
  const auto ended = database->read([](Transaction& transaction) -> Result<void> {
    BERTH_CHECK(transaction.query("SELECT 1 AS n FROM pg_sleep(60)"));
    return {};
  });
  ASSERT_FALSE(ended);
  EXPECT_TRUE(is_unavailable(ended.error())) << ended.error().describe();
}

TEST_F(PostgresqlFaultTest, runs_a_write_again_that_collided) {
  const auto database = place_.ready();
  // A sequence is not rolled back, so the third attempt gets through.
  run_sql(
      "CREATE SEQUENCE attempts; CREATE FUNCTION collide(until BIGINT) RETURNS BIGINT LANGUAGE "
      "plpgsql AS $$ "
      "BEGIN IF nextval('attempts') < until THEN RAISE EXCEPTION 'collision' USING ERRCODE = "
      "'40001'; END IF; "
      "RETURN 1; END $$");
  const auto collide = [&](std::int64_t until) {
    return database->write([&](Transaction& transaction) -> Result<void> {
      BERTH_CHECK(transaction.insert("INSERT INTO things (name) VALUES (:name)", {{"name", std::to_string(until)}}));
      BERTH_CHECK(transaction.query("SELECT collide(:until)", {{"until", until}}));
      return {};
    });
  };
  EXPECT_TRUE(collide(3));
  EXPECT_EQ(count(*database), 1);
  const auto exhausted = collide(1'000'000);
  ASSERT_FALSE(exhausted);
  EXPECT_TRUE(is_unavailable(exhausted.error())) << exhausted.error().describe();
  EXPECT_EQ(count(*database), 1);
}

TEST_F(PostgresqlFaultTest, takes_the_writes_of_several_nodes_one_after_another) {
  const auto first = place_.ready();
  const auto second = place_.ready();
  const auto id = insert(*first, "counter");
  ASSERT_TRUE(id);
  ASSERT_TRUE(
      first->write([](Transaction& transaction) { return transaction.execute("UPDATE things SET number = 0"); }));
  {
    std::vector<std::jthread> threads;
    for (Database* node : {first.get(), second.get(), first.get(), second.get()}) {
      threads.emplace_back([&, node] {
        for (int round = 0; round < 40; ++round) {
          const auto done = node->write([&](Transaction& transaction) -> Result<void> {
            const auto rows = BERTH_TRY(transaction.query("SELECT number FROM things WHERE id = :id", {{"id", *id}}));
            BERTH_CHECK(transaction.execute("UPDATE things SET number = :number WHERE id = :id",
                                            {{"number", rows.front().integer("number") + 1}, {"id", *id}}));
            return {};
          });
          EXPECT_TRUE(done) << done.error().describe();
        }
      });
    }
  }
  const auto number = first->read([](Transaction& transaction) -> Result<std::int64_t> {
    return BERTH_TRY(transaction.query("SELECT number FROM things")).front().integer("number");
  });
  EXPECT_EQ(number, 160);
}

TEST_F(PostgresqlFaultTest, takes_the_transaction_from_a_node_that_hangs_in_it) {
  const auto patient = place_.ready();
  place_.settings().wait = 200ms;
  const auto hanging = place_.open();
  ASSERT_TRUE(hanging);
  std::promise<void> inside;
  std::promise<void> let_go;
  auto lost = std::async(std::launch::async, [&] {
    return (*hanging)->write([&](Transaction& transaction) -> Result<void> {
      BERTH_CHECK(transaction.insert("INSERT INTO things (name) VALUES ('hanging')"));
      inside.set_value();
      let_go.get_future().wait();
      return {};
    });
  });
  inside.get_future().wait();
  EXPECT_TRUE(insert(*patient, "patient"));
  let_go.set_value();
  const auto outcome = lost.get();
  ASSERT_FALSE(outcome);
  EXPECT_TRUE(is_unavailable(outcome.error())) << outcome.error().describe();
  EXPECT_EQ(count(*patient), 1);
}

class Ear {
 public:
  explicit Ear(Database& database) {
    database.listen([said = said_](std::string_view channel, std::string_view payload) {
      const std::lock_guard lock(said->mutex);
      said->texts.push_back(std::string(channel) + "=" + std::string(payload));
    });
  }
  bool heard(std::string_view what) {
    const std::lock_guard lock(said_->mutex);
    return std::ranges::count(said_->texts, what) > 0;
  }

 private:
  struct Said {
    std::mutex mutex;
    std::vector<std::string> texts;
  };
  std::shared_ptr<Said> said_ = std::make_shared<Said>();
};

Result<void> notify(Database& database, std::string_view payload) {
  return database.write([&](Transaction& transaction) { return database.notify(transaction, "users", payload); });
}

TEST_F(PostgresqlFaultTest, tells_the_other_nodes) {
  const auto first = place_.ready();
  const auto second = place_.ready();
  Ear own(*first);
  Ear other(*second);
  ASSERT_TRUE(notify(*first, "changed"));
  EXPECT_TRUE(eventually([&] { return own.heard("users=changed") && other.heard("users=changed"); }));
}

TEST_F(PostgresqlFaultTest, tells_listeners_that_they_may_have_missed_something) {
  const auto database = place_.ready();
  Ear ear(*database);
  terminate("LISTEN%");
  EXPECT_TRUE(eventually([&] { return ear.heard(std::string(Database::kMissedChannel) + "="); }));
  ASSERT_TRUE(notify(*database, "afterwards"));
  EXPECT_TRUE(eventually([&] { return ear.heard("users=afterwards"); }));
}

TEST_F(PostgresqlFaultTest, refuses_to_back_up) {
  const auto database = place_.ready();
  const auto refused = database->backup_to(place_.folder() / "copy");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::unsupported);
}

TEST_F(PostgresqlFaultTest, says_that_the_database_does_not_exist) {
  place_.settings().postgresql = Secret(connection_string() + "_missing");
  const auto refused = place_.open();
  ASSERT_FALSE(refused);
  EXPECT_TRUE(is_unavailable(refused.error())) << refused.error().describe();
}

TEST(ConnectionStringTest, keeps_what_is_given_and_adds_limits) {
  const auto complete = complete_connection_string(Secret("host=db.example password='it\\'s a \\\\ secret' "
                                                          "application_name=mine connect_timeout=7"),
                                                   5s);
  ASSERT_TRUE(complete);
  const std::string text(complete->reveal());
  EXPECT_NE(text.find("host='db.example'"), std::string::npos);
  EXPECT_NE(text.find("password='it\\'s a \\\\ secret'"), std::string::npos);
  EXPECT_NE(text.find("application_name='mine'"), std::string::npos);
  EXPECT_NE(text.find("connect_timeout='7'"), std::string::npos);
  EXPECT_NE(text.find("tcp_user_timeout="), std::string::npos);
}

TEST(ConnectionStringTest, takes_a_uri) {
  const auto complete = complete_connection_string(Secret("postgresql://berth:p%40ss@db:5433/berth"), 5s);
  ASSERT_TRUE(complete);
  const std::string text(complete->reveal());
  EXPECT_NE(text.find("port='5433'"), std::string::npos);
  EXPECT_NE(text.find("password='p@ss'"), std::string::npos);
}

TEST(ConnectionStringTest, refuses_nonsense_without_repeating_it) {
  const auto refused = complete_connection_string(Secret("password=hunter2 nonsense"), 5s);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(refused.error().describe().find("hunter2"), std::string::npos);
}

}  // namespace
}  // namespace berth::store
