#include "identity/user_rows.h"

#include <algorithm>
#include <utility>

#include "identity/account_rules.h"
#include "identity/auth_errors.h"

namespace berth::identity {
namespace {

Account account_of(const store::Row& row) {
  return {.user = user_of(row),
          .password_hash = row.text("password_hash"),
          .sealed_totp = row.optional_text("totp_secret"),
          .totp_last_step = row.integer("totp_last_step")};
}

std::optional<Account> first_account(const store::Rows& rows) {
  if (rows.empty()) return std::nullopt;
  return account_of(rows.front());
}

std::vector<std::string> scope_of(std::string_view text) {
  std::vector<std::string> patterns;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end > 0) patterns.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return patterns;
}

KeyRecord key_record_of(const store::Row& row) {
  return {key_of(row), row.text("hash")};
}

}  // namespace

User user_of(const store::Row& row) {
  User user{.id = UserId(row.integer("id")),
            .uuid = row.text("uuid"),
            .username = row.text("username"),
            .email = row.text("email"),
            .role = Role::viewer,
            .enabled = row.flag("enabled"),
            .totp_enabled = row.flag("totp_enabled"),
            .created_at = row.time("created_at"),
            .updated_at = row.time("updated_at"),
            .last_login_at = row.optional_time("last_login_at")};
  // A role that this binary does not know (written by a newer one) stays the least of them.
  parse_role(row.text("role"), user.role);
  return user;
}

Result<std::optional<Account>> find_account(store::Transaction& transaction, UserId id) {
  return first_account(BERTH_TRY(transaction.query("SELECT * FROM users WHERE id = :id", {{"id", id}})));
}

Result<std::optional<Account>> find_account(store::Transaction& transaction, std::string_view login) {
  const std::string key = without_case(login);
  if (valid_username(key)) {
    return first_account(BERTH_TRY(transaction.query("SELECT * FROM users WHERE username_key = :key", {{"key", key}})));
  }
  if (valid_email(key)) {
    return first_account(BERTH_TRY(transaction.query("SELECT * FROM users WHERE email_key = :key", {{"key", key}})));
  }
  return std::optional<Account>();
}

Result<Account> require_account(store::Transaction& transaction, UserId id) {
  auto account = BERTH_TRY(find_account(transaction, id));
  if (!account) return user_not_found();
  return std::move(*account);
}

ApiKey key_of(const store::Row& row) {
  return {.id = row.text("id"),
          .name = row.text("name"),
          .owner = UserId(row.integer("user_id")),
          .scope = scope_of(row.text("scope")),
          .prefix = row.text("prefix"),
          .created_at = row.time("created_at"),
          .expires_at = row.optional_time("expires_at"),
          .last_used_at = row.optional_time("last_used_at")};
}

Result<std::vector<KeyRecord>> keys_of(store::Transaction& transaction, UserId owner) {
  const auto rows = BERTH_TRY(
      transaction.query("SELECT * FROM api_keys WHERE user_id = :owner ORDER BY created_at, id", {{"owner", owner}}));
  std::vector<KeyRecord> keys;
  for (const auto& row : rows) keys.push_back(key_record_of(row));
  return keys;
}

std::string scope_text(const std::vector<std::string>& scope) {
  std::string text;
  for (const auto& pattern : scope) {
    if (!text.empty()) text.push_back(' ');
    text += pattern;
  }
  return text;
}

Result<std::optional<UserRecords>> load_user(store::Transaction& transaction, UserId id, Timestamp now) {
  auto account = BERTH_TRY(find_account(transaction, id));
  if (!account) return std::optional<UserRecords>();
  UserRecords records{.user = std::move(account->user), .sessions = {}, .keys = BERTH_TRY(keys_of(transaction, id))};
  const auto sessions =
      BERTH_TRY(transaction.query("SELECT id, expires_at FROM sessions WHERE user_id = :id AND "
                                  "revoked_at IS NULL AND expires_at > :now",
                                  {{"id", id}, {"now", now}}));
  for (const auto& row : sessions) records.sessions.push_back({row.text("id"), row.time("expires_at")});
  return std::optional<UserRecords>(std::move(records));
}

Result<std::vector<UserRecords>> load_users(store::Transaction& transaction, Timestamp now) {
  std::vector<UserRecords> users;
  std::unordered_map<std::int64_t, std::size_t> places;
  const auto accounts = BERTH_TRY(transaction.query("SELECT * FROM users"));
  for (const auto& row : accounts) {
    places[row.integer("id")] = users.size();
    users.push_back({user_of(row), {}, {}});
  }
  const auto sessions = BERTH_TRY(transaction.query(
      "SELECT id, user_id, expires_at FROM sessions WHERE revoked_at IS NULL AND expires_at > :now", {{"now", now}}));
  for (const auto& row : sessions) {
    const auto place = places.find(row.integer("user_id"));
    if (place != places.end()) users[place->second].sessions.push_back({row.text("id"), row.time("expires_at")});
  }
  const auto keys = BERTH_TRY(transaction.query("SELECT * FROM api_keys"));
  for (const auto& row : keys) {
    const auto place = places.find(row.integer("user_id"));
    if (place != places.end()) users[place->second].keys.push_back(key_record_of(row));
  }
  return users;
}

Result<std::unordered_map<std::string, Timestamp>> load_revoked_tokens(store::Transaction& transaction, Timestamp now) {
  std::unordered_map<std::string, Timestamp> tokens;
  const auto rows = BERTH_TRY(
      transaction.query("SELECT jti, expires_at FROM revoked_tokens WHERE expires_at > :now", {{"now", now}}));
  for (const auto& row : rows) tokens.emplace(row.text("jti"), row.time("expires_at"));
  return tokens;
}

}  // namespace berth::identity
