// What users and operators do through Berth.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "json/read.h"
#include "rental/date.h"
#include "simulation/simulation.h"

namespace berth::simulation {
namespace {

using compute::RestartPolicy;

constexpr const char* kNumber = "SIMULATED";
constexpr std::size_t kMostContainers = 12;

bool failed_unknown(std::string_view reason) {
  return reason == "operation.interrupted" || reason == "engine.unavailable" || reason == "engine.timeout" ||
         reason == "store.unavailable" || reason == "operation.draining";
}

}  // namespace

fleet::RowPointer Simulation::row_of(const Known& known) {
  return known.id.value() == 0 ? nullptr : berth_->containers().row(known.id);
}

void Simulation::learn_ids() {
  const auto view = berth_->containers().view();
  for (const auto& container : view->containers) {
    const auto number = number_of(container->settings);
    if (!number) continue;
    Known& known = known_[static_cast<std::size_t>(*number)];
    if (known.id.value() == 0) known.id = container->id;
    if (known.id == container->id) known.name = container->name;
  }
}

Known* Simulation::pick() {
  learn_ids();
  std::vector<Known*> there;
  for (auto& known : known_) {
    if (known.id.value() != 0 && !known.removed) there.push_back(&known);
  }
  return there.empty() ? nullptr : dice_.any(there);
}

void Simulation::somebody_acts() {
  if (!berth_->alive()) return;
  if (dice_.chance(15)) {
    create();
  } else if (dice_.chance(30)) {
    operate();
  } else if (Known* known = pick()) {
    switch (dice_.weighed({40, 20, 8, 20, 12})) {
      case 0:
        act_on(*known);
        break;
      case 1:
        change(*known);
        break;
      case 2:
        remove(*known);
        break;
      case 3:
        put_away(*known);
        break;
      default:
        rent(*known);
    }
  }
  if (berth_->alive()) berth_->settle();
  look_after_berth();
}

void Simulation::create() {
  if (known_.size() >= kMostContainers) return;
  Known known;
  known.number = static_cast<int>(known_.size());
  known.name = fmt::format("c{}", known.number);
  known.with_volume = dice_.chance(50);
  fleet::NewContainer wish;
  wish.name = known.name;
  wish.image = drivers::fake::FakeEngine::kImage;
  wish.owner = UserId(2);
  wish.settings.environment[kNumber] = std::to_string(known.number);
  constexpr std::array<RestartPolicy, 4> kPolicies = {RestartPolicy::no, RestartPolicy::unless_stopped,
                                                      RestartPolicy::unless_stopped, RestartPolicy::always};
  wish.settings.restart_policy = dice_.any(kPolicies);
  if (known.with_volume) wish.settings.mounts.push_back({known.volume(), "/data", false});
  wish.limits.memory_bytes = static_cast<std::uint64_t>(dice_.between(1, 3)) << 30U;
  known_.push_back(known);
  const auto created = berth_->containers().create(Berth::admin(), wish);
  std::string outcome = outcome_of(created);
  if (created) {
    const auto ended = created->ticket->wait(Deadline::after(std::chrono::seconds(20)));
    outcome = !ended ? std::string(ended.error().reason()) : ended->failure ? ended->failure->reason : "ok";
    if (outcome == "ok") {
      known_.back().acknowledged = true;
      known_.back().id = created->id;
    }
  }
  tell(fmt::format("create {} ({}{}): {}", known.name, name(wish.settings.restart_policy),
                   known.with_volume ? ", volume" : "", outcome));
}

void Simulation::act_on(Known& known) {
  auto& containers = berth_->containers();
  const auto caller = Berth::admin();
  Result<bool> done = false;
  const bool force = dice_.chance(50);
  // What happens to it from here on counts again.
  const std::string before = std::exchange(known.run_unknown, {});
  std::string what;
  switch (dice_.below(4)) {
    case 0:
    case 1:
      what = "start";
      done = containers.start(caller, known.name);
      break;
    case 2:
      what = "stop";
      done = containers.stop(caller, known.name, force);
      break;
    default:
      what = "restart";
      done = containers.restart(caller, known.name, force);
  }
  tell(fmt::format("{} {}: {}", what, known.name, outcome_of(done)));
  if (done) return;
  if (!known.run_unknown.empty()) return;
  // Told so: whether it was stopped or started is to be looked up.
  known.run_unknown = failed_unknown(done.error().reason()) ? "nobody knows whether the last wish came true" : before;
}

void Simulation::change(Known& known) {
  const auto row = row_of(known);
  if (row == nullptr) return;
  fleet::ContainerChange change;
  std::string what;
  switch (dice_.below(3)) {
    case 0:
      change.name = fmt::format("c{}-{}", known.number, dice_.below(1000));
      what = "rename to " + *change.name;
      break;
    case 1:
      change.limits = row->desired.limits;
      change.limits->memory_bytes = static_cast<std::uint64_t>(dice_.between(1, 3)) << 30U;
      what = "limit";
      break;
    default:
      change.settings = row->desired.settings;
      change.settings->environment["CHANGED"] = std::to_string(dice_.below(1000));
      what = "replace";
  }
  const auto done = berth_->containers().update(Berth::admin(), known.name, change);
  tell(fmt::format("{} {}: {}", what, known.name, outcome_of(done)));
}

void Simulation::remove(Known& known) {
  const auto done = berth_->containers().remove(Berth::admin(), known.name, dice_.chance(70));
  const std::string outcome = outcome_of(done);
  tell(fmt::format("remove {}: {}", known.name, outcome));
  if (done || failed_unknown(outcome)) known.removed = true;
  if (!done) known.run_unknown = "its removal may have got as far as stopping it";
}

void Simulation::put_away(Known& known) {
  const auto row = row_of(known);
  if (row == nullptr) return;
  if (row->presence == fleet::Presence::archived) {
    const auto done = berth_->containers().restore(Berth::admin(), known.name);
    tell(fmt::format("restore {}: {}", known.name, outcome_of(done)));
  } else if (dice_.chance(50)) {
    const auto done = berth_->containers().archive(Berth::admin(), known.name);
    tell(fmt::format("archive {}: {}", known.name, outcome_of(done)));
  } else {
    const auto ticket = berth_->containers().relocate(Berth::admin(), known.name, std::nullopt);
    std::string outcome = outcome_of(ticket);
    if (ticket) {
      const auto ended = (*ticket)->wait(Deadline::after(std::chrono::seconds(20)));
      outcome = !ended ? std::string(ended.error().reason()) : ended->failure ? ended->failure->reason : ended->result;
    }
    tell(fmt::format("relocate {}: {}", known.name, outcome));
  }
}

void Simulation::rent(Known& known) {
  if (known.rental) {
    const auto renewed =
        berth_->rentals().renew(*known.rental, *rental::parse_date("2026-04-01"), Berth::admin().origin);
    tell(fmt::format("renew the rental of {}: {}", known.name, outcome_of(renewed)));
    return;
  }
  const auto today = rental::parse_date("2026-03-01");
  const auto rented = berth_->rentals().rent(Berth::admin(), {UserId(2), known.name, *today});
  tell(fmt::format("rent {}: {}", known.name, outcome_of(rented)));
  if (rented) known.rental = rented->id;
}

void Simulation::operate() {
  Machine& machine = *dice_.any(machines_);
  const auto origin = Berth::admin().origin;
  const auto tell_begun = [&](const char* what, const Result<operations::TicketPointer>& begun) {
    tell(fmt::format("{}: {}", what, outcome_of(begun)));
  };
  switch (dice_.weighed({20, 20, 15, 20, 15, 10})) {
    case 0:
      tell_begun("balance", berth_->ha().balance(origin));
      break;
    case 1:
      tell_begun(("empty " + machine.name()).c_str(), berth_->ha().empty(berth_->id_of(machine), origin));
      break;
    case 2: {
      const bool drain = dice_.chance(50);
      const auto set = berth_->registry().set_placement(
          berth_->id_of(machine), drain ? fleet::Placement::draining : fleet::Placement::open, origin);
      tell(fmt::format("{} {}: {}", drain ? "drain" : "open", machine.name(), outcome_of(set)));
      break;
    }
    case 3:
      fail_over_rightly(machine);
      break;
    case 4:
      tell_begun(("fail over " + machine.name()).c_str(),
                 berth_->ha().fail_over(berth_->id_of(machine), false, origin));
      break;
    default:
      tell_begun("fail over whatever is down", berth_->ha().fail_over_all(origin));
  }
}

void Simulation::fail_over_rightly(Machine& machine) {
  if (machine.up()) return;
  const auto begun = berth_->ha().fail_over(berth_->id_of(machine), true, Berth::admin().origin);
  tell(fmt::format("{} is off, says an operator: {}", machine.name(), outcome_of(begun)));
}

void Simulation::end_berth_in_order() {
  if (!berth_->alive()) return;
  tell("Berth ends in order");
  ended_.reset();
  berth_->end_in_order([this](milliseconds time) {
    clock_.advance(time);
    turn_of_agents();
    deliver();
    check_running_once();
    check_excuses();
  });
  berth_begins_at_ = now() + milliseconds(dice_.chance(60) ? dice_.below(8000) : dice_.below(60'000));
}

}  // namespace berth::simulation
