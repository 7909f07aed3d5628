#include "app/service_notifier.h"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include <algorithm>
#include <cstdint>

namespace berth::app {
namespace {

/// A status must not bring lines of its own into the message.
std::string single_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

}  // namespace

ServiceNotifier::ServiceNotifier() {
  std::uint64_t interval = 0;
  if (sd_watchdog_enabled(0, &interval) > 0) watchdog_ = std::chrono::microseconds(interval);
}

void ServiceNotifier::ready(const std::string& status) {
  sd_notify(0, fmt::format("READY=1\nSTATUS={}", single_line(status)).c_str());
}

void ServiceNotifier::reloading() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const auto microseconds = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1000;
  sd_notify(0, fmt::format("RELOADING=1\nMONOTONIC_USEC={}", microseconds).c_str());
}

void ServiceNotifier::stopping() {
  sd_notify(0, "STOPPING=1");
}

void ServiceNotifier::ping() {
  sd_notify(0, "WATCHDOG=1");
}

}  // namespace berth::app
