#include "base/worker_pool.h"

#include <pthread.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "base/log.h"

namespace berth {

WorkerPool::WorkerPool(Settings settings) : settings_(std::move(settings)) {
  const std::size_t count = std::max<std::size_t>(settings_.threads, 1);
  threads_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) threads_.emplace_back([this] { run(); });
}

WorkerPool::~WorkerPool() {
  // Destroyed without the lock: what a task holds may ask this pool something as it goes.
  std::deque<std::move_only_function<void()>> dropped;
  {
    const std::lock_guard lock(mutex_);
    state_ = State::stopped;
    dropped.swap(queue_);
  }
  dropped.clear();
  join();
}

bool WorkerPool::submit(std::move_only_function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    if (state_ != State::open || queue_.size() >= settings_.queue_limit) return false;
    queue_.push_back(std::move(task));
  }
  ready_.notify_one();
  return true;
}

void WorkerPool::drain() {
  {
    const std::lock_guard lock(mutex_);
    if (state_ == State::open) state_ = State::draining;
  }
  join();
}

void WorkerPool::join() {
  ready_.notify_all();
  const std::lock_guard lock(join_mutex_);
  for (auto& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

WorkerPool::Usage WorkerPool::usage() const {
  const std::lock_guard lock(mutex_);
  return {threads_.size(), busy_, queue_.size()};
}

void WorkerPool::run() {
  pthread_setname_np(pthread_self(), settings_.name.substr(0, 15).c_str());
  std::unique_lock lock(mutex_);
  while (true) {
    ready_.wait(lock, [this] { return !queue_.empty() || state_ != State::open; });
    if (queue_.empty()) return;
    auto task = std::move(queue_.front());
    queue_.pop_front();
    ++busy_;
    lock.unlock();
    try {
      task();
    } catch (const std::exception& exception) {
      log::error("worker", "a task of pool {} threw: {}", settings_.name, exception.what());
    } catch (...) {
      log::error("worker", "a task of pool {} threw something that is no exception", settings_.name);
    }
    task = nullptr;
    lock.lock();
    --busy_;
  }
}

}  // namespace berth
