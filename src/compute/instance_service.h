#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/audit_log.h"
#include "base/result.h"
#include "base/worker_pool.h"
#include "compute/engine.h"
#include "compute/inventory.h"
#include "operations/operation_service.h"

namespace berth::compute {

/// For whom the service acts: what it may see and how the audit log names it.
struct Viewer {
  bool sees_all = false;
  std::string owner;  ///< UUID; sees only instances of this owner unless `sees_all`
  audit::Origin origin;

  bool may_see(const Instance& instance) const { return sees_all || (!owner.empty() && instance.owner == owner); }
};

enum class LifecycleAction { start, stop, restart };

/// What a change came to: whether it changed anything, and its operation where there was one.
struct ActionOutcome {
  bool changed = true;  ///< false: it already was so ("starting a running one succeeds and says so")
  std::optional<operations::Operation> operation;
};

/// The rules of instances for every contract: who may see what, what fits which state, one operation at a
/// time, ownership. Reads come from the inventory; changes are operations on the engine's pool. Somebody else's
/// instance is not_found. Thread-safe; changes block until done or until their deadline, so they must not be
/// called from threads of `pool`, on which they run.
class InstanceService {
 public:
  struct Settings {
    std::chrono::milliseconds lifecycle_limit{60'000};
    std::chrono::milliseconds create_limit{600'000};
    std::chrono::milliseconds quick_limit{20'000};
    std::chrono::seconds stop_grace{10};  ///< then by force
    std::size_t bulk_limit = 100;         ///< instances in one bulk call
  };

  InstanceService(EngineId id, InstanceEngine& engine, Inventory& inventory, WorkerPool& pool,
                  operations::OperationService& operations, Settings settings);

  // Reads, from memory, at once.
  SnapshotPointer snapshot() const { return inventory_.snapshot(); }
  Result<InstancePointer> find(const Viewer& viewer, const std::string& name) const;
  /// unavailable "engine.unavailable" where the engine has never answered.
  Result<SnapshotPointer> readable() const;

  // Changes. The caller waits for the operation's end, at most a little longer than its limit; then it goes on
  // behind a deadline_exceeded "operation.running", whose detail is the operation's id. Errors beside the
  // engine's: not_found "instance.not_found", conflict "operation.busy", exhausted "operation.queue_full",
  // cancelled "operation.cancelled".
  Result<ActionOutcome> start(const Viewer& viewer, const std::string& name);
  Result<ActionOutcome> stop(const Viewer& viewer, const std::string& name, bool force);
  Result<ActionOutcome> restart(const Viewer& viewer, const std::string& name, bool force);
  /// Without `force` a running one is conflict "instance.running".
  Result<ActionOutcome> remove(const Viewer& viewer, const std::string& name, bool force);
  Result<ActionOutcome> rename(const Viewer& viewer, const std::string& name, const std::string& new_name);
  Result<ActionOutcome> update(const Viewer& viewer, const std::string& name, const InstanceChange& change);
  /// Returns when the operation is recorded and runs; wait on the ticket for its end. Whoever does not see all
  /// creates for itself: the owner left out is the viewer, another is permission_denied "instance.owner".
  Result<operations::TicketPointer> create(const Viewer& viewer, const NewInstance& instance);

  struct BulkItem {
    std::string name;
    Result<ActionOutcome> outcome;
  };
  /// Acts on each, several at a time; one's failure leaves the others alone.
  Result<std::vector<BulkItem>> act(const Viewer& viewer, LifecycleAction action, const std::vector<std::string>& names,
                                    bool force);

  Result<std::vector<InstanceSnapshot>> list_snapshots(const Viewer& viewer, const std::string& name);
  Result<ActionOutcome> create_snapshot(const Viewer& viewer, const std::string& name, const std::string& snapshot,
                                        bool stateful);
  Result<ActionOutcome> restore_snapshot(const Viewer& viewer, const std::string& name, const std::string& snapshot);
  Result<ActionOutcome> remove_snapshot(const Viewer& viewer, const std::string& name, const std::string& snapshot);

  Result<std::vector<Image>> list_images();
  Result<ActionOutcome> remove_image(const Viewer& viewer, const std::string& image);

  /// A terminal in an instance; audited.
  Result<std::shared_ptr<Terminal>> exec(const Viewer& viewer, const std::string& name, const ExecRequest& request,
                                         std::shared_ptr<TerminalOutput> output);
  Result<ExecOutcome> run(const Viewer& viewer, const std::string& name, const ExecRequest& request,
                          std::chrono::milliseconds time_limit);
  Result<std::shared_ptr<Terminal>> console(const Viewer& viewer, const std::string& name, TerminalSize size,
                                            std::shared_ptr<TerminalOutput> output);

  /// How an open operation of this engine is settled after a crash; registered for "instance." and "image.".
  Result<operations::Verdict> reconcile(const operations::Operation& operation);

  WorkerPool& pool() { return pool_; }

 private:
  /// A change of one resource, ready to be submitted.
  struct Change {
    std::string kind;
    std::string resource_type = "instance";
    std::string resource_id;
    std::string input;
    std::string audit_details = "{}";
    std::chrono::milliseconds limit{};
    operations::Work work;
  };
  /// What became of the beginning of a change: nothing to do, or a ticket to wait for.
  struct Begun {
    operations::TicketPointer ticket;  ///< null: it already was so
    std::chrono::milliseconds limit{};
  };
  using EngineCall = std::move_only_function<Result<void>(const EngineProgress&, Deadline)>;

  /// The visible instance, also one that only the engine knows yet; checks that the engine answers.
  Result<InstancePointer> locate(const Viewer& viewer, const std::string& name);
  /// The instance as the engine has it now; `known` where the engine takes too long to say.
  Result<InstancePointer> confirm(const Viewer& viewer, const InstancePointer& known);
  Result<void> require_engine();
  Result<SnapshotAbility*> snapshot_ability();
  Result<ImageAbility*> image_ability();
  Result<TerminalAbility*> terminal_ability();

  Result<Begun> begin(const Viewer& viewer, LifecycleAction action, const std::string& name, bool force);
  Result<Begun> submit(const Viewer& viewer, Change change);
  Result<ActionOutcome> conclude(const Result<Begun>& begun) const;
  Result<ActionOutcome> carry_out(const Viewer& viewer, Change change);
  /// Work that calls the engine and then reads the instances that it touched, so that callers read their own
  /// write. `cancellable`: the call looks at its progress' `cancelled`.
  operations::Work work_on(std::vector<std::string> names, EngineCall call, bool cancellable = false);
  Change snapshot_change(std::string kind, const std::string& name, const std::string& snapshot, EngineCall call);
  Result<void> audit_terminal(const Viewer& viewer, const std::string& action, const std::string& name,
                              const std::string& details, audit::Outcome outcome);

  Result<operations::Verdict> judge(const operations::Operation& operation, InstancePointer found);
  Result<operations::Verdict> judge_create(const operations::Operation& operation, const InstancePointer& found);
  Result<operations::Verdict> judge_snapshot(const operations::Operation& operation);
  Result<operations::Verdict> judge_image(const operations::Operation& operation);

  const EngineId id_;
  InstanceEngine& engine_;
  Inventory& inventory_;
  WorkerPool& pool_;
  operations::OperationService& operations_;
  const Settings settings_;
};

}  // namespace berth::compute
