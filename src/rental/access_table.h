#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "fleet/access.h"

namespace berth::rental {

/// A set of rights. Whoever may change a container or run commands in it may also see it: every set that is not
/// empty holds `read`.
class Rights {
 public:
  Rights() = default;
  /// From bits, as stored; others than those of fleet::Right are dropped.
  static Rights of_bits(std::int64_t bits);

  void add(fleet::Right right);
  void add(Rights other) { bits_ |= other.bits_; }
  bool has(fleet::Right right) const { return (bits_ & static_cast<std::uint8_t>(right)) != 0; }
  bool empty() const { return bits_ == 0; }
  std::int64_t bits() const { return bits_; }
  bool operator==(const Rights&) const = default;

 private:
  std::uint8_t bits_ = 0;
};

/// What one user was granted.
struct UserRights {
  Rights everywhere;
  std::unordered_map<fleet::ContainerId, Rights> containers;  ///< beside `everywhere`
  bool operator==(const UserRights&) const = default;
};

/// Every grant, in memory: what the fleet asks. Nobody is allowed anything until AclService has filled it. Thread-safe;
/// a reader holds a shared lock for one look-up and then, as long as nothing changes, reads what it was given.
class AccessTable final : public fleet::AccessPolicy {
 public:
  AccessTable();
  AccessTable(const AccessTable&) = delete;
  AccessTable& operator=(const AccessTable&) = delete;

  using UserRightsPointer = std::shared_ptr<const UserRights>;
  using Users = std::unordered_map<UserId, UserRightsPointer>;

  bool allows(UserId user, fleet::ContainerId container, fleet::Right right) const override;
  std::uint64_t epoch() const override { return epoch_.load(std::memory_order_acquire); }

  void replace_all(Users users);
  /// Empty rights forget the user.
  void replace_user(UserId user, UserRights rights);

 private:
  struct Remembered;

  const std::uint64_t number_;  ///< tells tables apart, also those that followed each other in one place
  mutable std::shared_mutex mutex_;
  Users users_;
  std::atomic<std::uint64_t> epoch_{1};
};

}  // namespace berth::rental
