#include <algorithm>
#include <utility>

#include "base/encoding.h"
#include "base/log.h"
#include "operations/operation_record.h"
#include "operations/service.h"

namespace berth::operations {
namespace {

Error busy() {
  return Error(ErrorCode::conflict, "operation.busy",
               {"该资源上有另一个操作正在进行，请稍后再试",
                "Another operation is running on this resource; try again when it has ended"});
}

Error not_found() {
  return Error(ErrorCode::not_found, "operation.not_found", {"操作不存在", "The operation does not exist"});
}

Error interrupted() {
  return Error(
      ErrorCode::unavailable, "operation.interrupted",
      {"操作在开始之前被中断，没有做任何更改", "The operation was interrupted before it began; nothing was changed"});
}

/// The details of an audit entry with what the operation adds to them. `details` is a JSON object, ids and
/// reasons are words that need no escaping.
std::string audit_details(std::string details, const Operation& operation) {
  std::string added = "{\"operation\":\"" + operation.id.value() + '"';
  if (operation.state == State::cancelled) added += ",\"cancelled\":true";
  if (operation.failure) added += ",\"reason\":\"" + operation.failure->reason + '"';
  const auto open = details.find('{');
  const auto first = open == std::string::npos ? open : details.find_first_not_of(" \t\r\n", open + 1);
  if (first == std::string::npos || details[first] == '}') return added + '}';
  return added + ',' + details.substr(first);
}

}  // namespace

/// The work of one operation on its way through a pool. Destroyed unrun (the pool ends), it says so.
class Task {
 public:
  Task(Service& service, std::shared_ptr<Gate> gate, RunPointer run, Work work)
      : service_(&service), gate_(std::move(gate)), run_(std::move(run)), work_(std::move(work)) {}
  Task(Task&&) = default;
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (run_ == nullptr) return;
    if (const auto pass = gate_->enter()) {
      service_->call_later([service = service_, run = run_] {
        if (run->begin() != Run::Beginning::refused) service->end(run, interrupted());
      });
    } else {
      run_->refuse(interrupted());
    }
  }

  void operator()() {
    const RunPointer run = std::exchange(run_, nullptr);
    if (const auto pass = gate_->enter()) {
      service_->execute(run, work_, std::chrono::steady_clock::now());
    } else {
      run->refuse(interrupted());
    }
  }

 private:
  Service* service_;
  std::shared_ptr<Gate> gate_;
  RunPointer run_;
  Work work_;
};

Service::Service(store::Database& database, audit::AuditLog& audit, metrics::Registry& metrics, const Clock& clock,
                 Rhythm rhythm)
    : database_(database),
      audit_(audit),
      metrics_(metrics),
      clock_(clock),
      rhythm_(rhythm),
      running_gauge_(metrics.gauge("berth_operations_running", "Operations that are open in this process")),
      reconciliation_(rhythm,
                      {.stored = [this](const OperationId& id) { return stored(id); },
                       .settle =
                           [this](const RunPointer& run, const Verdict& verdict) {
                             Operation outcome = run->current();
                             outcome.state = verdict.state;
                             outcome.result = verdict.result;
                             outcome.failure = verdict.failure;
                             settle(run, std::move(outcome));
                           },
                       .forget =
                           [this](const RunPointer& run, const std::optional<Operation>& operation) {
                             vacate(run);
                             if (operation) {
                               run->finish(*operation);
                             } else {
                               run->refuse(not_found());
                             }
                           },
                       .wake = [this] { wake(); }},
                      gate_),
      house_([this] { keep_house(); }) {}

Service::~Service() {
  reconciliation_.stop();
  gate_->close_and_wait();
  {
    const std::lock_guard lock(house_mutex_);
    stopping_ = true;
  }
  wake();
  house_.join();
  // Nothing runs any more. What the store still does not take stays open in it, for the next start to settle.
  retry_outcomes(true);
  std::vector<RunPointer> open;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, run] : by_id_) open.push_back(run);
  }
  for (const auto& run : open) run->refuse(interrupted());
}

RunPointer Service::new_run(NewOperation wanted) {
  Operation operation;
  operation.id = OperationId(random_uuid());
  operation.kind = std::move(wanted.kind);
  operation.engine = std::move(wanted.engine);
  operation.resource_type = std::move(wanted.resource_type);
  operation.resource_id = std::move(wanted.resource_id);
  operation.input = std::move(wanted.input);
  operation.origin = std::move(wanted.origin);
  operation.created_at = clock_.now();
  operation.updated_at = operation.created_at;
  operation.deadline_at = operation.created_at + wanted.time_limit;
  return std::make_shared<Run>(*this, std::move(operation), Deadline::after(wanted.time_limit),
                               std::move(wanted.audit_details));
}

Result<RunPointer> Service::occupy(const RunPointer& run) {
  const std::lock_guard lock(mutex_);
  if (draining_) {
    return Error(ErrorCode::unavailable, "operation.draining",
                 {"服务正在停止，不再接受新的操作", "The service is stopping and takes no new operations"});
  }
  const Operation& wanted = run->operation();
  const auto [slot, free] = by_resource_.try_emplace(key_of(wanted), run);
  if (!free) {
    const Operation& holder = slot->second->operation();
    if (holder.kind != wanted.kind || holder.input != wanted.input) {
      return busy().with_detail(holder.id.value());
    }
    return slot->second;
  }
  by_id_.emplace(wanted.id, run);
  running_gauge_.add(1);
  return run;
}

void Service::vacate(const RunPointer& run) {
  const std::lock_guard lock(mutex_);
  if (by_id_.erase(run->operation().id) == 0) return;
  by_resource_.erase(key_of(run->operation()));
  left_open_.erase(run->operation().id);
  running_gauge_.add(-1);
  idle_.notify_all();
}

Result<void> Service::record_start(const Operation& operation) {
  try {
    return database_.write(
        [&](store::Transaction& transaction) -> Result<void> { return record::insert(transaction, operation); });
  } catch (const std::exception& exception) {
    return internal_error(std::string("recording an operation threw: ") + exception.what());
  }
}

Result<TicketPointer> Service::submit(NewOperation wanted, WorkerPool& pool, Work work) {
  const RunPointer run = new_run(std::move(wanted));
  const RunPointer holder = BERTH_TRY(occupy(run));
  if (holder != run) {
    BERTH_CHECK(holder->wait_until_recorded());
    return TicketPointer(holder);
  }
  const auto give_up = [&](Error error) {
    vacate(run);
    run->refuse(error);
    return error;
  };
  // The pool is asked first: a full one leaves no record. The task waits until the record is durable.
  if (!pool.submit(Task(*this, gate_, run, std::move(work)))) {
    return give_up(Error(ErrorCode::exhausted, "operation.queue_full",
                         {"引擎的任务队列已满，请稍后再试", "The engine's queue is full; try again later"}));
  }
  if (auto recorded = record_start(run->operation()); !recorded) {
    Error error = take_error(recorded);
    // Open in the store but unknown here: left by an earlier run, or another process's.
    return give_up(error.code() == ErrorCode::already_exists ? busy() : std::move(error));
  }
  run->announce_start();
  run->release();
  return TicketPointer(run);
}

Result<std::string> Service::perform(Run& run, Work& work) {
  if (run.deadline().expired()) {
    return Error(
        ErrorCode::deadline_exceeded, "operation.expired",
        {"操作在排队时已超时，没有做任何更改", "The operation's time ran out while it waited; nothing was changed"});
  }
  try {
    return work(run);
  } catch (const std::exception& exception) {
    return internal_error(std::string("the work threw: ") + exception.what());
  } catch (...) {
    return internal_error("the work threw something that is no exception");
  }
}

void Service::execute(const RunPointer& run, Work& work, Instant begun) {
  const Operation& operation = run->operation();
  Result<std::string> outcome = interrupted();
  switch (run->begin()) {
    case Run::Beginning::refused:
      return;
    case Run::Beginning::cancelled:
      outcome = Error(ErrorCode::cancelled, "operation.cancelled", {"操作已取消", "The operation was cancelled"});
      break;
    case Run::Beginning::go:
      outcome = perform(*run, work);
      break;
  }
  run->end_work();
  if (outcome) {
    run->undo().clear();
  } else {
    log::warning("operations", "{} of {} {} failed: {}", operation.kind, operation.resource_type, operation.resource_id,
                 outcome.error().describe());
    try {
      run->undo().unwind();
    } catch (const std::exception& exception) {
      log::error("operations", "undoing {} of {} threw: {}", operation.kind, operation.resource_id, exception.what());
    }
  }
  metrics_.histogram("berth_operation_seconds", "How long the work of operations took", {{"kind", operation.kind}})
      .observe(std::chrono::steady_clock::now() - begun);
  end(run, outcome);
}

void Service::end(const RunPointer& run, const Result<std::string>& outcome) {
  Operation ended = run->current();
  if (outcome) {
    ended.state = State::succeeded;
    ended.progress = 100;
    ended.result = outcome->empty() ? "null" : *outcome;
  } else {
    ended.state = outcome.error().code() == ErrorCode::cancelled ? State::cancelled : State::failed;
    ended.failure = to_failure(outcome.error());
  }
  settle(run, std::move(ended));
}

void Service::settle(const RunPointer& run, Operation outcome) {
  if (outcome.state == State::succeeded) outcome.progress = 100;
  outcome.may_cancel = false;
  outcome.finished_at = clock_.now();
  outcome.updated_at = *outcome.finished_at;
  if (store_outcome(run, outcome)) return;
  // The engine has acted, so the outcome must not be lost; the pool's thread must not wait for the store.
  {
    const std::lock_guard lock(house_mutex_);
    unstored_.push_back(
        {run, std::move(outcome), rhythm_.first_retry, std::chrono::steady_clock::now() + rhythm_.first_retry});
  }
  wake();
}

Result<Operation> Service::record_outcome(const Run& run, const Operation& outcome) {
  const audit::Entry entry{outcome.kind, outcome.resource_type, outcome.resource_id,
                           outcome.state == State::succeeded ? audit::Outcome::success : audit::Outcome::failure,
                           audit_details(run.audit_details(), outcome)};
  try {
    return database_.write([&](store::Transaction& transaction) -> Result<Operation> {
      if (BERTH_TRY(record::finish(transaction, outcome))) {
        BERTH_CHECK(audit_.append(transaction, outcome.origin, entry));
        return outcome;
      }
      auto settled_before = BERTH_TRY(record::find(transaction, outcome.id));
      return settled_before ? std::move(*settled_before) : outcome;
    });
  } catch (const std::exception& exception) {
    return internal_error(std::string("recording an outcome threw: ") + exception.what());
  }
}

bool Service::store_outcome(const RunPointer& run, const Operation& outcome) {
  const auto recorded = record_outcome(*run, outcome);
  if (!recorded) {
    log::error("operations", "the outcome of {} {} is not stored yet: {}", outcome.kind, outcome.id.value(),
               recorded.error().describe());
    return false;
  }
  complete(run, *recorded);
  return true;
}

void Service::complete(const RunPointer& run, const Operation& outcome) {
  metrics_
      .counter("berth_operations_total", "Operations that ended",
               {{"kind", outcome.kind}, {"outcome", std::string(name(outcome.state))}})
      .add();
  {
    const std::lock_guard lock(mutex_);
    ++finishing_;
  }
  // First the resource is free, then its waiters go on: they may submit at once.
  vacate(run);
  run->finish(outcome);
  const std::lock_guard lock(mutex_);
  --finishing_;
  idle_.notify_all();
}

Result<void> Service::store_handle(const Operation& operation) {
  const bool open = BERTH_TRY(
      database_.write([&](store::Transaction& transaction) { return record::update_handle(transaction, operation); }));
  if (!open) return not_found();
  return {};
}

Result<std::optional<Operation>> Service::stored(const OperationId& id) {
  return database_.read([&](store::Transaction& transaction) { return record::find(transaction, id); });
}

Result<Operation> Service::find(const OperationId& id) {
  RunPointer run;
  {
    const std::lock_guard lock(mutex_);
    if (const auto at = by_id_.find(id); at != by_id_.end()) run = at->second;
  }
  auto operation = stored(id);
  if (run != nullptr) {
    // Progress is newest in memory, the end in the store: it is committed before it is told.
    const bool ended = operation && *operation && (*operation)->state != State::running;
    return ended ? std::move(**operation) : run->current();
  }
  if (!operation) return take_error(operation);
  if (!*operation) return not_found();
  return std::move(**operation);
}

Result<Page> Service::list(const Filter& filter) {
  Page page =
      BERTH_TRY(database_.read([&](store::Transaction& transaction) { return record::list(transaction, filter); }));
  const std::lock_guard lock(mutex_);
  for (Operation& operation : page.operations) {
    if (operation.state != State::running) continue;
    if (const auto at = by_id_.find(operation.id); at != by_id_.end()) {
      const Operation newest = at->second->current();
      if (newest.state == State::running) operation = newest;
    }
  }
  return page;
}

Result<void> Service::cancel(const OperationId& id, const audit::Origin& origin) {
  RunPointer run;
  {
    const std::lock_guard lock(mutex_);
    if (const auto at = by_id_.find(id); at != by_id_.end()) run = at->second;
  }
  if (run == nullptr) {
    const auto operation = BERTH_TRY(stored(id));
    if (!operation) return not_found();
    if (operation->state != State::running) {
      return Error(ErrorCode::conflict, "operation.finished", {"操作已结束", "The operation has ended"});
    }
    return Error(ErrorCode::unsupported, "operation.not_cancellable",
                 {"该操作无法取消", "This operation cannot be cancelled"});
  }
  BERTH_CHECK(run->check_cancellable());
  if (run->cancel_requested()) return {};
  BERTH_CHECK(run->wait_until_recorded());
  BERTH_CHECK(database_.write([&](store::Transaction& transaction) -> Result<void> {
    if (!BERTH_TRY(record::request_cancel(transaction, id, clock_.now()))) {
      return Error(ErrorCode::conflict, "operation.finished", {"操作已结束", "The operation has ended"});
    }
    return audit_.append(transaction, origin, {"operation.cancel", "operation", id.value()});
  }));
  run->request_cancel();
  return {};
}

void Service::reconcile_with(std::string kind_prefix, WorkerPool& pool, Reconciler reconciler) {
  reconciliation_.add_reconciler(std::move(kind_prefix), pool, std::move(reconciler));
}

Result<void> Service::reconcile_open() {
  BERTH_CHECK(find_left_open());
  {
    const std::lock_guard lock(house_mutex_);
    reconciling_ = true;
  }
  wake();
  return {};
}

Result<std::int64_t> Service::open_count() {
  return database_.read([](store::Transaction& transaction) { return record::count_open(transaction); });
}

Result<std::int64_t> Service::forget_ended(Timestamp before) {
  constexpr std::int64_t kBatch = 1000;
  std::int64_t forgotten = 0;
  while (true) {
    const std::int64_t batch = BERTH_TRY(database_.write(
        [&](store::Transaction& transaction) { return record::forget_ended(transaction, before, kBatch); }));
    forgotten += batch;
    if (batch < kBatch) return forgotten;
  }
}

void Service::drain(Deadline deadline) {
  reconciliation_.stop();
  std::unique_lock lock(mutex_);
  draining_ = true;
  idle_.wait_until(lock, deadline.at(), [this] { return by_id_.size() == left_open_.size() && finishing_ == 0; });
}

Result<std::unique_ptr<OperationService>> OperationService::create(store::Database& database, audit::AuditLog& audit,
                                                                   metrics::Registry& metrics, const Clock& clock,
                                                                   Rhythm rhythm) {
  return std::unique_ptr<OperationService>(std::make_unique<Service>(database, audit, metrics, clock, rhythm));
}

}  // namespace berth::operations
