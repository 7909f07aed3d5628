#include "rental/access_table.h"

#include <algorithm>
#include <utility>

namespace berth::rental {
namespace {

constexpr std::int64_t kKnownBits = 1 | 2 | 4;

std::atomic<std::uint64_t> tables{0};

bool same_grants(const AccessTable::Users& a, const AccessTable::Users& b) {
  return a.size() == b.size() && std::ranges::all_of(a, [&](const auto& entry) {
           const auto other = b.find(entry.first);
           return other != b.end() && *other->second == *entry.second;
         });
}

}  // namespace

Rights Rights::of_bits(std::int64_t bits) {
  Rights rights;
  rights.bits_ = static_cast<std::uint8_t>(bits & kKnownBits);
  if (rights.bits_ != 0) rights.add(fleet::Right::read);
  return rights;
}

void Rights::add(fleet::Right right) {
  bits_ |= static_cast<std::uint8_t>(right) | static_cast<std::uint8_t>(fleet::Right::read);
}

/// What a thread was told last.
struct AccessTable::Remembered {
  std::uint64_t table = 0;
  std::uint64_t epoch = 0;
  UserId user;
  UserRightsPointer rights;
};

AccessTable::AccessTable() : number_(++tables) {}

bool AccessTable::allows(UserId user, fleet::ContainerId container, fleet::Right right) const {
  // A list asks once for each of its containers: all but the first answers cost no lock.
  static thread_local Remembered remembered;
  if (remembered.table != number_ || remembered.epoch != epoch() || remembered.user != user) {
    const std::shared_lock lock(mutex_);
    const auto found = users_.find(user);
    remembered = {number_, epoch(), user, found == users_.end() ? nullptr : found->second};
  }
  const UserRights* rights = remembered.rights.get();
  if (rights == nullptr) return false;
  if (rights->everywhere.has(right)) return true;
  const auto own = rights->containers.find(container);
  return own != rights->containers.end() && own->second.has(right);
}

void AccessTable::replace_all(Users users) {
  const std::unique_lock lock(mutex_);
  if (same_grants(users_, users)) return;
  std::swap(users_, users);
  epoch_.fetch_add(1, std::memory_order_acq_rel);
}

void AccessTable::replace_user(UserId user, UserRights rights) {
  const bool nothing = rights.everywhere.empty() && rights.containers.empty();
  auto fresh = nothing ? nullptr : std::make_shared<const UserRights>(std::move(rights));
  const std::unique_lock lock(mutex_);
  if (nothing) {
    users_.erase(user);
  } else {
    users_[user] = std::move(fresh);
  }
  epoch_.fetch_add(1, std::memory_order_acq_rel);
}

}  // namespace berth::rental
