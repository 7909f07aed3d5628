#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_map>

#include "operations/gate.h"
#include "operations/operation_service.h"
#include "operations/reconciliation.h"
#include "operations/run.h"

namespace berth::operations {

using ResourceKey = std::tuple<EngineId, std::string, std::string>;

inline ResourceKey key_of(const Operation& operation) {
  return {operation.engine, operation.resource_type, operation.resource_id};
}

/// An outcome on its way into the store.
struct Unstored {
  RunPointer run;
  Operation outcome;
  std::chrono::milliseconds retry;
  Instant due;
};

/// The one implementation of OperationService: what runs is kept in memory beside its record, and a thread of
/// its own does what nobody waits for (housekeeping.cpp).
class Service final : public OperationService, public RunHost {
 public:
  Service(store::Database& database, audit::AuditLog& audit, metrics::Registry& metrics, const Clock& clock,
          Rhythm rhythm);
  ~Service() override;

  Result<TicketPointer> submit(NewOperation wanted, WorkerPool& pool, Work work) override;
  Result<Operation> find(const OperationId& id) override;
  Result<Page> list(const Filter& filter) override;
  Result<void> cancel(const OperationId& id, const audit::Origin& origin) override;
  void reconcile_with(std::string kind_prefix, WorkerPool& pool, Reconciler reconciler) override;
  Result<void> reconcile_open() override;
  Result<std::int64_t> open_count() override;
  Result<std::int64_t> forget_ended(Timestamp before) override;
  Signal<const Operation&>& changed() override { return changed_; }
  void drain(Deadline deadline) override;
  audit::AuditLog& audit_log() override { return audit_; }

 private:
  friend class Task;

  Timestamp now() const override { return clock_.now(); }
  Result<void> store_handle(const Operation& operation) override;
  void progressed(const RunPointer& run) override;
  void call_later(std::function<void()> action) override;
  void announce(const Operation& operation) override { changed_.emit(operation); }

  RunPointer new_run(NewOperation wanted);
  /// Takes the resource for `run`, or yields the equal run that has it.
  Result<RunPointer> occupy(const RunPointer& run);
  void vacate(const RunPointer& run);
  Result<void> record_start(const Operation& operation);
  void execute(const RunPointer& run, Work& work, Instant begun);
  Result<std::string> perform(Run& run, Work& work);
  Result<std::optional<Operation>> stored(const OperationId& id);

  void end(const RunPointer& run, const Result<std::string>& outcome);
  void settle(const RunPointer& run, Operation outcome);
  /// False if the store did not take it.
  bool store_outcome(const RunPointer& run, const Operation& outcome);
  void complete(const RunPointer& run, const Operation& outcome);
  Result<Operation> record_outcome(const Run& run, const Operation& outcome);

  Result<void> find_left_open();
  void keep_house();
  void flush_progress();
  void retry_outcomes(bool all);
  void wake();

  store::Database& database_;
  audit::AuditLog& audit_;
  metrics::Registry& metrics_;
  const Clock& clock_;
  const Rhythm rhythm_;
  metrics::Gauge& running_gauge_;
  Signal<const Operation&> changed_;
  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();

  std::mutex mutex_;
  std::condition_variable idle_;
  std::map<ResourceKey, RunPointer> by_resource_;
  std::unordered_map<OperationId, RunPointer> by_id_;
  std::set<OperationId> left_open_;  ///< of those, what an earlier run left
  std::size_t finishing_ = 0;        ///< off the resource, about to tell their waiters
  bool draining_ = false;

  std::mutex house_mutex_;
  std::condition_variable house_wake_;
  bool woken_ = false;
  bool stopping_ = false;
  bool reconciling_ = false;
  std::set<RunPointer> with_progress_;
  std::deque<Unstored> unstored_;
  std::deque<std::function<void()>> calls_;

  Reconciliation reconciliation_;
  std::thread house_;
};

}  // namespace berth::operations
