#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "compute/instance_input.h"
#include "compute/instance_service.h"
#include "json/write.h"

namespace berth::compute {
namespace {

std::string_view kind_of(LifecycleAction action) {
  switch (action) {
    case LifecycleAction::start:
      return "instance.start";
    case LifecycleAction::stop:
      return "instance.stop";
    case LifecycleAction::restart:
      return "instance.restart";
  }
  return "instance.restart";
}

Error running(const std::string& name) {
  return Error(ErrorCode::conflict, "instance.running",
               {fmt::format("实例 {} 正在运行，请先停止它，或使用 force=true 强制删除", name),
                fmt::format("Instance {} is running: stop it first, or delete it with force=true", name)});
}

Error not_running(const std::string& name) {
  return Error(ErrorCode::conflict, "instance.state",
               {fmt::format("实例 {} 未运行，无法重启", name),
                fmt::format("Instance {} is not running, so it cannot be restarted", name)});
}

}  // namespace

Result<InstanceService::Begun> InstanceService::begin(const Viewer& viewer, LifecycleAction action,
                                                      const std::string& name, bool force) {
  InstancePointer instance = BERTH_TRY(locate(viewer, name));
  const Status no_work = action == LifecycleAction::start ? Status::running : Status::stopped;
  if (instance->status == no_work) {
    // The snapshot may be a moment behind: nothing is left undone on its word alone.
    instance = BERTH_TRY(confirm(viewer, instance));
    if (instance->status == no_work) {
      if (action == LifecycleAction::restart) return not_running(name);
      return Begun{};
    }
  }
  const std::chrono::seconds grace = force ? std::chrono::seconds(0) : settings_.stop_grace;
  Change change;
  change.kind = kind_of(action);
  change.resource_id = name;
  change.limit = settings_.lifecycle_limit;
  OperationInput input{.name = name};
  if (action != LifecycleAction::start) {
    input.force = force;
    change.audit_details = json::to_json(AuditDetails{.force = force});
  }
  change.input = json::to_json(input);
  change.work = work_on({name}, [this, action, name, grace](const EngineProgress& progress, Deadline deadline) {
    switch (action) {
      case LifecycleAction::start:
        return engine_.start(name, progress, deadline);
      case LifecycleAction::stop:
        return engine_.stop(name, grace, progress, deadline);
      case LifecycleAction::restart:
        break;
    }
    return engine_.restart(name, grace, progress, deadline);
  });
  return submit(viewer, std::move(change));
}

Result<ActionOutcome> InstanceService::start(const Viewer& viewer, const std::string& name) {
  return conclude(begin(viewer, LifecycleAction::start, name, false));
}

Result<ActionOutcome> InstanceService::stop(const Viewer& viewer, const std::string& name, bool force) {
  return conclude(begin(viewer, LifecycleAction::stop, name, force));
}

Result<ActionOutcome> InstanceService::restart(const Viewer& viewer, const std::string& name, bool force) {
  return conclude(begin(viewer, LifecycleAction::restart, name, force));
}

Result<ActionOutcome> InstanceService::remove(const Viewer& viewer, const std::string& name, bool force) {
  InstancePointer instance = BERTH_TRY(locate(viewer, name));
  if (!force && instance->status != Status::stopped && instance->status != Status::error) {
    instance = BERTH_TRY(confirm(viewer, instance));
    if (instance->status != Status::stopped && instance->status != Status::error) return running(name);
  }
  Change change;
  change.kind = "instance.delete";
  change.resource_id = name;
  change.limit = settings_.lifecycle_limit;
  change.input = json::to_json(OperationInput{.name = name, .force = force});
  change.audit_details = json::to_json(AuditDetails{.force = force});
  change.work = work_on({name}, [this, name, force](const EngineProgress& progress, Deadline deadline) -> Result<void> {
    if (force) {
      auto stopped = engine_.stop(name, std::chrono::seconds(0), progress, deadline);
      if (!stopped && stopped.error().code() != ErrorCode::not_found) return take_error(stopped);
    }
    auto removed = engine_.remove(name, progress, deadline);
    if (!removed && removed.error().reason() == "instance.running") {
      return running(name).with_detail(removed.error().detail());
    }
    return removed;
  });
  return carry_out(viewer, std::move(change));
}

Result<std::vector<InstanceService::BulkItem>> InstanceService::act(const Viewer& viewer, LifecycleAction action,
                                                                    const std::vector<std::string>& names, bool force) {
  if (names.empty() || names.size() > settings_.bulk_limit) {
    const Text message{fmt::format("一次必须指定 1 到 {} 个实例", settings_.bulk_limit),
                       fmt::format("Name 1 to {} instances at a time", settings_.bulk_limit)};
    return Error(ErrorCode::invalid_argument, "instance.bulk", message).with_field("names", message);
  }
  std::vector<std::pair<std::string, Result<Begun>>> begun;
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (seen.insert(name).second) begun.emplace_back(name, begin(viewer, action, name, force));
  }
  std::vector<BulkItem> items;
  items.reserve(begun.size());
  for (auto& [name, one] : begun) {
    // Those at the end of the queue have waited for those before them, so each gets its whole time.
    items.push_back({name, conclude(one)});
  }
  return items;
}

}  // namespace berth::compute
