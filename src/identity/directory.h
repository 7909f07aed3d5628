#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "identity/identity_service.h"
#include "identity/token.h"

namespace berth::identity {

struct SessionRecord {
  std::string id;
  Timestamp expires_at;
};

struct KeyRecord {
  ApiKey key;  ///< `scope` as it was asked for, not yet narrowed by the owner's role
  std::string hash;
};

/// What the store holds of one user: the sessions are those that were neither revoked nor had
/// expired.
struct UserRecords {
  User user;
  std::vector<SessionRecord> sessions;
  std::vector<KeyRecord> keys;
};

struct KeyUse {
  std::string key_id;
  Timestamp at;
};

/// Who is known, in memory: settles verified tokens and hashed keys without the store. Written to
/// after each change with what the store then holds. Thread-safe; readers hold a shared lock for a
/// few look-ups.
class Directory {
 public:
  void replace_all(std::vector<UserRecords> users, std::unordered_map<std::string, Timestamp> revoked_tokens);
  /// Replaces all that is known of one user; nothing means that the user is gone.
  void replace_user(UserId id, std::optional<UserRecords> records);
  /// Refuses one access token from now on.
  void revoke_token(const std::string& token_id, Timestamp expires_at);

  /// Errors: unauthenticated "auth.expired", "auth.revoked".
  Result<PrincipalPointer> of_token(const TokenClaims& claims, Timestamp now) const;
  /// Notes the key's use. Errors as above, and "auth.invalid" for a hash that no key has.
  Result<PrincipalPointer> of_key(const std::string& hash, Timestamp now) const;

  /// Changes after each change that takes something away or alters what a credential may do.
  std::uint64_t epoch() const { return epoch_.load(std::memory_order_acquire); }

  /// The keys used since they were last collected, each at most once in `interval`.
  std::vector<KeyUse> collect_uses(std::chrono::microseconds interval);

 private:
  struct Use {
    std::atomic<std::int64_t> last{0};  ///< microseconds since the epoch
    std::int64_t collected = 0;         ///< what `collect_uses` told last; touched by it alone
  };
  struct Member {
    User user;
    PermissionSet permissions;
    std::vector<std::string> session_ids;
    std::vector<std::string> key_hashes;
  };
  using MemberPointer = std::shared_ptr<const Member>;
  struct Session {
    MemberPointer member;
    Timestamp expires_at;
  };
  struct Key {
    PrincipalPointer principal;
    bool enabled;  ///< of the owner
    std::shared_ptr<Use> use;
  };

  /// All that readers look things up in.
  struct Contents {
    std::unordered_map<std::int64_t, MemberPointer> members;
    std::unordered_map<std::string, Session> sessions;
    std::unordered_map<std::string, Key> keys;

    void remove(UserId id);
  };

  void add(Contents& contents, UserRecords records);
  /// True if some answer given for `before` no longer holds.
  static bool took_away(const Member& before, const UserRecords& after);

  /// Held by one writer at a time, also while it prepares; readers do not need it.
  std::mutex writers_mutex_;
  std::unordered_map<std::string, std::shared_ptr<Use>> uses_;  ///< by key id; outlives a reload

  /// Held exclusively for single look-ups and swaps only.
  mutable std::shared_mutex mutex_;
  Contents contents_;
  std::unordered_map<std::string, Timestamp> revoked_tokens_;
  std::atomic<std::uint64_t> epoch_{1};
};

}  // namespace berth::identity
