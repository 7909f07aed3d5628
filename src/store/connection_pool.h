#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/result.h"
#include "store/connection.h"
#include "store/store_metrics.h"

namespace berth::store {

/// A fixed number of connections for reading, opened when they are first needed. Thread-safe.
class ConnectionPool {
 public:
  using Connect = std::function<Result<std::unique_ptr<Connection>>()>;

  /// A connection on loan. One that is no longer alive, or still in a transaction, is closed
  /// instead of returned.
  class Lease {
   public:
    Lease(ConnectionPool& pool, std::unique_ptr<Connection> connection)
        : pool_(&pool), connection_(std::move(connection)) {}
    Lease(Lease&& other) noexcept
        : pool_(other.pool_), connection_(std::move(other.connection_)), held_(std::exchange(other.held_, false)) {}
    Lease& operator=(Lease&&) = delete;
    ~Lease();
    Connection& operator*() const { return *connection_; }
    Connection* operator->() const { return connection_.get(); }

   private:
    ConnectionPool* pool_;
    std::unique_ptr<Connection> connection_;
    bool held_ = true;
  };

  ConnectionPool(std::size_t size, Connect connect, StoreMetrics& metrics);

  /// Errors: unavailable "store.unavailable" when none is free until `deadline` or none can be
  /// opened.
  Result<Lease> acquire(std::chrono::steady_clock::time_point deadline);

 private:
  void give_back(std::unique_ptr<Connection> connection);

  const Connect connect_;
  StoreMetrics& metrics_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::size_t free_;  // how many may still be lent, opened or not
  std::vector<std::unique_ptr<Connection>> idle_;
};

}  // namespace berth::store
