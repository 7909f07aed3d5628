#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "fleet/failover_watch.h"
#include "fleet/fleet_fixture.h"
#include "rental/rental_service.h"
#include "simulation/machine.h"
#include "simulation/virtual_clock.h"
#include "simulation/watched_operations.h"

namespace berth::simulation {

/// Berth's own parts, as src/app puts them together, without their threads that only wait for time to pass: what
/// those would do is done in `round`. Lives several times over one store.
class Berth {
 public:
  using Machines = std::vector<std::unique_ptr<Machine>>;
  /// Whether a call of an engine, or a write, goes through: asked before and after each.
  struct Hooks {
    std::function<Result<void>(Machine&, std::string_view call, const std::string& instance,
                               drivers::fake::Faults::Moment)>
        call;
    std::function<void()> write;
  };

  Berth(std::filesystem::path folder, Machines& machines, VirtualClock& clock, Hooks hooks);
  ~Berth();

  void begin();
  bool alive() const { return parts_ != nullptr && !dead_; }
  /// Killed; it is to be buried while it `exists`.
  bool dead() const { return dead_; }
  bool exists() const { return parts_ != nullptr; }
  /// As SIGKILL: nothing of it reaches the store or an engine any more. From any thread.
  void kill() { dead_ = true; }
  /// Clears away what was killed.
  void bury();
  /// As SIGTERM; `wait` lets time pass until agents have standing leases.
  void end_in_order(const std::function<void(std::chrono::milliseconds)>& wait);

  /// What Berth does by itself at this moment of its clock.
  void round();
  /// Waits until no thread of it does anything but wait for time to pass.
  void settle();
  /// Whether a full read of a server succeeded at this moment of the clock, and what followed has ended.
  bool has_read(const Machine& machine) const;

  Result<fleet::LeaseAnswer> answer(const Machine& machine, const fleet::LeaseRequest& request);

  fleet::Containers& containers() { return *parts_->containers; }
  fleet::ServerRegistry& registry() { return *parts_->registry; }
  fleet::HighAvailability& ha() { return *parts_->ha; }
  fleet::LeaseBook& leases() { return *parts_->leases; }
  rental::RentalService& rentals() { return *parts_->rentals; }
  operations::OperationService& operations() { return *parts_->operations; }
  store::Database& database() { return *database_; }
  fleet::ServerId id_of(const Machine& machine) const { return ids_.at(machine.name()); }
  const std::filesystem::path& archives() const { return archives_; }

  static fleet::Caller admin();
  static constexpr std::chrono::seconds kGrace{40};  ///< from the end of a rental to its archive

 private:
  class Notices;
  struct Parts {
    metrics::Registry metrics;
    std::unique_ptr<WatchedOperations> operations;
    std::unique_ptr<fleet::ServerRegistry> registry;
    std::unique_ptr<fleet::Containers> containers;
    std::unique_ptr<fleet::LeaseBook> leases;
    std::unique_ptr<fleet::HighAvailability> ha;
    std::unique_ptr<fleet::FailoverWatch> watch;
    std::unique_ptr<rental::RentalService> rentals;
  };
  /// An operation that waits for time to pass.
  struct Parked {
    Instant until;
    bool released = false;
  };
  struct Beat {
    Instant measured{};
    Instant read{};
  };

  void park(std::chrono::milliseconds time);
  void release_parked(bool all);
  bool quiet();
  void look_at_servers();
  void tear_down();
  /// Servers, an agent's token for each: once.
  void add_servers();

  Machines& machines_;
  VirtualClock& clock_;
  const Hooks hooks_;
  const std::filesystem::path archives_;
  metrics::Registry metrics_;
  identity::Sealing sealing_ = identity::Sealing::from_keys({Secret(std::string(32, 's'))});
  fleet::TestAccess access_;
  std::unique_ptr<store::Database> database_;
  std::unique_ptr<fleet::PoweredDatabase> store_;
  std::unique_ptr<audit::AuditLog> audit_;
  std::unique_ptr<Notices> notices_;
  std::map<std::string, fleet::ServerId> ids_;
  std::map<std::string, Secret> tokens_;

  std::atomic<bool> dead_{false};
  std::atomic<bool> ending_{false};
  std::unique_ptr<Parts> parts_;
  std::map<fleet::ServerId, Beat> beats_;
  Instant open_looked_at_{};
  Instant rentals_looked_at_{};

  mutable std::mutex parking_mutex_;
  std::condition_variable unparked_;
  std::deque<std::shared_ptr<Parked>> parked_;
};

}  // namespace berth::simulation
