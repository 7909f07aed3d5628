#include "fleet/balance_plan.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

namespace berth::fleet {
namespace {

constexpr double kUnknownCpus = 4;
constexpr double kUnknownMemory = 16.0 * (1ULL << 30U);
/// Below this two shares are the same.
constexpr double kHair = 1e-9;

/// What of a machine is taken, and what has been planned for it.
struct Machine {
  PlacementCandidate candidate;
  double cpus = 0;
  double memory = 0;
  std::set<HostPort> ports;
  std::set<std::string> volumes;

  double cpus_there() const { return candidate.cpus > 0 ? candidate.cpus : kUnknownCpus; }
  double memory_there() const {
    return candidate.memory_bytes > 0 ? static_cast<double>(candidate.memory_bytes) : kUnknownMemory;
  }
  double full() const { return std::max(cpus / cpus_there(), memory / memory_there()); }
  bool gives() const {
    return candidate.connected && candidate.health != ServerHealth::unreachable &&
           candidate.health != ServerHealth::unknown;
  }
  bool takes() const {
    return candidate.connected && candidate.health == ServerHealth::healthy && candidate.placement == Placement::open;
  }
};

class Board {
 public:
  Board(const FleetState& state, const BalanceRules& rules) : rules_(rules) {
    for (const auto& server : state.servers) {
      Machine machine;
      machine.candidate = server;
      machines_.emplace(server.id, std::move(machine));
    }
    for (const auto& container : state.containers) {
      if (const auto at = machines_.find(container.server); at != machines_.end()) put(at->second, container);
    }
  }

  std::map<ServerId, Machine>& machines() { return machines_; }
  double cpus_of(const PlacedContainer& one) const { return one.limits.cpus.value_or(rules_.assumed_cpus); }
  double memory_of(const PlacedContainer& one) const {
    return static_cast<double>(one.limits.memory_bytes.value_or(rules_.assumed_memory_bytes));
  }
  double full_with(const Machine& machine, const PlacedContainer& one, int sign) const {
    return std::max((machine.cpus + sign * cpus_of(one)) / machine.cpus_there(),
                    (machine.memory + sign * memory_of(one)) / machine.memory_there());
  }
  bool has_place(const Machine& machine, const PlacedContainer& one) const {
    const auto meet = [](const auto& left, const auto& right) {
      return std::ranges::any_of(left, [&](const auto& each) { return right.contains(each); });
    };
    return machine.takes() && !one.barred.contains(machine.candidate.id) && has_room(machine.candidate, one.limits) &&
           !meet(one.ports, machine.ports) && !meet(one.volumes, machine.volumes);
  }
  void move(const PlacedContainer& one, Machine& from, Machine& to) {
    from.cpus -= cpus_of(one);
    from.memory -= memory_of(one);
    from.candidate.cpus_reserved -= one.limits.cpus.value_or(0);
    from.candidate.memory_reserved_bytes -=
        std::min(from.candidate.memory_reserved_bytes, one.limits.memory_bytes.value_or(0));
    for (const auto& port : one.ports) from.ports.erase(port);
    for (const auto& volume : one.volumes) from.volumes.erase(volume);
    put(to, one);
    to.candidate.cpus_reserved += one.limits.cpus.value_or(0);
    to.candidate.memory_reserved_bytes += one.limits.memory_bytes.value_or(0);
  }
  Machine* worst() {
    Machine* worst = nullptr;
    for (auto& [id, machine] : machines_) {
      if (machine.gives() && (worst == nullptr || machine.full() > worst->full() + kHair)) worst = &machine;
    }
    return worst;
  }

 private:
  void put(Machine& machine, const PlacedContainer& one) const {
    machine.cpus += cpus_of(one);
    machine.memory += memory_of(one);
    machine.ports.insert(one.ports.begin(), one.ports.end());
    machine.volumes.insert(one.volumes.begin(), one.volumes.end());
  }

  const BalanceRules& rules_;
  std::map<ServerId, Machine> machines_;
};

using Containers = std::map<ContainerId, const PlacedContainer*>;

/// How full the fullest server is after some moves; nothing if one of them does not fit where it is to go.
std::optional<double> outcome(const FleetState& state, const BalanceRules& rules, const Containers& containers,
                              const std::vector<PlannedMove>& moves) {
  Board board(state, rules);
  for (const auto& move : moves) {
    const PlacedContainer& one = *containers.at(move.container);
    Machine& to = board.machines().at(move.to);
    if (!board.has_place(to, one)) return std::nullopt;
    board.move(one, board.machines().at(move.from), to);
  }
  const Machine* worst = board.worst();
  return worst == nullptr ? 0 : worst->full();
}

}  // namespace

double fullness(const FleetState& state, ServerId server, const BalanceRules& rules) {
  Board board(state, rules);
  const auto at = board.machines().find(server);
  return at == board.machines().end() ? 0 : at->second.full();
}

BalancePlan plan_balance(const FleetState& state, const BalanceRules& rules) {
  Board board(state, rules);
  Containers all;
  for (const auto& one : state.containers) all.emplace(one.id, &one);
  std::map<ServerId, std::vector<const PlacedContainer*>> movable;
  for (const auto& one : state.containers) {
    if (one.movable) movable[one.server].push_back(&one);
  }
  BalancePlan plan;
  if (const Machine* worst = board.worst()) plan.worst_before = worst->full();
  while (plan.moves.size() < rules.most_moves) {
    Machine* from = board.worst();
    if (from == nullptr) break;
    const PlacedContainer* best = nullptr;
    Machine* best_to = nullptr;
    std::tuple<double, ContainerId> best_rank;
    for (const PlacedContainer* one : movable[from->candidate.id]) {
      const double left = board.full_with(*from, *one, -1);
      const double moved = from->full() - left;
      if (moved <= kHair) continue;
      for (auto& [id, to] : board.machines()) {
        if (&to == from || from->full() - to.full() <= rules.margin || !board.has_place(to, *one)) continue;
        const double after = std::max(left, board.full_with(to, *one, +1));
        if (after > from->full() - moved / 2) continue;
        const std::tuple rank(after, one->id);
        if (best != nullptr && rank >= best_rank) continue;
        best = one;
        best_to = &to;
        best_rank = rank;
      }
    }
    if (best == nullptr) break;
    plan.moves.push_back({best->id, best->name, from->candidate.id, best_to->candidate.id});
    std::erase(movable[from->candidate.id], best);
    board.move(*best, *from, *best_to);
  }
  // What does not help the fullest one is left out, the last first.
  plan.worst_after = outcome(state, rules, all, plan.moves).value_or(plan.worst_before);
  for (std::size_t i = plan.moves.size(); i-- > 0;) {
    auto fewer = plan.moves;
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
    const auto worst = outcome(state, rules, all, fewer);
    if (worst && *worst <= plan.worst_after + kHair) plan.moves = std::move(fewer);
  }
  return plan;
}

}  // namespace berth::fleet
