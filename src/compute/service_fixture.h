#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "audit/audit_log.h"
#include "compute/instance_service.h"
#include "drivers/fake/fake_engine.h"
#include "eventually.h"
#include "operations/flaky_database.h"
#include "operations/operation_record.h"
#include "temporary_folder.h"

namespace berth::compute {

/// An instance service with all that stands under it: a fake engine, its inventory, a real store.
class ServiceFixture : public ::testing::Test {
 protected:
  using FakeEngine = drivers::fake::FakeEngine;

  void begin(FakeEngine::Settings engine) {
    store::Database::Settings place;
    place.file = folder_.path() / "store.db";
    database_ = take(store::Database::open(place, metrics_));
    take(database_->migrate());
    flaky_ = std::make_unique<operations::FlakyDatabase>(*database_);
    audit_ = std::make_unique<audit::AuditLog>(*flaky_, Secret(std::string(32, 'k')), system_clock());
    using std::chrono::milliseconds;
    operations_ = take(operations::OperationService::create(
        *flaky_, *audit_, metrics_, system_clock(),
        {milliseconds(20), milliseconds(5), milliseconds(40), milliseconds(10), milliseconds(100)}));
    engine_ = std::make_unique<FakeEngine>(engine);
    Inventory::Settings reading;
    reading.tick = std::chrono::seconds(600);
    reading.host_cores = 4;
    inventory_ = std::make_unique<Inventory>(EngineId("fake"), *engine_, reading, metrics_);
    take(inventory_->refresh_all(soon()));
    service_ =
        std::make_unique<InstanceService>(EngineId("fake"), *engine_, *inventory_, pool_, *operations_, settings_);
  }

  void TearDown() override {
    if (!engine_) return;
    engine_->faults().hang(false);
    if (operations_) operations_->drain(soon());
  }

  static Deadline soon() { return Deadline::after(std::chrono::seconds(15)); }

  template <class T>
  static T take(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().describe());
    return std::move(*result);
  }
  static void take(Result<void> result) {
    if (!result) throw std::runtime_error(result.error().describe());
  }

  template <class T>
  static void expect_error(const Result<T>& result, ErrorCode code, std::string_view reason) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code(), code) << result.error().describe();
    EXPECT_EQ(result.error().reason(), reason) << result.error().describe();
  }

  static Viewer admin() { return {true, "", {UserId(1), "admin", "192.0.2.1", "lxd-panel", RequestId("request-1")}}; }
  static Viewer user(std::string owner) {
    return {false, std::move(owner), {UserId(2), "user", "192.0.2.2", "lxd-panel", RequestId("request-2")}};
  }

  std::optional<Status> shown(const std::string& name) const {
    const auto instance = inventory_->snapshot()->find(name);
    return instance ? std::optional(instance->status) : std::nullopt;
  }
  std::vector<audit::Record> audited() { return take(audit_->list({})).records; }
  std::int64_t operations_recorded() { return take(operations_->list({})).total; }

  NewInstance wish(std::string name) const {
    NewInstance wish;
    wish.name = std::move(name);
    wish.image = FakeEngine::kImage;
    wish.description = wish.name + " 20001 hunter2 30000 30025";
    return wish;
  }

  InstanceService::Settings settings_{.lifecycle_limit = std::chrono::seconds(15),
                                      .create_limit = std::chrono::seconds(15),
                                      .quick_limit = std::chrono::seconds(5),
                                      .stop_grace = std::chrono::seconds(1),
                                      .bulk_limit = 20};
  testing::TemporaryFolder folder_;
  metrics::Registry metrics_;
  std::unique_ptr<store::Database> database_;
  std::unique_ptr<operations::FlakyDatabase> flaky_;
  std::unique_ptr<audit::AuditLog> audit_;
  std::unique_ptr<FakeEngine> engine_;
  std::unique_ptr<Inventory> inventory_;
  WorkerPool pool_{{.name = "engine", .threads = 4, .queue_limit = 64}};
  std::unique_ptr<operations::OperationService> operations_;
  std::unique_ptr<InstanceService> service_;
};

}  // namespace berth::compute
