#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "compute/engine.h"
#include "fleet/server.h"

namespace berth::app {

/// Makes the engine of a server after the scheme of its address: Docker's kind for unix and tcp, one in memory for
/// fake. Nothing is asked of it yet. Errors: invalid_argument "server.address" naming the field; unsupported
/// "server.scheme" for ssh.
Result<std::unique_ptr<compute::InstanceEngine>> make_server_engine(const fleet::Server& server,
                                                                    std::uint32_t host_cores);

}  // namespace berth::app
