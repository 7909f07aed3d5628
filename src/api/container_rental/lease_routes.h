#pragma once

#include "api/shared/contract.h"
#include "base/worker_pool.h"
#include "fleet/lease_book.h"
#include "fleet/server_registry.h"

namespace berth::api::container_rental {

struct LeaseRouteParts {
  fleet::LeaseBook& leases;
  fleet::ServerRegistry& servers;
  WorkerPool& changes;
  /// For nothing but leases, so that they are renewed in time whatever else goes on.
  WorkerPool& renewals;
};

/// Agents of servers: their tokens and their leases.
void add_lease_routes(Contract& contract, const LeaseRouteParts& parts);

}  // namespace berth::api::container_rental
