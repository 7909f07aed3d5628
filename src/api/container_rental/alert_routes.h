#pragma once

#include "api/shared/contract.h"
#include "identity/identity_service.h"
#include "telemetry/alert_engine.h"

namespace berth::api::container_rental {

/// What the routes of alerts call. Everything outlives the contract.
struct AlertRouteParts {
  telemetry::AlertEngine& alerts;
  const identity::IdentityService& identity;
  const Clock& clock;
  WorkerPool& reads;
};

/// Declares `/api/alerts/…`.
void add_alert_routes(Contract& contract, const AlertRouteParts& parts);

}  // namespace berth::api::container_rental
