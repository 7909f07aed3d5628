#pragma once

#include "compute/engine.h"
#include "drivers/docker/api.h"

namespace berth::drivers::docker {

/// Makes a container of an image that the engine has, joins its networks, and starts it if asked. What fails on the
/// way is removed again while the deadline allows.
Result<void> create_container(Api& api, const compute::NewInstance& wish, const compute::EngineProgress& progress,
                              Deadline deadline);

}  // namespace berth::drivers::docker
