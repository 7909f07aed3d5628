#include <fmt/format.h>

#include <map>
#include <string>

#include "api/container_rental/container_rental.h"
#include "api/container_rental/encode.h"

namespace berth::api::container_rental {
namespace {

using http::Method;
using namespace identity::permissions;

fleet::ContainerFilter filter_of(const ContainerQuery& query) {
  fleet::ContainerFilter filter;
  filter.server = query.server;
  if (query.status) filter.status = parse_status(*query.status);
  filter.search = query.search.value_or("");
  filter.limit = query.limit.value_or(0);
  filter.offset = query.offset.value_or(0);
  return filter;
}

Secrets secrets_of(const Call& call) {
  return call.allows(kInstancesSecrets) ? Secrets::shown : Secrets::hidden;
}

/// Who sees values masked may send them back so, and would lose them.
Result<void> check_not_masked(const std::map<std::string, std::string>& environment) {
  for (const auto& [name, value] : environment) {
    if (value != kMasked) continue;
    const Text message{"*** 是隐藏值的占位符，请提供实际的值", "*** stands for a hidden value: give the value itself"};
    return Error(ErrorCode::invalid_argument, "container.masked", message).with_field("environment." + name, message);
  }
  return {};
}

Error failed_to(const operations::Operation& operation) {
  if (operation.failure) return operations::to_error(*operation.failure);
  return Error(ErrorCode::cancelled, "operation.cancelled", {"操作已取消", "The operation was cancelled"});
}

}  // namespace

void ContainerRental::add_container_routes() {
  contract_->add<Nothing, ContainerQuery, Nothing>(
      {Method::get, "/api/containers", kInstancesRead, {"容器列表", "The containers"}, "containers", &parts_.reads},
      [this](const Call& call, Nothing, ContainerQuery query, Nothing) -> Result<http::Response> {
        const fleet::ContainerPage page = parts_.containers.list(caller_of(call), filter_of(query));
        http::Response response;
        if (query.detail) {
          ContainerInfos infos{{}, page.total};
          for (const auto& container : page.containers) infos.containers.push_back(info_of(*container));
          response = http::Response::json(200, json::to_json(infos));
        } else {
          ContainerStates states;
          for (const auto& container : page.containers) states.containers.push_back(state_of(*container));
          response = http::Response::json(200, json::to_json(states));
        }
        response.headers.add("X-Total-Count", std::to_string(page.total));
        return response;
      });

  contract_->add<Nothing, WaitQuery, NewContainerRequest>(
      {Method::post,
       "/api/containers",
       kInstancesCreate,
       {"创建容器", "Create a container"},
       "containers",
       &parts_.changes,
       256UL * 1024},
      [this](const Call& call, Nothing, WaitQuery query, NewContainerRequest body) -> Result<http::Response> {
        fleet::NewContainer wish;
        wish.name = body.container_name;
        wish.image = body.image;
        wish.server = body.server;
        wish.settings = settings_of(body);
        wish.limits = limits_of(body.limits);
        wish.start = body.start;
        const auto created = BERTH_TRY(parts_.containers.create(caller_of(call), wish));
        const auto ended = created.ticket->wait(Deadline::after(std::chrono::seconds(query.wait)));
        if (!ended) {
          const Text going{"容器正在创建", "Container is being created"};
          auto response =
              http::Response::json(202, json::to_json(ContainerStarting{going.in(call.language), created.id.value(),
                                                                        created.ticket->id().value()}));
          response.headers.add("Location", "operations/" + created.ticket->id().value());
          return response;
        }
        if (ended->state != operations::State::succeeded) return failed_to(*ended);
        const Text done{"容器创建成功", "Container created successfully"};
        return http::Response::json(200, json::to_json(ContainerCreated{done.in(call.language), created.id.value()}));
      });

  contract_->add<ContainerPath, Nothing, Nothing>(
      {Method::get,
       "/api/containers/{container_name}",
       kInstancesRead,
       {"容器详情", "One container"},
       "containers",
       &parts_.reads},
      [this](const Call& call, ContainerPath path, Nothing, Nothing) -> Result<ContainerDetail> {
        const fleet::Caller caller = caller_of(call);
        const auto container = BERTH_TRY(parts_.containers.find(caller, path.container_name));
        const bool writes = parts_.containers.find(caller, path.container_name, fleet::Right::write).has_value();
        return detail_of(*container, writes ? secrets_of(call) : Secrets::hidden);
      });

  contract_->add<ContainerPath, Nothing, Nothing>(
      {Method::get,
       "/api/containers/{container_name}/status",
       kInstancesRead,
       {"容器状态", "A container's status"},
       "containers",
       &parts_.reads},
      [this](const Call& call, ContainerPath path, Nothing, Nothing) -> Result<ContainerState> {
        return state_of(*BERTH_TRY(parts_.containers.find(caller_of(call), path.container_name)));
      });

  contract_->add<ContainerPath, Nothing, ContainerChangeRequest>(
      {Method::put,
       "/api/containers/{container_name}",
       kInstancesUpdate,
       {"更新容器：重命名、换镜像、改限制", "Update a container: rename, new image, limits"},
       "containers",
       &parts_.changes},
      [this](const Call& call, ContainerPath path, Nothing, ContainerChangeRequest body) -> Result<Done> {
        const fleet::Caller caller = caller_of(call);
        const auto container = BERTH_TRY(parts_.containers.find(caller, path.container_name, fleet::Right::write));
        fleet::ContainerChange change;
        change.name = body.container_name;
        change.image = body.image;
        if (body.limits) change.limits = limits_of(*body.limits);
        if (body.environment && secrets_of(call) == Secrets::hidden) BERTH_CHECK(check_not_masked(*body.environment));
        if (body.environment || body.restart_policy) {
          change.settings = container->settings;
          if (body.environment) change.settings->environment = *body.environment;
          if (body.restart_policy) {
            change.settings->restart_policy = *compute::parse_restart_policy(*body.restart_policy);
          }
        }
        BERTH_CHECK(parts_.containers.update(caller, path.container_name, change));
        const Text done{"容器更新成功", "Container updated successfully"};
        return Done{done.in(call.language)};
      });
}

}  // namespace berth::api::container_rental
