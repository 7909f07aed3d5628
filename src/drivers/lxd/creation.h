#pragma once

#include <string>

#include "compute/engine.h"
#include "drivers/lxd/api.h"
#include "drivers/lxd/images.h"

namespace berth::drivers::lxd {

/// Makes an instance and starts it if asked. What fails on the way is removed again while the deadline allows.
/// `storage_pool` of the root disk; "" for the default profile's, else the server's first.
Result<void> create_instance(Api& api, Images& images, const std::string& storage_pool,
                             const compute::NewInstance& wish, const compute::EngineProgress& progress,
                             Deadline deadline);

}  // namespace berth::drivers::lxd
