#pragma once

#include "api/shared/contract.h"
#include "metrics/registry.h"

namespace berth::api {

/// What every mount has besides its contract: `GET /openapi.json`, a readable page of it at `GET /docs`, and, where
/// asked for, `GET /metrics`.
void add_description_routes(Contract& contract);
void add_metrics_route(Contract& contract, const metrics::Registry& metrics, WorkerPool& pool);

}  // namespace berth::api
