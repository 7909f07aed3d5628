#pragma once

#include "api/shared/contract.h"
#include "fleet/container_service.h"
#include "telemetry/traffic_meter.h"

namespace berth::api::container_rental {

/// What the routes of traffic call. Everything outlives the contract.
struct TrafficRouteParts {
  const fleet::ContainerService& containers;
  const telemetry::TrafficMeter& traffic;
  const Clock& clock;
  WorkerPool& reads;
};

/// Declares `/api/traffic/…` and `/api/ha/container_traffic/…`.
void add_traffic_routes(Contract& contract, const TrafficRouteParts& parts);

}  // namespace berth::api::container_rental
