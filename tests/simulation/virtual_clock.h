#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "base/clock.h"

namespace berth::simulation {

/// Stands still until it is moved. No two looks at the time of day are the same, as with a real one.
class VirtualClock final : public Clock {
 public:
  explicit VirtualClock(Timestamp start) : start_(start) {}

  Timestamp now() const override {
    return start_ + std::chrono::microseconds(passed_.load()) + std::chrono::microseconds(++looks_);
  }
  Instant instant() const override { return Instant{} + std::chrono::hours(24) + passed(); }
  std::chrono::microseconds passed() const { return std::chrono::microseconds(passed_.load()); }
  void advance(std::chrono::microseconds by) { passed_ += by.count(); }

 private:
  const Timestamp start_;
  std::atomic<std::int64_t> passed_{0};
  mutable std::atomic<std::int64_t> looks_{0};
};

}  // namespace berth::simulation
