#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/active_transaction.h"
#include "store/connection.h"
#include "store/store_metrics.h"

namespace berth::store {

/// The one thread that writes. It runs every write that waits, each in a savepoint of its own,
/// commits them together and only then wakes their callers, so that the cost of a durable commit is
/// shared. Thread-safe.
class GroupWriter {
 public:
  using Body = std::function<Result<void>(Transaction&)>;
  using Connect = std::function<Result<std::unique_ptr<Connection>>()>;
  using Deliver = std::function<void(std::vector<Notification>)>;

  struct Settings {
    std::chrono::milliseconds wait;
    std::size_t queue_limit = 1024;            ///< waiting writes beyond which callers wait for room
    std::size_t group_limit = 256;             ///< writes of one commit
    std::chrono::milliseconds group_time{20};  ///< after which a group takes no more writes
  };

  /// `connection` may be null: then `connect` is called for the first write. `deliver` is called on
  /// the writer's thread after a commit.
  GroupWriter(Settings settings, const Database& owner, Connect connect, Deliver deliver, StoreMetrics& metrics,
              std::unique_ptr<Connection> connection);
  GroupWriter(const GroupWriter&) = delete;
  GroupWriter& operator=(const GroupWriter&) = delete;
  /// Runs what is queued, then ends the thread and closes the connection.
  ~GroupWriter();

  /// Blocks until `body` is committed or has failed; throws what it threw.
  Result<void> run(const Body& body);

 private:
  struct Job;

  void work();
  void run_group();
  Result<void> begin();
  Job* next_job();
  void run_job(Job& job);
  Result<void> run_attempt(Job& job);
  Result<void> finish_group(const std::vector<Job*>& group);
  void complete(const std::vector<Job*>& group, const std::optional<Error>& error);
  void fail_waiting(const Error& error);

  const Settings settings_;
  const Database& owner_;
  const Connect connect_;
  const Deliver deliver_;
  StoreMetrics& metrics_;
  std::unique_ptr<Connection> connection_;  // used by the writer's thread only

  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable room_;
  std::deque<Job*> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace berth::store
