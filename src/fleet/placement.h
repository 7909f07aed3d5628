#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "compute/instance.h"
#include "fleet/server.h"

namespace berth::fleet {

/// A server as placing sees it.
struct PlacementCandidate {
  ServerId id;
  std::string name;
  Placement placement = Placement::open;
  ServerHealth health = ServerHealth::unknown;
  bool connected = false;          ///< its engine answers, and what is started there keeps running
  double cpus = 0;                 ///< 0: not known
  std::uint64_t memory_bytes = 0;  ///< 0: not known
  double cpus_reserved = 0;        ///< by limits, those of containers about to be made included
  std::uint64_t memory_reserved_bytes = 0;
  std::uint32_t containers = 0;
};

/// Whether a container with these limits fits: its memory beside what is reserved, its cores within the machine's.
bool has_room(const PlacementCandidate& candidate, const compute::InstanceLimits& limits);

/// The open server with the most room: least reserved share of memory and cores once the container is there, then
/// fewest containers, then the oldest. Degraded ones only where no healthy one has room. Nothing if none has.
std::optional<ServerId> choose_server(const std::vector<PlacementCandidate>& candidates,
                                      const compute::InstanceLimits& limits);

}  // namespace berth::fleet
