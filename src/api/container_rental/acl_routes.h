#pragma once

#include "api/shared/contract.h"
#include "identity/identity_service.h"
#include "rental/acl_service.h"

namespace berth::api::container_rental {

/// What the routes of access control lists call. Everything outlives the contract.
struct AclRouteParts {
  rental::AclService& acl;
  const identity::IdentityService& identity;
  const Clock& clock;
  WorkerPool& reads;
};

/// Declares `/api/acl/…`.
void add_acl_routes(Contract& contract, const AclRouteParts& parts);

}  // namespace berth::api::container_rental
