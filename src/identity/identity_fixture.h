#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "audit/audit_log.h"
#include "base/clock.h"
#include "identity/identity_service.h"
#include "identity/totp.h"
#include "metrics/registry.h"
#include "store/database.h"
#include "temporary_folder.h"

namespace berth::identity {

/// The value, or the end of the test.
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

/// The fields that were refused, in order.
template <class T>
std::string fields_of(const Result<T>& result) {
  std::string names;
  if (!result) {
    for (const auto& field : result.error().fields()) names += (names.empty() ? "" : " ") + field.field;
  }
  return names;
}

/// An identity service over a store of its own, with a clock that stands still and cheap passwords.
class IdentityFixture {
 public:
  explicit IdentityFixture(store::Database::Settings settings = {}) {
    if (settings.dialect == store::Dialect::sqlite) settings.file = folder_ / "berth.db";
    database_ = must(store::Database::open(settings, registry_));
    must(database_->migrate());
    audit_ = std::make_unique<audit::AuditLog>(*database_, sealing_.derive("audit"), clock_);
    restart();
  }

  static IdentityService::Settings settings() {
    IdentityService::Settings settings;
    settings.password_memory_bytes = 8192;
    settings.password_passes = 1;
    return settings;
  }

  /// Another service over the same store, as after a restart or on another node.
  std::unique_ptr<IdentityService> another(const IdentityService::Settings& chosen = settings()) {
    return must(IdentityService::create(chosen, *database_, *audit_, sealing_, clock_));
  }
  void restart() {
    service_.reset();
    service_ = another();
  }

  IdentityService& service() { return *service_; }
  store::Database& database() { return *database_; }
  audit::AuditLog& audit() { return *audit_; }
  const Sealing& sealing() const { return sealing_; }
  ManualClock& clock() { return clock_; }
  void pass(std::chrono::microseconds time) { clock_.advance(time); }

  static audit::Origin from(std::string address) {
    return {UserId(), "", std::move(address), "lxd-panel", RequestId("request-1")};
  }
  User make_user(const std::string& name, Role role = Role::user) {
    return must(service().create_user({name, name + "@example.com", Secret(kPassword), role}, from("192.0.2.1")));
  }
  Result<Tokens> try_login(std::string_view login, std::string_view password = kPassword, std::string_view otp = "",
                           const std::string& address = "192.0.2.1") {
    return service().login(login, Secret(std::string(password)), otp, from(address));
  }
  Tokens login(std::string_view name) { return must(try_login(name)); }
  std::string asked(std::string_view credential) { return reason_of(service().authenticate(credential)); }

  std::int64_t audited(const std::string& action, audit::Outcome outcome = audit::Outcome::success) {
    audit::Filter filter;
    filter.action_prefix = action;
    filter.limit = 1000;
    std::int64_t count = 0;
    const auto page = must(audit_->list(filter));
    for (const auto& record : page.records) {
      if (record.entry.action == action && record.entry.outcome == outcome) ++count;
    }
    return count;
  }
  std::int64_t count(std::string_view sql) {
    return must(database_->read([&](store::Transaction& transaction) -> Result<std::int64_t> {
      return BERTH_TRY(transaction.query(sql)).front().integer("n");
    }));
  }

  static constexpr const char* kPassword = "correct horse battery";

 private:
  testing::TemporaryFolder folder_;
  metrics::Registry registry_;
  ManualClock clock_{Timestamp(std::chrono::seconds(1'800'000'000))};
  Sealing sealing_ = Sealing::from_keys({Secret(std::string(32, 's'))});
  std::unique_ptr<store::Database> database_;
  std::unique_ptr<audit::AuditLog> audit_;
  std::unique_ptr<IdentityService> service_;
};

class IdentityTest : public ::testing::Test, public IdentityFixture {};

}  // namespace berth::identity
