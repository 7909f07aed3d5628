#include "identity/identity_fixture.h"
#include "identity/reseal.h"

namespace berth::identity {
namespace {

using std::chrono::seconds;

/// What an authenticator app does with the secret it is given.
std::string from_base32(const std::string& text) {
  std::string bytes;
  unsigned buffer = 0;
  unsigned bits = 0;
  for (const char c : text) {
    buffer = (buffer << 5U) | static_cast<unsigned>(c >= 'A' ? c - 'A' : c - '2' + 26);
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push_back(static_cast<char>((buffer >> bits) & 0xFFU));
    }
    buffer &= (1U << bits) - 1U;
  }
  return bytes;
}

class SecondFactorTest : public IdentityTest {
 protected:
  SecondFactorTest() { alice_ = make_user("alice"); }
  std::string code(int drift = 0) { return totp::code_at(secret_, totp::step_at(clock().now()) + drift); }
  std::string wrong_code() { return code() == "000000" ? "000001" : "000000"; }
  void begin() { secret_ = from_base32(must(service().begin_totp(alice_.id, from(""))).secret); }
  std::string confirm(const std::string& text) { return reason_of(service().confirm_totp(alice_.id, text, from(""))); }
  /// Enrolled, with a fresh code at hand.
  void enrol() {
    begin();
    ASSERT_EQ(confirm(code()), "ok");
    pass(seconds(30));
  }
  std::string log_in(const std::string& otp) { return reason_of(try_login("alice", kPassword, otp)); }

  User alice_;
  std::string secret_;
};

TEST_F(SecondFactorTest, enrolment_counts_only_once_it_is_confirmed) {
  const auto enrolment = must(service().begin_totp(alice_.id, from("")));
  secret_ = from_base32(enrolment.secret);
  EXPECT_EQ(secret_.size(), 20U);
  EXPECT_EQ(enrolment.uri, totp::uri("berth", "alice", enrolment.secret));
  EXPECT_EQ(log_in(""), "ok");
  EXPECT_EQ(confirm(wrong_code()), "auth.otp_invalid");
  EXPECT_EQ(log_in(""), "ok");
  EXPECT_EQ(confirm(code()), "ok");
  EXPECT_TRUE(must(service().find_user(alice_.id)).totp_enabled);
  EXPECT_EQ(log_in(""), "auth.otp_required");
}

TEST_F(SecondFactorTest, a_login_needs_the_present_code) {
  enrol();
  EXPECT_EQ(log_in(""), "auth.otp_required");
  EXPECT_EQ(log_in(wrong_code()), "auth.otp_invalid");
  EXPECT_EQ(log_in("12345"), "auth.otp_invalid");
  EXPECT_EQ(log_in(std::string(1'000'000, '1')), "auth.otp_invalid");
  EXPECT_EQ(log_in(code()), "ok");
}

TEST_F(SecondFactorTest, a_code_says_nothing_without_the_password) {
  enrol();
  EXPECT_EQ(reason_of(try_login("alice", "wrong", code())), "auth.bad_credentials");
  EXPECT_EQ(reason_of(try_login("alice", "wrong", "")), "auth.bad_credentials");
  EXPECT_EQ(log_in(code()), "ok") << "the failed attempt did not use the code up";
}

TEST_F(SecondFactorTest, each_code_counts_once) {
  begin();
  const std::string enrolment_code = code();
  ASSERT_EQ(confirm(enrolment_code), "ok");
  EXPECT_EQ(log_in(enrolment_code), "auth.otp_invalid");
  pass(seconds(30));
  const std::string used = code();
  EXPECT_EQ(log_in(used), "ok");
  EXPECT_EQ(log_in(used), "auth.otp_invalid");
  restart();
  EXPECT_EQ(log_in(used), "auth.otp_invalid");
  pass(seconds(30));
  EXPECT_EQ(log_in(code()), "ok");
}

TEST_F(SecondFactorTest, one_step_of_drift_is_forgiven) {
  enrol();
  pass(seconds(300));
  EXPECT_EQ(log_in(code(-2)), "auth.otp_invalid");
  EXPECT_EQ(log_in(code(2)), "auth.otp_invalid");
  EXPECT_EQ(log_in(code(-1)), "ok");
  EXPECT_EQ(log_in(code(1)), "ok");
  EXPECT_EQ(log_in(code(0)), "auth.otp_invalid") << "older than one that was used";
}

TEST_F(SecondFactorTest, guessing_codes_is_throttled) {
  enrol();
  for (int i = 0; i < 5; ++i) ASSERT_EQ(log_in(wrong_code()), "auth.otp_invalid");
  EXPECT_EQ(log_in(code()), "auth.throttled");
  pass(seconds(1));
  EXPECT_EQ(log_in(code()), "ok");
}

TEST_F(SecondFactorTest, asking_for_the_code_is_not_a_failure_and_not_a_success) {
  enrol();
  for (int i = 0; i < 4; ++i) ASSERT_EQ(log_in(wrong_code()), "auth.otp_invalid");
  for (int i = 0; i < 10; ++i) ASSERT_EQ(log_in(""), "auth.otp_required");
  ASSERT_EQ(log_in(wrong_code()), "auth.otp_invalid");
  EXPECT_EQ(log_in(""), "auth.throttled");
}

TEST_F(SecondFactorTest, steps_out_of_order_are_refused) {
  EXPECT_EQ(confirm("000000"), "totp.not_begun");
  EXPECT_EQ(reason_of(service().disable_totp(alice_.id, from(""))), "totp.not_enabled");
  enrol();
  EXPECT_EQ(reason_of(service().begin_totp(alice_.id, from(""))), "totp.enabled");
  EXPECT_EQ(confirm(code()), "totp.enabled");
  EXPECT_EQ(log_in(code()), "ok") << "the secret is still the confirmed one";
  EXPECT_EQ(reason_of(service().begin_totp(UserId(77), from(""))), "user.not_found");
}

TEST_F(SecondFactorTest, beginning_again_replaces_the_unconfirmed_secret) {
  begin();
  const std::string stale = code();
  begin();
  if (stale != code()) {
    EXPECT_EQ(confirm(stale), "auth.otp_invalid");
  }
  EXPECT_EQ(confirm(code()), "ok");
}

TEST_F(SecondFactorTest, switched_off_it_is_gone) {
  enrol();
  must(service().disable_totp(alice_.id, from("")));
  EXPECT_EQ(log_in(""), "ok");
  EXPECT_FALSE(must(service().find_user(alice_.id)).totp_enabled);
  EXPECT_EQ(count("SELECT count(*) AS n FROM users WHERE totp_secret IS NOT NULL"), 0);
  EXPECT_EQ(audited("user.totp_begin"), 1);
  EXPECT_EQ(audited("user.totp_enable"), 1);
  EXPECT_EQ(audited("user.totp_disable"), 1);
}

TEST_F(SecondFactorTest, a_secret_moved_to_another_user_does_not_open) {
  enrol();
  const User bob = make_user("bob");
  must(database().write([&](store::Transaction& transaction) -> Result<void> {
    BERTH_CHECK(
        transaction.execute("UPDATE users SET totp_enabled = 1, totp_secret = (SELECT totp_secret FROM users "
                            "WHERE username = 'alice') WHERE id = :id",
                            {{"id", bob.id}}));
    return {};
  }));
  EXPECT_EQ(reason_of(try_login("bob", kPassword, code())), "sealing.broken");
}

TEST_F(SecondFactorTest, resealing_moves_secrets_to_the_newest_key) {
  enrol();
  EXPECT_EQ(must(reseal(database(), sealing())), 0);
  const auto rotated = Sealing::from_keys({Secret(std::string(32, 'n')), Secret(std::string(32, 's'))});
  EXPECT_EQ(must(reseal(database(), rotated)), 1);
  EXPECT_EQ(must(reseal(database(), rotated)), 0);
  const auto service = must(IdentityService::create(settings(), database(), audit(), rotated, clock()));
  EXPECT_EQ(reason_of(service->login("alice", Secret(kPassword), code(), from(""))), "ok");
  EXPECT_EQ(log_in(code(1)), "sealing.broken") << "the old key alone no longer opens it";
}

TEST_F(SecondFactorTest, resealing_what_does_not_open_changes_nothing) {
  enrol();
  const auto strange = Sealing::from_keys({Secret(std::string(32, 'n'))});
  EXPECT_EQ(reason_of(reseal(database(), strange)), "sealing.broken");
  EXPECT_EQ(log_in(code()), "ok");
}

}  // namespace
}  // namespace berth::identity
