#pragma once

#include <chrono>
#include <thread>

namespace berth::testing {

/// Asks `holds` until it says true or `timeout` is over; returns its last answer. For conditions
/// that another thread or process brings about; the wait ends as soon as the condition holds.
template <class Predicate>
[[nodiscard]] bool eventually(Predicate holds, std::chrono::milliseconds timeout = std::chrono::seconds(10)) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  auto pause = std::chrono::microseconds(200);
  while (!holds()) {
    if (std::chrono::steady_clock::now() >= deadline) return holds();
    std::this_thread::sleep_for(pause);
    if (pause < std::chrono::milliseconds(10)) pause *= 2;
  }
  return true;
}

}  // namespace berth::testing
