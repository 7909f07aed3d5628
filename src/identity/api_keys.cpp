// How the store's identity service keeps API keys.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/encoding.h"
#include "identity/account_rules.h"
#include "identity/auth_errors.h"
#include "identity/lookup_hash.h"
#include "identity/store_identity_service.h"

namespace berth::identity {
namespace {

constexpr std::size_t kMostKeys = 100;

Error name_taken() {
  return Error(ErrorCode::already_exists, "api_key.name_taken", {"密钥名称已存在", "The key's name is taken"})
      .with_field("name", {"密钥名称已存在", "The key's name is taken"});
}

std::vector<std::string> narrowed(const std::vector<std::string>& scope, Role owner) {
  return PermissionSet(scope).intersect(PermissionSet::of(owner)).patterns();
}

/// A pattern that grants its owner's key nothing is a mistake that would else be found out much
/// later.
void check_scope_grants(const std::vector<std::string>& scope, Role owner, std::vector<FieldError>& refused) {
  const auto useless =
      std::ranges::find_if(scope, [&](const std::string& pattern) { return narrowed({pattern}, owner).empty(); });
  if (useless == scope.end()) return;
  refused.push_back({"scope",
                     {fmt::format("您的角色没有权限“{}”", *useless),
                      fmt::format("The owner's role does not hold \"{}\"", *useless)}});
}

}  // namespace

Result<IssuedApiKey> StoreIdentityService::create_key(UserId owner, const NewApiKey& key, const audit::Origin& origin) {
  const Timestamp now = clock_.now();
  std::vector<FieldError> refused;
  check_key_name(key.name, refused);
  check_key_scope(key.scope, refused);
  if (key.expires_at && *key.expires_at <= now) {
    refused.push_back({"expires_at", {"过期时间必须在将来", "The expiry must be in the future"}});
  }
  if (!refused.empty()) return refuse_fields(std::move(refused));

  const std::string prefix = "berth_" + to_hex(random_bytes(4));
  std::string text = prefix + "_" + to_hex(random_bytes(32));
  IssuedApiKey issued{.key = {.id = random_uuid(),
                              .name = key.name,
                              .owner = owner,
                              .scope = PermissionSet(key.scope).patterns(),
                              .prefix = prefix,
                              .created_at = now,
                              .expires_at = key.expires_at,
                              .last_used_at = std::nullopt},
                      .secret = Secret(text)};
  wipe(text);
  issued.key.scope =
      BERTH_TRY(database_.write([&](store::Transaction& transaction) -> Result<std::vector<std::string>> {
        const Account account = BERTH_TRY(require_account(transaction, owner));
        std::vector<FieldError> useless;
        check_scope_grants(key.scope, account.user.role, useless);
        if (!useless.empty()) return refuse_fields(std::move(useless));
        const auto present = BERTH_TRY(keys_of(transaction, owner));
        if (std::ranges::any_of(present, [&](const KeyRecord& record) { return record.key.name == key.name; })) {
          return name_taken();
        }
        if (present.size() >= kMostKeys) {
          return Error(ErrorCode::conflict, "api_key.limit",
                       {"每个用户最多 100 个 API 密钥", "A user has at most 100 API keys"});
        }
        BERTH_CHECK(
            transaction.execute("INSERT INTO api_keys (id, user_id, name, hash, prefix, scope, created_at, expires_at) "
                                "VALUES (:id, :owner, :name, :hash, :prefix, :scope, :now, :expires)",
                                {{"id", issued.key.id},
                                 {"owner", owner},
                                 {"name", key.name},
                                 {"hash", lookup_hash(issued.secret.reveal())},
                                 {"prefix", prefix},
                                 {"scope", scope_text(issued.key.scope)},
                                 {"now", now},
                                 {"expires", key.expires_at}}));
        BERTH_CHECK(record_key(transaction, origin, "api_key.create", issued.key, account.user));
        BERTH_CHECK(announce(transaction, owner));
        return narrowed(key.scope, account.user.role);
      }));
  remember(owner);
  return issued;
}

Result<std::vector<ApiKey>> StoreIdentityService::list_keys(UserId owner) const {
  return database_.read([&](store::Transaction& transaction) -> Result<std::vector<ApiKey>> {
    const auto account = BERTH_TRY(find_account(transaction, owner));
    if (!account) return user_not_found();
    std::vector<ApiKey> keys;
    auto present = BERTH_TRY(keys_of(transaction, owner));
    for (auto& record : present) {
      keys.push_back(std::move(record.key));
      keys.back().scope = narrowed(keys.back().scope, account->user.role);
    }
    return keys;
  });
}

Result<void> StoreIdentityService::delete_key(UserId owner, std::string_view key_id, const audit::Origin& origin) {
  BERTH_CHECK(database_.write([&](store::Transaction& transaction) -> Result<void> {
    const Account account = BERTH_TRY(require_account(transaction, owner));
    const auto present = BERTH_TRY(keys_of(transaction, owner));
    const auto found = std::ranges::find_if(present, [&](const KeyRecord& record) { return record.key.id == key_id; });
    if (found == present.end()) return key_not_found();
    BERTH_CHECK(transaction.execute("DELETE FROM api_keys WHERE id = :id AND user_id = :owner",
                                    {{"id", key_id}, {"owner", owner}}));
    BERTH_CHECK(record_key(transaction, origin, "api_key.delete", found->key, account.user));
    return announce(transaction, owner);
  }));
  remember(owner);
  return {};
}

}  // namespace berth::identity
