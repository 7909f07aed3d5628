#include "simulation/machine.h"

#include <utility>

#include "compute/instance.h"

namespace berth::simulation {
namespace {

constexpr double kCores = 8;

}  // namespace

Machine::Machine(std::string name, bool has_agent, std::uint64_t memory_bytes)
    : name_(std::move(name)),
      has_agent_(has_agent),
      engine_({.moving_counters = false, .containers = true, .memory_bytes = memory_bytes}),
      agent_(*this) {
  engine_.faults().drop_events(true);
  // Without a clock of its own, which would be the real one.
  engine_.set_capacity(
      {.cpus = kCores, .memory_bytes = memory_bytes, .disk_bytes = 0, .disk_free_bytes = 0, .clock = {}});
}

Result<void> Machine::answers_berth() const {
  if (!up_ || !to_engine || !engine_up_) return compute::engine_unavailable();
  if (hangs_) {
    return Error(ErrorCode::deadline_exceeded, "engine.timeout",
                 {"引擎未在规定时间内应答", "The engine did not answer in time"});
  }
  return {};
}

void Machine::power_off(Instant now) {
  up_ = false;
  off_since_ = now;
  engine_.faults().refuse_connections(true);
  engine_.kill_processes();
  agent_.die();
  brought_back.clear();
}

void Machine::boot(Instant now, std::chrono::milliseconds until_agent) {
  up_ = true;
  agent_.forget_boot();
  if (has_agent_) agent_.begin(now + until_agent);
  bring_engine_back();
}

void Machine::bring_engine_back() {
  engine_up_ = true;
  hangs_ = false;
  engine_.faults().refuse_connections(false);
  for (const auto& id : engine_.begin_anew()) {
    brought_back[id] = 0;
    tell("its engine starts " + id + " by itself");
  }
}

void Machine::end_engine() {
  engine_up_ = false;
  // Also what had been let in before.
  engine_.faults().refuse_connections(true);
}

}  // namespace berth::simulation
