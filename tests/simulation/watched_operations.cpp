#include "simulation/watched_operations.h"

#include <algorithm>
#include <utility>

namespace berth::simulation {
namespace {

using operations::Operation;
using operations::State;

constexpr std::chrono::milliseconds kGlance{2};

/// Whoever waits for it goes on when the process is gone.
class MortalTicket final : public operations::Ticket {
 public:
  MortalTicket(operations::TicketPointer inner, const std::atomic<bool>& dead)
      : inner_(std::move(inner)), dead_(dead) {}
  OperationId id() const override { return inner_->id(); }
  Operation current() const override { return inner_->current(); }
  Result<Operation> wait(Deadline deadline) const override {
    while (true) {
      auto ended = inner_->wait(deadline.sooner(kGlance));
      if (ended || ended.error().reason() != "operation.running" || deadline.expired()) return ended;
      if (dead_) return Error(ErrorCode::unavailable, "operation.interrupted", {"进程已结束", "The process is gone"});
    }
  }

 private:
  operations::TicketPointer inner_;
  const std::atomic<bool>& dead_;
};

/// Operations whose parts are operations of this service, which they wait for.
bool waits_for_others(const operations::NewOperation& operation) {
  return operation.kind == "fleet.recovery" ||
         (operation.kind == "fleet.failover" && operation.resource_type == "fleet");
}

}  // namespace

WatchedOperations::WatchedOperations(std::unique_ptr<OperationService> inner, const std::atomic<bool>& dead)
    : inner_(std::move(inner)), dead_(dead) {
  ended_ = inner_->changed().subscribe([this](const Operation& operation) {
    if (operation.state == State::running) return;
    const std::lock_guard lock(mutex_);
    left_open_.erase(operation.id);
    deciding_.erase(operation.id);
  });
}

WatchedOperations::~WatchedOperations() = default;

bool WatchedOperations::reconciling() const {
  const std::lock_guard lock(mutex_);
  return in_reconcilers_ > 0 || (!deciding_.empty() && !dead_);
}

bool WatchedOperations::looked_at_open() const {
  const std::lock_guard lock(mutex_);
  return std::ranges::all_of(left_open_, [&](const auto& one) { return one.second == round_; });
}

Result<void> WatchedOperations::reconcile_open() {
  operations::Filter running;
  running.state = State::running;
  running.limit = 1000;
  const auto open = BERTH_TRY(inner_->list(running));
  {
    const std::lock_guard lock(mutex_);
    for (const auto& operation : open.operations) left_open_.emplace(operation.id, 0);
  }
  return inner_->reconcile_open();
}

Result<operations::TicketPointer> WatchedOperations::submit(operations::NewOperation operation, WorkerPool& pool,
                                                            operations::Work work) {
  std::atomic<int>& counter = waits_for_others(operation) ? waiting_for_others_ : working_;
  ++counter;
  // Until the pool has let go of the work: its outcome is written down then.
  const std::shared_ptr<void> counted(nullptr, [&counter](void*) { --counter; });
  auto ticket =
      inner_->submit(std::move(operation), pool,
                     [counted, work = std::move(work)](operations::Context& context) mutable { return work(context); });
  if (!ticket) return ticket;
  {
    // Not joined, for the same reason as in `find`.
    const std::lock_guard lock(mutex_);
    if (left_open_.contains((*ticket)->id())) {
      return Error(ErrorCode::conflict, "operation.busy", {"遗留操作", "It was left open"});
    }
  }
  return operations::TicketPointer(std::make_shared<MortalTicket>(std::move(*ticket), dead_));
}

Result<Operation> WatchedOperations::find(const OperationId& id) {
  {
    // Who is in the way of a caller and was left open is not waited for: virtual time stands still meanwhile.
    const std::lock_guard lock(mutex_);
    if (left_open_.contains(id)) return Error(ErrorCode::not_found, "operation.not_found", {"遗留操作", "left open"});
  }
  return inner_->find(id);
}

void WatchedOperations::reconcile_with(std::string kind_prefix, WorkerPool& pool, operations::Reconciler reconciler) {
  inner_->reconcile_with(
      std::move(kind_prefix), pool,
      [this, reconciler = std::move(reconciler)](const Operation& operation) { return judge(operation, reconciler); });
}

Result<operations::Verdict> WatchedOperations::judge(const Operation& operation,
                                                     const operations::Reconciler& reconciler) {
  const operations::Verdict later{State::running, "null", std::nullopt};
  {
    const std::lock_guard lock(mutex_);
    const auto at = left_open_.find(operation.id);
    if (dead_ || (at != left_open_.end() && at->second == round_)) return later;
    ++in_reconcilers_;
    deciding_.insert(operation.id);
  }
  auto verdict = reconciler(operation);
  const std::lock_guard lock(mutex_);
  if (const auto at = left_open_.find(operation.id); at != left_open_.end()) at->second = round_;
  if (!verdict || verdict->state == State::running) deciding_.erase(operation.id);
  --in_reconcilers_;
  return verdict;
}

}  // namespace berth::simulation
