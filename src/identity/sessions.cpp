// How the store's identity service keeps sessions alive and ends them.
#include <algorithm>

#include "base/encoding.h"
#include "identity/auth_errors.h"
#include "identity/lookup_hash.h"
#include "identity/store_identity_service.h"

namespace berth::identity {
namespace {

constexpr std::int64_t kMostSessions = 100;
constexpr std::size_t kLongestRefreshToken = 256;
/// How long it can still be told that a session was revoked rather than never there; then it is
/// swept.
constexpr std::chrono::hours kRevokedKept{24};

Error no_session() {
  return {ErrorCode::conflict,
          "auth.no_session",
          {"该凭证不属于任何登录会话", "This credential does not belong to a session"}};
}

}  // namespace

Result<Tokens> StoreIdentityService::hand_out(const User& user, const Session& session, Timestamp now) {
  const auto whole = [](Timestamp time) { return Timestamp(std::chrono::floor<std::chrono::seconds>(time)); };
  const TokenClaims claims{.user_uuid = user.uuid,
                           .session_id = session.id,
                           .token_id = random_uuid(),
                           .issued_at = whole(now),
                           .expires_at = whole(std::min(now + settings_.access_lifetime, session.expires_at))};
  auto token = BERTH_TRY(codec_.issue(claims));
  // Asked of memory, so that a session that somebody ended in this very moment yields nothing.
  auto principal = BERTH_TRY(directory_.of_token(claims, now));
  return Tokens{.access_token = std::move(token),
                .refresh_token = session.refresh_token,
                .expires_in = std::chrono::duration_cast<std::chrono::seconds>(claims.expires_at - claims.issued_at),
                .user = user,
                .principal = std::move(principal)};
}

Result<void> StoreIdentityService::open_session(store::Transaction& transaction, UserId user, const Session& session,
                                                const audit::Origin& origin, Timestamp now) {
  // Bounds what one user can take of memory.
  const auto oldest = BERTH_TRY(
      transaction.query("SELECT id FROM sessions WHERE user_id = :user AND revoked_at IS NULL AND expires_at > :now "
                        "ORDER BY created_at DESC, id LIMIT :most OFFSET :kept",
                        {{"user", user}, {"now", now}, {"most", kMostSessions}, {"kept", kMostSessions - 1}}));
  for (const auto& row : oldest) BERTH_CHECK(end_session(transaction, row.text("id"), now));
  BERTH_CHECK(
      transaction.execute("INSERT INTO sessions (id, user_id, created_at, expires_at, address, contract) "
                          "VALUES (:id, :user, :now, :expires, :address, :contract)",
                          {{"id", session.id},
                           {"user", user},
                           {"now", now},
                           {"expires", session.expires_at},
                           {"address", origin.address},
                           {"contract", origin.contract}}));
  return keep_refresh_token(transaction, session, now);
}

Result<void> StoreIdentityService::keep_refresh_token(store::Transaction& transaction, const Session& session,
                                                      Timestamp now) {
  BERTH_CHECK(
      transaction.execute("INSERT INTO refresh_tokens (hash, session_id, created_at, expires_at) "
                          "VALUES (:hash, :session, :now, :expires)",
                          {{"hash", lookup_hash(session.refresh_token)},
                           {"session", session.id},
                           {"now", now},
                           {"expires", session.expires_at}}));
  return {};
}

Result<std::int64_t> StoreIdentityService::end_session(store::Transaction& transaction, const std::string& id,
                                                       Timestamp now) {
  return transaction.execute(
      "UPDATE sessions SET revoked_at = :now, expires_at = CASE WHEN expires_at < :kept THEN "
      "expires_at ELSE :kept "
      "END WHERE id = :id AND revoked_at IS NULL",
      {{"now", now}, {"kept", now + kRevokedKept}, {"id", id}});
}

Result<void> StoreIdentityService::end_sessions(store::Transaction& transaction, UserId user, Timestamp now) {
  BERTH_CHECK(
      transaction.execute("UPDATE sessions SET revoked_at = :now, expires_at = CASE WHEN "
                          "expires_at < :kept THEN expires_at ELSE :kept "
                          "END WHERE user_id = :user AND revoked_at IS NULL",
                          {{"now", now}, {"kept", now + kRevokedKept}, {"user", user}}));
  return {};
}

Result<StoreIdentityService::Verdict> StoreIdentityService::settle_refresh(store::Transaction& transaction,
                                                                           const std::string& hash, Session& session,
                                                                           const audit::Origin& origin, Timestamp now) {
  const auto rows =
      BERTH_TRY(transaction.query("SELECT r.session_id, r.expires_at, s.user_id, s.revoked_at, s.expires_at AS "
                                  "session_expires_at "
                                  "FROM refresh_tokens r JOIN sessions s ON s.id = r.session_id WHERE r.hash = :hash",
                                  {{"hash", hash}}));
  if (rows.empty()) return invalid_credential("no such refresh token");
  const auto& row = rows.front();
  const Account account = BERTH_TRY(require_account(transaction, UserId(row.integer("user_id"))));
  session.id = row.text("session_id");
  if (!row.is_null("revoked_at") || !account.user.enabled) return revoked_credential();

  // Whoever changes the row is the one that the token was for; everybody else holds a copy.
  const std::int64_t taken =
      BERTH_TRY(transaction.execute("UPDATE refresh_tokens SET used_at = :now WHERE hash = :hash AND used_at IS NULL",
                                    {{"now", now}, {"hash", hash}}));
  if (taken != 1) {
    BERTH_CHECK(end_session(transaction, session.id, now));
    BERTH_CHECK(record(transaction, origin, "auth.refresh", account.user,
                       {{"reason", "reused"}, {"session", session.id}}, audit::Outcome::failure));
    BERTH_CHECK(announce(transaction, account.user.id));
    return Verdict{revoked_credential(), std::nullopt, account.user};
  }
  if (now >= row.time("expires_at") || now >= row.time("session_expires_at")) return expired_credential();
  const std::int64_t alive =
      BERTH_TRY(transaction.execute("UPDATE sessions SET expires_at = :expires WHERE id = :id AND revoked_at IS NULL",
                                    {{"expires", session.expires_at}, {"id", session.id}}));
  if (alive != 1) return revoked_credential();
  BERTH_CHECK(keep_refresh_token(transaction, session, now));
  BERTH_CHECK(
      record(transaction, signed_in(origin, account.user), "auth.refresh", account.user, {{"session", session.id}}));
  BERTH_CHECK(announce(transaction, account.user.id));
  return Verdict{std::nullopt, std::nullopt, account.user};
}

Result<Tokens> StoreIdentityService::refresh(std::string_view refresh_token, const audit::Origin& origin) {
  if (refresh_token.empty() || refresh_token.size() > kLongestRefreshToken) return invalid_credential("length");
  const Timestamp now = clock_.now();
  Session session{"", to_base64url(random_bytes(32)), now + settings_.refresh_lifetime};
  const std::string hash = lookup_hash(refresh_token);
  const Verdict verdict = BERTH_TRY(database_.write(
      [&](store::Transaction& transaction) { return settle_refresh(transaction, hash, session, origin, now); }));
  remember(verdict.user.id);
  if (verdict.refusal) return *verdict.refusal;
  return hand_out(verdict.user, session, now);
}

Result<Tokens> StoreIdentityService::renew(const Principal& principal, const audit::Origin& origin) {
  if (principal.kind != Principal::Kind::session) return no_session();
  const Timestamp now = clock_.now();
  const Session session{principal.session_id, "", now + settings_.refresh_lifetime};
  const User user = BERTH_TRY(database_.write([&](store::Transaction& transaction) -> Result<User> {
    const auto account = BERTH_TRY(find_account(transaction, principal.user_id));
    if (!account || !account->user.enabled) return revoked_credential();
    const std::int64_t alive = BERTH_TRY(transaction.execute(
        "UPDATE sessions SET expires_at = :expires WHERE id = :id "
        "AND user_id = :user AND revoked_at IS NULL AND "
        "expires_at > :now",
        {{"expires", session.expires_at}, {"id", session.id}, {"user", principal.user_id}, {"now", now}}));
    if (alive != 1) return revoked_credential();
    BERTH_CHECK(record(transaction, origin, "auth.renew", account->user, {{"session", session.id}}));
    BERTH_CHECK(announce(transaction, account->user.id));
    return account->user;
  }));
  remember(user.id);
  return hand_out(user, session, now);
}

Result<void> StoreIdentityService::logout(const Principal& principal, const audit::Origin& origin) {
  if (principal.kind != Principal::Kind::session) return no_session();
  const Timestamp now = clock_.now();
  BERTH_CHECK(database_.write([&](store::Transaction& transaction) -> Result<void> {
    const std::int64_t ended = BERTH_TRY(end_session(transaction, principal.session_id, now));
    if (ended == 0) return {};
    User user;
    user.uuid = principal.user_uuid;
    BERTH_CHECK(record(transaction, origin, "auth.logout", user, {{"session", principal.session_id}}));
    return announce(transaction, principal.user_id);
  }));
  remember(principal.user_id);
  return {};
}

Result<void> StoreIdentityService::revoke_token(const Principal& principal, const audit::Origin& origin) {
  if (principal.kind != Principal::Kind::session) return no_session();
  BERTH_CHECK(database_.write([&](store::Transaction& transaction) -> Result<void> {
    BERTH_CHECK(
        transaction.execute("INSERT INTO revoked_tokens (jti, expires_at) VALUES (:id, :expires) "
                            "ON CONFLICT (jti) DO NOTHING",
                            {{"id", principal.token_id}, {"expires", principal.expires_at}}));
    User user;
    user.uuid = principal.user_uuid;
    BERTH_CHECK(record(transaction, origin, "auth.revoke_token", user, {{"token", principal.token_id}}));
    // Tokens are not read by user, so the others read everything.
    return announce(transaction, UserId());
  }));
  const std::lock_guard lock(reload_mutex_);
  directory_.revoke_token(principal.token_id, principal.expires_at);
  return {};
}

Result<void> StoreIdentityService::logout_everywhere(UserId id, const audit::Origin& origin) {
  const Timestamp now = clock_.now();
  BERTH_CHECK(database_.write([&](store::Transaction& transaction) -> Result<void> {
    const Account account = BERTH_TRY(require_account(transaction, id));
    BERTH_CHECK(end_sessions(transaction, id, now));
    BERTH_CHECK(
        record(transaction, origin, "auth.logout_everywhere", account.user, {{"username", account.user.username}}));
    return announce(transaction, id);
  }));
  remember(id);
  return {};
}

}  // namespace berth::identity
