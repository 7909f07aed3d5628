#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

namespace berth {

/// Tells subscribers of something that happened. Callbacks run on the thread that emits, in order of
/// subscription, and must be short and must not emit, subscribe or unsubscribe here. Outlives its subscriptions.
/// Thread-safe.
template <class... Args>
class Signal {
 public:
  /// Ends its subscription when destroyed; after that the callback is not running and will not run.
  class [[nodiscard]] Subscription {
   public:
    Subscription() = default;
    Subscription(Signal* signal, std::uint64_t key) : signal_(signal), key_(key) {}
    Subscription(Subscription&& other) noexcept : signal_(std::exchange(other.signal_, nullptr)), key_(other.key_) {}
    Subscription& operator=(Subscription&& other) noexcept {
      if (this != &other) {
        reset();
        signal_ = std::exchange(other.signal_, nullptr);
        key_ = other.key_;
      }
      return *this;
    }
    ~Subscription() { reset(); }
    void reset() {
      if (signal_ != nullptr) std::exchange(signal_, nullptr)->remove(key_);
    }

   private:
    Signal* signal_ = nullptr;
    std::uint64_t key_ = 0;
  };

  Subscription subscribe(std::function<void(Args...)> callback) {
    const std::lock_guard lock(mutex_);
    const std::uint64_t key = ++last_key_;
    callbacks_.emplace(key, std::move(callback));
    return Subscription(this, key);
  }

  void emit(Args... args) {
    const std::lock_guard lock(mutex_);
    for (auto& [key, callback] : callbacks_) callback(args...);
  }

 private:
  void remove(std::uint64_t key) {
    const std::lock_guard lock(mutex_);
    callbacks_.erase(key);
  }

  std::mutex mutex_;
  std::uint64_t last_key_ = 0;
  std::map<std::uint64_t, std::function<void(Args...)>> callbacks_;
};

}  // namespace berth
