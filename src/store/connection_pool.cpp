#include "store/connection_pool.h"

#include <utility>

#include "store/failure.h"

namespace berth::store {

ConnectionPool::ConnectionPool(std::size_t size, Connect connect, StoreMetrics& metrics)
    : connect_(std::move(connect)), metrics_(metrics), free_(size) {}

Result<ConnectionPool::Lease> ConnectionPool::acquire(std::chrono::steady_clock::time_point deadline) {
  {
    std::unique_lock lock(mutex_);
    if (!returned_.wait_until(lock, deadline, [&] { return free_ > 0; })) {
      return unavailable(Obstacle::busy, "every connection for reading is in use");
    }
    --free_;
    if (!idle_.empty()) {
      // The one used last, whose cache is warm; those beyond the usual load stay unopened.
      Lease lease(*this, std::move(idle_.back()));
      idle_.pop_back();
      return lease;
    }
  }
  auto connection = connect_();
  if (!connection) {
    give_back(nullptr);
    return take_error(connection);
  }
  metrics_.connections.add();
  return Lease(*this, *std::move(connection));
}

void ConnectionPool::give_back(std::unique_ptr<Connection> connection) {
  const std::lock_guard lock(mutex_);
  if (connection) idle_.push_back(std::move(connection));
  ++free_;
  returned_.notify_one();
}

ConnectionPool::Lease::~Lease() {
  if (!held_) return;
  if (connection_ && (!connection_->alive() || connection_->in_transaction())) connection_.reset();
  pool_->give_back(std::move(connection_));
}

}  // namespace berth::store
