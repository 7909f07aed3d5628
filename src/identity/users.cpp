// How the store's identity service keeps users.
#include <utility>

#include "base/encoding.h"
#include "identity/account_rules.h"
#include "identity/auth_errors.h"
#include "identity/store_identity_service.h"

namespace berth::identity {
namespace {

constexpr std::int64_t kMostListed = 1000;
constexpr std::size_t kLongestSearch = 254;

Error username_taken() {
  return Error(ErrorCode::already_exists, "user.username_taken", {"用户名已存在", "The user name is taken"})
      .with_field("username", {"用户名已存在", "The user name is taken"});
}

Error email_taken() {
  return Error(ErrorCode::already_exists, "user.email_taken", {"邮箱已被使用", "The e-mail address is taken"})
      .with_field("email", {"邮箱已被使用", "The e-mail address is taken"});
}

Error last_admin() {
  return {ErrorCode::conflict,
          "user.last_admin",
          {"不能删除、禁用或降级最后一个管理员", "The last administrator cannot be removed, disabled or demoted"}};
}

/// What the unique index compares; an absent address is like no other.
std::optional<std::string> email_key(std::string_view email) {
  if (email.empty()) return std::nullopt;
  return without_case(email);
}

/// LIKE's own wildcards in `text` stand for themselves.
std::string containing(std::string_view text) {
  std::string pattern = "%";
  for (const char c : text) {
    if (c == '%' || c == '_' || c == '!') pattern.push_back('!');
    pattern.push_back(c);
  }
  pattern.push_back('%');
  return pattern;
}

Error bad_page() {
  return refuse_fields({{"limit",
                         {"limit 应为 1 到 1000，offset 不能为负数，search 应为不超过 254 字节的文本",
                          "limit is 1 to 1000, offset not negative, search text of at most 254 bytes"}}});
}

std::string names_of_changes(const UserChange& change) {
  std::string names;
  const auto add = [&](bool changed, std::string_view name) {
    if (!changed) return;
    if (!names.empty()) names.push_back(' ');
    names += name;
  };
  add(change.email.has_value(), "email");
  add(change.password.has_value(), "password");
  add(change.role.has_value(), "role");
  add(change.enabled.has_value(), "enabled");
  return names;
}

}  // namespace

Result<void> StoreIdentityService::refuse_taken(store::Transaction& transaction, std::string_view username,
                                                std::string_view email, UserId except) {
  const auto names = BERTH_TRY(transaction.query("SELECT id FROM users WHERE username_key = :key AND id <> :except",
                                                 {{"key", without_case(username)}, {"except", except}}));
  if (!names.empty()) return username_taken();
  if (email.empty()) return {};
  const auto emails = BERTH_TRY(transaction.query("SELECT id FROM users WHERE email_key = :key AND id <> :except",
                                                  {{"key", without_case(email)}, {"except", except}}));
  if (!emails.empty()) return email_taken();
  return {};
}

Result<User> StoreIdentityService::create_user(const NewUser& user, const audit::Origin& origin) {
  std::vector<FieldError> refused;
  check_username(user.username, refused);
  check_email(user.email, refused);
  check_password(user.password, user.username, refused);
  if (!refused.empty()) return refuse_fields(std::move(refused));
  // Asked before the costly hash, and again where it counts.
  BERTH_CHECK(database_.read(
      [&](store::Transaction& transaction) { return refuse_taken(transaction, user.username, user.email, UserId()); }));
  const std::string hash = BERTH_TRY(hasher_.hash(user.password));
  const Timestamp now = clock_.now();
  User made{.id = {},
            .uuid = random_uuid(),
            .username = user.username,
            .email = user.email,
            .role = user.role,
            .enabled = true,
            .totp_enabled = false,
            .created_at = now,
            .updated_at = now,
            .last_login_at = std::nullopt};
  made.id = BERTH_TRY(database_.write([&](store::Transaction& transaction) -> Result<UserId> {
    BERTH_CHECK(refuse_taken(transaction, user.username, user.email, UserId()));
    const UserId id(
        BERTH_TRY(transaction.insert("INSERT INTO users (uuid, username, username_key, email, "
                                     "email_key, password_hash, role, enabled, "
                                     "created_at, updated_at) VALUES (:uuid, :username, "
                                     ":username_key, :email, :email_key, :hash, :role, 1, "
                                     ":now, :now)",
                                     {{"uuid", made.uuid},
                                      {"username", made.username},
                                      {"username_key", without_case(made.username)},
                                      {"email", made.email},
                                      {"email_key", email_key(made.email)},
                                      {"hash", hash},
                                      {"role", name(made.role)},
                                      {"now", now}})));
    BERTH_CHECK(
        record(transaction, origin, "user.create", made, {{"username", made.username}, {"role", name(made.role)}}));
    BERTH_CHECK(announce(transaction, id));
    return id;
  }));
  remember(made.id);
  return made;
}

Result<void> StoreIdentityService::keep_an_admin(store::Transaction& transaction, UserId leaving) {
  const auto admins = BERTH_TRY(transaction.query("SELECT id FROM users WHERE role = 'admin' AND enabled = 1 LIMIT 2"));
  if (admins.size() == 1 && admins.front().integer("id") == leaving.value()) return last_admin();
  return {};
}

Result<User> StoreIdentityService::apply_change(store::Transaction& transaction, UserId id, const UserChange& change,
                                                const std::optional<std::string>& password_hash,
                                                const audit::Origin& origin, Timestamp now) {
  const bool may_demote = (change.role && *change.role != Role::admin) || change.enabled == false;
  if (may_demote) BERTH_CHECK(keep_an_admin(transaction, id));
  Account account = BERTH_TRY(require_account(transaction, id));
  User& user = account.user;
  user.email = change.email.value_or(user.email);
  user.role = change.role.value_or(user.role);
  user.enabled = change.enabled.value_or(user.enabled);
  user.updated_at = now;
  if (change.email) BERTH_CHECK(refuse_taken(transaction, user.username, user.email, id));
  BERTH_CHECK(
      transaction.execute("UPDATE users SET email = :email, email_key = :email_key, role = :role, enabled = :enabled, "
                          "password_hash = :hash, updated_at = :now WHERE id = :id",
                          {{"email", user.email},
                           {"email_key", email_key(user.email)},
                           {"role", name(user.role)},
                           {"enabled", user.enabled},
                           {"hash", password_hash.value_or(account.password_hash)},
                           {"now", now},
                           {"id", id}}));
  if (password_hash || change.enabled == false) BERTH_CHECK(end_sessions(transaction, id, now));
  BERTH_CHECK(record(transaction, origin, "user.update", user,
                     {{"username", user.username},
                      {"changed", names_of_changes(change)},
                      {"role", name(user.role)},
                      {"enabled", user.enabled ? "true" : "false"}}));
  BERTH_CHECK(announce(transaction, id));
  return user;
}

Result<User> StoreIdentityService::update_user(UserId id, const UserChange& change, const audit::Origin& origin) {
  const User before = BERTH_TRY(find_user(id));
  std::vector<FieldError> refused;
  if (change.email) check_email(*change.email, refused);
  if (change.password) check_password(*change.password, before.username, refused);
  if (!refused.empty()) return refuse_fields(std::move(refused));
  std::optional<std::string> hash;
  if (change.password) hash = BERTH_TRY(hasher_.hash(*change.password));
  const Timestamp now = clock_.now();
  auto user = BERTH_TRY(database_.write(
      [&](store::Transaction& transaction) { return apply_change(transaction, id, change, hash, origin, now); }));
  remember(id);
  return user;
}

Result<void> StoreIdentityService::delete_user(UserId id, const audit::Origin& origin) {
  BERTH_CHECK(database_.write([&](store::Transaction& transaction) -> Result<void> {
    BERTH_CHECK(keep_an_admin(transaction, id));
    const Account account = BERTH_TRY(require_account(transaction, id));
    // Sessions, refresh tokens and keys go with the user, by their foreign keys.
    BERTH_CHECK(transaction.execute("DELETE FROM users WHERE id = :id", {{"id", id}}));
    BERTH_CHECK(record(transaction, origin, "user.delete", account.user, {{"username", account.user.username}}));
    return announce(transaction, id);
  }));
  remember(id);
  return {};
}

Result<User> StoreIdentityService::find_user(UserId id) const {
  const auto account =
      BERTH_TRY(database_.read([&](store::Transaction& transaction) { return find_account(transaction, id); }));
  if (!account) return user_not_found();
  return account->user;
}

Result<User> StoreIdentityService::find_user(std::string_view username_or_email) const {
  const auto account = BERTH_TRY(
      database_.read([&](store::Transaction& transaction) { return find_account(transaction, username_or_email); }));
  if (!account) return user_not_found();
  return account->user;
}

Result<UserPage> StoreIdentityService::list_users(std::string_view search, std::int64_t limit,
                                                  std::int64_t offset) const {
  if (limit < 1 || limit > kMostListed || offset < 0 || search.size() > kLongestSearch || !is_utf8(search) ||
      search.find('\0') != std::string_view::npos) {
    return bad_page();
  }
  const std::string pattern = containing(without_case(search));
  return database_.read([&](store::Transaction& transaction) -> Result<UserPage> {
    UserPage page;
    const auto count = BERTH_TRY(
        transaction.query("SELECT count(*) AS total FROM users WHERE username_key LIKE :pattern ESCAPE '!' OR "
                          "email_key LIKE :pattern ESCAPE '!'",
                          {{"pattern", pattern}}));
    page.total = count.front().integer("total");
    const auto rows =
        BERTH_TRY(transaction.query("SELECT * FROM users WHERE username_key LIKE :pattern ESCAPE "
                                    "'!' OR email_key LIKE :pattern ESCAPE '!' "
                                    "ORDER BY username_key LIMIT :limit OFFSET :offset",
                                    {{"pattern", pattern}, {"limit", limit}, {"offset", offset}}));
    for (const auto& row : rows) page.users.push_back(user_of(row));
    return page;
  });
}

Result<bool> StoreIdentityService::has_users() const {
  return database_.read([&](store::Transaction& transaction) -> Result<bool> {
    const auto rows = BERTH_TRY(transaction.query("SELECT id FROM users LIMIT 1"));
    return !rows.empty();
  });
}

}  // namespace berth::identity
