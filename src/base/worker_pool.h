#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace berth {

/// A fixed number of threads over a bounded queue. Each engine has one of its own, so that a hung engine
/// holds up nobody else. What a task throws is logged and ends that task alone. Thread-safe.
class WorkerPool {
 public:
  struct Settings {
    std::string name;               ///< shown as the threads' name, at most 15 bytes
    std::size_t threads = 4;        ///< at least 1
    std::size_t queue_limit = 256;  ///< waiting tasks beyond which `submit` refuses
  };
  struct Usage {
    std::size_t threads;
    std::size_t busy;
    std::size_t waiting;
  };

  explicit WorkerPool(Settings settings);
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  /// Finishes the running tasks; those still waiting are destroyed unrun.
  ~WorkerPool();

  /// Queues a task; false if the queue is full or the pool is stopping, and then the task was not taken.
  [[nodiscard]] bool submit(std::move_only_function<void()> task);
  /// Takes no more tasks, runs what is queued, joins the threads. Idempotent; a second caller waits too. Not
  /// to be called by a task.
  void drain();
  Usage usage() const;

 private:
  void run();
  void join();

  Settings settings_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::move_only_function<void()>> queue_;
  std::size_t busy_ = 0;
  enum class State { open, draining, stopped } state_ = State::open;
  std::mutex join_mutex_;
  std::vector<std::thread> threads_;
};

}  // namespace berth
