#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "operations/gate.h"
#include "operations/operation_service.h"
#include "operations/run.h"

namespace berth::operations {

/// Brings the operations that an earlier run left open before their reconcilers, one at a time for each
/// reconciler, so that an engine that hangs at the start keeps one thread of its pool at most. Thread-safe.
class Reconciliation {
 public:
  struct Ends {
    /// The operation as the store has it, or nothing if it is gone.
    std::function<Result<std::optional<Operation>>(const OperationId&)> stored;
    /// A verdict that is final.
    std::function<void(const RunPointer&, const Verdict&)> settle;
    /// It was settled by somebody else.
    std::function<void(const RunPointer&, const std::optional<Operation>&)> forget;
    /// `advance` has something to do.
    std::function<void()> wake;
  };

  Reconciliation(Rhythm rhythm, Ends ends, std::shared_ptr<Gate> gate);

  void add_reconciler(std::string kind_prefix, WorkerPool& pool, Reconciler reconciler);
  void take(RunPointer run);
  /// Starts what is due; yields when to call it again.
  Instant advance();
  void stop();

 private:
  struct Open {
    RunPointer run;
    Instant due;
  };
  /// One reconciler and what waits for it.
  struct Desk {
    std::string kind_prefix;
    WorkerPool* pool = nullptr;
    Reconciler reconciler;
    std::deque<Open> waiting;
    bool busy = false;
    Instant closed_until{};              ///< its engine did not answer
    std::chrono::milliseconds retry{0};  ///< 0 once it answers
  };

  Desk* desk_for(const std::string& kind);
  void hold_back(Desk& desk);
  /// Runs on the desk's pool.
  void examine(Desk& desk, const RunPointer& run);
  Result<Verdict> ask(const Desk& desk, const Operation& operation) const;

  const Rhythm rhythm_;
  const Ends ends_;
  const std::shared_ptr<Gate> gate_;
  std::mutex mutex_;
  bool stopped_ = false;
  std::vector<std::unique_ptr<Desk>> desks_;
  std::deque<RunPointer> unclaimed_;  ///< of kinds that nobody has registered for
};

}  // namespace berth::operations
