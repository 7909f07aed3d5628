#pragma once

#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "compute/instance.h"
#include "json/document.h"

namespace berth::drivers::docker {

/// Docker's and Podman's words for what a container does.
compute::Status decode_status(std::string_view word);

/// What the list says of a container: everything that may change at any moment, without limits and counters. Errors:
/// internal "engine.protocol".
Result<compute::Instance> decode_listed(json::View entry);
/// What the inspection of one container says; without counters. Errors: internal "engine.protocol".
Result<compute::Instance> decode_inspected(json::View container);

/// Counters of an answer to /stats.
compute::InstanceCounters decode_counters(json::View statistics);
/// Whether there was something to count: an engine answers of a container that does not run with zeros.
bool has_counters(json::View statistics);

}  // namespace berth::drivers::docker
