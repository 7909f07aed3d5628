#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace berth::app {

/// Runs a task again and again on a thread of its own, `interval` after the end of the last run, until it is
/// destroyed. The first run comes after one interval.
class Periodic {
 public:
  /// `name` is the thread's, at most 15 bytes.
  Periodic(std::string name, std::chrono::milliseconds interval, std::function<void()> task);
  Periodic(const Periodic&) = delete;
  Periodic& operator=(const Periodic&) = delete;
  /// Waits for a running task.
  ~Periodic();

 private:
  void run(const std::string& name);

  std::chrono::milliseconds interval_;
  std::function<void()> task_;
  std::mutex mutex_;
  std::condition_variable ending_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace berth::app
