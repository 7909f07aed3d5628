// What happens to machines, their engines, agents and networks, and what is done there behind Berth's back.
#include <fmt/format.h>

#include <algorithm>

#include "simulation/simulation.h"

namespace berth::simulation {
namespace {

using std::chrono::seconds;

/// An agent that is killed again and again within one stopping is a person's doing, not a failure.
constexpr seconds kBetweenKills{5};

}  // namespace

void Simulation::something_happens() {
  if (dice_.chance(8)) {
    if (!berth_->alive()) return;
    tell("Berth is killed");
    berth_->kill();
    return look_after_berth();
  }
  if (dice_.chance(5)) return end_berth_in_order();
  if (dice_.chance(25)) return write_data();
  happen_to(*dice_.any(machines_));
}

void Simulation::happen_to(Machine& machine) {
  // May be called in the middle of a call, with other dice: which ones is not asked for here again.
  Dice& dice = hook_dice();
  if (!machine.up()) {
    if (machine.may_boot(now()) && dice.chance(60)) boot(machine);
    return;
  }
  if (!machine.engine_answers()) {
    if (dice.chance(50)) return bring_engine_back(machine);
    if (dice.chance(50)) return power_off(machine);
  }
  if ((!machine.to_engine || !machine.to_berth || !machine.from_berth) && dice.chance(50)) {
    return heal_network(machine);
  }
  switch (dice.weighed({20, 12, 10, 28, 15, 15})) {
    case 0:
      return power_off(machine);
    case 1:
      return end_engine(machine);
    case 2:
      return hang_engine(machine);
    case 3:
      return split(machine);
    case 4:
      return kill_agent(machine);
    default:
      return work_outside(machine);
  }
}

void Simulation::power_off(Machine& machine) {
  tell(machine.name() + " loses its power");
  for (const auto& process : machine.engine().processes()) {
    const auto number = number_of(process.settings);
    if (!number || process.settings.restart_policy != compute::RestartPolicy::no) continue;
    known_[static_cast<std::size_t>(*number)].run_unknown = "its machine died, and its engine does not start it again";
  }
  machine.power_off(now());
}

void Simulation::boot(Machine& machine) {
  tell(machine.name() + " boots");
  machine.boot(now(), milliseconds(hook_dice().below(3000)));
}

void Simulation::end_engine(Machine& machine) {
  tell("the engine of " + machine.name() + " ends");
  machine.end_engine();
}

void Simulation::hang_engine(Machine& machine) {
  tell("the engine of " + machine.name() + " hangs");
  machine.hang_engine();
}

void Simulation::bring_engine_back(Machine& machine) {
  tell("the engine of " + machine.name() + " comes back");
  machine.bring_engine_back();
}

void Simulation::split(Machine& machine) {
  Dice& dice = hook_dice();
  switch (dice.weighed({50, 20, 15, 15})) {
    case 0:
      machine.to_engine = machine.to_berth = machine.from_berth = false;
      break;
    case 1:
      machine.to_engine = false;
      break;
    case 2:
      machine.to_berth = false;
      break;
    default:
      machine.from_berth = false;
  }
  tell(fmt::format("the network of {} splits:{}{}{}", machine.name(), machine.to_engine ? "" : " no calls",
                   machine.to_berth ? "" : " no requests", machine.from_berth ? "" : " no answers"));
}

void Simulation::heal_network(Machine& machine) {
  tell("the network of " + machine.name() + " heals");
  machine.heal_network();
}

void Simulation::kill_agent(Machine& machine) {
  if (!machine.has_agent() || !machine.agent().alive()) return;
  const auto before = agent_killed_at_.find(machine.name());
  if (before != agent_killed_at_.end() && now() < before->second + kBetweenKills) return;
  agent_killed_at_[machine.name()] = now();
  if (hook_dice().chance(25)) {
    tell("the agent of " + machine.name() + " ends in order");
    return machine.agent().leave();
  }
  tell("the agent of " + machine.name() + " is killed");
  machine.agent().die();
  machine.agent().begin(now() + milliseconds(hook_dice().below(500)));
}

void Simulation::work_outside(Machine& machine) {
  if (!machine.engine_answers()) return;
  Dice& dice = hook_dice();
  const auto processes = machine.engine().processes();
  if (processes.empty()) return;
  const auto& process = processes[static_cast<std::size_t>(dice.below(static_cast<int>(processes.size())))];
  const auto number = number_of(process.settings);
  if (!number) return;
  tell(fmt::format("docker stop {} on {}", process.container, machine.name()));
  machine.engine().stop_outside(process.container);
  known_[static_cast<std::size_t>(*number)].run_unknown = "somebody stopped it with the engine's own tools";
}

void Simulation::write_data() {
  for (const auto& machine : machines_) {
    if (!machine->up()) continue;
    for (const auto& process : machine->engine().processes()) {
      const auto number = number_of(process.settings);
      if (!number || !known_[static_cast<std::size_t>(*number)].with_volume || !dice_.chance(50)) continue;
      Known& known = known_[static_cast<std::size_t>(*number)];
      ++known.written;
      machine->engine().write_file(process.container, "/data/file", known.content(known.written));
      tell(fmt::format("{} writes version {} on {}", process.container, known.written, machine->name()));
    }
  }
}

void Simulation::heal_everything() {
  tell("everything is mended");
  mended_ = true;
  for (const auto& machine : machines_) {
    machine->heal_network();
    if (!machine->up()) {
      boot(*machine);
    } else if (!machine->engine_answers()) {
      bring_engine_back(*machine);
    }
  }
  berth_begins_at_ = std::min(berth_begins_at_, now());
}

}  // namespace berth::simulation
