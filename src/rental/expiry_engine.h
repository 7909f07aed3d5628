#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "audit/audit_log.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/worker_pool.h"
#include "fleet/container_service.h"
#include "metrics/registry.h"
#include "rental/clock_watch.h"
#include "rental/notice.h"
#include "rental/rental.h"
#include "rental/time_zone.h"
#include "store/database.h"

namespace berth::rental {

/// What rentals are made of. Everything outlives them.
struct RentalParts {
  store::Database& database;
  audit::AuditLog& audit;
  fleet::ContainerService& containers;
  NoticeSender& notices;
  metrics::Registry& metrics;
  const Clock& clock;
};

/// Brings containers to where their rentals say they should be: stopped at the expiry, in the archive after the grace
/// period, running again after a renewal; and hands over the notices. Each step is noted in the store before it is
/// taken and when it has ended, so that a crash in between only repeats it. A step that fails is taken again, later
/// and later, and its reason shown. A rental has one step at a time. A clock that jumps is not believed at once (see
/// ClockWatch); what one that stayed ahead has ended or put off comes right with the right time. Thread-safe.
class ExpiryEngine {
 public:
  struct Settings {
    Terms terms;
    std::size_t workers = 4;  ///< steps at once, and as many archives; 0: each in the call of `tick` itself
    std::size_t batch = 256;  ///< rentals that are in hand at once
    ClockWatch::Settings clock;
  };
  struct Tick {
    bool held = false;      ///< the clock jumped: nothing is done by it for now
    std::size_t taken = 0;  ///< rentals that were taken in hand
    bool more = false;      ///< there were more than could be taken
  };

  /// Holds a rental, so that no step begins, until it is destroyed.
  class Hold {
   public:
    Hold(ExpiryEngine& engine, RentalId id) : engine_(&engine), id_(id) {}
    Hold(Hold&& other) noexcept : engine_(std::exchange(other.engine_, nullptr)), id_(other.id_) {}
    Hold& operator=(Hold&&) = delete;
    ~Hold() {
      if (engine_ != nullptr) engine_->release(id_);
    }

   private:
    ExpiryEngine* engine_;
    RentalId id_;
  };

  /// `zone` is that of the terms.
  ExpiryEngine(Settings settings, TimeZone zone, const RentalParts& parts);
  /// Waits for running steps.
  ~ExpiryEngine();

  /// Reads what the last run knew of the time. Once, before the first `tick`.
  Result<void> start();
  /// Takes in hand what is due, at most a batch. Called every few seconds by a job.
  Result<Tick> tick();
  /// Has one rental looked at now and waits until nothing is left to do for it, a step fails, or the deadline.
  void settle(RentalId id, Deadline deadline);
  /// Nothing if a step of this rental runs.
  std::optional<Hold> hold(RentalId id);
  /// Begins no more steps and waits for the running ones.
  void drain();

 private:
  Result<void> remember_time(Timestamp now);
  Result<std::vector<RentalId>> due_now(Timestamp now, std::size_t limit);
  /// Those in a state of being over whose containers do not look like it; looks on from `watched`.
  Result<std::vector<RentalId>> brought_back(Timestamp now, State state, RentalId& watched);
  bool take(RentalId id);
  void release(RentalId id);
  /// False if it was in hand already or there is no room.
  bool dispatch(RentalId id);
  bool draining();
  Result<Tick> pick(Timestamp now);
  void refill();

  /// An archive takes minutes: it has threads of its own, and keeps those for everything else free.
  enum class Lane { quick, archives };
  /// Takes step after step until there is none left or one fails, and yields the lane that the next one needs if that
  /// is another one.
  std::optional<Lane> look(RentalId id, Lane lane);
  void hand_over(RentalId id, Hold held);
  void postpone(RentalId id);
  /// Hands over the notice that is due and begins the step that is due; nothing if there is no step.
  Result<std::optional<Rental>> prepare(RentalId id, bool with_notice);
  Result<void> give_notice(store::Transaction& transaction, Rental& rental, Timestamp now);
  Result<State> perform(const Rental& rental);
  Result<State> stop(const Rental& rental, const fleet::Container& container);
  Result<State> archive(const Rental& rental, const fleet::Container& container);
  Result<State> bring_back(const Rental& rental, const fleet::Container& container);
  /// What became of a step; the rental as it is then, nothing if it is gone.
  Result<std::optional<Rental>> record(const Rental& begun, const Result<State>& outcome);

  Settings settings_;
  TimeZone zone_;
  RentalParts parts_;

  std::mutex ticking_;  ///< guards the four below
  ClockWatch watch_;
  std::optional<Timestamp> remembered_;
  RentalId watched_stopped_;  ///< up to which rental those were looked through
  RentalId watched_archived_;

  std::mutex mutex_;  ///< guards what follows
  std::condition_variable released_;
  std::set<RentalId> in_hand_;
  bool more_ = false;
  bool draining_ = false;
  // Last: their threads use all the others, and the quick ones the archives'.
  std::optional<WorkerPool> archives_;
  std::optional<WorkerPool> quick_;
};

}  // namespace berth::rental
