#include "simulation/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <utility>

namespace berth::simulation {
namespace {

using drivers::fake::Faults;
using std::chrono::seconds;

constexpr milliseconds kTurn{250};
constexpr int kEvents = 40;
/// Until everything that was left to be done is, once nothing fails any more.
constexpr seconds kHealing{75};

/// This thread is in the middle of what strikes.
thread_local bool inside = false;

/// Two minutes before the end of a day, so that rentals end.
Timestamp beginning() {
  return *parse_timestamp("2026-03-01T23:58:00Z");
}

/// Calls that change something, or come right before a decision.
bool changes(std::string_view call) {
  static const std::set<std::string_view> changing{
      "create",    "start",     "stop",        "restart",       "rename",        "remove",       "update", "pull",
      "save_root", "save_path", "import_root", "create_volume", "remove_volume", "list_volumes", "inspect"};
  return changing.contains(call);
}

Error timeout() {
  return Error(ErrorCode::deadline_exceeded, "engine.timeout",
               {"引擎未在规定时间内应答", "The engine did not answer in time"});
}

}  // namespace

Simulation::Simulation(std::uint64_t seed)
    : seed_(seed), dice_(seed), inner_dice_(seed ^ 0x9e3779b97f4a7c15ULL), clock_(beginning()) {
  const int count = dice_.between(3, 5);
  for (int i = 0; i < count; ++i) {
    const bool has_agent = dice_.chance(70);
    machines_.push_back(std::make_unique<Machine>(fmt::format("s{}", i + 1), has_agent, 16ULL << 30U));
    machines_.back()->tell = [this, name = machines_.back()->name()](const std::string& line) {
      tell(fmt::format("    {}: {}", name, line));
    };
    if (has_agent) machines_.back()->agent().begin(now());
    tell(fmt::format("server s{}{}", i + 1, has_agent ? " with an agent" : ""));
  }
  berth_ = std::make_unique<Berth>(
      folder_.path(), machines_, clock_,
      Berth::Hooks{.call = [this](Machine& machine, std::string_view call, const std::string& instance,
                                  Faults::Moment moment) { return on_call(machine, call, instance, moment); },
                   .write = [this] { on_write(); }});
}

Simulation::~Simulation() {
  calm_ = true;
  ended_.reset();
  berth_.reset();
}

void Simulation::run() {
  begin_berth();
  pass(seconds(6));
  const int containers = dice_.between(3, 7);
  for (int i = 0; i < containers; ++i) create();
  calm_ = false;
  for (int event = 0; event < kEvents; ++event) {
    if (dice_.chance(50)) {
      // Mostly in the middle of a change, else anywhere.
      only_changes_ = dice_.chance(75);
      strike_in_ = dice_.between(1, dice_.chance(50) ? 6 : 25);
    }
    if (dice_.chance(40)) {
      something_happens();
    } else {
      somebody_acts();
    }
    constexpr std::array<int, 6> kWaits = {0, 250, 1000, 3000, 8000, 20000};
    pass(milliseconds(dice_.any(kWaits)));
  }
  strike_in_ = 0;
  calm_ = true;
  heal_everything();
  pass(kHealing);
  check_healed();
  check_room();
  check_failover();
  throw_violation();
}

bool Simulation::inside_call() {
  return inside;
}

std::string Simulation::script() const {
  const std::lock_guard lock(script_mutex_);
  std::string text = fmt::format("seed {}\n", seed_);
  for (const auto& line : script_) text += line + "\n";
  return text;
}

void Simulation::tell(std::string line) {
  const auto at = std::chrono::duration<double>(clock_.passed()).count();
  const std::lock_guard lock(script_mutex_);
  script_.push_back(fmt::format("{:8.2f} {}", at, line));
}

void Simulation::violate(std::string what) {
  tell("VIOLATION: " + what);
  const std::lock_guard lock(script_mutex_);
  if (violation_.empty()) violation_ = std::move(what);
}

void Simulation::throw_violation() {
  const std::lock_guard lock(script_mutex_);
  if (!violation_.empty()) throw std::runtime_error(violation_);
}

// Time

void Simulation::pass(milliseconds time) {
  for (milliseconds left = time; left.count() > 0; left -= kTurn) {
    clock_.advance(kTurn);
    tick();
  }
  throw_violation();
}

void Simulation::tick() {
  turn_of_agents();
  deliver();
  look_after_berth();
  if (berth_->alive()) berth_->round();
  look_after_berth();
  check_running_once();
  check_excuses();
  if (berth_->alive()) {
    learn_ids();
    check_recovered();
    check_data();
    check_rows();
  }
}

void Simulation::turn_of_agents() {
  for (const auto& machine : machines_) {
    if (!machine->up() || !machine->has_agent()) continue;
    const auto asked = machine->agent().act(now(), hook_dice());
    if (!asked) continue;
    send({.at = {},
          .machine = machine.get(),
          .number = asked->number,
          .is_answer = false,
          .request = asked->request,
          .answer = {}},
         machine->to_berth);
  }
}

milliseconds Simulation::latency() {
  Dice& dice = hook_dice();
  if (mended_ || dice.chance(85)) return milliseconds(dice.below(100));
  return milliseconds(dice.chance(70) ? dice.below(1400) : dice.below(5000));
}

void Simulation::send(Message message, bool connected) {
  Dice& dice = hook_dice();
  message.at = now() + latency();
  if (!connected) {
    // Lost, but for a few that arrive when nobody expects them any more.
    if (!dice.chance(10)) return;
    message.at += milliseconds(dice.below(20'000));
  }
  messages_.push_back(std::move(message));
}

void Simulation::deliver() {
  std::vector<Message> due;
  std::erase_if(messages_, [&](const Message& message) {
    if (message.at > now()) return false;
    due.push_back(message);
    return true;
  });
  std::ranges::stable_sort(due, {}, &Message::at);
  for (const auto& message : due) {
    Machine& machine = *message.machine;
    if (message.is_answer) {
      if (machine.up()) machine.agent().hear(message.number, message.answer, now());
      continue;
    }
    if (!berth_->alive()) continue;
    const bool was_inside = std::exchange(inside, true);
    auto answer = berth_->answer(machine, message.request);
    inside = was_inside;
    if (!answer) continue;
    send({.at = {},
          .machine = &machine,
          .number = message.number,
          .is_answer = true,
          .request = {},
          .answer = std::move(*answer)},
         machine.from_berth);
  }
}

void Simulation::begin_berth() {
  const int left = strike_in_.exchange(0);
  berth_->begin();
  ended_ = berth_->operations().changed().subscribe([this](const operations::Operation& operation) {
    if (operation.kind != "container.recover" || operation.state != operations::State::succeeded) return;
    const std::lock_guard lock(script_mutex_);
    recovered_.push_back({fleet::ContainerId(std::stoll(operation.resource_id)), operation.result});
  });
  strike_in_ = left;
}

void Simulation::look_after_berth() {
  if (berth_->dead() && berth_->exists()) {
    ended_.reset();
    berth_->bury();
    berth_begins_at_ = now() + milliseconds(dice_.chance(70) ? dice_.below(4000) : dice_.below(40'000));
  }
  if (!berth_->alive() && now() >= berth_begins_at_) {
    tell("Berth begins");
    begin_berth();
  }
}

// What strikes in the middle of things

Result<void> Simulation::on_call(Machine& machine, std::string_view call, const std::string& instance,
                                 Faults::Moment moment) {
  const bool after = moment == Faults::Moment::after;
  if (berth_->dead()) return compute::engine_unavailable();
  if (inside) return machine.answers_berth();
  const std::lock_guard lock(hook_mutex_);
  Result<void> outcome;
  if (after) tell(fmt::format("    Berth: {} {} on {}", call, instance, machine.name()));
  if (strikes_now(after || changes(call))) {
    inside = true;
    strike(machine, call, after, outcome);
    inside = false;
  }
  if (after && (call == "start" || call == "restart" || call == "create")) check_running_once();
  if (berth_->dead()) return compute::engine_unavailable();
  BERTH_CHECK(machine.answers_berth());
  return outcome;
}

void Simulation::on_write() {
  if (inside || berth_->dead() || !strikes_now(true)) return;
  // Whoever strikes now may wait for what this writer holds.
  const std::unique_lock lock(hook_mutex_, std::try_to_lock);
  if (!lock || inner_dice_.chance(40)) {
    tell("  Berth is killed before a write");
    return berth_->kill();
  }
  tell("  before a write: elsewhere");
  inside = true;
  happen_to(*inner_dice_.any(machines_));
  inside = false;
}

bool Simulation::strikes_now(bool changing) {
  if (calm_ || (only_changes_ && !changing)) return false;
  int left = strike_in_;
  while (left > 0) {
    if (!strike_in_.compare_exchange_weak(left, left - 1)) continue;
    if (left == 1) ++struck_;
    return left == 1;
  }
  return false;
}

void Simulation::strike(Machine& machine, std::string_view call, bool after, Result<void>& outcome) {
  const auto at = fmt::format("  {} {} on {}: ", after ? "after" : "before", call, machine.name());
  switch (inner_dice_.weighed({12, 12, 6, 10, 25, 20, 15})) {
    case 0:
      tell(at + "Berth is killed");
      return berth_->kill();
    case 1:
      tell(at + "the machine dies");
      return power_off(machine);
    case 2:
      tell(at + "the engine ends");
      return end_engine(machine);
    case 3:
      tell(at + "the network splits");
      machine.to_engine = false;
      if (inner_dice_.chance(60)) machine.to_berth = machine.from_berth = false;
      return;
    case 4: {
      constexpr std::array<int, 5> kTimes = {250, 1000, 3000, 7000, 12'000};
      const milliseconds time(inner_dice_.any(kTimes));
      tell(at + fmt::format("{} ms pass", time.count()));
      return pass_in_call(time);
    }
    case 5:
      tell(at + (after ? "the answer gets lost" : "no answer in time"));
      outcome = timeout();
      return;
    default:
      tell(at + "elsewhere");
      happen_to(*inner_dice_.any(machines_));
      if (inner_dice_.chance(50)) pass_in_call(milliseconds(inner_dice_.below(9000)));
  }
}

void Simulation::pass_in_call(milliseconds time) {
  for (milliseconds left = time; left.count() > 0; left -= kTurn) {
    clock_.advance(kTurn);
    turn_of_agents();
    deliver();
    check_running_once();
    check_excuses();
  }
}

}  // namespace berth::simulation
