#include "store/stall_guard.h"

#include <pthread.h>
#include <sys/socket.h>

#include <algorithm>

namespace berth::store {

StallGuard::StallGuard() : thread_([this] { work(); }) {
  pthread_setname_np(thread_.native_handle(), "store-guard");
}

StallGuard::~StallGuard() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void StallGuard::watch(int socket, std::chrono::milliseconds limit) {
  const auto ends_at = std::chrono::steady_clock::now() + limit;
  const std::lock_guard lock(mutex_);
  // Calls have the same limit, so a later one never ends before those the thread already waits for.
  const bool first = watched_.empty();
  watched_[socket] = ends_at;
  if (first) changed_.notify_one();
}

void StallGuard::release(int socket) noexcept {
  const std::lock_guard lock(mutex_);
  watched_.erase(socket);
}

void StallGuard::work() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (watched_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto soonest = std::ranges::min_element(watched_, {}, [](const auto& entry) { return entry.second; })->second;
    changed_.wait_until(lock, soonest, [&] { return stopping_; });
    const auto now = std::chrono::steady_clock::now();
    // Under the lock, so that the number cannot meanwhile belong to another connection.
    std::erase_if(watched_, [&](const auto& entry) {
      if (entry.second > now) return false;
      ::shutdown(entry.first, SHUT_RDWR);
      return true;
    });
  }
}

}  // namespace berth::store
