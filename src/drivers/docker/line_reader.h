#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "http/stream_client.h"

namespace berth::drivers::docker {

/// Parts a stream into lines; what is longer than the limit is dropped. Not thread-safe.
class LineSplitter {
 public:
  /// Calls `take` for each line that `bytes` complete, without its end.
  template <class Take>
  void feed(std::string_view bytes, Take take) {
    while (!bytes.empty()) {
      const std::size_t end = bytes.find('\n');
      const std::string_view part = bytes.substr(0, end);
      if (rest_.size() + part.size() <= kLongest) {
        rest_ += part;
      } else {
        dropping_ = true;
      }
      if (end == std::string_view::npos) return;
      if (!dropping_ && !rest_.empty()) take(std::string_view(rest_));
      rest_.clear();
      dropping_ = false;
      bytes.remove_prefix(end + 1);
    }
  }

 private:
  static constexpr std::size_t kLongest = 1UL << 20U;
  std::string rest_;
  bool dropping_ = false;
};

/// Hands the lines of a stream over to a thread that waits for them. Bounded: what nobody takes is dropped, the oldest
/// first, but for the last ones. Thread-safe.
class LineQueue : public http::StreamHandler {
 public:
  void on_data(std::string_view bytes) override {
    const std::lock_guard lock(mutex_);
    splitter_.feed(bytes, [this](std::string_view line) {
      if (lines_.size() >= kMost) lines_.pop_front();
      lines_.emplace_back(line);
    });
    changed_.notify_all();
  }
  void on_end(const Result<void>& outcome) override {
    const std::lock_guard lock(mutex_);
    end_ = outcome;
    changed_.notify_all();
  }

  /// The lines since the last call, waiting for some until `deadline`; none at the end.
  std::deque<std::string> wait(Deadline deadline) {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, deadline.at(), [this] { return !lines_.empty() || end_; });
    return std::exchange(lines_, {});
  }
  /// How the stream ended; nothing while it goes on, or lines are left.
  std::optional<Result<void>> end() {
    const std::lock_guard lock(mutex_);
    if (!lines_.empty()) return std::nullopt;
    return end_;
  }

 private:
  static constexpr std::size_t kMost = 10'000;
  std::mutex mutex_;
  std::condition_variable changed_;
  LineSplitter splitter_;
  std::deque<std::string> lines_;
  std::optional<Result<void>> end_;
};

}  // namespace berth::drivers::docker
