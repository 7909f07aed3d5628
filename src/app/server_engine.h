#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "base/result.h"
#include "compute/engine.h"
#include "fleet/server.h"

namespace berth::app {

/// What the engines of servers find on this machine.
struct ServerSurroundings {
  std::uint32_t host_cores = 0;
  std::filesystem::path sockets;  ///< folder of SSH connections' local sockets
};

/// Makes the engine of a server after the scheme of its address: Docker's kind for unix, tcp and ssh, one in memory for
/// fake. Nothing is asked of it yet. Errors: invalid_argument "server.address" naming the field.
Result<std::unique_ptr<compute::InstanceEngine>> make_server_engine(const fleet::Server& server,
                                                                    const ServerSurroundings& surroundings);

}  // namespace berth::app
