#include <fmt/format.h>

#include "api/lxd_panel/lxd_panel.h"
#include "api/lxd_panel/panel_envelope.h"

namespace berth::api::lxd_panel {
namespace {

using compute::ActionOutcome;
using compute::LifecycleAction;
using http::Method;

struct Words {
  std::string_view zh;       ///< "启动"
  std::string_view en;       ///< "started"
  std::string_view idle_zh;  ///< what it says if there was nothing to do
  std::string_view idle_en;
};

Words words_of(LifecycleAction action) {
  switch (action) {
    case LifecycleAction::start:
      return {"启动", "started", "已在运行", "is already running"};
    case LifecycleAction::stop:
      return {"停止", "stopped", "已停止", "is already stopped"};
    case LifecycleAction::restart:
      return {"重启", "restarted", "已重启", "is restarted"};
  }
  return {};
}

std::string message_of(LifecycleAction action, const std::string& name, bool changed, Language language) {
  const Words words = words_of(action);
  if (language == Language::en) {
    return changed ? fmt::format("Instance {} {}", name, words.en) : fmt::format("Instance {} {}", name, words.idle_en);
  }
  return changed ? fmt::format("实例 {} {}成功", name, words.zh) : fmt::format("实例 {} {}", name, words.idle_zh);
}

Result<ActionOutcome> act(compute::InstanceService& instances, const compute::Viewer& viewer, LifecycleAction action,
                          const std::string& name, bool force) {
  switch (action) {
    case LifecycleAction::start:
      return instances.start(viewer, name);
    case LifecycleAction::stop:
      return instances.stop(viewer, name, force);
    case LifecycleAction::restart:
      return instances.restart(viewer, name, force);
  }
  return internal_error("unknown action");
}

identity::Permission permission_of(LifecycleAction action) {
  return action == LifecycleAction::start ? identity::permissions::kInstancesStart
                                          : identity::permissions::kInstancesStop;
}

LifecycleAction parse_action(const std::string& text) {
  if (text == "start") return LifecycleAction::start;
  if (text == "stop") return LifecycleAction::stop;
  return LifecycleAction::restart;
}

}  // namespace

void LxdPanel::add_lifecycle_routes() {
  const auto add = [this](std::string_view word, LifecycleAction action, identity::Permission permission,
                          Text summary) {
    contract_->add<InstancePath, ForceQuery, Nothing>(
        {Method::post, fmt::format("/api/instances/{{name}}/{}", word), permission, std::move(summary), "lifecycle",
         &parts_.changes},
        [this, action](const Call& call, InstancePath path, ForceQuery query, Nothing) -> Result<PlainResult> {
          const ActionOutcome outcome =
              BERTH_TRY(act(parts_.instances, viewer_of(call), action, path.name, query.force));
          return PlainResult{true, message_of(action, path.name, outcome.changed, call.language), nullptr};
        });
  };
  add("start", LifecycleAction::start, identity::permissions::kInstancesStart, {"启动实例", "Start"});
  add("stop", LifecycleAction::stop, identity::permissions::kInstancesStop, {"停止实例", "Stop"});
  add("restart", LifecycleAction::restart, identity::permissions::kInstancesStop, {"重启实例", "Restart"});

  contract_->add<InstancePath, ForceQuery, Nothing>(
      {Method::delete_,
       "/api/instances/{name}",
       identity::permissions::kInstancesDelete,
       {"删除实例", "Delete"},
       "lifecycle",
       &parts_.changes},
      [this](const Call& call, InstancePath path, ForceQuery query, Nothing) -> Result<PlainResult> {
        BERTH_CHECK(parts_.instances.remove(viewer_of(call), path.name, query.force));
        const Text done{fmt::format("实例 {} 删除成功", path.name), fmt::format("Instance {} deleted", path.name)};
        return PlainResult{true, done.in(call.language), nullptr};
      });

  contract_->add<Nothing, Nothing, BulkRequest>(
      {Method::post,
       "/api/instances/actions",
       identity::permissions::kInstancesStop,
       {"对多个实例执行操作", "Act on several instances"},
       "lifecycle",
       &parts_.changes},
      [this](const Call& call, Nothing, Nothing, BulkRequest body) -> Result<ActionResult<std::vector<BulkItem>>> {
        const LifecycleAction action = parse_action(body.action);
        // The route's own permission is that of what most of its actions do.
        if (!call.allows(permission_of(action))) return lacks(permission_of(action));
        const auto outcomes = BERTH_TRY(parts_.instances.act(viewer_of(call), action, body.instances, body.force));
        ActionResult<std::vector<BulkItem>> answer;
        std::size_t good = 0;
        for (const auto& item : outcomes) {
          BulkItem line{item.name, item.outcome.has_value(), {}};
          line.message = item.outcome ? message_of(action, item.name, item.outcome->changed, call.language)
                                      : PanelEnvelope::words(item.outcome.error(), call.language);
          good += item.outcome ? 1 : 0;
          answer.data.push_back(std::move(line));
        }
        answer.success = good == outcomes.size();
        const Text summary{fmt::format("{} 个成功，{} 个失败", good, outcomes.size() - good),
                           fmt::format("{} succeeded, {} failed", good, outcomes.size() - good)};
        answer.message = summary.in(call.language);
        return answer;
      });
}

}  // namespace berth::api::lxd_panel
