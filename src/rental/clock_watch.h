#pragma once

#include <chrono>
#include <optional>

#include "base/clock.h"

namespace berth::rental {

/// Holds the clock of days against the one that only runs on. A clock of days that jumps, back or forward, is wrong
/// before or after; so nothing is done by it until it has run evenly for a while, in which whatever sets clocks has
/// had time to set it right. A machine that slept looks like a jump forward, and waits as long. Not thread-safe.
class ClockWatch {
 public:
  struct Settings {
    std::chrono::seconds tolerance{std::chrono::minutes(5)};  ///< by how much the two may part between two calls
    std::chrono::seconds settle{std::chrono::minutes(10)};    ///< how long it must run evenly after a jump
  };

  explicit ClockWatch(Settings settings) : settings_(settings) {}

  /// Whether the time may be acted upon.
  bool trusts(Timestamp now, Instant instant);
  /// As after a jump: the time is behind one that was seen before this program started.
  void distrust(Instant instant) { held_until_ = instant + settings_.settle; }
  const Settings& settings() const { return settings_; }

 private:
  struct Reading {
    Timestamp now;
    Instant instant;
  };

  Settings settings_;
  std::optional<Reading> last_;
  std::optional<Instant> held_until_;
};

}  // namespace berth::rental
