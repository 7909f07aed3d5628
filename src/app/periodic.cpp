#include "app/periodic.h"

#include <pthread.h>

namespace berth::app {

Periodic::Periodic(std::string name, std::chrono::milliseconds interval, std::function<void()> task)
    : interval_(interval), task_(std::move(task)), thread_([this, name = std::move(name)] { run(name); }) {}

Periodic::~Periodic() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  ending_.notify_all();
  thread_.join();
}

void Periodic::run(const std::string& name) {
  pthread_setname_np(pthread_self(), name.c_str());
  std::unique_lock lock(mutex_);
  while (!ending_.wait_for(lock, interval_, [this] { return ended_; })) {
    lock.unlock();
    task_();
    lock.lock();
  }
}

}  // namespace berth::app
