// What must never be, whatever happened.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "base/encoding.h"
#include "fleet/archive_folder.h"
#include "fleet/evacuation_plan.h"
#include "json/read.h"
#include "simulation/simulation.h"

namespace berth::simulation {
namespace {

using std::chrono::seconds;

constexpr const char* kNumber = "SIMULATED";
/// Looks after which what an engine has started by itself must be gone where it does not belong: an agent that lets
/// nothing run stops everything within as many turns; of Berth one look is enough, and two are given.
constexpr int kTurns = 6;
constexpr int kLook = 3;
/// Until an agent whose messages are slow now and then is known to hold a lease.
constexpr seconds kLease{20};
/// From the death of a server whose agent held a lease until its containers run elsewhere.
constexpr seconds kFailover{15};

}  // namespace

std::optional<int> Simulation::number_of(const compute::ContainerSettings& settings) const {
  const auto at = settings.environment.find(kNumber);
  if (at == settings.environment.end()) return std::nullopt;
  return std::stoi(at->second);
}

void Simulation::check_running_once() {
  struct Copies {
    std::string where;
    int sure = 0;
    int all = 0;
  };
  std::map<int, Copies> copies;
  for (const auto& machine : machines_) {
    if (!machine->up()) continue;
    for (const auto& process : machine->engine().processes()) {
      const auto number = number_of(process.settings);
      if (!number) continue;
      Copies& found = copies[*number];
      const bool by_itself = machine->brought_back.contains(process.engine_id);
      ++found.all;
      if (!by_itself) ++found.sure;
      found.where += fmt::format(" {} on {}{}", process.container, machine->name(), by_itself ? " (by itself)" : "");
    }
  }
  for (const auto& [number, found] : copies) {
    if (found.sure > 1) violate(fmt::format("container {} runs twice:{}", number, found.where));
  }
}

void Simulation::check_excuses() {
  for (const auto& machine : machines_) {
    int looked = 0;
    if (machine->agent().lets_nothing_run(now())) looked = 1;
    if (!inside_call() && berth_->alive() && berth_->has_read(*machine) && machine->engine_answers() &&
        machine->to_engine && struck_ == 0) {
      looked = kLook;
    }
    for (auto& one : machine->brought_back) one.second += looked;
    std::erase_if(machine->brought_back, [](const auto& one) { return one.second >= kTurns; });
  }
  if (!inside_call()) struck_ = 0;
}

bool Simulation::is_in_archive(const Known&, const fleet::ContainerRow& row, const std::string& content) const {
  const std::string wanted = to_hex(content);
  for (const auto& archive : {row.archive, row.pending ? row.pending->archive : std::string()}) {
    if (archive.empty() || !fleet::archive_folder::is_complete(berth_->archives(), archive)) continue;
    for (const auto& file : std::filesystem::directory_iterator(berth_->archives() / archive)) {
      std::ifstream in(file.path(), std::ios::binary);
      const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
      if (text.find(wanted) != std::string::npos) return true;
    }
  }
  return false;
}

void Simulation::check_data() {
  std::set<std::string> contents;
  for (const auto& machine : machines_) contents.merge(machine->engine().volume_contents());
  for (const auto& known : known_) {
    if (known.written == 0 || known.removed || contents.contains(known.content(known.written))) continue;
    const auto row = row_of(known);
    if (row == nullptr) continue;  // told by check_rows
    if (is_in_archive(known, *row, known.content(known.written))) continue;
    violate(fmt::format("version {} of the data of {} is nowhere any more", known.written, known.name));
  }
}

void Simulation::check_recovered() {
  std::vector<Recovered> recovered;
  {
    const std::lock_guard lock(script_mutex_);
    recovered.swap(recovered_);
  }
  for (const auto& one : recovered) {
    const auto known = std::ranges::find(known_, one.container, &Known::id);
    if (known == known_.end()) continue;
    tell(fmt::format("recovered {}: {}", known->name, one.result));
    const auto result = json::from_json<std::optional<fleet::MoveResult>>(one.result);
    if (!result || !*result || !known->with_volume || known->written == 0) continue;
    const auto row = row_of(*known);
    for (const auto& to : machines_) {
      if (row == nullptr || to->name() != (*result)->to) continue;
      const auto content = to->engine().read_file(row->engine_name, "/data/file");
      const bool told_lost = std::ranges::find((*result)->lost, known->volume()) != (*result)->lost.end();
      // Where an archive was used, it is told of when it is.
      if (content != left_behind(*known, (*result)->from) && !told_lost && !(*result)->archive) {
        violate(fmt::format("{} lost its data and nobody was told", known->name));
      }
    }
  }
}

std::optional<std::string> Simulation::left_behind(const Known& known, const std::string& server) const {
  for (const auto& machine : machines_) {
    if (machine->name() != server) continue;
    const auto contents = machine->engine().volume_contents();
    for (int version = known.written; version > 0; --version) {
      if (contents.contains(known.content(version))) return known.content(version);
    }
  }
  return std::nullopt;
}

void Simulation::check_rows() {
  for (const auto& known : known_) {
    if (!known.acknowledged || known.removed || row_of(known) != nullptr) continue;
    violate(fmt::format("container {} was acknowledged and is forgotten", known.name));
  }
}

void Simulation::check_healed() {
  throw_violation();
  if (!berth_->alive()) return violate("Berth does not live");
  const auto open = berth_->operations().open_count();
  if (!open || *open != 0) {
    std::string which;
    operations::Filter running;
    running.state = operations::State::running;
    if (const auto all = berth_->operations().list(running)) {
      for (const auto& one : all->operations) which += " " + one.kind + "/" + one.resource_id;
    }
    violate("operations stay open:" + which);
  }
  for (const auto& machine : machines_) {
    if (berth_->containers().fenced(berth_->id_of(*machine))) violate(machine->name() + " stays fenced");
  }
  std::map<int, std::pair<int, std::string>> running;
  for (const auto& machine : machines_) {
    for (const auto& process : machine->engine().processes()) {
      if (const auto number = number_of(process.settings)) {
        ++running[*number].first;
        running[*number].second = machine->name();
      }
    }
  }
  for (auto& known : known_) {
    const auto row = row_of(known);
    if (row == nullptr) {
      if (running[known.number].first > 0) violate(fmt::format("{} runs and nobody knows it", known.name));
      continue;
    }
    const auto [count, where] = running[known.number];
    if (row->pending || row->presence == fleet::Presence::creating) {
      violate(fmt::format("{} stays pending", known.name));
    }
    if (count > 1) violate(fmt::format("{} runs {} times", known.name, count));
    if (row->presence == fleet::Presence::missing && !known.removed) violate(fmt::format("{} is missing", known.name));
    if (row->presence == fleet::Presence::archived && count > 0) violate(known.name + " is archived and runs");
    if (row->presence != fleet::Presence::present) continue;
    if (count == 1 && berth_->registry().find(where)->server.id != row->server) {
      violate(fmt::format("{} runs on {}, which is not its server", known.name, where));
    }
    if (!known.run_unknown.empty() || known.removed) continue;
    if (row->desired.running && count == 0) violate(fmt::format("{} should run and does not", known.name));
    if (!row->desired.running && count == 1 && row->desired.settings.restart_policy != compute::RestartPolicy::always) {
      violate(fmt::format("{} runs and should not", known.name));
    }
  }
  check_rentals();
}

void Simulation::check_rentals() {
  for (const auto& known : known_) {
    if (!known.rental || known.removed) continue;
    const auto rental = berth_->rentals().find(*known.rental);
    if (!rental) {
      violate(fmt::format("the rental of {} is gone", known.name));
      continue;
    }
    if (rental->step != rental::Step::none) {
      violate(fmt::format("the rental of {} stays at its step: {}", known.name,
                          rental->problem ? rental->problem->reason : std::string()));
    }
    const auto row = row_of(known);
    const bool over = clock_.now() >= rental->expires_at + seconds(30);
    if (over && rental->state == rental::State::active)
      violate(fmt::format("the rental of {} never ended", known.name));
    if (rental->state == rental::State::archived && row != nullptr && row->presence != fleet::Presence::archived) {
      violate(fmt::format("{} should be archived", known.name));
    }
  }
}

/// Each server lets containers run, and has just the room that its containers leave: nothing else holds any of it.
void Simulation::check_room() {
  throw_violation();
  const Instant patience = now() + kLease;
  const auto may_run = [&](const auto& machine) { return berth_->leases().lets_run(berth_->id_of(*machine)); };
  while (!std::ranges::all_of(machines_, may_run) && now() < patience) pass(std::chrono::milliseconds(250));
  const auto state = berth_->containers().fleet_state();
  for (const auto& server : state.servers) {
    const auto set = berth_->registry().set_placement(server.id, fleet::Placement::open, Berth::admin().origin);
    if (!set) return violate("a server cannot be opened: " + set.error().describe());
    if (server.memory_reserved_bytes >= server.memory_bytes) continue;
    fleet::NewContainer wish;
    wish.name = "filler-" + server.name;
    wish.image = drivers::fake::FakeEngine::kImage;
    wish.server = server.name;
    wish.limits.memory_bytes = server.memory_bytes - server.memory_reserved_bytes;
    const auto created = berth_->containers().create(Berth::admin(), wish);
    if (!created) {
      violate(fmt::format("{} has less room than its containers leave: {}", server.name, created.error().describe()));
      continue;
    }
    const auto ended = created->ticket->wait(Deadline::after(seconds(20)));
    if (!ended || ended->failure) violate("the room of " + server.name + " cannot be used");
    if (const auto gone = berth_->containers().remove(Berth::admin(), wish.name, true); !gone) {
      violate("what filled a server cannot be removed: " + gone.error().describe());
    }
    berth_->settle();
  }
}

/// A server dies for good, and nothing else fails.
void Simulation::check_failover() {
  throw_violation();
  std::vector<Machine*> bound;
  for (const auto& machine : machines_) {
    if (!machine->has_agent()) continue;
    const auto agent = berth_->leases().agent(berth_->id_of(*machine));
    if (agent.bond == fleet::Bond::timed && !agent.silent) {
      bound.push_back(machine.get());
    } else {
      violate(fmt::format("the agent of {} is not counted on: {}", machine->name(), name(agent.bond)));
    }
  }
  if (bound.empty()) return;
  Machine& machine = *dice_.any(bound);
  const auto id = berth_->id_of(machine);
  const auto state = berth_->containers().fleet_state();
  std::vector<fleet::ContainerId> there;
  for (const auto& one : state.containers) {
    if (one.server == id) there.push_back(one.id);
  }
  const auto plan = fleet::plan_evacuation(state, id, there);
  tell(machine.name() + " dies for good");
  machine.power_off(now());
  pass(kFailover);
  for (const auto container : there) {
    if (std::ranges::find(plan.homeless, container) != plan.homeless.end()) continue;
    const auto row = berth_->containers().row(container);
    if (row == nullptr) {
      violate("a container is gone with its server");
    } else if (row->server == id) {
      violate(fmt::format("{} is still at home on a server that died", row->name));
    } else if (row->desired.running) {
      for (const auto& other : machines_) {
        if (berth_->id_of(*other) != row->server) continue;
        const auto processes = other->engine().processes();
        if (std::ranges::find(processes, row->engine_name, &Machine::FakeEngine::Process::container) ==
            processes.end()) {
          violate(fmt::format("{} does not run after the failover", row->name));
        }
      }
    }
  }
}

}  // namespace berth::simulation
