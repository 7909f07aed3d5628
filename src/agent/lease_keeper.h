#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "fleet/lease.h"

namespace berth::agent {

/// What an agent must not forget when it is ended and started again.
struct KeptLease {
  bool bound = false;     ///< without a lease it lets nothing run
  bool standing = false;  ///< it holds one until it hears from Berth again
  Instant until{};        ///< when its timed lease ends
};

/// What an agent holds and owes, by the rules of fleet/lease.h. Time is given, in one clock that goes on while the
/// machine sleeps. Not thread-safe.
class LeaseKeeper {
 public:
  explicit LeaseKeeper(const KeptLease& kept = {}) : kept_(kept) {}

  fleet::Holding holding(Instant now) const;
  /// Whether nothing may run now.
  bool must_be_silent(Instant now) const { return holding(now) == fleet::Holding::nothing; }
  /// What to ask now.
  fleet::LeaseRequest request(Instant now, std::uint32_t running, std::uint32_t owes, bool leaving) const;
  /// Takes the answer to a request that was sent at `sent`. Answers are taken in the order of their requests; one that
  /// was given up waiting for is not taken any more.
  void take(const fleet::LeaseAnswer& answer, Instant sent);

  const KeptLease& kept() const { return kept_; }

 private:
  KeptLease kept_;
  std::int64_t last_answer_ = 0;
};

}  // namespace berth::agent
