#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "store/active_transaction.h"
#include "store/database.h"

namespace berth::store {

/// Those who listen. Thread-safe; a listener that throws is logged and the others still hear.
class Listeners {
 public:
  void add(Database::Listener listener);
  void tell(const Notification& notification) const;

 private:
  mutable std::mutex mutex_;
  std::vector<Database::Listener> listeners_;
};

/// Delivers in the order of `publish`, on a thread of its own, so that a listener may use the
/// store.
class Notifier {
 public:
  Notifier();
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;
  /// Delivers what was published, then ends.
  ~Notifier();

  void listen(Database::Listener listener) { listeners_.add(std::move(listener)); }
  /// Never blocks. When listeners fall too far behind, what waits is replaced by one
  /// kMissedChannel.
  void publish(std::vector<Notification> notifications);

 private:
  void work();

  Listeners listeners_;
  std::mutex mutex_;
  std::condition_variable published_;
  std::deque<Notification> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace berth::store
