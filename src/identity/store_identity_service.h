#pragma once

#include <condition_variable>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "identity/directory.h"
#include "identity/identity_service.h"
#include "identity/password.h"
#include "identity/throttle.h"
#include "identity/token.h"
#include "identity/token_cache.h"
#include "identity/user_rows.h"

namespace berth::identity {

/// The one identity service. The store holds the truth; the directory mirrors it in memory and is
/// brought up to date after every change, by this node at once and by the others when they are
/// told.
class StoreIdentityService final : public IdentityService {
 public:
  StoreIdentityService(const Settings& settings, store::Database& database, audit::AuditLog& audit,
                       const Sealing& sealing, const Clock& clock);
  ~StoreIdentityService() override;
  /// Fills the memory and begins to listen. Called once, before anything else.
  Result<void> start();

  Result<PrincipalPointer> authenticate(std::string_view credential) const override;
  Result<PrincipalPointer> find_again(std::string_view credential, const Principal& then) const override;
  std::uint64_t epoch() const override { return directory_.epoch(); }

  Result<Tokens> login(std::string_view login, const Secret& password, std::string_view otp,
                       const audit::Origin& origin) override;
  Result<Tokens> refresh(std::string_view refresh_token, const audit::Origin& origin) override;
  Result<Tokens> renew(const Principal& principal, const audit::Origin& origin) override;
  Result<void> logout(const Principal& principal, const audit::Origin& origin) override;
  Result<void> revoke_token(const Principal& principal, const audit::Origin& origin) override;
  Result<void> logout_everywhere(UserId user, const audit::Origin& origin) override;

  Result<User> create_user(const NewUser& user, const audit::Origin& origin) override;
  Result<User> update_user(UserId id, const UserChange& change, const audit::Origin& origin) override;
  Result<void> delete_user(UserId id, const audit::Origin& origin) override;
  Result<User> find_user(UserId id) const override;
  Result<User> find_user(std::string_view username_or_email) const override;
  Result<UserPage> list_users(std::string_view search, std::int64_t limit, std::int64_t offset) const override;
  Result<void> change_password(UserId id, const Secret& old_password, const Secret& new_password,
                               const audit::Origin& origin) override;
  Result<bool> has_users() const override;

  Result<TotpEnrolment> begin_totp(UserId id, const audit::Origin& origin) override;
  Result<void> confirm_totp(UserId id, std::string_view code, const audit::Origin& origin) override;
  Result<void> disable_totp(UserId id, const audit::Origin& origin) override;

  Result<IssuedApiKey> create_key(UserId owner, const NewApiKey& key, const audit::Origin& origin) override;
  Result<std::vector<ApiKey>> list_keys(UserId owner) const override;
  Result<void> delete_key(UserId owner, std::string_view key_id, const audit::Origin& origin) override;

  Result<void> sweep() override;

 private:
  /// What is to be read into memory anew, shared with the store's listener, which may outlive the
  /// service.
  struct Mailbox {
    std::mutex mutex;
    std::condition_variable filled;
    std::set<UserId> users;
    bool everything = false;
    bool closed = false;

    void post(UserId user);
    void post_everything();
  };

  /// A password attempt as far as it goes without deciding anything in the store.
  struct PasswordCheck {
    std::optional<Account> account;
    LoginThrottle::Attempt attempt;
    bool right = false;
    std::string login;  ///< as it may be recorded; "" if it is nobody's possible name
  };
  /// A session about to be handed out.
  struct Session {
    std::string id;
    std::string refresh_token;
    Timestamp expires_at;
  };
  /// What a transaction decided: a refusal is committed too, with its count and its audit entry.
  struct Verdict {
    std::optional<Error> refusal;
    std::optional<LoginThrottle::Block> block;
    User user;
  };
  using Details = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  // Memory
  void read_mail();
  Result<void> reload(UserId id);
  Result<void> reload_everything();
  /// Brings memory up to date after a committed change. If the store does not answer, the user is
  /// unknown, and so refused, until it does.
  void remember(UserId id);
  Result<void> announce(store::Transaction& transaction, UserId id);

  // Audit
  Result<void> record(store::Transaction& transaction, const audit::Origin& origin, std::string action,
                      const User& user, Details details, audit::Outcome outcome = audit::Outcome::success);
  Result<void> record_key(store::Transaction& transaction, const audit::Origin& origin, std::string action,
                          const ApiKey& key, const User& owner);
  Result<void> record_block(const audit::Origin& origin, const std::string& action, const PasswordCheck& check,
                            const LoginThrottle::Block& block);

  // Passwords
  Result<PasswordCheck> check_attempt(std::optional<Account> account, std::string_view login, const Secret& password,
                                      const std::string& action, const audit::Origin& origin, Timestamp now);
  /// Turns a check into a refusal, or none if the password was and still is right.
  Result<Verdict> settle(store::Transaction& transaction, const PasswordCheck& check, const std::string& action,
                         const audit::Origin& origin, Timestamp now);
  Result<Verdict> refuse_attempt(store::Transaction& transaction, const PasswordCheck& check, const std::string& action,
                                 std::string_view reason, Error refusal, const audit::Origin& origin, Timestamp now);

  // Sessions
  /// What a login or a refresh changes is put down to the one who did it.
  static audit::Origin signed_in(audit::Origin origin, const User& user);
  Result<Verdict> settle_login(store::Transaction& transaction, const PasswordCheck& check, std::string_view otp,
                               const std::optional<std::string>& rehashed, const Session& session,
                               const audit::Origin& origin, Timestamp now);
  Result<Verdict> settle_second_factor(store::Transaction& transaction, const PasswordCheck& check,
                                       std::string_view otp, const audit::Origin& origin, Timestamp now);
  Result<void> open_session(store::Transaction& transaction, UserId user, const Session& session,
                            const audit::Origin& origin, Timestamp now);
  Result<void> keep_refresh_token(store::Transaction& transaction, const Session& session, Timestamp now);
  /// Yields 0 if it had ended already.
  Result<std::int64_t> end_session(store::Transaction& transaction, const std::string& id, Timestamp now);
  Result<void> end_sessions(store::Transaction& transaction, UserId user, Timestamp now);
  Result<Verdict> settle_refresh(store::Transaction& transaction, const std::string& hash, Session& session,
                                 const audit::Origin& origin, Timestamp now);
  Result<Tokens> hand_out(const User& user, const Session& session, Timestamp now);

  // Users
  static Result<void> refuse_taken(store::Transaction& transaction, std::string_view username, std::string_view email,
                                   UserId except);
  /// Refuses if `leaving` is the last enabled administrator.
  static Result<void> keep_an_admin(store::Transaction& transaction, UserId leaving);
  Result<User> apply_change(store::Transaction& transaction, UserId id, const UserChange& change,
                            const std::optional<std::string>& password_hash, const audit::Origin& origin,
                            Timestamp now);

  const Settings settings_;
  store::Database& database_;
  audit::AuditLog& audit_;
  const Sealing& sealing_;
  const Clock& clock_;
  const std::string node_;  ///< names this service among those that share the store
  const TokenCodec codec_;
  PasswordHasher hasher_;
  const LoginThrottle throttle_;
  Directory directory_;
  mutable TokenCache cache_;

  std::mutex blocks_mutex_;
  std::unordered_map<std::string, Timestamp> recorded_blocks_;  ///< by subject: the wait last recorded

  /// Held while the store is read and memory written, so that an older reading never replaces a
  /// newer one.
  std::mutex reload_mutex_;
  std::shared_ptr<Mailbox> mailbox_;
  std::jthread reader_;
};

}  // namespace berth::identity
