#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "compute/container.h"
#include "compute/instance.h"
#include "fleet/access.h"
#include "fleet/placement.h"
#include "fleet/server.h"

// What decisions about where containers run are made from: plain values, so that they can be made of anything.
namespace berth::fleet {

using HostPort = std::pair<compute::Protocol, std::uint16_t>;

/// A container as moving sees it.
struct PlacedContainer {
  ContainerId id;
  std::string name;
  ServerId server;
  compute::InstanceLimits limits;
  std::set<HostPort> ports;       ///< of its server that it answers on
  std::set<std::string> volumes;  ///< named
  std::set<ServerId> barred;      ///< where an older copy of it lies
  /// Nothing ties it to its server: no folder of the server, no change under way.
  bool movable = true;
};

/// What is reserved on the servers includes these containers, and those that are about to be made.
struct FleetState {
  std::vector<PlacementCandidate> servers;
  std::vector<PlacedContainer> containers;
};

}  // namespace berth::fleet
