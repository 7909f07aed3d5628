#pragma once

#include "api/shared/contract.h"
#include "fleet/container_service.h"
#include "rental/rental_service.h"

namespace berth::api::container_rental {

/// What the routes of rentals call. Everything outlives the contract.
struct RentalRouteParts {
  rental::RentalService& rentals;
  const fleet::ContainerService& containers;
  /// A renewal waits for its container to be back.
  WorkerPool& changes;
  WorkerPool& reads;
};

/// Declares `/api/rental/…`.
void add_rental_routes(Contract& contract, const RentalRouteParts& parts);

}  // namespace berth::api::container_rental
