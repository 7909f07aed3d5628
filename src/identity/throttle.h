#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/id.h"
#include "base/result.h"
#include "store/database.h"

namespace berth::identity {

/// Slows guessing of passwords and codes, per account and per address. Its counts live in the
/// store, so that they survive a restart and hold for every node. Immutable and thread-safe.
class LoginThrottle {
 public:
  /// A count without a failure for so long starts again from nothing.
  static constexpr std::chrono::hours kForgottenAfter{1};
  static constexpr std::chrono::seconds kLongestWait{15 * 60};
  /// An address serves many accounts, so it has so many times an account's free attempts.
  static constexpr int kAddressFactor = 5;

  /// What an attempt is counted under.
  struct Attempt {
    std::string account;
    std::string address;  ///< "" for callers without one (the command line)
  };
  struct Block {
    std::string subject;
    Timestamp until;
  };

  explicit LoginThrottle(int free_attempts) : free_attempts_(free_attempts) {}

  static Attempt attempt_on(UserId account, std::string_view address);
  /// For a name that belongs to nobody: counted like an account, kept as a hash.
  static Attempt attempt_on(std::string_view unknown_login, std::string_view address);

  /// The wait after so many failures in a row, `free` of which cost nothing.
  static std::chrono::seconds wait_after(std::int64_t failures, std::int64_t free);

  /// The later of the blocks that an attempt at `now` runs into.
  Result<std::optional<Block>> blocked(store::Transaction& transaction, const Attempt& attempt, Timestamp now) const;
  Result<void> failed(store::Transaction& transaction, const Attempt& attempt, Timestamp now) const;
  /// Forgets the account's failures, not the address's: who owns one account could else guess at
  /// the others.
  Result<void> succeeded(store::Transaction& transaction, const Attempt& attempt) const;
  static Result<void> sweep(store::Transaction& transaction, Timestamp now);

 private:
  Result<void> count(store::Transaction& transaction, const std::string& subject, std::int64_t free,
                     Timestamp now) const;

  std::int64_t free_attempts_;
};

}  // namespace berth::identity
