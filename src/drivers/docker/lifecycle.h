#pragma once

#include <chrono>
#include <string>

#include "compute/engine.h"
#include "drivers/docker/api.h"

namespace berth::drivers::docker {

/// Starting a running container, and stopping a stopped one, succeed.
Result<void> start_container(Api& api, const std::string& name, Deadline deadline);
Result<void> stop_container(Api& api, const std::string& name, std::chrono::seconds grace, Deadline deadline);
/// Errors: conflict "instance.state" for one that does not run.
Result<void> restart_container(Api& api, const std::string& name, std::chrono::seconds grace, Deadline deadline);
/// With the volumes that it alone has and that nobody named. Errors: conflict "instance.running".
Result<void> remove_container(Api& api, const std::string& name, Deadline deadline);
/// Also of a running one.
Result<void> rename_container(Api& api, const std::string& name, const std::string& new_name, Deadline deadline);
/// Gives the container's id.
Result<std::string> update_container(Api& api, const std::string& name, const compute::InstanceChange& change,
                                     Deadline deadline);

}  // namespace berth::drivers::docker
