#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace berth::app {

/// Tells systemd how the service is. Without systemd every call does nothing.
class ServiceNotifier {
 public:
  /// Reads what systemd expects from the environment.
  ServiceNotifier();

  void ready(const std::string& status);
  void reloading();
  void stopping();
  void ping();
  /// How often systemd wants a ping at least; nothing if it does not watch.
  std::optional<std::chrono::microseconds> watchdog() const { return watchdog_; }

 private:
  std::optional<std::chrono::microseconds> watchdog_;
};

}  // namespace berth::app
