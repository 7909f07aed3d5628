#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/id.h"
#include "identity/permission.h"

namespace berth::identity {

/// Who is calling, settled once per request from its credentials. Immutable and shared.
struct Principal {
  enum class Kind { session, api_key, anonymous_loopback, system };

  Kind kind = Kind::session;
  UserId user_id;         ///< 0 for anonymous_loopback and system
  std::string user_uuid;  ///< the same user where a contract speaks in UUIDs
  std::string actor;      ///< how audit names the caller
  std::string username;
  Role role = Role::viewer;
  PermissionSet permissions;  ///< of the role, narrowed by a key's scope
  std::string session_id;     ///< of the token's family; "" otherwise
  std::string token_id;       ///< the access token's jti; "" otherwise
  Timestamp expires_at;       ///< when the credential ends; Timestamp::max() if it does not

  /// kPublic is allowed to all, kSignedIn to all but anonymous_loopback, the rest by `permissions`.
  bool allows(Permission permission) const;
  /// True if the caller sees and touches only what it owns or was granted.
  bool owned_only() const { return role == Role::user; }
};

using PrincipalPointer = std::shared_ptr<const Principal>;

/// What the system's own work (jobs, reconciliation) runs as.
PrincipalPointer system_principal();
/// What a request without credentials from a loopback peer runs as, where the configuration allows
/// it: everything but changing users, keys and the audit log; it may make users of the role `user`.
PrincipalPointer anonymous_loopback_principal();

}  // namespace berth::identity
