#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "identity/identity_fixture.h"

namespace berth::identity {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class LoginsTest : public IdentityTest {
 protected:
  LoginsTest() { alice_ = make_user("alice"); }
  /// Fails `times` in a row; the throttle must not be in the way.
  void fail(int times, const std::string& address = "192.0.2.1") {
    for (int i = 0; i < times; ++i) {
      ASSERT_EQ(reason_of(try_login("alice", "wrong", "", address)), "auth.bad_credentials") << i;
    }
  }
  User alice_;
};

TEST_F(LoginsTest, a_login_hands_out_tokens_of_the_user) {
  const Tokens tokens = login("alice");
  EXPECT_EQ(tokens.expires_in, minutes(15));
  EXPECT_EQ(tokens.user.id, alice_.id);
  EXPECT_EQ(tokens.user.last_login_at, clock().now());
  EXPECT_GE(tokens.refresh_token.size(), 43U);
  const auto principal = must(service().authenticate(tokens.access_token));
  EXPECT_EQ(principal->kind, Principal::Kind::session);
  EXPECT_EQ(principal->user_id, alice_.id);
  EXPECT_EQ(principal->user_uuid, alice_.uuid);
  EXPECT_EQ(principal->username, "alice");
  EXPECT_EQ(principal->actor, "alice");
  EXPECT_EQ(principal->role, Role::user);
  EXPECT_EQ(principal->permissions.patterns(), PermissionSet::of(Role::user).patterns());
  EXPECT_EQ(principal->expires_at, clock().now() + minutes(15));
  EXPECT_EQ(principal->session_id, tokens.principal->session_id);
  EXPECT_EQ(must(service().find_user(alice_.id)).last_login_at, clock().now());
}

TEST_F(LoginsTest, name_and_address_work_in_any_case) {
  for (const char* login : {"alice", "ALICE", "alice@example.com", "Alice@EXAMPLE.com"}) {
    EXPECT_TRUE(try_login(login)) << login;
  }
}

TEST_F(LoginsTest, a_wrong_password_and_a_missing_account_look_alike) {
  const auto wrong = try_login("alice", "wrong");
  const auto missing = try_login("mallory", "wrong");
  ASSERT_FALSE(wrong);
  ASSERT_FALSE(missing);
  EXPECT_EQ(wrong.error().code(), ErrorCode::unauthenticated);
  EXPECT_EQ(wrong.error().reason(), missing.error().reason());
  EXPECT_EQ(wrong.error().message(), missing.error().message());
}

TEST_F(LoginsTest, odd_input_is_just_wrong) {
  int address = 0;
  for (const std::string& login : {std::string(), std::string(1'000'000, 'x'), std::string("用户"), std::string("\xff"),
                                   std::string("a\0b", 3), std::string("' OR 1=1 --"), std::string("alice ")}) {
    EXPECT_EQ(reason_of(try_login(login, kPassword, "", fmt::format("192.0.2.{}", ++address))), "auth.bad_credentials");
  }
  for (const std::string& password : {std::string(), std::string(2'000'000, 'x'), std::string("\xff\0", 2)}) {
    EXPECT_EQ(reason_of(try_login("alice", password)), "auth.bad_credentials");
  }
}

TEST_F(LoginsTest, a_missing_account_is_throttled_like_a_present_one) {
  for (const char* login : {"alice", "mallory"}) {
    for (int i = 0; i < 5; ++i) ASSERT_EQ(reason_of(try_login(login, "wrong")), "auth.bad_credentials");
    EXPECT_EQ(reason_of(try_login(login, "wrong")), "auth.throttled") << login;
  }
}

TEST_F(LoginsTest, after_the_free_attempts_each_one_waits_twice_as_long) {
  fail(5);
  for (const int wait : {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900}) {
    const auto refused = try_login("alice");
    ASSERT_EQ(reason_of(refused), "auth.throttled") << wait;
    EXPECT_EQ(refused.error().code(), ErrorCode::rate_limited);
    EXPECT_EQ(refused.error().retry_after(), seconds(wait));
    pass(seconds(wait) - std::chrono::microseconds(1));
    EXPECT_EQ(reason_of(try_login("alice")), "auth.throttled") << wait;
    pass(std::chrono::microseconds(1));
    fail(1);
  }
}

TEST_F(LoginsTest, success_forgets_the_accounts_failures) {
  fail(4);
  EXPECT_TRUE(try_login("alice"));
  fail(5);
  pass(seconds(1));
  EXPECT_TRUE(try_login("alice@example.com"));
  fail(5);
}

TEST_F(LoginsTest, name_and_address_of_one_account_share_its_count) {
  for (const char* login : {"alice", "ALICE", "alice@example.com", "alice", "Alice@Example.com"}) {
    ASSERT_EQ(reason_of(try_login(login, "wrong")), "auth.bad_credentials");
  }
  EXPECT_EQ(reason_of(try_login("alice")), "auth.throttled");
}

TEST_F(LoginsTest, one_accounts_failures_do_not_hold_up_another) {
  make_user("bob");
  fail(5);
  EXPECT_TRUE(try_login("bob"));
}

TEST_F(LoginsTest, an_address_that_tries_many_accounts_waits_after_five_times_as_many) {
  for (int i = 0; i < 25; ++i) {
    ASSERT_EQ(reason_of(try_login(fmt::format("guess{}", i), "wrong", "", "203.0.113.9")), "auth.bad_credentials") << i;
  }
  EXPECT_EQ(reason_of(try_login("alice", kPassword, "", "203.0.113.9")), "auth.throttled");
  EXPECT_TRUE(try_login("alice", kPassword, "", "203.0.113.10"));
  pass(seconds(1));
  EXPECT_TRUE(try_login("alice", kPassword, "", "203.0.113.9"));
  ASSERT_EQ(reason_of(try_login("guess", "wrong", "", "203.0.113.9")), "auth.bad_credentials");
  EXPECT_EQ(try_login("alice", kPassword, "", "203.0.113.9").error().retry_after(), seconds(2))
      << "owning one account does not wash an address clean";
}

TEST_F(LoginsTest, an_ipv6_network_counts_as_one_address) {
  for (int i = 0; i < 25; ++i) {
    ASSERT_EQ(reason_of(try_login(fmt::format("guess{}", i), "wrong", "", fmt::format("2001:db8:1:2::{:x}", i))),
              "auth.bad_credentials");
  }
  EXPECT_EQ(reason_of(try_login("alice", kPassword, "", "2001:db8:1:2:ffff::1")), "auth.throttled");
  EXPECT_TRUE(try_login("alice", kPassword, "", "2001:db8:1:3::1"));
}

TEST_F(LoginsTest, without_an_address_only_the_account_counts) {
  for (int i = 0; i < 40; ++i) {
    ASSERT_EQ(reason_of(try_login(fmt::format("guess{}", i), "wrong", "", "")), "auth.bad_credentials");
  }
  EXPECT_TRUE(try_login("alice", kPassword, "", ""));
}

TEST_F(LoginsTest, waits_survive_a_restart) {
  fail(5);
  restart();
  EXPECT_EQ(reason_of(try_login("alice")), "auth.throttled");
  pass(seconds(1));
  fail(1);
  restart();
  EXPECT_EQ(try_login("alice").error().retry_after(), seconds(2));
}

TEST_F(LoginsTest, failures_are_forgotten_after_an_hour) {
  fail(5);
  pass(minutes(60));
  fail(5);
  must(service().sweep());
  EXPECT_EQ(reason_of(try_login("alice")), "auth.throttled") << "a sweep forgets only what is old";
  pass(minutes(60));
  must(service().sweep());
  EXPECT_EQ(count("SELECT count(*) AS n FROM login_throttle"), 0);
}

TEST_F(LoginsTest, guesses_made_at_once_learn_no_more_than_one_after_the_other) {
  std::atomic<int> wrong{0};
  std::atomic<int> throttled{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 24; ++i) {
      threads.emplace_back([&] {
        const std::string reason = reason_of(try_login("alice", "wrong", "", ""));
        if (reason == "auth.bad_credentials") ++wrong;
        if (reason == "auth.throttled") ++throttled;
      });
    }
  }
  EXPECT_EQ(wrong, 5);
  EXPECT_EQ(throttled, 19);
}

TEST_F(LoginsTest, right_passwords_at_once_all_pass) {
  std::atomic<int> passed{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 16; ++i) {
      threads.emplace_back([&] {
        const auto tokens = try_login("alice");
        if (tokens && service().authenticate(tokens->access_token)) ++passed;
      });
    }
  }
  EXPECT_EQ(passed, 16);
}

TEST_F(LoginsTest, attempts_are_audited_with_their_reason_and_without_the_password) {
  const Tokens tokens = login("alice");
  ASSERT_FALSE(try_login("alice", "wrong-secret-guess"));
  ASSERT_FALSE(try_login("mallory", "wrong-secret-guess"));
  ASSERT_FALSE(try_login("\"}{<weird> name", "wrong-secret-guess"));
  EXPECT_EQ(audited("auth.login"), 1);
  EXPECT_EQ(audited("auth.login", audit::Outcome::failure), 3);
  audit::Filter filter;
  filter.action_prefix = "auth.login";
  const auto records = must(audit().list(filter)).records;
  ASSERT_EQ(records.size(), 4U);
  EXPECT_EQ(records[0].entry.details, R"({"login":"","reason":"unknown"})") << "it might be a password";
  EXPECT_EQ(records[1].entry.details, R"({"login":"mallory","reason":"unknown"})");
  EXPECT_EQ(records[1].entry.resource_id, "");
  EXPECT_EQ(records[2].entry.details, R"({"login":"alice","reason":"password"})");
  EXPECT_EQ(records[2].entry.resource_id, alice_.uuid);
  EXPECT_EQ(records[2].origin.user_id, UserId()) << "nobody signed in";
  EXPECT_EQ(records[3].origin.user_id, alice_.id);
  EXPECT_EQ(records[3].origin.actor, "alice");
  EXPECT_EQ(records[3].origin.address, "192.0.2.1");
}

TEST_F(LoginsTest, hammering_on_is_audited_once_per_wait) {
  fail(5);
  for (int i = 0; i < 50; ++i) ASSERT_EQ(reason_of(try_login("alice")), "auth.throttled");
  EXPECT_EQ(audited("auth.login", audit::Outcome::failure), 6);
  pass(seconds(1));
  fail(1);
  for (int i = 0; i < 50; ++i) ASSERT_EQ(reason_of(try_login("alice")), "auth.throttled");
  EXPECT_EQ(audited("auth.login", audit::Outcome::failure), 8);
}

TEST_F(LoginsTest, a_password_of_an_older_cost_is_hashed_anew) {
  const auto hash_of_alice = [&] {
    return must(database().read([&](store::Transaction& transaction) -> Result<std::string> {
      return BERTH_TRY(transaction.query("SELECT password_hash AS h FROM users")).front().text("h");
    }));
  };
  const std::string before = hash_of_alice();
  login("alice");
  EXPECT_EQ(hash_of_alice(), before);
  auto settings = IdentityFixture::settings();
  settings.password_passes = 2;
  const auto dearer = another(settings);
  ASSERT_TRUE(dearer->login("alice", Secret(kPassword), "", from("")));
  EXPECT_NE(hash_of_alice(), before);
  EXPECT_NE(hash_of_alice().find("t=2"), std::string::npos);
  ASSERT_TRUE(dearer->login("alice", Secret(kPassword), "", from("")));
}

TEST_F(LoginsTest, a_user_has_at_most_a_hundred_sessions) {
  const Tokens first = login("alice");
  pass(seconds(1));
  const Tokens second = login("alice");
  for (int i = 0; i < 98; ++i) {
    pass(seconds(1));
    login("alice");
  }
  EXPECT_EQ(asked(first.access_token), "ok");
  pass(seconds(1));
  const Tokens last = login("alice");
  EXPECT_EQ(asked(first.access_token), "auth.revoked") << "the oldest makes room";
  EXPECT_EQ(asked(second.access_token), "ok");
  EXPECT_EQ(asked(last.access_token), "ok");
}

}  // namespace
}  // namespace berth::identity
