#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/lease_keeper.h"
#include "base/clock.h"
#include "simulation/dice.h"

namespace berth::simulation {

class Machine;

/// What an agent sends. Answers carry the number of their request.
struct Asked {
  std::uint64_t number = 0;
  fleet::LeaseRequest request;
};

/// An agent as src/agent runs it, with its rules (agent::LeaseKeeper) and without its threads: it acts when it is its
/// turn. What it must not forget outlives it and its machine's power.
class ServerAgent {
 public:
  explicit ServerAgent(Machine& machine) : machine_(machine) {}

  /// It is there from `at` on, with what it remembers.
  void begin(Instant at) { begins_at_ = at; }
  /// Its process ends, by a signal or with its machine.
  void die();
  /// The machine was started anew: a timed lease of before counts no more.
  void forget_boot() { kept_.until = {}; }
  /// Asks to be released and ends then.
  void leave() { leaving_ = true; }

  bool alive() const { return keeper_.has_value(); }
  bool lets_nothing_run(Instant now) const { return keeper_ && keeper_->must_be_silent(now); }

  /// Its turn: stops or starts what it has to, and yields what it asks now.
  std::optional<Asked> act(Instant now, Dice& dice);
  void hear(std::uint64_t number, const fleet::LeaseAnswer& answer, Instant now);

 private:
  void stop_everything(Instant now, Dice& dice);
  void start_again();

  Machine& machine_;
  // On its disk:
  agent::KeptLease kept_;
  std::set<std::string> stopped_;  ///< ids of what it has stopped itself, to be started again
  // In its memory:
  std::optional<agent::LeaseKeeper> keeper_;
  std::optional<Instant> begins_at_;
  bool leaving_ = false;
  bool answered_ = false;
  fleet::NotToStart not_to_start_;
  bool asked_owing_ = false;
  bool told_all_ = false;
  fleet::LeaseTerms terms_;
  std::uint64_t last_number_ = 0;
  std::optional<Instant> asked_at_;
  Instant next_ask_{};
  std::optional<Instant> stops_at_;
};

}  // namespace berth::simulation
