#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace berth::drivers::fake {

/// One thread that runs what it is given, in order: the fake's counterpart of a driver's own thread.
/// Thread-safe. `stop` must have been called before it is destroyed.
class Dispatcher {
 public:
  Dispatcher();
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  /// Ignored after `stop`.
  void post(std::function<void()> call);
  /// Ends the thread; what waits is dropped. Not from the thread itself. Idempotent.
  void stop();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> calls_;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace berth::drivers::fake
