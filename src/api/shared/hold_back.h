#pragma once

#include <functional>
#include <mutex>
#include <utility>

#include "http/websocket.h"

namespace berth::api {

/// Stops a source while the reader of a WebSocket does not keep up, so that what waits for the reader stays bounded.
/// Thread-safe.
class HoldBack {
 public:
  /// What may be on its way to the reader before the source has to wait.
  static constexpr std::size_t kLimit = 256UL * 1024;

  /// `pause` and `resume` return at once. A source that came with much before it was attached is paused now.
  void attach(std::function<void()> pause, std::function<void()> resume) {
    const std::lock_guard lock(mutex_);
    pause_ = std::move(pause);
    resume_ = std::move(resume);
    if (paused_) pause_();
  }

  /// Something was given to the socket.
  void sent(const http::WebSocket& socket) {
    if (socket.waiting_bytes() < kLimit) return;
    const std::lock_guard lock(mutex_);
    // It may have drained since, and then nobody else would resume.
    if (paused_ || socket.waiting_bytes() == 0) return;
    paused_ = true;
    if (pause_) pause_();
  }

  /// Everything that was given to the socket is on its way.
  void drained() {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(paused_, false)) return;
    if (resume_) resume_();
  }

 private:
  std::mutex mutex_;  ///< held over the calls: a pause must not overtake the resume that follows it
  std::function<void()> pause_;
  std::function<void()> resume_;
  bool paused_ = false;
};

}  // namespace berth::api
