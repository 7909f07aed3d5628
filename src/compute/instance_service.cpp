#include "compute/instance_service.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace berth::compute {
namespace {

/// How long the engine is asked for one instance before a change is begun without its answer.
constexpr std::chrono::milliseconds kConfirm{2000};
/// How long an engine that did not answer is given to say that it does again.
constexpr std::chrono::milliseconds kKnock{1000};
/// How long reading a change back may take at its end.
constexpr std::chrono::milliseconds kReadBack{3000};
/// How much longer than the operation its caller waits, for its outcome to be recorded.
constexpr std::chrono::milliseconds kPatience{2000};

Error unsupported() {
  return Error(ErrorCode::unsupported, "engine.unsupported", {"该引擎不支持此功能", "This engine cannot do that"});
}

/// The engine's error in the words that every engine shares.
Error in_common_words(Error error, const std::string& name) {
  if (error.reason() == "instance.not_found") return instance_not_found(name).with_detail(error.detail());
  if (error.reason() == "engine.unavailable") return engine_unavailable().with_detail(error.detail());
  return error;
}

}  // namespace

InstanceService::InstanceService(EngineId id, InstanceEngine& engine, Inventory& inventory, WorkerPool& pool,
                                 operations::OperationService& operations, Settings settings)
    : id_(std::move(id)),
      engine_(engine),
      inventory_(inventory),
      pool_(pool),
      operations_(operations),
      settings_(settings) {}

Result<SnapshotPointer> InstanceService::readable() const {
  SnapshotPointer snapshot = inventory_.snapshot();
  if (!snapshot->health.ever_connected) return engine_unavailable();
  return snapshot;
}

Result<InstancePointer> InstanceService::find(const Viewer& viewer, const std::string& name) const {
  const SnapshotPointer snapshot = BERTH_TRY(readable());
  InstancePointer instance = snapshot->find(name);
  if (instance == nullptr || !viewer.may_see(*instance)) return instance_not_found(name);
  return instance;
}

Result<void> InstanceService::require_engine() {
  if (inventory_.snapshot()->health.connected) return {};
  // It may have come back since the last full read.
  const auto answer = engine_.info(Deadline::after(kKnock));
  if (answer) return {};
  return engine_unavailable().with_detail(answer.error().describe());
}

Result<InstancePointer> InstanceService::locate(const Viewer& viewer, const std::string& name) {
  InstancePointer instance = inventory_.snapshot()->find(name);
  if (instance != nullptr && !viewer.may_see(*instance)) return instance_not_found(name);
  // No engine has an instance of such a name: it need not be asked.
  if (instance == nullptr && !engine_.check_name(name)) return instance_not_found(name);
  BERTH_CHECK(require_engine());
  if (instance == nullptr) {
    auto read = inventory_.reread(name, Deadline::after(kConfirm));
    if (!read) return in_common_words(take_error(read), name);
    instance = std::move(*read);
  }
  if (!viewer.may_see(*instance)) return instance_not_found(name);
  return instance;
}

Result<InstancePointer> InstanceService::confirm(const Viewer& viewer, const InstancePointer& known) {
  auto read = inventory_.reread(known->name, Deadline::after(kConfirm));
  if (read) {
    if (!viewer.may_see(**read)) return instance_not_found(known->name);
    return std::move(*read);
  }
  if (read.error().code() == ErrorCode::not_found || read.error().code() == ErrorCode::unavailable) {
    return in_common_words(take_error(read), known->name);
  }
  return known;
}

Result<SnapshotAbility*> InstanceService::snapshot_ability() {
  SnapshotAbility* ability = engine_.snapshots();
  if (ability == nullptr) return unsupported();
  return ability;
}

Result<ImageAbility*> InstanceService::image_ability() {
  ImageAbility* ability = engine_.images();
  if (ability == nullptr) return unsupported();
  return ability;
}

Result<TerminalAbility*> InstanceService::terminal_ability() {
  TerminalAbility* ability = engine_.terminals();
  if (ability == nullptr) return unsupported();
  return ability;
}

Result<InstanceService::Begun> InstanceService::submit(const Viewer& viewer, Change change) {
  operations::NewOperation operation;
  operation.kind = std::move(change.kind);
  operation.engine = id_;
  operation.resource_type = std::move(change.resource_type);
  operation.resource_id = std::move(change.resource_id);
  operation.input = std::move(change.input);
  operation.audit_details = std::move(change.audit_details);
  operation.origin = viewer.origin;
  operation.time_limit = change.limit;
  return Begun{BERTH_TRY(operations_.submit(std::move(operation), pool_, std::move(change.work))), change.limit};
}

Result<ActionOutcome> InstanceService::conclude(const Result<Begun>& begun) const {
  if (!begun) return begun.error();
  if (begun->ticket == nullptr) return ActionOutcome{false, std::nullopt};
  operations::Operation operation = BERTH_TRY(begun->ticket->wait(Deadline::after(begun->limit + kPatience)));
  if (operation.state == operations::State::succeeded) return ActionOutcome{true, std::move(operation)};
  if (operation.failure) return operations::to_error(*operation.failure);
  return Error(ErrorCode::cancelled, "operation.cancelled", {"操作已取消", "The operation was cancelled"});
}

Result<ActionOutcome> InstanceService::carry_out(const Viewer& viewer, Change change) {
  return conclude(submit(viewer, std::move(change)));
}

operations::Work InstanceService::work_on(std::vector<std::string> names, EngineCall call, bool cancellable) {
  return [this, names = std::move(names), call = std::move(call),
          cancellable](operations::Context& context) mutable -> Result<std::string> {
    EngineProgress progress;
    progress.report = [&](int percent, std::string stage) { context.progress(percent, std::move(stage)); };
    progress.adopt = [&](std::string handle) { return context.adopt(std::move(handle)); };
    if (cancellable) {
      progress.cancelled = [&] { return context.cancel_requested(); };
      // The engine call looks by itself; this only says that it may be asked to.
      context.on_cancel([] {});
    }
    auto done = call(progress, context.deadline());
    const bool silent =
        !done && (done.error().code() == ErrorCode::unavailable || done.error().code() == ErrorCode::deadline_exceeded);
    if (!silent) {
      for (const std::string& name : names) inventory_.refresh(name, Deadline::after(kReadBack));
    }
    if (!done) return in_common_words(take_error(done), names.empty() ? std::string() : names.front());
    return std::string("null");
  };
}

}  // namespace berth::compute
