#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "simulation/berth.h"
#include "simulation/dice.h"
#include "simulation/machine.h"
#include "simulation/virtual_clock.h"
#include "temporary_folder.h"

namespace berth::simulation {

using std::chrono::milliseconds;

/// What people know of a container: what they were told, and what they have done with it.
struct Known {
  int number = 0;  ///< in the container's environment, so that every copy of it is known
  fleet::ContainerId id{};
  std::string name;
  bool acknowledged = false;  ///< somebody was told that it is there
  bool removed = false;       ///< or may have been, by a person
  bool with_volume = false;
  int written = 0;  ///< the newest version of its data
  /// Why nobody can say whether it should run; "" if one can.
  std::string run_unknown;
  std::optional<rental::RentalId> rental;

  std::string volume() const { return "data-" + std::to_string(number); }
  std::string content(int version) const {
    return "content-" + std::to_string(number) + "-" + std::to_string(version) + ".";
  }
};

/// One life of a fleet: what happens is chosen from the seed, what must never be is looked for after every step.
class Simulation {
 public:
  explicit Simulation(std::uint64_t seed);
  ~Simulation();

  /// Throws what went wrong first.
  void run();
  /// What happened, line by line.
  std::string script() const;

 private:
  struct Message {
    Instant at;
    Machine* machine;
    std::uint64_t number;
    bool is_answer;
    fleet::LeaseRequest request;
    fleet::LeaseAnswer answer;
  };
  struct Recovered {
    fleet::ContainerId container;
    std::string result;
  };

  // simulation.cpp: time, messages, and what strikes in the middle of things
  void tell(std::string line);
  void violate(std::string what);
  void throw_violation();
  Instant now() const { return clock_.instant(); }
  void pass(milliseconds time);
  void tick();
  void turn_of_agents();
  void send(Message message, bool connected);
  void deliver();
  milliseconds latency();
  void begin_berth();
  void look_after_berth();
  Result<void> on_call(Machine& machine, std::string_view call, const std::string& instance,
                       drivers::fake::Faults::Moment moment);
  void on_write();
  bool strikes_now(bool changing);
  void strike(Machine& machine, std::string_view call, bool after, Result<void>& outcome);
  void pass_in_call(milliseconds time);
  /// Whether this thread is in the middle of a call that something strikes, and the dice to be used there.
  static bool inside_call();
  Dice& hook_dice() { return inside_call() ? inner_dice_ : dice_; }

  // events.cpp: what happens to machines
  void something_happens();
  void happen_to(Machine& machine);
  void power_off(Machine& machine);
  void boot(Machine& machine);
  void end_engine(Machine& machine);
  void hang_engine(Machine& machine);
  void bring_engine_back(Machine& machine);
  void split(Machine& machine);
  void heal_network(Machine& machine);
  void kill_agent(Machine& machine);
  void work_outside(Machine& machine);
  void write_data();
  void heal_everything();

  // people.cpp: what users and operators do
  void somebody_acts();
  void create();
  void act_on(Known& known);
  void change(Known& known);
  void remove(Known& known);
  void put_away(Known& known);
  void rent(Known& known);
  void operate();
  void fail_over_rightly(Machine& machine);
  void end_berth_in_order();
  Known* pick();
  fleet::RowPointer row_of(const Known& known);
  void learn_ids();
  /// Whether the outcome of a change is not known: Berth died, or an answer got lost.
  template <class T>
  std::string outcome_of(const Result<T>& result) {
    return result ? "ok" : std::string(result.error().reason());
  }

  // invariants.cpp
  void check_running_once();
  void check_excuses();
  void check_data();
  void check_recovered();
  /// The data of a container on a server that it left.
  std::optional<std::string> left_behind(const Known& known, const std::string& server) const;
  void check_rows();
  void check_healed();
  void check_rentals();
  void check_room();
  void check_failover();
  std::optional<int> number_of(const compute::ContainerSettings& settings) const;
  bool is_in_archive(const Known& known, const fleet::ContainerRow& row, const std::string& content) const;

  const std::uint64_t seed_;
  Dice dice_;
  Dice inner_dice_;  ///< for what strikes on other threads
  testing::TemporaryFolder folder_;
  VirtualClock clock_;
  Berth::Machines machines_;
  std::vector<Known> known_;
  std::vector<Message> messages_;
  std::map<std::string, Instant> agent_killed_at_;
  std::unique_ptr<Berth> berth_;
  Instant berth_begins_at_{};
  Signal<const operations::Operation&>::Subscription ended_;
  std::vector<Recovered> recovered_;

  std::mutex hook_mutex_;
  std::atomic<int> strike_in_{0};  ///< calls and writes; 0: never
  std::atomic<bool> only_changes_{false};
  std::atomic<int> struck_{0};
  bool calm_ = true;     ///< nothing strikes
  bool mended_ = false;  ///< messages are fast

  mutable std::mutex script_mutex_;
  std::vector<std::string> script_;
  std::string violation_;
};

}  // namespace berth::simulation
