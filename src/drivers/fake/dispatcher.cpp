#include "drivers/fake/dispatcher.h"

#include <utility>

namespace berth::drivers::fake {

Dispatcher::Dispatcher() : thread_([this] { run(); }) {}

void Dispatcher::post(std::function<void()> call) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    calls_.push_back(std::move(call));
  }
  wake_.notify_one();
}

void Dispatcher::stop() {
  std::deque<std::function<void()>> dropped;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    dropped.swap(calls_);
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Dispatcher::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopped_ || !calls_.empty(); });
    if (stopped_) return;
    auto call = std::move(calls_.front());
    calls_.pop_front();
    lock.unlock();
    call();
    call = nullptr;
    lock.lock();
  }
}

}  // namespace berth::drivers::fake
