#include "store/notifier.h"

#include <pthread.h>

#include <algorithm>
#include <exception>
#include <iterator>
#include <utility>

#include "base/log.h"

namespace berth::store {

namespace {

constexpr std::size_t kQueueLimit = 4096;

}  // namespace

void Listeners::add(Database::Listener listener) {
  const std::lock_guard lock(mutex_);
  listeners_.push_back(std::move(listener));
}

void Listeners::tell(const Notification& notification) const {
  std::vector<Database::Listener> listeners;
  {
    const std::lock_guard lock(mutex_);
    listeners = listeners_;
  }
  for (const auto& listener : listeners) {
    try {
      listener(notification.channel, notification.payload);
    } catch (const std::exception& error) {
      log::error("store", "a listener failed on {}: {}", notification.channel, error.what());
    }
  }
}

Notifier::Notifier() : thread_([this] { work(); }) {
  pthread_setname_np(thread_.native_handle(), "store-notifier");
}

Notifier::~Notifier() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  published_.notify_all();
  thread_.join();
}

void Notifier::publish(std::vector<Notification> notifications) {
  const std::lock_guard lock(mutex_);
  if (queue_.size() + notifications.size() > kQueueLimit) {
    queue_.clear();
    queue_.push_back({std::string(Database::kMissedChannel), ""});
  } else {
    std::ranges::move(notifications, std::back_inserter(queue_));
  }
  published_.notify_one();
}

void Notifier::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    published_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const Notification notification = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    listeners_.tell(notification);
    lock.lock();
  }
}

}  // namespace berth::store
