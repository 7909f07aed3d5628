#pragma once

#include "api/shared/contract.h"
#include "api/shared/socket_watch.h"
#include "base/worker_pool.h"
#include "fleet/container_service.h"

namespace berth::api::container_rental {

/// What the routes of logs, commands and terminals call. Everything outlives the contract.
struct TerminalRouteParts {
  fleet::ContainerService& containers;
  /// Closes what is open to somebody who may no longer have it.
  SocketWatch& sockets;
  /// Threads that wait for engines.
  WorkerPool& changes;
};

/// Declares what reaches into a container: its log, commands, terminals, and its console.
void add_terminal_routes(Contract& contract, const TerminalRouteParts& parts);

}  // namespace berth::api::container_rental
