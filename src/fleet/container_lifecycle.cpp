#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "fleet/archive_folder.h"
#include "fleet/container_input.h"
#include "fleet/containers.h"
#include "json/write.h"

namespace berth::fleet {
namespace {

using compute::Status;

/// How long reading a change back may take at its end.
constexpr std::chrono::milliseconds kReadBack{3000};

Error wrong_state(const std::string& name) {
  return Error(ErrorCode::conflict, "instance.state",
               {fmt::format("容器 {} 的当前状态不允许此操作", name),
                fmt::format("Container {} is not in a state that allows this", name)});
}

Error is_running(const std::string& name) {
  return Error(ErrorCode::conflict, "instance.running",
               {fmt::format("容器 {} 正在运行，请先停止它，或强制删除", name),
                fmt::format("Container {} is running: stop it first, or delete it by force", name)});
}

bool is_up(Status status) {
  return status != Status::stopped && status != Status::error;
}

}  // namespace

Result<bool> Containers::act(const Caller& caller, const std::string& name, Action action, bool force) {
  const Target target = BERTH_TRY(changeable(BERTH_TRY(find(caller, name, Right::write))));
  // Nothing is left undone on the word of a snapshot alone.
  const Status status = BERTH_TRY(confirm(target))->status;
  bool changes = true;
  std::string kind;
  std::optional<bool> running;
  switch (action) {
    case Action::start:
      kind = "container.start";
      changes = status != Status::running;
      running = true;
      break;
    case Action::stop:
      kind = "container.stop";
      changes = status != Status::stopped;
      running = false;
      break;
    case Action::restart:
      kind = "container.restart";
      if (status == Status::stopped) return wrong_state(name);
      running = true;
      break;
    case Action::pause:
      kind = "container.pause";
      changes = status != Status::frozen;
      if (changes && status != Status::running) return wrong_state(name);
      break;
    case Action::resume:
      kind = "container.resume";
      changes = status != Status::running;
      if (changes && status != Status::frozen) return wrong_state(name);
      break;
  }
  const bool wished_already = !running || target.row->desired.running == *running;
  if (!changes && wished_already && !is_active(target.row->id)) return false;
  Change change;
  change.kind = kind;
  change.id = target.row->id;
  change.unit = target.unit;
  change.limit = settings_.lifecycle_limit;
  ContainerInput input{.name = name};
  ContainerDetails details{.name = name};
  if (action == Action::stop || action == Action::restart) input.force = details.force = force;
  change.input = json::to_json(input);
  change.details = json::to_json(details);
  const auto grace = force ? std::chrono::seconds(0) : settings_.stop_grace;
  change.work = [this, target, action, grace, running](operations::Context& context) -> Result<std::string> {
    // What is half changed may run elsewhere, or under another name, and is put back as it was when that is settled.
    const RowPointer now = catalog_.book().row(target.row->id);
    if (now != nullptr && now->pending) return container_busy(now->name);
    auto done = perform(action, target, grace, context);
    if (done || !no_answer(done.error())) {
      target.unit->inventory->refresh(target.row->engine_name, Deadline::after(kReadBack));
    }
    if (!done) return take_error(done);
    if (running && target.row->desired.running != *running) {
      BERTH_CHECK(catalog_.change(target.row->id, [&](store::Transaction&, ContainerRow& row) -> Result<void> {
        row.desired.running = *running;
        return {};
      }));
    }
    return std::string("null");
  };
  BERTH_CHECK(carry_out(caller.origin, std::move(change)));
  return changes;
}

Result<void> Containers::perform(Action action, const Target& target, std::chrono::seconds grace,
                                 operations::Context& context) {
  compute::InstanceEngine& engine = *target.unit->engine;
  const std::string& name = target.row->engine_name;
  const compute::EngineProgress progress = progress_of(context, 0, 100);
  const Deadline deadline = context.deadline();
  compute::ContainerAbility* ability = engine.containers();
  const auto known = target.unit->inventory->snapshot()->find(name);
  const bool frozen = known != nullptr && known->status == Status::frozen;
  // A paused one takes no signal and cannot be started.
  if (frozen && action != Action::pause && ability != nullptr) BERTH_CHECK(ability->resume(name, deadline));
  switch (action) {
    case Action::start:
      return engine.start(name, progress, deadline);
    case Action::stop:
      return engine.stop(name, grace, progress, deadline);
    case Action::restart:
      return engine.restart(name, grace, progress, deadline);
    case Action::pause:
    case Action::resume:
      break;
  }
  if (ability == nullptr) {
    return Error(ErrorCode::unsupported, "engine.unsupported", {"该引擎不支持此功能", "This engine cannot do that"});
  }
  return action == Action::pause ? ability->pause(name, deadline) : ability->resume(name, deadline);
}

Result<bool> Containers::start(const Caller& caller, const std::string& name) {
  return act(caller, name, Action::start, false);
}
Result<bool> Containers::stop(const Caller& caller, const std::string& name, bool force) {
  return act(caller, name, Action::stop, force);
}
Result<bool> Containers::restart(const Caller& caller, const std::string& name, bool force) {
  return act(caller, name, Action::restart, force);
}
Result<bool> Containers::pause(const Caller& caller, const std::string& name) {
  return act(caller, name, Action::pause, false);
}
Result<bool> Containers::resume(const Caller& caller, const std::string& name) {
  return act(caller, name, Action::resume, false);
}

Result<void> Containers::remove_row(const ContainerRow& row, const Caller& caller) {
  if (is_active(row.id) || row.pending) return container_busy(row.name);
  BERTH_CHECK(catalog_.remove(row.id, [&](store::Transaction& transaction) {
    return parts_.operations.audit_log().append(
        transaction, caller.origin,
        {"container.delete", "container", std::to_string(row.id.value()), audit::Outcome::success,
         json::to_json(ContainerDetails{.name = row.name})});
  }));
  archive_folder::remove_all(settings_.archives, row.id, "");
  return {};
}

operations::Work Containers::removing(const Target& target, bool force) {
  return [this, target, force](operations::Context& context) -> Result<std::string> {
    const std::string& name = target.row->engine_name;
    const compute::EngineProgress progress = progress_of(context, 0, 100);
    const auto work = [&]() -> Result<void> {
      if (force) {
        auto stopped = target.unit->engine->stop(name, std::chrono::seconds(0), progress, context.deadline());
        if (!stopped && stopped.error().code() != ErrorCode::not_found) return take_error(stopped);
      }
      auto removed = target.unit->engine->remove(name, progress, context.deadline());
      if (!removed && removed.error().reason() == "instance.running") {
        return is_running(target.row->name).with_detail(removed.error().detail());
      }
      return removed;
    };
    auto done = work();
    if (done || !no_answer(done.error())) target.unit->inventory->refresh(name, Deadline::after(kReadBack));
    if (!done) return take_error(done);
    BERTH_CHECK(catalog_.remove(target.row->id));
    archive_folder::remove_all(settings_.archives, target.row->id, "");
    return std::string("null");
  };
}

Result<void> Containers::remove(const Caller& caller, const std::string& name, bool force) {
  const ContainerPointer container = BERTH_TRY(find(caller, name, Right::write));
  if (container->presence == Presence::archived || container->presence == Presence::missing) {
    const RowPointer row = catalog_.book().row(container->id);
    if (row == nullptr) return container_not_found(name);
    return remove_row(*row, caller);
  }
  const Target target = BERTH_TRY(changeable(container));
  if (!force && is_up(container->status)) {
    auto now = confirm(target);
    // One that is gone behind our back may be removed from the books as well.
    if (!now && now.error().reason() != "container.missing") return take_error(now);
    if (now && is_up((*now)->status)) return is_running(name);
  }
  Change change;
  change.kind = "container.delete";
  change.id = target.row->id;
  change.unit = target.unit;
  change.limit = settings_.lifecycle_limit;
  change.input = json::to_json(ContainerInput{.name = name, .force = force});
  change.details = json::to_json(ContainerDetails{.name = name, .force = force});
  change.work = removing(target, force);
  return carry_out(caller.origin, std::move(change));
}

}  // namespace berth::fleet
