#pragma once

#include <memory>
#include <optional>

#include "app/configuration.h"
#include "audit/audit_log.h"
#include "base/result.h"
#include "identity/identity_service.h"
#include "identity/sealing.h"
#include "metrics/registry.h"
#include "store/database.h"

namespace berth::app {

/// What to do about a store whose schema is older than this program's.
enum class Migrate {
  always,      ///< the daemon: bring it up to date
  only_fresh,  ///< a command beside the daemon: only where there is nothing yet
};

/// What both the daemon and the commands that work on the store directly stand on. Destroyed in the reverse
/// order of its members.
struct Foundation {
  metrics::Registry metrics;
  std::unique_ptr<store::Database> database;
  std::optional<identity::Sealing> sealing;
  std::unique_ptr<audit::AuditLog> audit;
  std::unique_ptr<identity::IdentityService> identity;

  /// Makes the state folder, opens the store, the sealing key and what stands on them. A sealing key is made only
  /// together with a fresh store: for an old one a new key would lock away what rests there. Errors: conflict
  /// "store.old_schema", and those of the parts.
  static Result<std::unique_ptr<Foundation>> open(const Configuration& configuration, Migrate migrate);
};

/// The store's settings; reads PostgreSQL's connection string from its file.
Result<store::Database::Settings> store_settings(const Configuration& configuration);

/// Who changes things by a command on this machine.
audit::Origin command_origin();

/// The administrator of a first start.
struct FirstAdministrator {
  std::string username;
  std::filesystem::path password_file;  ///< "" if the password was given
  Secret password;
};

/// Makes the administrator "admin" if there are no users yet. The password is BERTH_ADMIN_PASSWORD, else what
/// [identity] admin_password_file holds, else a random one, which is written to the state folder first. Nothing
/// if there are users.
Result<std::optional<FirstAdministrator>> make_first_administrator(identity::IdentityService& identity,
                                                                   const Configuration& configuration,
                                                                   const Environment& environment);

}  // namespace berth::app
