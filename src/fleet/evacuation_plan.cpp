#include "fleet/evacuation_plan.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace berth::fleet {
namespace {

/// Containers that can only move together, and what they want together.
struct Group {
  std::vector<const PlacedContainer*> members;
  compute::InstanceLimits limits{.cpus = 0.0, .memory_bytes = 0, .disk_bytes = {}};
  std::set<HostPort> ports;
  std::set<std::string> volumes;
  std::set<ServerId> barred;

  void add(const PlacedContainer& one) {
    members.push_back(&one);
    *limits.cpus += one.limits.cpus.value_or(0);
    *limits.memory_bytes += one.limits.memory_bytes.value_or(0);
    ports.insert(one.ports.begin(), one.ports.end());
    volumes.insert(one.volumes.begin(), one.volumes.end());
    barred.insert(one.barred.begin(), one.barred.end());
  }
  void add(const Group& other) {
    for (const auto* one : other.members) add(*one);
  }
};

bool meet(const auto& left, const auto& right) {
  return std::ranges::any_of(left, [&](const auto& each) { return right.contains(each); });
}

std::vector<Group> group_by_volumes(const std::vector<const PlacedContainer*>& containers) {
  std::vector<Group> groups;
  for (const auto* one : containers) {
    Group group;
    group.add(*one);
    for (auto at = groups.begin(); at != groups.end();) {
      if (!meet(at->volumes, group.volumes)) {
        ++at;
        continue;
      }
      Group joined = std::move(*at);
      joined.add(group);
      group = std::move(joined);
      at = groups.erase(at);
    }
    groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace

FenceDecision decide_fence(const FenceSituation& situation) {
  if (situation.connected || situation.health != ServerHealth::unreachable) return FenceDecision::leave;
  if (situation.fenced) return FenceDecision::go_on;
  if (situation.confirmed) return FenceDecision::confirm;
  if (situation.fence == Fence::command && situation.command_known) return FenceDecision::command;
  if (situation.fence == Fence::agent) {
    // One with a standing lease stops nothing by itself: it must be there to be told.
    const AgentView& agent = situation.agent;
    if (agent.bond == Bond::timed || (agent.bond == Bond::standing && !agent.silent)) return FenceDecision::lease;
  }
  return FenceDecision::refuse;
}

EvacuationPlan plan_evacuation(const FleetState& state, ServerId from, const std::vector<ContainerId>& containers) {
  EvacuationPlan plan;
  std::vector<PlacementCandidate> servers;
  std::map<ServerId, std::set<HostPort>> ports;
  std::map<ServerId, std::set<std::string>> volumes;
  for (const auto& server : state.servers) {
    if (server.id != from) servers.push_back(server);
  }
  const std::set<ContainerId> wanted(containers.begin(), containers.end());
  std::vector<const PlacedContainer*> leaving;
  for (const auto& one : state.containers) {
    if (one.server == from && wanted.contains(one.id)) {
      leaving.push_back(&one);
    } else {
      ports[one.server].insert(one.ports.begin(), one.ports.end());
      volumes[one.server].insert(one.volumes.begin(), one.volumes.end());
    }
  }
  auto groups = group_by_volumes(leaving);
  std::ranges::sort(groups, [](const Group& left, const Group& right) {
    return std::tuple(*right.limits.memory_bytes, *right.limits.cpus, left.members.front()->id) <
           std::tuple(*left.limits.memory_bytes, *left.limits.cpus, right.members.front()->id);
  });
  for (const auto& group : groups) {
    std::vector<PlacementCandidate> open;
    std::ranges::copy_if(servers, std::back_inserter(open), [&](const PlacementCandidate& server) {
      return !group.barred.contains(server.id) && !meet(group.ports, ports[server.id]) &&
             !meet(group.volumes, volumes[server.id]);
    });
    const auto to = choose_server(open, group.limits);
    if (!to) {
      for (const auto* one : group.members) plan.homeless.push_back(one->id);
      continue;
    }
    auto& taken = *std::ranges::find(servers, *to, &PlacementCandidate::id);
    taken.cpus_reserved += *group.limits.cpus;
    taken.memory_reserved_bytes += *group.limits.memory_bytes;
    taken.containers += static_cast<std::uint32_t>(group.members.size());
    ports[*to].insert(group.ports.begin(), group.ports.end());
    volumes[*to].insert(group.volumes.begin(), group.volumes.end());
    std::vector<PlannedMove> moves;
    for (const auto* one : group.members) moves.push_back({one->id, one->name, from, *to});
    plan.groups.push_back(std::move(moves));
  }
  return plan;
}

}  // namespace berth::fleet
