#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "audit/audit_log.h"
#include "store/both_engines_fixture.h"

namespace berth::telemetry {

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().describe());
  return std::move(*result);
}
inline void must(Result<void> result) {
  if (!result) throw std::runtime_error(result.error().describe());
}
/// The reason of a failure, or "ok".
template <class T>
std::string reason_of(const Result<T>& result) {
  return result ? std::string("ok") : std::string(result.error().reason());
}

/// A migrated store of its own and a clock that stands still.
class TelemetryFixture : public ::testing::TestWithParam<store::Dialect> {
 protected:
  TelemetryFixture() : place_(GetParam()) {
    database_ = place_.ready(store::embedded_migrations());
    audit_ = std::make_unique<audit::AuditLog>(*database_, Secret(std::string(32, 'k')), clock_);
  }
  static audit::Origin origin() {
    return {UserId(7), "alice", "192.0.2.1", "container-rental", RequestId("request-1")};
  }
  void pass(std::chrono::microseconds time) { clock_.advance(time); }
  std::int64_t count(std::string_view sql) {
    return must(database_->read([&](store::Transaction& transaction) -> Result<std::int64_t> {
      return BERTH_TRY(transaction.query(sql)).front().integer("n");
    }));
  }
  std::int64_t audited(const std::string& action) {
    audit::Filter filter;
    filter.action_prefix = action;
    return must(audit_->list(filter)).total;
  }

  store::Place place_;
  ManualClock clock_{Timestamp(std::chrono::seconds(1'800'000'000))};
  std::unique_ptr<store::Database> database_;
  std::unique_ptr<audit::AuditLog> audit_;
};

}  // namespace berth::telemetry
