#pragma once

#include "api/shared/contract.h"
#include "fleet/registries.h"
#include "fleet/server_resources.h"

namespace berth::api::container_rental {

/// What the routes of images, volumes, networks and registries call. Everything outlives the contract.
struct ResourceRouteParts {
  fleet::ServerResources& resources;
  fleet::Registries& registries;
  /// Threads that wait for engines.
  WorkerPool& changes;
  WorkerPool& reads;
};

/// Declares `/api/images`, `/api/volumes`, `/api/networks` and `/api/registries`.
void add_resource_routes(Contract& contract, const ResourceRouteParts& parts);

}  // namespace berth::api::container_rental
