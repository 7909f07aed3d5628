#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "compute/container_engine.h"
#include "drivers/fake/dispatcher.h"

namespace berth::drivers::fake {

/// What one container wrote; beyond 1 MiB the oldest goes. Not thread-safe.
class ContainerLog {
 public:
  void write(Timestamp at, std::string text);
  std::string read(const compute::LogQuery& query) const;

 private:
  struct Piece {
    Timestamp at;
    std::string text;
  };
  std::deque<Piece> pieces_;
  std::size_t bytes_ = 0;
};

/// A piece of a log as it is shown: each line with its time in front, if that is wanted.
std::string shown(const compute::LogQuery& query, Timestamp at, std::string_view text);

/// One reader that follows a log, called on the dispatcher's thread. What comes while it is paused is kept for it, at
/// most as much as the log itself keeps. Thread-safe.
class LogFeed final : public std::enable_shared_from_this<LogFeed> {
 public:
  LogFeed(compute::LogQuery query, std::shared_ptr<compute::LogReader> reader, std::shared_ptr<Dispatcher> dispatcher);

  void write(Timestamp at, const std::string& text);
  /// What ContainerLog::read yields for this reader's query.
  void write_as_shown(std::string text);
  void end(const Result<void>& outcome);
  void pause();
  void resume();
  /// After that no call of the reader is running or will come.
  void stop();

 private:
  void hand_over();

  const compute::LogQuery query_;
  const std::shared_ptr<Dispatcher> dispatcher_;
  std::recursive_mutex mutex_;  ///< held while the reader is called, who may let go of this meanwhile
  std::shared_ptr<compute::LogReader> reader_;
  std::string waiting_;
  std::optional<Result<void>> ending_;
  bool paused_ = false;
};

}  // namespace berth::drivers::fake
