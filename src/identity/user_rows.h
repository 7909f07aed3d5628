#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "identity/directory.h"
#include "identity/identity_service.h"
#include "store/database.h"

namespace berth::identity {

/// A user with what only this folder may see.
struct Account {
  User user;
  std::string password_hash;
  std::optional<std::string> sealed_totp;
  std::int64_t totp_last_step = 0;
};

User user_of(const store::Row& row);

Result<std::optional<Account>> find_account(store::Transaction& transaction, UserId id);
/// By user name or e-mail address, without regard to case.
Result<std::optional<Account>> find_account(store::Transaction& transaction, std::string_view login);
/// not_found "user.not_found" if there is none.
Result<Account> require_account(store::Transaction& transaction, UserId id);

ApiKey key_of(const store::Row& row);
Result<std::vector<KeyRecord>> keys_of(store::Transaction& transaction, UserId owner);
std::string scope_text(const std::vector<std::string>& scope);

/// Everything that the directory keeps of one user; nothing if there is no such user.
Result<std::optional<UserRecords>> load_user(store::Transaction& transaction, UserId id, Timestamp now);
/// The same of all users, in three queries.
Result<std::vector<UserRecords>> load_users(store::Transaction& transaction, Timestamp now);
Result<std::unordered_map<std::string, Timestamp>> load_revoked_tokens(store::Transaction& transaction, Timestamp now);

}  // namespace berth::identity
