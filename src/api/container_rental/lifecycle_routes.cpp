#include <fmt/format.h>

#include "api/container_rental/container_rental.h"
#include "api/container_rental/wire.h"

namespace berth::api::container_rental {
namespace {

using http::Method;
using namespace identity::permissions;
using fleet::Caller;
using fleet::ContainerService;

/// One change without a body: its word in the path, what it needs, how it is done, what is said then.
struct Action {
  std::string_view word;
  identity::Permission permission;
  Text summary;
  Result<bool> (*act)(ContainerService&, const Caller&, const std::string& name, bool force);
  Text done;
};

std::vector<Action> actions() {
  return {
      {"start",
       kInstancesStart,
       {"启动容器", "Start a container"},
       [](ContainerService& containers, const Caller& caller, const std::string& name, bool) {
         return containers.start(caller, name);
       },
       {"容器启动成功", "Container started successfully"}},
      {"stop",
       kInstancesStop,
       {"停止容器", "Stop a container"},
       [](ContainerService& containers, const Caller& caller, const std::string& name, bool force) {
         return containers.stop(caller, name, force);
       },
       {"容器停止成功", "Container stopped successfully"}},
      {"restart",
       kInstancesStop,
       {"重启容器", "Restart a container"},
       [](ContainerService& containers, const Caller& caller, const std::string& name, bool force) {
         return containers.restart(caller, name, force);
       },
       {"容器重启成功", "Container restarted successfully"}},
      {"pause",
       kInstancesStop,
       {"暂停容器", "Pause a container"},
       [](ContainerService& containers, const Caller& caller, const std::string& name, bool) {
         return containers.pause(caller, name);
       },
       {"容器暂停成功", "Container paused successfully"}},
      {"resume",
       kInstancesStart,
       {"恢复容器", "Resume a container"},
       [](ContainerService& containers, const Caller& caller, const std::string& name, bool) {
         return containers.resume(caller, name);
       },
       {"容器恢复成功", "Container resumed successfully"}},
  };
}

}  // namespace

void ContainerRental::add_lifecycle_routes() {
  for (const Action& action : actions()) {
    contract_->add<ContainerPath, ForceQuery, Nothing>(
        {Method::post, fmt::format("/api/containers/{{container_name}}/{}", action.word), action.permission,
         action.summary, "containers", &parts_.changes},
        [this, act = action.act, done = action.done](const Call& call, ContainerPath path, ForceQuery query,
                                                     Nothing) -> Result<Done> {
          BERTH_CHECK(act(parts_.containers, caller_of(call), path.container_name, query.force));
          return Done{done.in(call.language)};
        });
  }
  contract_->add<ContainerPath, ForceQuery, Nothing>(
      {Method::delete_,
       "/api/containers/{container_name}",
       kInstancesDelete,
       {"删除容器", "Delete a container"},
       "containers",
       &parts_.changes},
      [this](const Call& call, ContainerPath path, ForceQuery query, Nothing) -> Result<Done> {
        BERTH_CHECK(parts_.containers.remove(caller_of(call), path.container_name, query.force));
        const Text done{"容器删除成功", "Container deleted successfully"};
        return Done{done.in(call.language)};
      });
  const auto add_archive = [this](std::string_view word, Text summary, Text done,
                                  Result<void> (ContainerService::*act)(const Caller&, const std::string&)) {
    contract_->add<ContainerPath, Nothing, Nothing>(
        {Method::post, fmt::format("/api/containers/{{container_name}}/{}", word), kInstancesDelete, std::move(summary),
         "containers", &parts_.changes},
        [this, act, done = std::move(done)](const Call& call, ContainerPath path, Nothing, Nothing) -> Result<Done> {
          BERTH_CHECK((parts_.containers.*act)(caller_of(call), path.container_name));
          return Done{done.in(call.language)};
        });
  };
  add_archive("archive", {"归档容器", "Archive a container"}, {"容器归档成功", "Container archived successfully"},
              &ContainerService::archive);
  add_archive("restore", {"恢复已归档的容器", "Restore an archived container"},
              {"容器恢复成功", "Container restored successfully"}, &ContainerService::restore);
}

}  // namespace berth::api::container_rental
