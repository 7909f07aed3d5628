// How the identity service gets on with its store: both engines, several nodes, and a store that
// fails.
#include <atomic>
#include <thread>
#include <vector>

#include "eventually.h"
#include "identity/identity_fixture.h"
#include "postgresql_server.h"

namespace berth::identity {
namespace {

using std::chrono::seconds;

store::Database::Settings settings_of(store::Dialect dialect) {
  store::Database::Settings settings;
  settings.dialect = dialect;
  if (dialect == store::Dialect::postgresql) {
    settings.postgresql = Secret(testing::PostgresqlServer::instance().create_database());
  }
  return settings;
}

class IdentityStoreTest : public ::testing::TestWithParam<store::Dialect>, public IdentityFixture {
 protected:
  IdentityStoreTest() : IdentityFixture(settings_of(GetParam())) {}
};

INSTANTIATE_TEST_SUITE_P(Engines, IdentityStoreTest,
                         ::testing::Values(store::Dialect::sqlite, store::Dialect::postgresql), [](const auto& info) {
                           return info.param == store::Dialect::sqlite ? "sqlite" : "postgresql";
                         });

TEST_P(IdentityStoreTest, keeps_everything_through_a_life_and_a_restart) {
  const User root = make_user("root", Role::admin);
  const User alice = make_user("Alice");
  EXPECT_EQ(reason_of(service().create_user({"ALICE", "", Secret(kPassword), Role::user}, from(""))),
            "user.username_taken");
  const Tokens first = login("alice@example.com");
  const Tokens second = must(service().refresh(first.refresh_token, from("")));
  const auto key = must(service().create_key(alice.id, {.name = "k", .scope = {"instances:*"}}, from("")));
  EXPECT_EQ(reason_of(try_login("alice", "wrong")), "auth.bad_credentials");
  EXPECT_EQ(must(service().list_users("LIC", 10, 0)).total, 1);
  EXPECT_EQ(reason_of(service().delete_user(root.id, from(""))), "user.last_admin");
  must(service().begin_totp(alice.id, from("")));
  restart();
  EXPECT_EQ(asked(second.access_token), "ok");
  EXPECT_EQ(asked(key.secret.reveal()), "ok");
  must(service().update_user(alice.id, {.email = "", .role = Role::viewer}, from("")));
  EXPECT_EQ(must(service().authenticate(second.access_token))->role, Role::viewer);
  EXPECT_EQ(reason_of(service().refresh(first.refresh_token, from(""))), "auth.revoked");
  EXPECT_EQ(asked(second.access_token), "auth.revoked");
  must(service().sweep());
  must(service().delete_user(alice.id, from("")));
  EXPECT_EQ(asked(key.secret.reveal()), "auth.invalid");
  EXPECT_TRUE(must(audit().verify()).intact);
}

TEST_P(IdentityStoreTest, throttles_and_recovers) {
  make_user("alice");
  for (int i = 0; i < 5; ++i) ASSERT_EQ(reason_of(try_login("alice", "wrong")), "auth.bad_credentials");
  EXPECT_EQ(try_login("alice").error().retry_after(), seconds(1));
  pass(seconds(1));
  EXPECT_TRUE(try_login("alice"));
}

TEST_P(IdentityStoreTest, lets_one_of_several_nodes_take_a_refresh_token) {
  make_user("alice");
  const Tokens tokens = login("alice");
  const auto node = another();
  std::atomic<int> revoked{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        const auto result = (i % 2 == 0 ? service() : *node).refresh(tokens.refresh_token, from(""));
        if (reason_of(result) == "auth.revoked") ++revoked;
      });
    }
  }
  EXPECT_GE(revoked, 3);
  EXPECT_EQ(audited("auth.refresh"), 1);
  EXPECT_EQ(audited("auth.refresh", audit::Outcome::failure), 1);
}

TEST_P(IdentityStoreTest, tells_other_nodes_of_a_revocation) {
  const User alice = make_user("alice");
  const auto node = another();
  const Tokens tokens = login("alice");
  EXPECT_TRUE(testing::eventually([&] { return node->authenticate(tokens.access_token).has_value(); }));
  const auto epoch = node->epoch();
  must(service().update_user(alice.id, {.enabled = false}, from("")));
  EXPECT_TRUE(testing::eventually([&] { return !node->authenticate(tokens.access_token); }));
  EXPECT_NE(node->epoch(), epoch);
}

/// A store whose reading can be made to fail.
class FailingDatabase final : public store::Database {
 public:
  explicit FailingDatabase(store::Database& inner) : inner_(inner) {}
  std::atomic<bool> reads_fail{false};
  std::atomic<bool> writes_fail{false};

  store::Dialect dialect() const override { return inner_.dialect(); }
  Result<int> schema_version() override { return inner_.schema_version(); }
  Result<int> migrate() override { return inner_.migrate(); }
  Result<void> backup_to(const std::filesystem::path& target) override { return inner_.backup_to(target); }
  Result<void> notify(store::Transaction& transaction, std::string_view channel, std::string_view payload) override {
    return inner_.notify(transaction, channel, payload);
  }
  void listen(Listener listener) override { inner_.listen(std::move(listener)); }

 protected:
  Result<void> run_read(const Body& body) override {
    if (reads_fail) return failure();
    return inner_.read([&](store::Transaction& transaction) { return body(transaction); });
  }
  Result<void> run_write(const Body& body) override {
    if (writes_fail) return failure();
    return inner_.write([&](store::Transaction& transaction) { return body(transaction); });
  }

 private:
  static Error failure() {
    return {ErrorCode::unavailable, "store.unavailable", {"存储不可用", "The store is not available"}};
  }
  store::Database& inner_;
};

class FailingStoreTest : public IdentityTest {
 protected:
  FailingStoreTest() : failing_(database()) {
    alice_ = make_user("alice");
    failing_service_ = must(IdentityService::create(settings(), failing_, audit(), sealing(), clock()));
    tokens_ = must(failing_service_->login("alice", Secret(kPassword), "", from("")));
  }
  std::string asked_failing(std::string_view credential) {
    return reason_of(failing_service_->authenticate(credential));
  }

  FailingDatabase failing_;
  User alice_;
  Tokens tokens_;
  std::unique_ptr<IdentityService> failing_service_;
};

TEST_F(FailingStoreTest, who_is_known_stays_known_without_the_store) {
  failing_.reads_fail = true;
  failing_.writes_fail = true;
  EXPECT_EQ(asked_failing(tokens_.access_token), "ok");
  EXPECT_EQ(reason_of(failing_service_->login("alice", Secret(kPassword), "", from(""))), "store.unavailable");
  EXPECT_EQ(reason_of(failing_service_->refresh(tokens_.refresh_token, from(""))), "store.unavailable");
  EXPECT_EQ(reason_of(failing_service_->logout(*tokens_.principal, from(""))), "store.unavailable");
  EXPECT_EQ(reason_of(failing_service_->sweep()), "store.unavailable");
  EXPECT_EQ(asked_failing(tokens_.access_token), "ok") << "what was not stored did not happen";
  failing_.reads_fail = false;
  failing_.writes_fail = false;
  EXPECT_EQ(reason_of(failing_service_->refresh(tokens_.refresh_token, from(""))), "ok");
}

TEST_F(FailingStoreTest, a_logout_that_cannot_be_read_back_still_counts_and_heals) {
  const Tokens other = must(failing_service_->login("alice", Secret(kPassword), "", from("")));
  failing_.reads_fail = true;
  EXPECT_EQ(reason_of(failing_service_->logout(*tokens_.principal, from(""))), "ok");
  EXPECT_EQ(asked_failing(tokens_.access_token), "auth.revoked");
  EXPECT_EQ(asked_failing(other.access_token), "auth.revoked") << "unknown, so refused, until the store answers";
  failing_.reads_fail = false;
  EXPECT_TRUE(testing::eventually([&] { return asked_failing(other.access_token) == "ok"; }));
  EXPECT_EQ(asked_failing(tokens_.access_token), "auth.revoked");
}

TEST_F(FailingStoreTest, a_service_does_not_start_without_its_store) {
  failing_.reads_fail = true;
  EXPECT_EQ(reason_of(IdentityService::create(settings(), failing_, audit(), sealing(), clock())), "store.unavailable");
}

}  // namespace
}  // namespace berth::identity
