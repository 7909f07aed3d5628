#pragma once

#include <chrono>
#include <csignal>
#include <optional>

namespace berth::app {

/// The signals that a service answers to (SIGTERM, SIGINT, SIGHUP), blocked in every thread that begins after this and
/// taken one by one by the main thread.
class ProcessSignals {
 public:
  ProcessSignals();
  /// The next signal; nothing after `wait`, if one is given.
  std::optional<int> next(std::optional<std::chrono::microseconds> wait) const;

 private:
  sigset_t set_{};
};

}  // namespace berth::app
