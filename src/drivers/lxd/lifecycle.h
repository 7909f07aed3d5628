#pragma once

#include <chrono>
#include <string>

#include "compute/engine.h"
#include "drivers/lxd/api.h"
#include "drivers/lxd/operation.h"

namespace berth::drivers::lxd {

// Changes of an instance's state. Each follows its operation to the end; where the engine forgot the operation
// meanwhile (it keeps ended ones for 5 s, and none over its own restart), the state itself tells what became.

/// Starts it, or thaws it; one that runs is fine.
Result<void> start_instance(Api& api, const std::string& name, const compute::EngineProgress& progress,
                            const FollowSteps& steps, Deadline deadline);
/// Asks it to end, and after `grace` ends it by force; one that is stopped is fine.
Result<void> stop_instance(Api& api, const std::string& name, std::chrono::seconds grace,
                           const compute::EngineProgress& progress, Deadline deadline);
/// Errors: conflict "instance.state" if it does not run.
Result<void> restart_instance(Api& api, const std::string& name, std::chrono::seconds grace,
                              const compute::EngineProgress& progress, Deadline deadline);
/// Errors: conflict "instance.running". One that is not there is fine.
Result<void> remove_instance(Api& api, const std::string& name, const compute::EngineProgress& progress,
                             Deadline deadline);
/// Errors: conflict "instance.state" if it runs, already_exists.
Result<void> rename_instance(Api& api, const std::string& name, const std::string& new_name, Deadline deadline);

}  // namespace berth::drivers::lxd
