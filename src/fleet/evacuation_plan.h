#pragma once

#include <string_view>
#include <vector>

#include "fleet/balance_plan.h"
#include "fleet/fleet_state.h"
#include "fleet/lease_book.h"

namespace berth::fleet {

/// What has to be done before the containers of a server may run elsewhere.
enum class FenceDecision {
  leave,    ///< it answers, or it is not known yet that it does not: nothing of it moves
  go_on,    ///< it is certain that nothing runs there
  confirm,  ///< a person has said so: to be written down
  command,  ///< the program of its fence makes it certain
  lease,    ///< its agent is given no more leases, and stops everything
  refuse,   ///< nobody knows
};

/// What is known of a server when its containers are to run elsewhere.
struct FenceSituation {
  ServerHealth health = ServerHealth::unknown;
  bool connected = false;  ///< its inventory was read at the last turn, or it answers now
  bool fenced = false;     ///< written down before
  Fence fence = Fence::none;
  bool command_known = false;  ///< the configuration has the command of its fence
  AgentView agent;             ///< for Fence::agent
  bool confirmed = false;      ///< a person says that the machine is off
};

FenceDecision decide_fence(const FenceSituation& situation);

/// Where the containers of a server go.
struct EvacuationPlan {
  /// Containers that share volumes follow each other, to the same server.
  std::vector<std::vector<PlannedMove>> groups;
  std::vector<ContainerId> homeless;  ///< that fit nowhere
};

/// The greediest first, each to the server with the most room for it, whose ports and volumes are free. Pure.
EvacuationPlan plan_evacuation(const FleetState& state, ServerId from, const std::vector<ContainerId>& containers);

}  // namespace berth::fleet
