#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "audit/audit_log.h"
#include "base/clock.h"
#include "base/result.h"
#include "compute/container_engine.h"
#include "identity/sealing.h"
#include "store/database.h"

namespace berth::fleet {

/// Who we are to a registry, without the password.
struct RegistryLogin {
  std::string registry;  ///< as compute::parse_registry has it: "docker.io", "registry.example.com:5000"
  std::string username;
  Timestamp created_at;
  Timestamp updated_at;
};

struct NewRegistryLogin {
  std::string registry;
  std::string username;
  Secret password;
};

/// The credentials for registries of images: one for each registry, used for every image that comes from it, whoever
/// wishes for it. Passwords rest sealed and are never shown. Every change is audited in its own transaction, and holds
/// for the next pull. Thread-safe; asks the store, so it belongs on worker threads.
class Registries {
 public:
  /// What it works with; everything outlives it.
  struct Parts {
    store::Database& database;
    audit::AuditLog& audit;
    const identity::Sealing& sealing;
    const Clock& clock;
  };

  explicit Registries(const Parts& parts) : parts_(parts) {}

  Result<std::vector<RegistryLogin>> list() const;  ///< by registry
  /// Adds it, or takes the place of the one that is there. Errors: invalid_argument "registry.invalid" naming the
  /// fields ("registry", "username", "password"), conflict "registry.limit".
  Result<RegistryLogin> save(const NewRegistryLogin& login, const audit::Origin& origin);
  /// Errors: not_found "registry.not_found".
  Result<void> remove(const std::string& registry, const audit::Origin& origin);

  /// Who we are to the registry of an image; nothing for nobody. Errors: internal "sealing.broken".
  Result<std::optional<compute::RegistryCredentials>> credentials_for(const std::string& image) const;

  /// Seals passwords that rest under an older key anew; yields how many.
  static Result<std::int64_t> reseal(store::Database& database, const identity::Sealing& sealing);

 private:
  const Parts parts_;
};

}  // namespace berth::fleet
