#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>

#include "base/result.h"
#include "base/secret.h"

namespace berth::identity {

/// argon2id, a few at a time: each hash takes much memory, so a storm of logins waits in a short
/// line instead of taking it all. Thread-safe; calls block.
class PasswordHasher {
 public:
  static constexpr std::size_t kLongest = 1024;

  struct Settings {
    std::size_t memory_bytes = 64UL << 20U;
    unsigned passes = 2;
    std::size_t at_once = 2;                 ///< hashes computed at the same time
    std::size_t waiting = 64;                ///< callers in line beyond which further ones are refused
    std::chrono::milliseconds wait{10'000};  ///< how long one waits in line
  };

  explicit PasswordHasher(const Settings& settings);

  /// Errors: rate_limited "auth.throttled" if the line is too long, exhausted "password.memory".
  Result<std::string> hash(const Secret& password);
  /// Whether `password` is the one of `stored`. An empty `stored` (no such account) costs as much
  /// and is never right. Errors: rate_limited "auth.throttled".
  Result<bool> verify(const std::string& stored, const Secret& password);
  /// True if `stored` was made with another cost than is set now.
  bool outdated(const std::string& stored) const;

 private:
  class Slot;
  Result<void> enter();
  void leave();

  const Settings settings_;
  const std::string nobody_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::size_t busy_ = 0;
  std::size_t in_line_ = 0;
};

}  // namespace berth::identity
