#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "audit/audit_log.h"
#include "identity/identity_service.h"
#include "metrics/registry.h"
#include "store/database.h"
#include "temporary_folder.h"

namespace berth::bench {

/// The value, or the end of the benchmark.
template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().describe());
  return std::move(*result);
}
inline void must(const Result<void>& result) {
  if (!result) throw std::runtime_error(result.error().describe());
}

/// A store in a temporary folder with one administrator who has signed in; passwords are cheap.
class IdentityFixture {
 public:
  IdentityFixture();

  /// Another valid access token of the same session.
  std::string new_token();

  identity::IdentityService& service() { return *service_; }
  store::Database& database() { return *database_; }
  audit::AuditLog& audit() { return *audit_; }
  metrics::Registry& metrics() { return metrics_; }

 private:
  testing::TemporaryFolder folder_;
  metrics::Registry metrics_;
  identity::Sealing sealing_ = identity::Sealing::from_keys({Secret(std::string(32, 's'))});
  std::unique_ptr<store::Database> database_;
  std::unique_ptr<audit::AuditLog> audit_;
  std::unique_ptr<identity::IdentityService> service_;
  identity::PrincipalPointer principal_;
};

}  // namespace berth::bench
