#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/audit_log.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"
#include "identity/principal.h"
#include "identity/sealing.h"
#include "store/database.h"

namespace berth::identity {

struct User {
  UserId id;
  std::string uuid;
  std::string username;  ///< 1 to 64 of letters, digits, '.', '_', '-'; unique without regard to case
  std::string email;     ///< "" or unique without regard to case
  Role role = Role::user;
  bool enabled = true;
  bool totp_enabled = false;
  Timestamp created_at;
  Timestamp updated_at;
  std::optional<Timestamp> last_login_at;
};

struct NewUser {
  std::string username;
  std::string email;
  Secret password;  ///< 8 to 1024 bytes
  Role role = Role::user;
};

struct UserChange {
  std::optional<std::string> email = std::nullopt;
  std::optional<Secret> password = std::nullopt;  ///< also ends all sessions of the user
  std::optional<Role> role = std::nullopt;
  std::optional<bool> enabled = std::nullopt;  ///< false also ends all sessions
};

struct UserPage {
  std::vector<User> users;
  std::int64_t total = 0;
};

/// What a login or a refresh hands out.
struct Tokens {
  std::string access_token;   ///< JWT, RFC 7519, HS256, with jti and session id
  std::string refresh_token;  ///< opaque, single use
  std::chrono::seconds expires_in{0};
  User user;
  PrincipalPointer principal;
};

struct ApiKey {
  std::string id;  ///< UUID
  std::string name;
  UserId owner;
  std::vector<std::string> scope;  ///< patterns; never more than the owner's own
  std::string prefix;              ///< the first characters of the key, to recognise it by
  Timestamp created_at;
  std::optional<Timestamp> expires_at;
  std::optional<Timestamp> last_used_at;
};

struct NewApiKey {
  std::string name;  ///< 1 to 64 characters, unique per owner
  std::vector<std::string> scope = {"*"};
  std::optional<Timestamp> expires_at = std::nullopt;
};

struct IssuedApiKey {
  ApiKey key;
  Secret secret;  ///< "berth_<id part>_<random>"; shown once, only a hash is stored
};

struct TotpEnrolment {
  std::string secret;  ///< base32
  std::string uri;     ///< otpauth://totp/…
};

/// Users, sessions, API keys and the second factor: the one identity of all five contracts.
/// Thread-safe. Everything but `authenticate` and `epoch` may wait for the store. Every change is
/// audited in its own transaction.
class IdentityService {
 public:
  struct Settings {
    std::chrono::seconds access_lifetime{15 * 60};
    std::chrono::seconds refresh_lifetime{30 * 24 * 3600};
    std::string issuer = "berth";
    /// Failed logins per account, and (times five) per address, before each further one has to
    /// wait; the wait doubles from one second to a quarter of an hour.
    int free_attempts = 5;
    /// argon2id cost; lowered only by tests.
    std::size_t password_memory_bytes = 64UL << 20U;
    unsigned password_passes = 2;
  };

  /// Loads users, sessions and keys into memory. `sealing` and the rest must outlive the service.
  static Result<std::unique_ptr<IdentityService>> create(const Settings& settings, store::Database& database,
                                                         audit::AuditLog& audit, const Sealing& sealing,
                                                         const Clock& clock);
  virtual ~IdentityService() = default;

  // Who is calling
  /// Settles a bearer token or an API key from memory: no store, no lock that a writer holds for
  /// long. Errors: unauthenticated "auth.invalid", "auth.expired", "auth.revoked".
  virtual Result<PrincipalPointer> authenticate(std::string_view credential) const = 0;
  /// The caller as it is now, for a connection that outlives the access token it was opened with: as long as the
  /// session or key stands. Errors: as above, for a principal of a session or key.
  virtual Result<PrincipalPointer> find_again(std::string_view credential, const Principal& then) const = 0;
  /// Changes whenever an answer of `authenticate` given earlier may have become wrong (logout,
  /// disabled user, changed role, removed key), so that callers may cache answers until
  /// `Principal::expires_at`. Read it before asking `authenticate`, and keep the answer under what
  /// was read.
  virtual std::uint64_t epoch() const = 0;

  // Sessions
  /// `login` is a user name or an e-mail address. Costs the same time whether or not the account
  /// exists. Errors: unauthenticated "auth.bad_credentials"; unauthenticated "auth.otp_required"
  /// when the second factor is missing and "auth.otp_invalid" when it is wrong; rate_limited
  /// "auth.throttled" with retry_after. All are audited, refusals by the throttle once per wait. A
  /// count without a failure for an hour starts again. A user has at most 100 sessions; one more
  /// ends the oldest.
  virtual Result<Tokens> login(std::string_view login, const Secret& password, std::string_view otp,
                               const audit::Origin& origin) = 0;
  /// Trades a refresh token for new tokens. A token used before revokes its whole family.
  /// Errors: unauthenticated "auth.invalid", "auth.expired", "auth.revoked".
  virtual Result<Tokens> refresh(std::string_view refresh_token, const audit::Origin& origin) = 0;
  /// New access token for a live session (the contracts that refresh with the access token itself);
  /// the refresh token of the answer is "". Errors: unauthenticated "auth.revoked"; conflict
  /// "auth.no_session" for a principal that is not of a session, as for the next two.
  virtual Result<Tokens> renew(const Principal& principal, const audit::Origin& origin) = 0;
  virtual Result<void> logout(const Principal& principal, const audit::Origin& origin) = 0;
  /// Refuses this one access token from now on; its session lives on.
  virtual Result<void> revoke_token(const Principal& principal, const audit::Origin& origin) = 0;
  virtual Result<void> logout_everywhere(UserId user, const audit::Origin& origin) = 0;

  // Users
  // Errors: invalid_argument "identity.invalid" naming every bad field; already_exists
  // "user.username_taken", "user.email_taken"; not_found "user.not_found".
  virtual Result<User> create_user(const NewUser& user, const audit::Origin& origin) = 0;
  virtual Result<User> update_user(UserId id, const UserChange& change, const audit::Origin& origin) = 0;
  /// The last enabled administrator cannot be removed, disabled or demoted: conflict
  /// "user.last_admin".
  virtual Result<void> delete_user(UserId id, const audit::Origin& origin) = 0;
  virtual Result<User> find_user(UserId id) const = 0;
  virtual Result<User> find_user(std::string_view username_or_email) const = 0;
  /// By user name; `search` is a part of the name or e-mail address, "" for all; `limit` is 1 to
  /// 1000.
  virtual Result<UserPage> list_users(std::string_view search, std::int64_t limit, std::int64_t offset) const = 0;
  /// Checks the old password, throttled like a login, then sets the new one and ends all sessions.
  virtual Result<void> change_password(UserId id, const Secret& old_password, const Secret& new_password,
                                       const audit::Origin& origin) = 0;
  virtual Result<bool> has_users() const = 0;

  // Second factor (RFC 6238, SHA-1, 6 digits, 30 s, one step of drift, each code once)
  /// Makes a secret that counts only once it is confirmed. Errors: conflict "totp.enabled".
  virtual Result<TotpEnrolment> begin_totp(UserId id, const audit::Origin& origin) = 0;
  /// Errors: conflict "totp.enabled", "totp.not_begun"; invalid_argument "auth.otp_invalid".
  virtual Result<void> confirm_totp(UserId id, std::string_view code, const audit::Origin& origin) = 0;
  /// Errors: conflict "totp.not_enabled".
  virtual Result<void> disable_totp(UserId id, const audit::Origin& origin) = 0;

  // A key's scope is bounded by its owner's role, not by the credential that asks: let only sessions make keys.
  /// Errors: invalid_argument "identity.invalid"; already_exists "api_key.name_taken"; conflict "api_key.limit"
  /// beyond 100 keys.
  virtual Result<IssuedApiKey> create_key(UserId owner, const NewApiKey& key, const audit::Origin& origin) = 0;
  virtual Result<std::vector<ApiKey>> list_keys(UserId owner) const = 0;
  /// Errors: not_found "api_key.not_found", also for somebody else's key.
  virtual Result<void> delete_key(UserId owner, std::string_view key_id, const audit::Origin& origin) = 0;

  /// Forgets expired sessions, used refresh tokens and stale throttles, notes when keys were used,
  /// and reads everything into memory anew. Called every minute or so by a job.
  virtual Result<void> sweep() = 0;
};

}  // namespace berth::identity
