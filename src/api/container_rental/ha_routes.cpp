#include "api/container_rental/ha_routes.h"

#include <utility>

#include "api/container_rental/container_rental.h"
#include "api/container_rental/ha_wire.h"
#include "api/container_rental/server_wire.h"
#include "api/container_rental/wire.h"
#include "json/read.h"

namespace berth::api::container_rental {
namespace {

using http::Method;
using identity::permissions::kServersManage;

MovedLine line_of(const fleet::MoveResult& move) {
  MovedLine line{move.container, move.container_id, move.from, move.to, std::nullopt, move.lost};
  if (move.archive) line.archive = format_utc(Timestamp(std::chrono::microseconds(*move.archive)));
  return line;
}

std::string words(const auto& one, Language language) {
  return language == Language::zh ? one.message_zh : one.message_en;
}

Error failed_to(const operations::Operation& operation) {
  if (operation.failure) return operations::to_error(*operation.failure);
  return Error(ErrorCode::cancelled, "operation.cancelled", {"操作已取消", "The operation was cancelled"});
}

http::Response going(const Call& call, const operations::Ticket& ticket) {
  const Text words{"操作正在进行", "The operation is under way"};
  auto response = http::Response::json(202, json::to_json(MovesGoing{words.in(call.language), ticket.id().value()}));
  response.headers.add("Location", "operations/" + ticket.id().value());
  return response;
}

/// Waits, and tells what moved.
Result<http::Response> answer(const Call& call, const operations::TicketPointer& ticket, std::uint32_t seconds,
                              const Text& done) {
  const auto ended = ticket->wait(Deadline::after(std::chrono::seconds(seconds)));
  if (!ended && ended.error().reason() == "operation.running") return going(call, *ticket);
  if (!ended) return ended.error();
  if (ended->state != operations::State::succeeded) return failed_to(*ended);
  const auto result = BERTH_TRY(json::from_json<fleet::MovesResult>(ended->result));
  if (result.moved.empty() && !result.refused.empty()) {
    // Nothing was successful about that.
    const auto& why = result.refused.front();
    return Error(ErrorCode::conflict, why.reason, {why.message_zh, why.message_en});
  }
  MovesDone body{done.in(call.language), ticket->id().value(), {}, {}, {}};
  for (const auto& move : result.moved) body.moved.push_back(line_of(move));
  for (const auto& one : result.not_moved) {
    body.not_moved.push_back({one.container, one.container_id, one.server, words(one, call.language)});
  }
  for (const auto& one : result.refused) body.refused.push_back({one.server, words(one, call.language)});
  return http::Response::json(200, json::to_json(body));
}

Result<http::Response> plan(const Call& call, const HaRouteParts& parts, const Text& done) {
  const fleet::BalancePlan plan = parts.ha.balance_plan();
  BalancePlanned body{done.in(call.language), {}, plan.worst_before, plan.worst_after};
  const auto name_of = [&](fleet::ServerId id) {
    const auto view = parts.servers.find(id);
    return view ? view->server.name : std::to_string(id.value());
  };
  for (const auto& move : plan.moves) {
    body.plan.push_back({move.name, move.container.value(), name_of(move.from), name_of(move.to)});
  }
  return http::Response::json(200, json::to_json(body));
}

Result<operations::TicketPointer> fail_over(const Call& call, const HaRouteParts& parts, const FailoverRequest& body) {
  if (body.server_id) return parts.ha.fail_over(fleet::ServerId(*body.server_id), body.confirmed, call.origin());
  if (!body.server) return parts.ha.fail_over_all(call.origin());
  return parts.ha.fail_over(BERTH_TRY(parts.servers.find(*body.server)).server.id, body.confirmed, call.origin());
}

Result<http::Response> replace(const Call& call, const HaRouteParts& parts, std::uint32_t wait,
                               const ReplaceRequest& body) {
  if (!body.image && !body.server) {
    const Text message{"请给出 image 或 server", "Give an image, a server or both"};
    return Error(ErrorCode::invalid_argument, "container.settings", message).with_field("image", message);
  }
  const fleet::Caller caller = caller_of(call);
  const Text done{"Docker 容器替换成功", "Docker container replaced successfully"};
  if (body.image) {
    fleet::ContainerChange change;
    change.image = body.image;
    BERTH_CHECK(parts.containers.update(caller, body.container_name, change));
  }
  Replaced replaced{done.in(call.language), {}};
  if (body.server) {
    const auto ticket = BERTH_TRY(parts.mover.relocate(caller, body.container_name, body.server));
    const auto ended = ticket->wait(Deadline::after(std::chrono::seconds(wait)));
    if (!ended && ended.error().reason() == "operation.running") return going(call, *ticket);
    if (!ended) return ended.error();
    if (ended->state != operations::State::succeeded) return failed_to(*ended);
    replaced.moved.push_back(line_of(BERTH_TRY(json::from_json<fleet::MoveResult>(ended->result))));
  }
  return http::Response::json(200, json::to_json(replaced));
}

/// Marks a server, then moves what can be moved off it if that is asked for.
Result<http::Response> drain(const Call& call, const HaRouteParts& parts, fleet::ServerId server,
                             const DrainQuery& query) {
  BERTH_CHECK(parts.servers.set_placement(server, fleet::Placement::draining, call.origin()));
  const Text done{"服务器不再接收新容器", "Server is draining"};
  if (!query.move) return http::Response::json(200, json::to_json(Done{done.in(call.language)}));
  return answer(call, BERTH_TRY(parts.ha.empty(server, call.origin())), query.wait, done);
}

void add_drain_route(Contract& contract, const HaRouteParts& parts) {
  contract.add<ServerPath, DrainQuery, Nothing>(
      {Method::post,
       "/api/servers/{server_id}/drain",
       kServersManage,
       {"不再放置新容器，并可迁走现有容器", "Place nothing new on it, and move away what is there if asked"},
       "servers",
       &parts.changes},
      [parts](const Call& call, ServerPath path, DrainQuery query, Nothing) -> Result<http::Response> {
        return drain(call, parts, fleet::ServerId(path.server_id), query);
      });
}

}  // namespace

void add_ha_routes(Contract& contract, const HaRouteParts& parts) {
  add_drain_route(contract, parts);
  contract.add<Nothing, WaitQuery, FailoverRequest>(
      {Method::post,
       "/api/ha/failover",
       kServersManage,
       {"故障转移：将不可访问且已隔离的服务器上的容器在其他服务器上恢复",
        "Failover: bring the containers of a server that is down, and fenced, back on others"},
       "ha",
       &parts.changes},
      [parts](const Call& call, Nothing, WaitQuery query, FailoverRequest body) -> Result<http::Response> {
        const auto ticket = BERTH_TRY(fail_over(call, parts, body));
        return answer(call, ticket, query.wait, {"故障转移操作成功", "Failover operation successful"});
      });
  contract.add<Nothing, WaitQuery, BalanceRequest>(
      {Method::post,
       "/api/ha/load_balance",
       kServersManage,
       {"负载均衡：迁移容器，直到再无改善", "Move containers until no move helps"},
       "ha",
       &parts.changes},
      [parts](const Call& call, Nothing, WaitQuery query, BalanceRequest body) -> Result<http::Response> {
        const Text done{"负载均衡操作成功", "Load balance operation successful"};
        if (body.dry_run) return plan(call, parts, done);
        return answer(call, BERTH_TRY(parts.ha.balance(call.origin())), query.wait, done);
      });
  contract.add<Nothing, WaitQuery, RecoveryRequest>(
      {Method::post,
       "/api/ha/disaster_recovery",
       kServersManage,
       {"灾难恢复：用最新备份在剩余服务器上重建", "Rebuild from the newest backups onto what is left"},
       "ha",
       &parts.changes},
      [parts](const Call& call, Nothing, WaitQuery query, RecoveryRequest body) -> Result<http::Response> {
        const auto ticket = BERTH_TRY(parts.ha.recover_everything(body.confirmed, call.origin()));
        return answer(call, ticket, query.wait, {"灾难恢复操作成功", "Disaster recovery operation successful"});
      });
  contract.add<Nothing, WaitQuery, ReplaceRequest>(
      {Method::post,
       "/api/ha/replace_container",
       kServersManage,
       {"替换容器：换镜像或换服务器，失败则恢复原样",
        "Give a container another image or server; the old one comes back if that fails"},
       "ha",
       &parts.changes},
      [parts](const Call& call, Nothing, WaitQuery query, ReplaceRequest body) -> Result<http::Response> {
        return replace(call, parts, query.wait, body);
      });
}

}  // namespace berth::api::container_rental
