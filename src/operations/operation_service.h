#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "audit/audit_log.h"
#include "base/result.h"
#include "base/signal.h"
#include "base/undo_stack.h"
#include "base/worker_pool.h"
#include "metrics/registry.h"
#include "operations/operation.h"
#include "store/database.h"

namespace berth::operations {

/// What running work sees of its operation. Used by the worker thread only, but for what is said.
class Context {
 public:
  virtual ~Context() = default;
  virtual const Operation& operation() const = 0;
  /// By when the work must have ended.
  virtual Deadline deadline() const = 0;
  /// Tells watchers; written to the store at most twice a second. Thread-safe.
  virtual void progress(int percent, std::string stage) = 0;
  /// True once a person asked to end it. Thread-safe; work that can end early looks at it between steps.
  virtual bool cancel_requested() const = 0;
  /// Called, on another thread, when a cancel is asked for; from then on the operation may be cancelled.
  virtual void on_cancel(std::function<void()> action) = 0;
  /// Stores the engine's handle durably before the work goes on.
  virtual Result<void> adopt(std::string handle) = 0;
  /// Run in reverse when the work fails or is cancelled; cleared on success.
  virtual UndoStack& undo() = 0;
};

/// Does the work; yields the operation's result as JSON ("null" for none).
using Work = std::move_only_function<Result<std::string>(Context&)>;

struct NewOperation {
  std::string kind;
  EngineId engine;
  std::string resource_type;
  std::string resource_id;
  std::string input = "{}";
  std::string audit_details = "{}";
  audit::Origin origin;
  std::chrono::milliseconds time_limit{60'000};
};

/// A running or finished operation that a caller can wait for. Shared, thread-safe.
class Ticket {
 public:
  virtual ~Ticket() = default;
  virtual OperationId id() const = 0;
  /// The operation as it is at the end, or deadline_exceeded "operation.running" if it still runs then.
  virtual Result<Operation> wait(Deadline deadline) const = 0;
  /// The newest state, from memory.
  virtual Operation current() const = 0;
};

using TicketPointer = std::shared_ptr<Ticket>;

struct Filter {
  std::optional<State> state;
  std::optional<std::string> kind_prefix;
  std::optional<std::string> resource_type;
  std::optional<std::string> resource_id;
  std::optional<UserId> user_id;
  std::int64_t limit = 50;  ///< 1 to 1000
  std::int64_t offset = 0;
};

struct Page {
  std::vector<Operation> operations;  ///< newest first
  std::int64_t total = 0;
};

/// What became of an operation that the last run of the daemon left open.
struct Verdict {
  State state = State::failed;  ///< `running`: the engine still works on it, ask again later
  std::string result = "null";
  std::optional<Failure> failure;
};
/// Compares an open operation with the engine's real state. Errors with unavailable or deadline_exceeded mean
/// that the engine does not answer: asked again later. Blocking; runs on the engine's pool.
using Reconciler = std::function<Result<Verdict>(const Operation&)>;

/// How often the service does what it does by itself.
struct Rhythm {
  std::chrono::milliseconds progress{500};      ///< between writes of progress to the store
  std::chrono::milliseconds first_retry{100};   ///< of an outcome that the store did not take, of a reconciler
  std::chrono::milliseconds last_retry{5'000};  ///< what the doubling of `first_retry` ends at
  std::chrono::milliseconds ask_again{1'000};   ///< where the engine still works on what was left open
  std::chrono::milliseconds rescan{30'000};     ///< between searches of the store for what was left open
};

/// Records, runs, watches and repairs operations. An outcome that the store does not take is kept and offered
/// again until it does; who waits for the operation waits for that too. Destruction waits for running work, so
/// `drain` first. Pools must outlive the service or have been drained before it. Thread-safe.
class OperationService {
 public:
  static Result<std::unique_ptr<OperationService>> create(store::Database& database, audit::AuditLog& audit,
                                                          metrics::Registry& metrics, const Clock& clock,
                                                          Rhythm rhythm = {});
  virtual ~OperationService() = default;

  /// Records the operation durably, then runs `work` on `pool`. One resource has one operation at a time: an
  /// equal one that runs (same kind, same input) is joined and its ticket returned; a different one is
  /// conflict "operation.busy". A full pool is exhausted "operation.queue_full" and leaves no open record.
  /// When the deadline passes, `work` is told through its Deadline; the record ends with what `work` returns.
  /// Must not be called and waited for from a thread of `pool`: the work would wait for its own caller.
  virtual Result<TicketPointer> submit(NewOperation operation, WorkerPool& pool, Work work) = 0;

  virtual Result<Operation> find(const OperationId& id) = 0;
  virtual Result<Page> list(const Filter& filter) = 0;
  /// Errors: not_found, conflict "operation.finished", unsupported "operation.not_cancellable".
  virtual Result<void> cancel(const OperationId& id, const audit::Origin& origin) = 0;

  /// Registers who settles open operations of kinds that begin with `kind_prefix`.
  virtual void reconcile_with(std::string kind_prefix, WorkerPool& pool, Reconciler reconciler) = 0;
  /// Starts settling everything that an earlier run left open; goes on in the background until none is left.
  virtual Result<void> reconcile_open() = 0;
  /// How many operations are open now, in the store.
  virtual Result<std::int64_t> open_count() = 0;
  /// Forgets operations that began before `before` and have ended; yields how many. The audit log keeps what they
  /// did. Takes short transactions of 1,000 each, so that it never holds up other writers for long.
  virtual Result<std::int64_t> forget_ended(Timestamp before) = 0;

  /// Emitted at each change of an operation (start, progress, end), from the thread that changed it.
  virtual Signal<const Operation&>& changed() = 0;
  /// Takes no new operations (unavailable "operation.draining"), reconciles no more, and waits for the
  /// running ones until the deadline.
  virtual void drain(Deadline deadline) = 0;

  /// Where outcomes are recorded; for what is no operation but must be audited (opening a terminal).
  virtual audit::AuditLog& audit_log() = 0;
};

}  // namespace berth::operations
