#pragma once

#include "api/shared/contract.h"
#include "fleet/container_service.h"
#include "fleet/high_availability.h"
#include "fleet/relocation.h"
#include "fleet/server_registry.h"

namespace berth::api::container_rental {

/// What the routes of high availability call. Everything outlives the contract.
struct HaRouteParts {
  fleet::HighAvailability& ha;
  fleet::ContainerMover& mover;
  fleet::ContainerService& containers;
  fleet::ServerRegistry& servers;
  /// Threads that wait for changes in engines.
  WorkerPool& changes;
};

/// Declares what moves containers: all below `/api/ha/`, and the draining of a server.
void add_ha_routes(Contract& contract, const HaRouteParts& parts);

}  // namespace berth::api::container_rental
