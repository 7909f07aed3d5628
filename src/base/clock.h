#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace berth {

/// A point of civil time, UTC, in microseconds: what is stored and shown.
using Timestamp = std::chrono::sys_time<std::chrono::microseconds>;
/// A point of monotonic time: what deadlines and intervals are measured with.
using Instant = std::chrono::steady_clock::time_point;

/// Where time comes from, so that tests and simulations can drive it. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Timestamp now() const = 0;
  virtual Instant instant() const = 0;
};

/// The machine's clocks.
Clock& system_clock();

/// A clock that stands still until it is moved. Both of its times move together.
class ManualClock : public Clock {
 public:
  explicit ManualClock(Timestamp start) : start_(start) {}
  Timestamp now() const override;
  Instant instant() const override;
  void advance(std::chrono::microseconds by);

 private:
  Timestamp start_;
  std::atomic<std::int64_t> passed_us_{0};
};

/// "2026-01-23T11:30:00Z", RFC 3339, whole seconds.
std::string format_utc(Timestamp time);
/// "2026-01-23T11:30:00", the machine's local time without zone, whole seconds (the panel's document's form).
std::string format_local(Timestamp time);
/// Parses RFC 3339 with optional fraction and any offset. Errors: invalid_argument "timestamp.invalid".
Result<Timestamp> parse_timestamp(std::string_view text);

/// The instant by which something must have ended; passed down to every call that can wait.
/// A value; `remaining` is never negative.
class Deadline {
 public:
  /// A wait beyond a hundred years is as long as that.
  static Deadline after(std::chrono::milliseconds wait) {
    constexpr std::chrono::milliseconds kForever = std::chrono::hours(24 * 365 * 100);
    return Deadline(std::chrono::steady_clock::now() + (wait < kForever ? wait : kForever));
  }
  explicit Deadline(Instant at) : at_(at) {}
  Instant at() const { return at_; }
  bool expired() const { return std::chrono::steady_clock::now() >= at_; }
  std::chrono::milliseconds remaining() const;
  /// The nearer of this deadline and `wait` from now.
  Deadline sooner(std::chrono::milliseconds wait) const;

 private:
  Instant at_;
};

}  // namespace berth
