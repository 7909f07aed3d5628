#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "fleet/fleet_state.h"

namespace berth::fleet {

struct PlannedMove {
  ContainerId container;
  std::string name;
  ServerId from;
  ServerId to;
  bool operator==(const PlannedMove&) const = default;
};

struct BalanceRules {
  /// How much fuller (as a share of the machine) the fullest server must be than another one before anything moves.
  double margin = 0.1;
  std::size_t most_moves = 100;
  /// What a container counts for that has no limit of its own.
  double assumed_cpus = 0.25;
  std::uint64_t assumed_memory_bytes = 256ULL << 20U;
};

struct BalancePlan {
  std::vector<PlannedMove> moves;  ///< to be made in this order
  double worst_before = 0;         ///< how full the fullest server is, as a share of it
  double worst_after = 0;
};

/// How full a server is with what runs on it: the greater share of memory and cores. One that tells neither counts as
/// 4 cores and 16 GiB.
double fullness(const FleetState& state, ServerId server, const BalanceRules& rules = {});

/// Which containers to move so that the fullest server becomes less full: the fewest that do it, each at most once.
/// A server that does not answer neither gives nor takes; one that is draining, degraded or without room takes nothing.
/// A move is made only where it leaves the fuller of both servers emptier by at least half of what is moved, and only
/// while the difference is above the margin, so that nothing moves to and fro. Pure: the same state, the same plan.
BalancePlan plan_balance(const FleetState& state, const BalanceRules& rules = {});

}  // namespace berth::fleet
