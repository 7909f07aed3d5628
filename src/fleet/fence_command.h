#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "fleet/server.h"

namespace berth::fleet {

/// Runs the program that makes certain that a server's machine is off: without a shell, with an environment of
/// BERTH_SERVER_NAME, BERTH_SERVER_ID and PATH alone, in "/", with nothing to read. Success only if it ends by itself
/// with 0 before the deadline; then it and what it began are killed. Blocks. Errors: unavailable
/// "failover.fence_failed", whose detail says why.
Result<void> run_fence_command(const std::vector<std::string>& argv, ServerId server, const std::string& name,
                               Deadline deadline);

}  // namespace berth::fleet
