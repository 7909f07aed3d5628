#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

namespace berth::store {

/// Breaks connections whose call takes too long. libpq waits for an answer without limit, so a
/// server that hangs would hold its caller for ever: shutting the socket down ends the wait with
/// "connection lost". Thread-safe.
class StallGuard {
 public:
  StallGuard();
  StallGuard(const StallGuard&) = delete;
  StallGuard& operator=(const StallGuard&) = delete;
  ~StallGuard();

  /// Watches `socket` from now on. It must stay open until `release`.
  void watch(int socket, std::chrono::milliseconds limit);
  void release(int socket) noexcept;

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int, std::chrono::steady_clock::time_point> watched_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace berth::store
