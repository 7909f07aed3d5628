#pragma once

#include <string>

#include "compute/engine.h"
#include "drivers/lxd/api.h"

namespace berth::drivers::lxd {

/// Changes an instance's description and limits. Somebody else's change in between is read again and kept.
Result<void> update_instance(Api& api, const std::string& name, const compute::InstanceChange& change,
                             Deadline deadline);

}  // namespace berth::drivers::lxd
