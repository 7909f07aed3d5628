// Bringing a schema forward, on SQLite and on PostgreSQL alike.
#include "store/migration.h"

#include <sys/stat.h>

#include <thread>

#include "store/both_engines_fixture.h"

namespace berth::store {
namespace {

constexpr Migration kSecondStep = {2, "colours", "checksum-2",
                                   "ALTER TABLE things ADD COLUMN colour {{text}};"
                                   "UPDATE things SET colour = 'red'"};
constexpr Migration kTwoSteps[] = {kTestSchema[0], kSecondStep};

class MigrationTest : public ::testing::TestWithParam<Dialect> {
 protected:
  static Result<std::int64_t> number(Database& database, std::string_view sql) {
    return database.read([&](Transaction& transaction) -> Result<std::int64_t> {
      return BERTH_TRY(transaction.query(sql)).front().integer("n");
    });
  }
  static bool accepts(Database& database, std::string_view sql) {
    return database.write([&](Transaction& transaction) { return transaction.execute(sql); }).has_value();
  }
  std::vector<std::filesystem::path> backups(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> found;
    if (!std::filesystem::exists(folder)) return found;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().filename().string().starts_with("store-v")) found.push_back(entry.path());
    }
    return found;
  }

  Place place_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Engines, MigrationTest, ::testing::Values(Dialect::sqlite, Dialect::postgresql), engine_name);

TEST_P(MigrationTest, opens_an_empty_store_without_touching_it) {
  const auto database = place_.open();
  ASSERT_TRUE(database) << database.error().describe();
  EXPECT_EQ((*database)->schema_version(), 0);
  EXPECT_FALSE(accepts(**database, "INSERT INTO things (name) VALUES ('x')"));
}

TEST_P(MigrationTest, takes_every_step_once) {
  const auto database = place_.open(kTwoSteps);
  ASSERT_TRUE(database);
  EXPECT_EQ((*database)->migrate(), 2);
  EXPECT_EQ((*database)->schema_version(), 2);
  EXPECT_EQ((*database)->migrate(), 0);
  EXPECT_TRUE(accepts(**database, "INSERT INTO things (name, colour) VALUES ('x', 'blue')"));
}

TEST_P(MigrationTest, takes_the_steps_that_are_new_and_keeps_the_data) {
  {
    const auto old = place_.ready();
    ASSERT_TRUE(accepts(*old, "INSERT INTO things (name) VALUES ('kept')"));
  }
  const auto database = place_.open(kTwoSteps);
  ASSERT_TRUE(database);
  EXPECT_EQ((*database)->schema_version(), 1);
  EXPECT_EQ((*database)->migrate(), 1);
  EXPECT_EQ(number(**database, "SELECT count(*) AS n FROM things WHERE name = 'kept' AND colour = 'red'"), 1);
}

TEST_P(MigrationTest, refuses_a_schema_newer_than_the_program) {
  place_.ready(kTwoSteps);
  const auto refused = place_.open();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::conflict);
  EXPECT_EQ(refused.error().reason(), "store.newer_schema");
  EXPECT_NE(refused.error().message().en.find("version 2"), std::string::npos);
  EXPECT_NE(refused.error().message().en.find("up to 1"), std::string::npos);
}

TEST_P(MigrationTest, refuses_an_applied_step_that_was_changed_since) {
  place_.ready();
  const Migration changed[] = {{1, "things", "another checksum", kTestSchema[0].sql}};
  const auto refused = place_.open(changed);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::conflict);
  EXPECT_EQ(refused.error().reason(), "store.changed_migration");
}

TEST_P(MigrationTest, undoes_a_step_that_fails_half_way) {
  const Migration broken[] = {
      kTestSchema[0],
      {2, "broken", "checksum-2", "CREATE TABLE half (id {{id}}) {{strict}}; INSERT INTO nowhere VALUES (1)"}};
  const auto database = place_.open(broken);
  ASSERT_TRUE(database);
  EXPECT_FALSE((*database)->migrate());
  EXPECT_EQ((*database)->schema_version(), 1);
  EXPECT_FALSE(accepts(**database, "INSERT INTO half (id) VALUES (1)"));
  EXPECT_TRUE(accepts(**database, "INSERT INTO things (name) VALUES ('still works')"));
}

TEST_P(MigrationTest, may_be_started_by_several_nodes_at_once) {
  constexpr int kNodes = 4;
  std::vector<std::unique_ptr<Database>> nodes;
  for (int node = 0; node < kNodes; ++node) {
    auto database = place_.open(kTwoSteps);
    ASSERT_TRUE(database) << database.error().describe();
    nodes.push_back(*std::move(database));
  }
  std::atomic<int> taken = 0;
  {
    std::vector<std::jthread> threads;
    for (const auto& node : nodes) {
      threads.emplace_back([&taken, &node] {
        const auto steps = node->migrate();
        ASSERT_TRUE(steps) << steps.error().describe();
        taken += *steps;
      });
    }
  }
  EXPECT_EQ(taken, 2);
  for (const auto& node : nodes) EXPECT_EQ(node->schema_version(), 2);
}

TEST_P(MigrationTest, backs_up_a_sqlite_file_that_has_something_to_lose) {
  place_.settings().backups = place_.folder() / "backups" / "deeper";
  {
    const auto old = place_.ready();
    ASSERT_TRUE(accepts(*old, "INSERT INTO things (name) VALUES ('kept')"));
  }
  EXPECT_TRUE(backups(place_.settings().backups).empty());
  place_.ready(kTwoSteps);
  const auto found = backups(place_.settings().backups);
  if (GetParam() == Dialect::postgresql) {
    EXPECT_TRUE(found.empty());
    return;
  }
  ASSERT_EQ(found.size(), 1);
  EXPECT_TRUE(found[0].filename().string().starts_with("store-v1-20")) << found[0];
  struct stat status {};
  ASSERT_EQ(::stat(found[0].c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  place_.settings().file = found[0];
  const auto backup = place_.open();
  ASSERT_TRUE(backup) << backup.error().describe();
  EXPECT_EQ((*backup)->schema_version(), 1);
  EXPECT_EQ(number(**backup, "SELECT count(*) AS n FROM things WHERE name = 'kept'"), 1);
}

TEST_P(MigrationTest, changes_nothing_when_the_backup_fails) {
  if (GetParam() == Dialect::postgresql) return;
  place_.ready();
  place_.settings().backups = place_.folder() / "store.db" / "not a folder";
  const auto database = place_.open(kTwoSteps);
  ASSERT_TRUE(database);
  const auto refused = (*database)->migrate();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::unavailable);
  EXPECT_EQ((*database)->schema_version(), 1);
}

TEST(RenderTest, refuses_a_token_that_it_does_not_know) {
  EXPECT_FALSE(render("CREATE TABLE x (y {{varchar}})", Dialect::sqlite));
}

TEST(RenderTest, replaces_every_token) {
  EXPECT_EQ(*render("{{id}},{{bigint}},{{real}}", Dialect::sqlite), "INTEGER PRIMARY KEY AUTOINCREMENT,INTEGER,REAL");
}

TEST(EmbeddedMigrationsTest, are_numbered_from_one_without_gaps) {
  int expected = 0;
  for (const Migration& migration : embedded_migrations()) {
    EXPECT_EQ(migration.version, ++expected);
    EXPECT_EQ(migration.checksum.size(), 64);
    EXPECT_FALSE(migration.name.empty());
  }
  EXPECT_EQ(Database::newest_schema_version(), expected);
}

class FoundationTest : public MigrationTest {
 protected:
  void SetUp() override { database_ = place_.ready(embedded_migrations()); }

  Result<std::int64_t> operation(std::string_view id, std::string_view resource, std::string_view state) {
    return database_->write([&](Transaction& transaction) {
      return transaction.execute(
          "INSERT INTO operations (id, kind, engine, resource_type, resource_id, state, "
          "created_at, updated_at, "
          "deadline_at) VALUES (:id, 'instance.start', 'lxd', 'instance', :resource, :state, 1, 1, "
          "1)",
          {{"id", id}, {"resource", resource}, {"state", state}});
    });
  }
  Result<std::int64_t> user(std::string_view name, Value email) {
    return database_->write([&](Transaction& transaction) {
      return transaction.insert(
          "INSERT INTO users (uuid, username, username_key, email_key, password_hash, role, "
          "created_at, updated_at) "
          "VALUES (:name, :name, :name, :email, 'x', 'user', 1, 1)",
          {{"name", name}, {"email", email}});
    });
  }

  std::unique_ptr<Database> database_;
};

INSTANTIATE_TEST_SUITE_P(Engines, FoundationTest, ::testing::Values(Dialect::sqlite, Dialect::postgresql), engine_name);

TEST_P(FoundationTest, lets_one_operation_run_per_resource) {
  EXPECT_TRUE(operation("1", "web", "running"));
  const auto refused = operation("2", "web", "running");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::already_exists);
  EXPECT_TRUE(operation("3", "db", "running"));
  EXPECT_TRUE(operation("4", "web", "succeeded"));
  EXPECT_TRUE(operation("5", "web", "succeeded"));
}

TEST_P(FoundationTest, keeps_e_mail_addresses_unique_where_there_are_any) {
  EXPECT_TRUE(user("a", "a@example.org"));
  EXPECT_FALSE(user("b", "a@example.org"));
  EXPECT_TRUE(user("c", nullptr));
  EXPECT_TRUE(user("d", nullptr));
}

TEST_P(FoundationTest, removes_with_a_user_what_is_the_users) {
  const auto id = user("a", nullptr);
  ASSERT_TRUE(id);
  ASSERT_TRUE(database_->write([&](Transaction& transaction) -> Result<void> {
    BERTH_CHECK(transaction.execute(
        "INSERT INTO sessions (id, user_id, created_at, expires_at) VALUES ('s', :user, 1, 2)", {{"user", *id}}));
    BERTH_CHECK(
        transaction.execute("INSERT INTO refresh_tokens (hash, session_id, created_at, expires_at) "
                            "VALUES ('h', 's', 1, 2)"));
    BERTH_CHECK(
        transaction.execute("INSERT INTO api_keys (id, user_id, name, hash, prefix, scope, created_at) "
                            "VALUES ('k', :user, 'n', 'h', 'p', '[]', 1)",
                            {{"user", *id}}));
    BERTH_CHECK(transaction.execute("DELETE FROM users WHERE id = :user", {{"user", *id}}));
    return {};
  }));
  for (const char* table : {"users", "sessions", "refresh_tokens", "api_keys"}) {
    EXPECT_EQ(number(*database_, std::string("SELECT count(*) AS n FROM ") + table), 0) << table;
  }
}

}  // namespace
}  // namespace berth::store
