// How the store's identity service settles passwords and opens sessions with them.
#include <algorithm>

#include "base/encoding.h"
#include "identity/account_rules.h"
#include "identity/auth_errors.h"
#include "identity/store_identity_service.h"
#include "identity/totp.h"

namespace berth::identity {

Result<StoreIdentityService::PasswordCheck> StoreIdentityService::check_attempt(
    std::optional<Account> account, std::string_view login, const Secret& password, const std::string& action,
    const audit::Origin& origin, Timestamp now) {
  const std::string key = without_case(login);
  PasswordCheck check{.account = std::move(account),
                      .attempt = {},
                      .right = false,
                      .login = valid_username(key) || valid_email(key) ? key : std::string()};
  check.attempt = check.account ? LoginThrottle::attempt_on(check.account->user.id, origin.address)
                                : LoginThrottle::attempt_on(key, origin.address);
  const auto block = BERTH_TRY(database_.read(
      [&](store::Transaction& transaction) { return throttle_.blocked(transaction, check.attempt, now); }));
  if (block) {
    BERTH_CHECK(record_block(origin, action, check, *block));
    return throttled(block->until - now);
  }
  check.right = BERTH_TRY(hasher_.verify(check.account ? check.account->password_hash : "", password));
  return check;
}

Result<StoreIdentityService::Verdict> StoreIdentityService::refuse_attempt(store::Transaction& transaction,
                                                                           const PasswordCheck& check,
                                                                           const std::string& action,
                                                                           std::string_view reason, Error refusal,
                                                                           const audit::Origin& origin, Timestamp now) {
  BERTH_CHECK(throttle_.failed(transaction, check.attempt, now));
  const User user = check.account ? check.account->user : User{};
  BERTH_CHECK(
      record(transaction, origin, action, user, {{"login", check.login}, {"reason", reason}}, audit::Outcome::failure));
  return Verdict{std::move(refusal), std::nullopt, {}};
}

Result<StoreIdentityService::Verdict> StoreIdentityService::settle(store::Transaction& transaction,
                                                                   const PasswordCheck& check,
                                                                   const std::string& action,
                                                                   const audit::Origin& origin, Timestamp now) {
  // Guesses made at once were all checked before any was counted. Those that come to be settled
  // after the free attempts are used up learn nothing, as if they had come one after the other.
  if (const auto block = BERTH_TRY(throttle_.blocked(transaction, check.attempt, now))) {
    return Verdict{throttled(block->until - now), block, {}};
  }
  if (!check.account) return refuse_attempt(transaction, check, action, "unknown", bad_credentials(), origin, now);
  if (!check.right) {
    return refuse_attempt(transaction, check, action, "password", bad_credentials(), origin, now);
  }
  const auto present = BERTH_TRY(find_account(transaction, check.account->user.id));
  if (!present || present->password_hash != check.account->password_hash) {
    return refuse_attempt(transaction, check, action, "password", bad_credentials(), origin, now);
  }
  if (!present->user.enabled) {
    return refuse_attempt(transaction, check, action, "disabled", bad_credentials(), origin, now);
  }
  return Verdict{std::nullopt, std::nullopt, present->user};
}

Result<StoreIdentityService::Verdict> StoreIdentityService::settle_second_factor(store::Transaction& transaction,
                                                                                 const PasswordCheck& check,
                                                                                 std::string_view otp,
                                                                                 const audit::Origin& origin,
                                                                                 Timestamp now) {
  const Account account = BERTH_TRY(require_account(transaction, check.account->user.id));
  if (!account.user.totp_enabled) return Verdict{std::nullopt, std::nullopt, account.user};
  if (otp.empty()) {
    // Not a guess, so it is not counted: clients ask for the code only once they are told to.
    BERTH_CHECK(record(transaction, origin, "auth.login", account.user,
                       {{"login", check.login}, {"reason", "otp_required"}}, audit::Outcome::failure));
    return Verdict{otp_required(), std::nullopt, {}};
  }
  const Secret secret =
      BERTH_TRY(sealing_.open(account.sealed_totp.value_or(""), totp::sealing_context(account.user.uuid)));
  const auto step = totp::match(secret.reveal(), otp, now, account.totp_last_step);
  const std::int64_t taken =
      step ? BERTH_TRY(transaction.execute(
                 "UPDATE users SET totp_last_step = :step WHERE id = :id AND totp_last_step < :step",
                 {{"step", *step}, {"id", account.user.id}}))
           : 0;
  if (taken != 1) return refuse_attempt(transaction, check, "auth.login", "otp_invalid", otp_invalid(), origin, now);
  return Verdict{std::nullopt, std::nullopt, account.user};
}

Result<StoreIdentityService::Verdict> StoreIdentityService::settle_login(
    store::Transaction& transaction, const PasswordCheck& check, std::string_view otp,
    const std::optional<std::string>& rehashed, const Session& session, const audit::Origin& origin, Timestamp now) {
  auto verdict = BERTH_TRY(settle(transaction, check, "auth.login", origin, now));
  if (verdict.refusal) return verdict;
  verdict = BERTH_TRY(settle_second_factor(transaction, check, otp, origin, now));
  if (verdict.refusal) return verdict;

  verdict.user.last_login_at = now;
  BERTH_CHECK(throttle_.succeeded(transaction, check.attempt));
  BERTH_CHECK(transaction.execute(
      "UPDATE users SET last_login_at = :now, password_hash = :hash WHERE id = :id",
      {{"now", now}, {"hash", rehashed.value_or(check.account->password_hash)}, {"id", verdict.user.id}}));
  BERTH_CHECK(open_session(transaction, verdict.user.id, session, origin, now));
  BERTH_CHECK(record(transaction, signed_in(origin, verdict.user), "auth.login", verdict.user,
                     {{"login", check.login}, {"session", session.id}}));
  BERTH_CHECK(announce(transaction, verdict.user.id));
  return verdict;
}

audit::Origin StoreIdentityService::signed_in(audit::Origin origin, const User& user) {
  if (origin.user_id == UserId()) {
    origin.user_id = user.id;
    origin.actor = user.username;
  }
  return origin;
}

Result<Tokens> StoreIdentityService::login(std::string_view login, const Secret& password, std::string_view otp,
                                           const audit::Origin& origin) {
  const Timestamp now = clock_.now();
  auto account =
      BERTH_TRY(database_.read([&](store::Transaction& transaction) { return find_account(transaction, login); }));
  const PasswordCheck check = BERTH_TRY(check_attempt(std::move(account), login, password, "auth.login", origin, now));
  std::optional<std::string> rehashed;
  if (check.right && hasher_.outdated(check.account->password_hash)) rehashed = BERTH_TRY(hasher_.hash(password));

  const Session session{random_uuid(), to_base64url(random_bytes(32)), now + settings_.refresh_lifetime};
  const Verdict verdict = BERTH_TRY(database_.write([&](store::Transaction& transaction) {
    return settle_login(transaction, check, otp, rehashed, session, origin, now);
  }));
  if (verdict.block) BERTH_CHECK(record_block(origin, "auth.login", check, *verdict.block));
  if (verdict.refusal) return *verdict.refusal;
  remember(verdict.user.id);
  return hand_out(verdict.user, session, now);
}

Result<void> StoreIdentityService::change_password(UserId id, const Secret& old_password, const Secret& new_password,
                                                   const audit::Origin& origin) {
  const Timestamp now = clock_.now();
  auto account =
      BERTH_TRY(database_.read([&](store::Transaction& transaction) { return find_account(transaction, id); }));
  if (!account) return user_not_found();
  const std::string username = account->user.username;
  std::vector<FieldError> refused;
  check_password(new_password, username, refused);
  if (!refused.empty()) return refuse_fields(std::move(refused));
  const PasswordCheck check =
      BERTH_TRY(check_attempt(std::move(account), username, old_password, "user.password", origin, now));
  const std::string hash = check.right ? BERTH_TRY(hasher_.hash(new_password)) : std::string();

  const Verdict verdict = BERTH_TRY(database_.write([&](store::Transaction& transaction) -> Result<Verdict> {
    auto settled = BERTH_TRY(settle(transaction, check, "user.password", origin, now));
    if (settled.refusal) return settled;
    BERTH_CHECK(throttle_.succeeded(transaction, check.attempt));
    BERTH_CHECK(transaction.execute("UPDATE users SET password_hash = :hash, updated_at = :now WHERE id = :id",
                                    {{"hash", hash}, {"now", now}, {"id", id}}));
    BERTH_CHECK(end_sessions(transaction, id, now));
    BERTH_CHECK(record(transaction, origin, "user.password", settled.user, {{"username", settled.user.username}}));
    BERTH_CHECK(announce(transaction, id));
    return settled;
  }));
  if (verdict.block) BERTH_CHECK(record_block(origin, "user.password", check, *verdict.block));
  if (verdict.refusal) return *verdict.refusal;
  remember(id);
  return {};
}

}  // namespace berth::identity
