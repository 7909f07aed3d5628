#include <fmt/format.h>

#include "api/container_rental/container_rental.h"
#include "api/container_rental/server_wire.h"
#include "api/container_rental/wire.h"
#include "fleet/lease_book.h"
#include "fleet/relocation.h"
#include "fleet/server_registry.h"

namespace berth::api::container_rental {
namespace {

using http::Method;
using identity::permissions::kServersManage;
using identity::permissions::kServersRead;

fleet::Fence fence_of(const std::string& word) {
  if (word == fleet::name(fleet::Fence::agent)) return fleet::Fence::agent;
  if (word == fleet::name(fleet::Fence::command)) return fleet::Fence::command;
  return fleet::Fence::none;
}

template <class Request>
fleet::ServerAddress address_of(const Request& request, std::string url) {
  fleet::ServerAddress address;
  address.url = std::move(url);
  address.ca_certificate = request.ca_certificate.value_or("");
  address.certificate = request.certificate.value_or("");
  if (request.key) address.key = Secret(*request.key);
  address.host_key = request.host_key.value_or("");
  return address;
}

ServerInfo info_of(const fleet::ServerView& view, const fleet::LeaseBook& leases, const fleet::ContainerMover& mover) {
  const fleet::Server& server = view.server;
  const fleet::ServerStatus& status = view.status;
  ServerInfo info;
  info.server_id = server.id.value();
  info.name = server.name;
  info.url = server.address.url;
  info.status = fleet::name(status.health);
  info.reason = status.reason;
  info.placement = fleet::name(server.placement);
  info.fence = fleet::name(server.fence);
  if (server.fence == fleet::Fence::agent) {
    const auto agent = leases.agent(server.id);
    info.agent = AgentState{std::string(fleet::name(agent.bond)), std::nullopt, leases.lets_run(server.id)};
    if (agent.silent_for) info.agent->silent_for = agent.silent_for->count();
  }
  if (const auto mark = mover.fenced(server.id)) info.fenced = FencedInfo{format_utc(mark->at), mark->how};
  info.labels = server.labels;
  info.engine = status.product;
  if (status.latency) info.latency = status.latency->count();
  if (status.clock_off) info.clock_difference = status.clock_off->count();
  if (status.answered_at) info.answered_at = format_utc(*status.answered_at);
  info.cpus = status.cpus;
  info.cpus_reserved = status.cpus_reserved;
  info.memory_total = status.memory_bytes;
  info.memory_reserved = status.memory_reserved_bytes;
  info.disk_total = status.disk_bytes;
  info.disk_free = status.disk_free_bytes;
  info.containers = status.containers;
  info.running = status.running;
  info.created_at = format_utc(server.created_at);
  return info;
}

fleet::TestFirst test_first(bool wanted) {
  return wanted ? fleet::TestFirst::yes : fleet::TestFirst::no;
}

}  // namespace

void ContainerRental::add_health_routes() {
  contract_->add<Nothing, Nothing, Nothing>(
      {Method::get, "/api/ha/health", kServersRead, {"所有服务器的健康状态", "The health of all servers"}, "ha"},
      [this](const Call&, Nothing, Nothing, Nothing) -> Result<HealthState> {
        return HealthState{std::string(fleet::name(parts_.servers.health()))};
      });
  contract_->add<ServerPath, Nothing, Nothing>(
      {Method::get, "/api/ha/health/{server_id}", kServersRead, {"服务器的健康状态", "The health of a server"}, "ha"},
      [this](const Call&, ServerPath path, Nothing, Nothing) -> Result<ServerHealthState> {
        const auto view = BERTH_TRY(parts_.servers.find(fleet::ServerId(path.server_id)));
        return ServerHealthState{path.server_id, std::string(fleet::name(view.status.health))};
      });
}

void ContainerRental::add_server_routes() {
  contract_->add<Nothing, Nothing, Nothing>(
      {Method::get, "/api/servers", kServersRead, {"服务器列表", "The servers"}, "servers"},
      [this](const Call&, Nothing, Nothing, Nothing) -> Result<ServerInfos> {
        ServerInfos infos;
        for (const auto& view : parts_.servers.list()) {
          infos.servers.push_back(info_of(view, parts_.leases, parts_.mover));
        }
        return infos;
      });
  contract_->add<ServerPath, Nothing, Nothing>(
      {Method::get, "/api/servers/{server_id}", kServersRead, {"服务器详情", "One server"}, "servers"},
      [this](const Call&, ServerPath path, Nothing, Nothing) -> Result<ServerInfo> {
        const auto view = BERTH_TRY(parts_.servers.find(fleet::ServerId(path.server_id)));
        return info_of(view, parts_.leases, parts_.mover);
      });
  contract_->add<Nothing, Nothing, NewServerRequest>(
      {Method::post,
       "/api/servers",
       kServersManage,
       {"添加服务器", "Add a server"},
       "servers",
       &parts_.changes,
       512UL * 1024},
      [this](const Call& call, Nothing, Nothing, NewServerRequest body) -> Result<ServerCreated> {
        fleet::NewServer server;
        server.name = body.name;
        server.address = address_of(body, body.url);
        server.labels = body.labels;
        server.fence = fence_of(body.fence);
        server.fence_command = body.fence_command.value_or("");
        const auto added = BERTH_TRY(parts_.servers.add(server, test_first(body.test), call.origin()));
        const Text done{"服务器添加成功", "Server added successfully"};
        return ServerCreated{done.in(call.language), added.server.id.value()};
      });
  contract_->add<ServerPath, Nothing, ServerChangeRequest>(
      {Method::put,
       "/api/servers/{server_id}",
       kServersManage,
       {"修改服务器", "Change a server"},
       "servers",
       &parts_.changes,
       512UL * 1024},
      [this](const Call& call, ServerPath path, Nothing, ServerChangeRequest body) -> Result<Done> {
        fleet::ServerChange change;
        if (body.url) change.address = address_of(body, *body.url);
        change.labels = body.labels;
        if (body.fence) change.fence = fence_of(*body.fence);
        change.fence_command = body.fence_command;
        BERTH_CHECK(
            parts_.servers.update(fleet::ServerId(path.server_id), change, test_first(body.test), call.origin()));
        const Text done{"服务器更新成功", "Server updated successfully"};
        return Done{done.in(call.language)};
      });
  contract_->add<ServerPath, Nothing, Nothing>(
      {Method::delete_,
       "/api/servers/{server_id}",
       kServersManage,
       {"移除服务器", "Remove a server"},
       "servers",
       &parts_.changes},
      [this](const Call& call, ServerPath path, Nothing, Nothing) -> Result<Done> {
        BERTH_CHECK(parts_.servers.remove(fleet::ServerId(path.server_id), call.origin()));
        const Text done{"服务器移除成功", "Server removed successfully"};
        return Done{done.in(call.language)};
      });
  contract_->add<ServerPath, Nothing, Nothing>(
      {Method::post,
       "/api/servers/{server_id}/test",
       kServersManage,
       {"测试服务器", "Test a server"},
       "servers",
       &parts_.changes},
      [this](const Call& call, ServerPath path, Nothing, Nothing) -> Result<ServerTested> {
        const auto test = BERTH_TRY(parts_.servers.test(fleet::ServerId(path.server_id)));
        const Text done{"服务器可用", "The server answers"};
        return ServerTested{done.in(call.language), fmt::format("{} {}", test.engine.product, test.engine.version),
                            test.latency.count()};
      });
  contract_->add<ServerPath, Nothing, Nothing>(
      {Method::post,
       "/api/servers/{server_id}/open",
       kServersManage,
       {"重新放置新容器", "Place new containers on it again"},
       "servers",
       &parts_.changes},
      [this](const Call& call, ServerPath path, Nothing, Nothing) -> Result<Done> {
        BERTH_CHECK(
            parts_.servers.set_placement(fleet::ServerId(path.server_id), fleet::Placement::open, call.origin()));
        const Text done{"服务器重新接收新容器", "Server takes new containers"};
        return Done{done.in(call.language)};
      });
}

}  // namespace berth::api::container_rental
