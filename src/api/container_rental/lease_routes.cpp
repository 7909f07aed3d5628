#include "api/container_rental/lease_routes.h"

#include "api/container_rental/lease_wire.h"
#include "api/container_rental/server_wire.h"

namespace berth::api::container_rental {
namespace {

using http::Method;

fleet::Holding holding_of(std::string_view word) {
  for (const auto holding : {fleet::Holding::nothing, fleet::Holding::timed, fleet::Holding::standing}) {
    if (word == fleet::name(holding)) return holding;
  }
  return fleet::Holding::unbound;
}

std::vector<ContainerThereLine> lines_of(const std::vector<fleet::ContainerThere>& containers) {
  std::vector<ContainerThereLine> lines;
  for (const auto& one : containers) lines.push_back({one.engine_name, one.engine_id});
  return lines;
}

LeaseGiven given(const fleet::LeaseAnswer& answer) {
  return {.grant = std::string(fleet::name(answer.grant)),
          .number = answer.number,
          .duration = answer.terms.duration.count(),
          .renewal = answer.terms.renewal.count(),
          .stopping = answer.terms.stopping.count(),
          .elsewhere = lines_of(answer.not_to_start.elsewhere),
          .unwanted = lines_of(answer.not_to_start.unwanted),
          .changing = lines_of(answer.not_to_start.changing)};
}

}  // namespace

void add_lease_routes(Contract& contract, const LeaseRouteParts& parts) {
  contract.add<ServerPath, Nothing, Nothing>(
      {Method::post,
       "/api/servers/{server_id}/agent",
       identity::permissions::kServersManage,
       {"以代理隔离该服务器，并签发代理令牌（旧令牌失效）",
        "Fence a server by an agent and issue its token; an older one ends"},
       "servers",
       &parts.changes},
      [parts](const Call& call, ServerPath path, Nothing, Nothing) -> Result<AgentToken> {
        auto view = BERTH_TRY(parts.servers.find(fleet::ServerId(path.server_id)));
        if (view.server.fence != fleet::Fence::agent) {
          fleet::ServerChange change;
          change.fence = fleet::Fence::agent;
          view = BERTH_TRY(parts.servers.update(view.server.id, change, fleet::TestFirst::no, call.origin()));
        }
        const Secret token = BERTH_TRY(parts.leases.issue_token(view.server, call.origin()));
        const Text done{"代理令牌只显示这一次", "The agent's token is shown only this once"};
        return AgentToken{done.in(call.language), view.server.name, std::string(token.reveal())};
      });
  contract.add<Nothing, Nothing, LeaseAsked>(
      {Method::post,
       "/api/agent/lease",
       // The agent's token is its right.
       identity::permissions::kPublic,
       {"服务器代理续约", "The agent of a server asks for its lease"},
       "servers",
       &parts.renewals},
      [parts](const Call&, Nothing, Nothing, LeaseAsked body) -> Result<LeaseGiven> {
        const Secret token(std::move(body.token));
        return given(BERTH_TRY(parts.leases.answer(
            body.server, token.reveal(),
            {holding_of(body.holding), body.running, body.owes, body.leaving, body.last_answer})));
      });
}

}  // namespace berth::api::container_rental
