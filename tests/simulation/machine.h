#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>

#include "base/clock.h"
#include "drivers/fake/fake_engine.h"
#include "simulation/server_agent.h"

namespace berth::simulation {

/// A server as it really is: its power, its engine, its network and its agent. What runs on it is what the fake
/// engine says has processes, whether or not that engine answers.
class Machine {
 public:
  using FakeEngine = drivers::fake::FakeEngine;

  Machine(std::string name, bool has_agent, std::uint64_t memory_bytes);

  const std::string& name() const { return name_; }
  FakeEngine& engine() { return engine_; }
  bool has_agent() const { return has_agent_; }
  ServerAgent& agent() { return agent_; }

  /// Who is told of what happens on it.
  std::function<void(const std::string&)> tell = [](const std::string&) {};

  bool up() const { return up_; }
  bool engine_answers() const { return up_ && engine_up_ && !hangs_; }
  /// What a caller over the network gets.
  Result<void> answers_berth() const;

  void power_off(Instant now);
  /// Longer than a lease: no machine starts so fast.
  bool may_boot(Instant now) const { return now >= off_since_ + fleet::LeaseTerms{}.duration; }
  void boot(Instant now, std::chrono::milliseconds until_agent);
  void end_engine();
  void hang_engine() { hangs_ = true; }
  /// It answers again, and has done what its containers' restart policies say.
  void bring_engine_back();

  // The network: from Berth to the engine, and from the agent to Berth and back.
  bool to_engine = true;
  bool to_berth = true;
  bool from_berth = true;
  void heal_network() { to_engine = to_berth = from_berth = true; }

  /// What the engine has started by itself, by engine id, and how many turns of the agent have passed since. Nobody
  /// can keep it from that: it ends with the next look of whoever watches over the server.
  std::map<std::string, int> brought_back;

 private:
  const std::string name_;
  const bool has_agent_;
  FakeEngine engine_;
  ServerAgent agent_;
  bool up_ = true;
  Instant off_since_{};
  bool engine_up_ = true;
  bool hangs_ = false;
};

}  // namespace berth::simulation
