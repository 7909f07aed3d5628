// How the store's identity service enrols the second factor.
#include <utility>

#include "base/encoding.h"
#include "identity/account_rules.h"
#include "identity/auth_errors.h"
#include "identity/store_identity_service.h"
#include "identity/totp.h"

namespace berth::identity {
namespace {

/// RFC 4226 recommends 160 bits.
constexpr std::size_t kSecretBytes = 20;

Error already_enabled() {
  return {ErrorCode::conflict,
          "totp.enabled",
          {"两步验证已启用，请先停用", "Two-step verification is on already; switch it off first"}};
}

Error wrong_code() {
  return Error(ErrorCode::invalid_argument, "auth.otp_invalid",
               {"动态验证码错误或已过期", "The one-time code is wrong or has expired"})
      .with_field("code", {"动态验证码错误或已过期", "The one-time code is wrong or has expired"});
}

}  // namespace

Result<TotpEnrolment> StoreIdentityService::begin_totp(UserId id, const audit::Origin& origin) {
  std::string bytes = random_bytes(kSecretBytes);
  const Secret secret(bytes);
  wipe(bytes);
  const Timestamp now = clock_.now();
  const User user = BERTH_TRY(database_.write([&](store::Transaction& transaction) -> Result<User> {
    const Account account = BERTH_TRY(require_account(transaction, id));
    if (account.user.totp_enabled) return already_enabled();
    BERTH_CHECK(
        transaction.execute("UPDATE users SET totp_secret = :secret, totp_last_step = 0, updated_at = :now WHERE id = "
                            ":id",
                            {{"secret", sealing_.seal(secret.reveal(), totp::sealing_context(account.user.uuid))},
                             {"now", now},
                             {"id", id}}));
    BERTH_CHECK(record(transaction, origin, "user.totp_begin", account.user, {{"username", account.user.username}}));
    return account.user;
  }));
  TotpEnrolment enrolment{.secret = totp::to_base32(secret.reveal()), .uri = {}};
  enrolment.uri = totp::uri(settings_.issuer, user.username, enrolment.secret);
  return enrolment;
}

Result<void> StoreIdentityService::confirm_totp(UserId id, std::string_view code, const audit::Origin& origin) {
  const Timestamp now = clock_.now();
  BERTH_CHECK(database_.write([&](store::Transaction& transaction) -> Result<void> {
    const Account account = BERTH_TRY(require_account(transaction, id));
    if (account.user.totp_enabled) return already_enabled();
    if (!account.sealed_totp) {
      return Error(ErrorCode::conflict, "totp.not_begun",
                   {"尚未开始设置两步验证", "Setting up two-step verification was not begun"});
    }
    const Secret secret = BERTH_TRY(sealing_.open(*account.sealed_totp, totp::sealing_context(account.user.uuid)));
    const auto step = totp::match(secret.reveal(), code, now, account.totp_last_step);
    if (!step) return wrong_code();
    BERTH_CHECK(
        transaction.execute("UPDATE users SET totp_enabled = 1, totp_last_step = :step, updated_at "
                            "= :now WHERE id = :id",
                            {{"step", *step}, {"now", now}, {"id", id}}));
    BERTH_CHECK(record(transaction, origin, "user.totp_enable", account.user, {{"username", account.user.username}}));
    return announce(transaction, id);
  }));
  remember(id);
  return {};
}

Result<void> StoreIdentityService::disable_totp(UserId id, const audit::Origin& origin) {
  const Timestamp now = clock_.now();
  BERTH_CHECK(database_.write([&](store::Transaction& transaction) -> Result<void> {
    const Account account = BERTH_TRY(require_account(transaction, id));
    if (!account.sealed_totp) {
      return Error(ErrorCode::conflict, "totp.not_enabled", {"两步验证未启用", "Two-step verification is not on"});
    }
    BERTH_CHECK(
        transaction.execute("UPDATE users SET totp_secret = NULL, totp_enabled = 0, totp_last_step "
                            "= 0, updated_at = :now "
                            "WHERE id = :id",
                            {{"now", now}, {"id", id}}));
    BERTH_CHECK(record(transaction, origin, "user.totp_disable", account.user, {{"username", account.user.username}}));
    return announce(transaction, id);
  }));
  remember(id);
  return {};
}

}  // namespace berth::identity
