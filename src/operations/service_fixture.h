#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "audit/audit_log.h"
#include "eventually.h"
#include "operations/flaky_database.h"
#include "operations/operation_record.h"
#include "operations/operation_service.h"
#include "temporary_folder.h"

namespace berth::operations {

/// A migrated SQLite store with an audit log, and a service over it that is quick about everything.
class ServiceFixture : public ::testing::Test {
 protected:
  ServiceFixture() {
    store::Database::Settings settings;
    settings.file = folder_.path() / "store.db";
    database_ = take(store::Database::open(settings, metrics_));
    if (auto migrated = database_->migrate(); !migrated) throw std::runtime_error(migrated.error().describe());
    flaky_ = std::make_unique<FlakyDatabase>(*database_);
    audit_ = std::make_unique<audit::AuditLog>(*flaky_, Secret(std::string(32, 'k')), system_clock());
    restart();
  }

  template <class T>
  static T take(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().describe());
    return std::move(*result);
  }

  /// Ends the service and begins another one over the same store.
  void restart() {
    service_.reset();
    service_ = take(OperationService::create(*flaky_, *audit_, metrics_, system_clock(), rhythm()));
  }

  static Rhythm rhythm() {
    using std::chrono::milliseconds;
    return {milliseconds(20), milliseconds(5), milliseconds(40), milliseconds(10), milliseconds(100)};
  }

  static NewOperation wanted(std::string resource = "web-1", std::string kind = "instance.start") {
    NewOperation operation;
    operation.kind = std::move(kind);
    operation.engine = EngineId("lxd");
    operation.resource_type = "instance";
    operation.resource_id = std::move(resource);
    operation.origin = {UserId(7), "alice", "192.0.2.1", "lxd-panel", RequestId("request-1")};
    operation.time_limit = std::chrono::seconds(20);
    return operation;
  }

  static Deadline soon() { return Deadline::after(std::chrono::seconds(15)); }
  static Work succeeding() {
    return [](Context&) -> Result<std::string> { return std::string("null"); };
  }

  Operation run(NewOperation operation, Work work) {
    return take(take(service_->submit(std::move(operation), pool_, std::move(work)))->wait(soon()));
  }

  std::vector<audit::Record> audited() { return take(audit_->list({})).records; }

  /// As if an earlier run of the daemon had been killed in the middle.
  Operation leave_open(std::string resource, std::string kind, std::string handle = "") {
    Operation operation;
    operation.id = OperationId(resource + "-left-open");
    operation.kind = std::move(kind);
    operation.engine = EngineId("lxd");
    operation.resource_type = "instance";
    operation.resource_id = std::move(resource);
    operation.origin = wanted().origin;
    operation.created_at = system_clock().now();
    operation.handle = std::move(handle);
    const auto stored = database_->write([&](store::Transaction& transaction) -> Result<void> {
      BERTH_CHECK(record::insert(transaction, operation));
      BERTH_CHECK(record::update_handle(transaction, operation));
      return {};
    });
    if (!stored) throw std::runtime_error(stored.error().describe());
    return operation;
  }

  testing::TemporaryFolder folder_;
  metrics::Registry metrics_;
  std::unique_ptr<store::Database> database_;
  std::unique_ptr<FlakyDatabase> flaky_;
  std::unique_ptr<audit::AuditLog> audit_;
  WorkerPool pool_{{.name = "engine", .threads = 4, .queue_limit = 8}};
  std::unique_ptr<OperationService> service_;
};

/// Something that a test opens and other threads wait for.
class Latch {
 public:
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  bool wait(std::chrono::milliseconds limit = std::chrono::seconds(15)) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [this] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

}  // namespace berth::operations
