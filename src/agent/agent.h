#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "agent/lease_keeper.h"
#include "agent/memory.h"
#include "base/clock.h"
#include "base/result.h"
#include "compute/engine.h"
#include "fleet/lease.h"

namespace berth::agent {

/// Who gives leases: Berth, wherever it runs.
class LeaseSource {
 public:
  virtual ~LeaseSource() = default;
  virtual Result<fleet::LeaseAnswer> ask(const fleet::LeaseRequest& request, Deadline deadline) = 0;
};

/// The clock that goes on while the machine sleeps (CLOCK_BOOTTIME), so that a lease is over when it wakes up.
Instant boot_clock_now();

/// What runs on a server beside its engine: holds the lease that lets containers run, and stops them all, with the
/// engine or without it, when it has none. Has a thread for asking, one for stopping and one for the engine, so that
/// nothing that hangs holds up the stopping.
class Agent {
 public:
  struct Settings {
    std::filesystem::path containers;       ///< where the engine keeps its containers' folders
    std::filesystem::path memory;           ///< file that remembers what a restart must not forget
    std::chrono::milliseconds grace{1000};  ///< that containers have to end by themselves, where the engine answers
    std::chrono::milliseconds engine_look{2000};  ///< between looks at what the engine has
    /// Called when containers are left although all of `LeaseTerms::stopping` has passed.
    std::function<void()> last_resort = [] {};
  };

  /// Everything outlives it. Errors: those of Memory::open.
  static Result<std::unique_ptr<Agent>> create(Settings settings, LeaseSource& source, compute::InstanceEngine& engine);
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;
  ~Agent();

  /// When this returns, nothing comes back with its engine that must not run, so that the engine may be started.
  void start();
  /// Asks to be released, so that containers run on without it; true if it was. Where that fails everything stops as
  /// the lease ends, and this returns false once nothing runs any more. Ends its threads.
  bool leave();
  /// Whether its threads did their rounds lately; for a watchdog.
  bool alive() const;

 private:
  using Lock = std::unique_lock<std::mutex>;

  Agent(Settings settings, LeaseSource& source, compute::InstanceEngine& engine, Memory memory);

  // agent.cpp: asking for leases
  void keep_asking();
  void ask_once();
  bool take(const fleet::LeaseAnswer& answer, const fleet::LeaseRequest& request, Instant sent);
  std::uint32_t count_running();

  // stopping.cpp: letting nothing run
  void keep_order();
  void begin_silence(const Lock& lock, Instant now);
  /// Without a restart policy nothing comes back with its engine.
  void take_policies(const Lock& lock);
  void silence(Instant now);
  std::set<std::string> ids() const;
  void use_last_resort(std::size_t left);
  /// Those are to be started again.
  void owe(const Lock& lock, const std::set<std::string>& ids);

  // engine_care.cpp: what is done through the engine
  void keep_up_with_engine();
  std::set<std::string> look_at_engine();
  void stop_through_engine(const std::set<std::string>& ids);
  void take_policies_through_engine();
  /// What was taken and stopped while there was no lease.
  void make_good();
  void give_policies_back();
  Result<void> give_policy_back(compute::ContainerAbility& ability, const std::string& id,
                                compute::RestartPolicy policy);
  void start_again();
  void start_one(const std::string& id);
  bool may_act() const;
  static bool is_among(const std::vector<fleet::ContainerThere>& containers, const compute::Instance& instance);
  /// Unless it has been silent since: then that is owed anew.
  void forget_stopped(const std::string& id, std::uint64_t silences);
  void forget_taken(const std::string& id, std::uint64_t silences);
  std::uint64_t silences() const;
  void count_failed_start(const std::string& id, const std::string& name, const Error& error, std::uint64_t silences);

  bool is_silent() const;
  /// Wakes who rests, as something has changed.
  void tell_change(const Lock& lock);
  /// Waits until something changes or it ends, at most that long.
  void rest(Lock& lock, std::chrono::milliseconds time);
  void remember(const Lock& lock, Memory::Content content);

  const Settings settings_;
  LeaseSource& source_;
  compute::InstanceEngine& engine_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::uint64_t changes_ = 0;
  bool ending_ = false;
  bool leaving_ = false;
  Memory memory_;
  LeaseKeeper keeper_;
  fleet::LeaseTerms terms_;
  bool answered_ = false;  ///< the last request was
  fleet::NotToStart not_to_start_;
  bool told_all_ = false;  ///< that is all: who asked owing nothing was told of little
  // Ids of containers:
  std::set<std::string> seen_running_;  ///< what the engine ran
  std::map<std::string, int> failed_starts_;
  std::set<std::string> disarmed_;  ///< the engine that runs knows that their policy was taken
  bool engine_answers_ = false;
  std::optional<Instant> silent_since_;
  std::uint64_t silences_ = 0;  ///< that have begun
  int quiet_rounds_ = 0;        ///< in a row, without a lease, that found nothing running
  bool resorted_ = false;
  std::atomic<std::int64_t> order_kept_at_{0};

  std::thread asking_;
  std::thread ordering_;
  std::thread caring_;
};

}  // namespace berth::agent
