#include <atomic>
#include <thread>
#include <vector>

#include "eventually.h"
#include "identity/identity_fixture.h"

namespace berth::identity {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class SessionsTest : public IdentityTest {
 protected:
  SessionsTest() {
    alice_ = make_user("alice");
    tokens_ = login("alice");
  }
  Result<Tokens> refresh(std::string_view token) { return service().refresh(token, from("192.0.2.1")); }
  User alice_;
  Tokens tokens_;
};

TEST_F(SessionsTest, an_access_token_ends_after_its_time) {
  pass(minutes(15) - seconds(1));
  EXPECT_EQ(asked(tokens_.access_token), "ok");
  EXPECT_EQ(asked(tokens_.access_token), "ok") << "from the cache";
  pass(seconds(1));
  EXPECT_EQ(asked(tokens_.access_token), "auth.expired");
  restart();
  EXPECT_EQ(asked(tokens_.access_token), "auth.expired") << "not from the cache";
}

TEST_F(SessionsTest, a_caller_is_found_again_as_long_as_its_session_stands) {
  const Principal then = *must(service().authenticate(tokens_.access_token));
  const auto again = [&] { return reason_of(service().find_again(tokens_.access_token, then)); };
  pass(minutes(16));
  EXPECT_EQ(asked(tokens_.access_token), "auth.expired");
  EXPECT_EQ(again(), "ok");
  must(service().update_user(alice_.id, {.role = Role::viewer}, from("192.0.2.1")));
  EXPECT_EQ(must(service().find_again(tokens_.access_token, then))->role, Role::viewer) << "as it is now";
  must(service().logout(then, from("192.0.2.1")));
  EXPECT_EQ(again(), "auth.revoked");
}

TEST_F(SessionsTest, what_is_no_credential_is_invalid) {
  for (const std::string& text :
       {std::string(), std::string("x"), std::string("a.b.c"), std::string("berth_"), std::string("berth_deadbeef_00"),
        "berth_" + std::string(10'000'000, 'x'), std::string(10'000'000, '.'),
        std::string("Bearer ") + tokens_.access_token, tokens_.refresh_token, tokens_.access_token + "x"}) {
    EXPECT_EQ(asked(text), "auth.invalid");
  }
}

TEST_F(SessionsTest, a_token_of_another_installation_is_invalid) {
  const auto foreign = Sealing::from_keys({Secret(std::string(32, 'f'))});
  const auto other = must(IdentityService::create(settings(), database(), audit(), foreign, clock()));
  EXPECT_EQ(reason_of(other->authenticate(tokens_.access_token)), "auth.invalid");
}

TEST_F(SessionsTest, a_refresh_hands_out_new_tokens_of_the_same_session) {
  pass(minutes(20));
  const Tokens fresh = must(refresh(tokens_.refresh_token));
  EXPECT_NE(fresh.refresh_token, tokens_.refresh_token);
  EXPECT_EQ(fresh.principal->session_id, tokens_.principal->session_id);
  EXPECT_EQ(asked(fresh.access_token), "ok");
  EXPECT_EQ(asked(tokens_.access_token), "auth.expired");
  EXPECT_TRUE(refresh(fresh.refresh_token));
  EXPECT_EQ(audited("auth.refresh"), 2);
}

TEST_F(SessionsTest, a_refresh_token_works_once_and_its_reuse_ends_the_family) {
  const Tokens other = login("alice");
  const Tokens fresh = must(refresh(tokens_.refresh_token));
  const auto epoch = service().epoch();
  EXPECT_EQ(reason_of(refresh(tokens_.refresh_token)), "auth.revoked");
  EXPECT_NE(service().epoch(), epoch);
  EXPECT_EQ(asked(fresh.access_token), "auth.revoked");
  EXPECT_EQ(asked(tokens_.access_token), "auth.revoked");
  EXPECT_EQ(reason_of(refresh(fresh.refresh_token)), "auth.revoked");
  EXPECT_EQ(audited("auth.refresh", audit::Outcome::failure), 1);
  EXPECT_EQ(asked(other.access_token), "ok") << "another session of the same user lives on";
  EXPECT_TRUE(refresh(other.refresh_token));
}

TEST_F(SessionsTest, of_refreshes_at_once_one_wins_and_the_family_ends) {
  for (int round = 0; round < 5; ++round) {
    const Tokens tokens = login("alice");
    const std::int64_t won_before = audited("auth.refresh");
    const std::int64_t reused_before = audited("auth.refresh", audit::Outcome::failure);
    std::vector<std::optional<Tokens>> won(6);
    {
      std::vector<std::jthread> threads;
      for (auto& slot : won) {
        threads.emplace_back([&] {
          auto result = refresh(tokens.refresh_token);
          if (result) {
            slot = *result;
          } else {
            EXPECT_EQ(result.error().reason(), "auth.revoked");
          }
        });
      }
    }
    EXPECT_EQ(audited("auth.refresh") - won_before, 1);
    EXPECT_EQ(audited("auth.refresh", audit::Outcome::failure) - reused_before, 1);
    for (const auto& slot : won) {
      if (!slot) continue;
      EXPECT_EQ(asked(slot->access_token), "auth.revoked");
      EXPECT_EQ(reason_of(refresh(slot->refresh_token)), "auth.revoked");
    }
    EXPECT_EQ(asked(tokens.access_token), "auth.revoked");
  }
}

TEST_F(SessionsTest, what_is_no_refresh_token_is_invalid) {
  for (const std::string& text : {std::string(), std::string("x"), std::string(10'000'000, 'x'),
                                  std::string("\xff\0", 2), tokens_.access_token, tokens_.refresh_token + "x"}) {
    EXPECT_EQ(reason_of(refresh(text)), "auth.invalid");
  }
  EXPECT_EQ(asked(tokens_.access_token), "ok");
}

TEST_F(SessionsTest, a_refresh_token_ends_after_its_time) {
  pass(hours(30 * 24) - seconds(1));
  const Tokens fresh = must(refresh(tokens_.refresh_token));
  pass(hours(30 * 24));
  EXPECT_EQ(reason_of(refresh(fresh.refresh_token)), "auth.expired");
  must(service().sweep());
  EXPECT_EQ(reason_of(refresh(fresh.refresh_token)), "auth.invalid");
  EXPECT_EQ(count("SELECT count(*) AS n FROM sessions"), 0);
  EXPECT_EQ(count("SELECT count(*) AS n FROM refresh_tokens"), 0);
}

TEST_F(SessionsTest, a_revoked_session_is_swept_after_a_day) {
  must(service().logout(*tokens_.principal, from("")));
  pass(hours(24) - seconds(1));
  must(service().sweep());
  EXPECT_EQ(reason_of(refresh(tokens_.refresh_token)), "auth.revoked");
  pass(seconds(1));
  must(service().sweep());
  EXPECT_EQ(reason_of(refresh(tokens_.refresh_token)), "auth.invalid");
  EXPECT_EQ(count("SELECT count(*) AS n FROM sessions"), 0);
  EXPECT_EQ(count("SELECT count(*) AS n FROM refresh_tokens"), 0);
}

TEST_F(SessionsTest, no_access_token_outlives_its_session) {
  auto short_lived = settings();
  short_lived.refresh_lifetime = minutes(5);
  const auto service = another(short_lived);
  const Tokens tokens = must(service->login("alice", Secret(kPassword), "", from("")));
  EXPECT_EQ(tokens.expires_in, minutes(5));
  pass(minutes(5));
  EXPECT_EQ(reason_of(service->authenticate(tokens.access_token)), "auth.expired");
}

TEST_F(SessionsTest, renewing_hands_out_an_access_token_and_keeps_the_session_alive) {
  pass(minutes(10));
  const Tokens fresh = must(service().renew(*tokens_.principal, from("")));
  EXPECT_EQ(fresh.refresh_token, "");
  EXPECT_EQ(fresh.principal->session_id, tokens_.principal->session_id);
  pass(minutes(10));
  EXPECT_EQ(asked(fresh.access_token), "ok");
  EXPECT_EQ(asked(tokens_.access_token), "auth.expired");
  must(service().logout(*fresh.principal, from("")));
  EXPECT_EQ(reason_of(service().renew(*fresh.principal, from(""))), "auth.revoked");
}

TEST_F(SessionsTest, what_has_no_session_cannot_renew_or_log_out) {
  for (const auto& principal : {system_principal(), anonymous_loopback_principal()}) {
    EXPECT_EQ(reason_of(service().renew(*principal, from(""))), "auth.no_session");
    EXPECT_EQ(reason_of(service().logout(*principal, from(""))), "auth.no_session");
    EXPECT_EQ(reason_of(service().revoke_token(*principal, from(""))), "auth.no_session");
  }
}

TEST_F(SessionsTest, a_logout_ends_this_session_at_once) {
  const Tokens other = login("alice");
  EXPECT_EQ(asked(tokens_.access_token), "ok");
  const auto epoch = service().epoch();
  must(service().logout(*tokens_.principal, from("")));
  EXPECT_NE(service().epoch(), epoch);
  EXPECT_EQ(asked(tokens_.access_token), "auth.revoked");
  EXPECT_EQ(reason_of(refresh(tokens_.refresh_token)), "auth.revoked");
  EXPECT_EQ(asked(other.access_token), "ok");
  must(service().logout(*tokens_.principal, from("")));
  EXPECT_EQ(audited("auth.logout"), 1) << "once more changes nothing";
}

TEST_F(SessionsTest, a_logout_everywhere_ends_all_sessions_of_that_user) {
  make_user("bob");
  const Tokens bob = login("bob");
  const Tokens other = login("alice");
  must(service().logout_everywhere(alice_.id, from("")));
  EXPECT_EQ(asked(tokens_.access_token), "auth.revoked");
  EXPECT_EQ(asked(other.access_token), "auth.revoked");
  EXPECT_EQ(reason_of(refresh(other.refresh_token)), "auth.revoked");
  EXPECT_EQ(asked(bob.access_token), "ok");
}

TEST_F(SessionsTest, a_revoked_token_is_out_while_its_session_lives_on) {
  const Tokens fresh = must(refresh(tokens_.refresh_token));
  must(service().revoke_token(*tokens_.principal, from("")));
  EXPECT_EQ(asked(tokens_.access_token), "auth.revoked");
  EXPECT_EQ(asked(fresh.access_token), "ok");
  restart();
  EXPECT_EQ(asked(tokens_.access_token), "auth.revoked");
  must(service().sweep());
  EXPECT_EQ(asked(tokens_.access_token), "auth.revoked");
  pass(minutes(15));
  must(service().sweep());
  EXPECT_EQ(count("SELECT count(*) AS n FROM revoked_tokens"), 0);
  EXPECT_EQ(audited("auth.revoke_token"), 1);
}

TEST_F(SessionsTest, a_restart_keeps_sessions_and_revocations) {
  const Tokens other = login("alice");
  must(service().logout(*other.principal, from("")));
  restart();
  EXPECT_EQ(asked(tokens_.access_token), "ok");
  EXPECT_EQ(asked(other.access_token), "auth.revoked");
  EXPECT_TRUE(refresh(tokens_.refresh_token));
  restart();
  EXPECT_EQ(reason_of(refresh(tokens_.refresh_token)), "auth.revoked");
}

TEST_F(SessionsTest, a_login_takes_nothing_away_and_leaves_the_epoch) {
  const auto epoch = service().epoch();
  const Tokens other = login("alice");
  must(refresh(other.refresh_token));
  make_user("bob");
  EXPECT_EQ(service().epoch(), epoch);
}

TEST_F(SessionsTest, nothing_in_the_store_opens_a_session) {
  for (const std::string& secret : {tokens_.access_token, tokens_.refresh_token}) {
    const auto found = must(database().read([&](store::Transaction& transaction) -> Result<std::int64_t> {
      return BERTH_TRY(transaction.query("SELECT (SELECT count(*) FROM refresh_tokens WHERE hash = :secret) + "
                                         "(SELECT count(*) FROM sessions WHERE id = :secret) + "
                                         "(SELECT count(*) FROM audit_log WHERE details LIKE '%' || :secret || "
                                         "'%') AS n",
                                         {{"secret", secret}}))
          .front()
          .integer("n");
    }));
    EXPECT_EQ(found, 0);
  }
}

TEST_F(SessionsTest, readers_and_writers_at_once_see_only_whole_states) {
  std::atomic<bool> done{false};
  std::atomic<int> odd{0};
  {
    std::vector<std::jthread> readers;
    for (int i = 0; i < 3; ++i) {
      readers.emplace_back([&] {
        while (!done) {
          const std::string reason = asked(tokens_.access_token);
          if (reason != "ok" && reason != "auth.revoked") ++odd;
        }
      });
    }
    for (int i = 0; i < 20; ++i) {
      const Tokens tokens = login("alice");
      must(service().update_user(alice_.id, {.role = i % 2 == 0 ? Role::viewer : Role::user}, from("")));
      must(service().logout(*tokens.principal, from("")));
    }
    must(service().sweep());
    done = true;
  }
  EXPECT_EQ(odd, 0);
  EXPECT_EQ(asked(tokens_.access_token), "ok");
}

TEST_F(SessionsTest, another_node_hears_of_changes) {
  const auto node = another();
  EXPECT_EQ(reason_of(node->authenticate(tokens_.access_token)), "ok");
  must(service().update_user(alice_.id, {.role = Role::viewer}, from("")));
  EXPECT_TRUE(testing::eventually([&] {
    const auto principal = node->authenticate(tokens_.access_token);
    return principal && (*principal)->role == Role::viewer;
  }));
  const Tokens other = login("alice");
  EXPECT_TRUE(testing::eventually([&] { return node->authenticate(other.access_token).has_value(); }));
  must(service().revoke_token(*other.principal, from("")));
  EXPECT_TRUE(testing::eventually([&] { return reason_of(node->authenticate(other.access_token)) == "auth.revoked"; }));
  must(service().logout(*tokens_.principal, from("")));
  EXPECT_TRUE(
      testing::eventually([&] { return reason_of(node->authenticate(tokens_.access_token)) == "auth.revoked"; }));
}

TEST_F(SessionsTest, a_sweep_finds_what_nobody_told) {
  must(database().write([&](store::Transaction& transaction) -> Result<void> {
    BERTH_CHECK(transaction.execute("UPDATE users SET role = 'viewer'"));
    return {};
  }));
  EXPECT_EQ(must(service().authenticate(tokens_.access_token))->role, Role::user);
  must(service().sweep());
  EXPECT_EQ(must(service().authenticate(tokens_.access_token))->role, Role::viewer);
}

}  // namespace
}  // namespace berth::identity
