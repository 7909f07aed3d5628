#include "identity/directory.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "identity/auth_errors.h"

namespace berth::identity {
namespace {

PrincipalPointer principal_of_key(const User& owner, const PermissionSet& permissions, const ApiKey& key) {
  auto principal = std::make_shared<Principal>();
  principal->kind = Principal::Kind::api_key;
  principal->user_id = owner.id;
  principal->user_uuid = owner.uuid;
  principal->actor = "api-key:" + key.name;
  principal->username = owner.username;
  principal->role = owner.role;
  principal->permissions = permissions.intersect(PermissionSet(key.scope));
  principal->expires_at = key.expires_at.value_or(Timestamp::max());
  return principal;
}

}  // namespace

void Directory::replace_all(std::vector<UserRecords> users, std::unordered_map<std::string, Timestamp> revoked_tokens) {
  const std::lock_guard writing(writers_mutex_);
  Contents fresh;
  for (auto& records : users) add(fresh, std::move(records));
  {
    const std::unique_lock lock(mutex_);
    std::swap(contents_, fresh);
    std::swap(revoked_tokens_, revoked_tokens);
    epoch_.fetch_add(1, std::memory_order_acq_rel);
  }
}

void Directory::replace_user(UserId id, std::optional<UserRecords> records) {
  const std::lock_guard writing(writers_mutex_);
  const std::unique_lock lock(mutex_);
  const auto known = contents_.members.find(id.value());
  const bool stale = known != contents_.members.end() && (!records || took_away(*known->second, *records));
  contents_.remove(id);
  if (records) add(contents_, std::move(*records));
  if (stale) epoch_.fetch_add(1, std::memory_order_acq_rel);
}

void Directory::revoke_token(const std::string& token_id, Timestamp expires_at) {
  const std::lock_guard writing(writers_mutex_);
  const std::unique_lock lock(mutex_);
  revoked_tokens_[token_id] = expires_at;
  epoch_.fetch_add(1, std::memory_order_acq_rel);
}

Result<PrincipalPointer> Directory::of_token(const TokenClaims& claims, Timestamp now) const {
  MemberPointer member;
  {
    const std::shared_lock lock(mutex_);
    const auto session = contents_.sessions.find(claims.session_id);
    if (session == contents_.sessions.end() || revoked_tokens_.contains(claims.token_id)) return revoked_credential();
    if (now >= session->second.expires_at) return expired_credential();
    member = session->second.member;
  }
  if (!member->user.enabled || member->user.uuid != claims.user_uuid) return revoked_credential();
  auto principal = std::make_shared<Principal>();
  principal->kind = Principal::Kind::session;
  principal->user_id = member->user.id;
  principal->user_uuid = member->user.uuid;
  principal->actor = member->user.username;
  principal->username = member->user.username;
  principal->role = member->user.role;
  principal->permissions = member->permissions;
  principal->session_id = claims.session_id;
  principal->token_id = claims.token_id;
  principal->expires_at = claims.expires_at;
  return PrincipalPointer(std::move(principal));
}

Result<PrincipalPointer> Directory::of_key(const std::string& hash, Timestamp now) const {
  const std::shared_lock lock(mutex_);
  const auto key = contents_.keys.find(hash);
  if (key == contents_.keys.end()) return invalid_credential("no such API key");
  if (!key->second.enabled) return revoked_credential();
  if (now >= key->second.principal->expires_at) return expired_credential();
  key->second.use->last.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  return key->second.principal;
}

std::vector<KeyUse> Directory::collect_uses(std::chrono::microseconds interval) {
  const std::lock_guard writing(writers_mutex_);
  std::vector<KeyUse> uses;
  for (auto use = uses_.begin(); use != uses_.end();) {
    const std::int64_t last = use->second->last.load(std::memory_order_relaxed);
    if (last - use->second->collected >= interval.count()) {
      uses.push_back({use->first, Timestamp(std::chrono::microseconds(last))});
      use->second->collected = last;
    }
    use = use->second.use_count() == 1 ? uses_.erase(use) : std::next(use);
  }
  return uses;
}

void Directory::add(Contents& contents, UserRecords records) {
  auto member = std::make_shared<Member>();
  member->user = std::move(records.user);
  member->permissions = PermissionSet::of(member->user.role);
  for (const auto& session : records.sessions) {
    member->session_ids.push_back(session.id);
    contents.sessions[session.id] = {member, session.expires_at};
  }
  for (const auto& record : records.keys) {
    member->key_hashes.push_back(record.hash);
    auto& use = uses_[record.key.id];
    if (use == nullptr) {
      use = std::make_shared<Use>();
      use->collected = record.key.last_used_at.value_or(Timestamp{}).time_since_epoch().count();
      use->last = use->collected;
    }
    contents.keys[record.hash] = {principal_of_key(member->user, member->permissions, record.key), member->user.enabled,
                                  use};
  }
  contents.members[member->user.id.value()] = std::move(member);
}

void Directory::Contents::remove(UserId id) {
  const auto known = members.find(id.value());
  if (known == members.end()) return;
  for (const auto& session : known->second->session_ids) sessions.erase(session);
  for (const auto& hash : known->second->key_hashes) keys.erase(hash);
  members.erase(known);
}

bool Directory::took_away(const Member& before, const UserRecords& after) {
  if (before.user.role != after.user.role || before.user.enabled != after.user.enabled ||
      before.user.username != after.user.username) {
    return true;
  }
  const bool session_gone = std::ranges::any_of(before.session_ids, [&](const std::string& id) {
    return std::ranges::find(after.sessions, id, &SessionRecord::id) == after.sessions.end();
  });
  const bool key_gone = std::ranges::any_of(before.key_hashes, [&](const std::string& hash) {
    return std::ranges::find(after.keys, hash, &KeyRecord::hash) == after.keys.end();
  });
  return session_gone || key_gone;
}

}  // namespace berth::identity
