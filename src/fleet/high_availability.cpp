#include "fleet/high_availability.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/log.h"
#include "fleet/container_input.h"
#include "fleet/fence_command.h"
#include "json/read.h"
#include "json/write.h"

namespace berth::fleet {
namespace {

/// Between attempts to begin something on a container that is busy.
constexpr std::chrono::milliseconds kRetry{100};
/// Between looks at whether this ends while something is waited for.
constexpr std::chrono::milliseconds kLook{100};
/// How often what failed because of the server that was chosen is tried on another.
constexpr int kRounds = 3;

struct Input {
  std::int64_t server = 0;
  bool confirmed = false;
};
BOOST_DESCRIBE_STRUCT(Input, (), (server, confirmed))

Error interrupted() {
  return change_interrupted();
}

Error cancelled() {
  return Error(ErrorCode::cancelled, "operation.cancelled", {"操作已取消", "The operation was cancelled"});
}

Error reachable(const std::string& name) {
  return Error(ErrorCode::conflict, "failover.reachable",
               {fmt::format("服务器 {} 可访问，或尚未确认不可访问，不进行故障转移", name),
                fmt::format("Server {} answers, or is not yet known not to: what it runs stays there", name)});
}

Error not_fenced(const std::string& name) {
  return Error(
      ErrorCode::conflict, "failover.not_fenced",
      {fmt::format("无法确定服务器 {} 上的容器已停止。请先关闭该机器并以 confirmed: true 确认，或为其配置代理（berth "
                   "agent）或隔离命令",
                   name),
       fmt::format(
           "It is not certain that nothing runs on server {} any more. Turn the machine off and confirm it with "
           "confirmed: true, or give it an agent (berth agent) or a fence command",
           name)});
}

Error homeless() {
  return Error(ErrorCode::conflict, "placement.no_server",
               {"没有可用的服务器能容纳此容器", "No server that is open and healthy has room for this container"});
}

NotFailedOver refused(const std::string& server, const Error& error) {
  return {server, std::string(error.reason()), error.message().zh, error.message().en};
}

void append(MovesResult& to, MovesResult from) {
  std::ranges::move(from.moved, std::back_inserter(to.moved));
  std::ranges::move(from.not_moved, std::back_inserter(to.not_moved));
  std::ranges::move(from.refused, std::back_inserter(to.refused));
}

/// Servers that cannot take a container, as something of its name, or of its volumes', lies there already.
using TakenThere = std::map<ContainerId, std::set<ServerId>>;

bool may_pass(const NotMoved& one) {
  return one.reason == "engine.unavailable" || one.reason == "engine.timeout" || one.reason == "server.no_lease";
}

/// Yields whether there was any.
bool note_taken(const EvacuationPlan& plan, const std::vector<NotMoved>& failed, TakenThere& taken) {
  bool any = false;
  const auto failure_of = [&](const PlannedMove& move) {
    return std::ranges::find(failed, move.container.value(), &NotMoved::container_id);
  };
  for (const auto& group : plan.groups) {
    // What shares volumes stays together: where one has moved, the others go there or nowhere.
    if (std::ranges::any_of(group, [&](const auto& move) { return failure_of(move) == failed.end(); })) continue;
    for (const auto& move : group) {
      const auto at = failure_of(move);
      if (at->reason != "relocation.volume_taken" && at->reason != "container.exists") continue;
      taken[move.container].insert(move.to);
      any = true;
    }
  }
  return any;
}

/// What is on a server, from then on barred from where it cannot go.
std::vector<ContainerId> leaving(FleetState& state, ServerId server, const TakenThere& taken) {
  std::vector<ContainerId> left;
  for (auto& one : state.containers) {
    if (one.server != server) continue;
    left.push_back(one.id);
    if (const auto at = taken.find(one.id); at != taken.end()) one.barred.insert(at->second.begin(), at->second.end());
  }
  return left;
}

/// How an operation on a container ended.
Result<std::optional<MoveResult>> outcome_of(const Result<operations::Operation>& ended) {
  if (!ended) return ended.error();
  if (ended->failure) return operations::to_error(*ended->failure);
  if (ended->state != operations::State::succeeded) return cancelled();
  if (ended->result == "null") return std::optional<MoveResult>();
  return std::optional(BERTH_TRY(json::from_json<MoveResult>(ended->result)));
}

}  // namespace

LeaseBook::Surroundings lease_surroundings(const ServerRegistry& servers, const ContainerMover& mover) {
  return {.server = [&servers](const std::string& name) -> std::optional<Server> {
            const auto view = servers.find(name);
            return view ? std::optional(view->server) : std::nullopt;
          },
          .fenced = [&mover](ServerId server) { return mover.fenced(server).has_value(); },
          .elsewhere = [&mover](ServerId server) { return mover.living_elsewhere(server); },
          .not_to_start = [&mover](ServerId server) { return mover.not_to_start(server); }};
}

HighAvailability::HighAvailability(Settings settings, const Parts& parts)
    : settings_(std::move(settings)), parts_(parts) {
  parts_.operations.reconcile_with("fleet.", many_, [](const operations::Operation&) -> Result<operations::Verdict> {
    return operations::Verdict{operations::State::failed, "null", operations::to_failure(interrupted())};
  });
}

HighAvailability::~HighAvailability() {
  stop();
  gate_->close_and_wait();
  many_.drain();
  single_.drain();
}

std::string HighAvailability::name_of(ServerId server) const {
  const auto view = parts_.servers.find(server);
  return view ? view->server.name : std::to_string(server.value());
}

NotMoved HighAvailability::not_moved(ContainerId container, const std::string& name, ServerId server,
                                     const Error& error) const {
  return {
      name, container.value(), name_of(server), std::string(error.reason()), error.message().zh, error.message().en};
}

Result<operations::TicketPointer> HighAvailability::begin(std::string kind, std::string resource_type,
                                                          std::string resource_id, std::string input,
                                                          const audit::Origin& origin, WorkerPool& pool, Work work) {
  operations::NewOperation operation;
  operation.kind = std::move(kind);
  operation.engine = EngineId("fleet");
  operation.resource_type = std::move(resource_type);
  operation.resource_id = std::move(resource_id);
  operation.audit_details = input;
  operation.input = std::move(input);
  operation.origin = origin;
  operation.time_limit = settings_.limit;
  return parts_.operations.submit(
      std::move(operation), pool,
      [this, gate = gate_, work = std::move(work)](operations::Context& context) -> Result<std::string> {
        const auto pass = gate->enter();
        if (!pass) return interrupted();
        const MovesResult result = BERTH_TRY(work(context));
        if (stopping_) return interrupted();
        return json::to_json(result);
      });
}

FenceSituation HighAvailability::situation_of(const ServerView& view, bool confirmed) const {
  FenceSituation situation;
  situation.health = view.status.health;
  situation.fenced = parts_.mover.fenced(view.server.id).has_value();
  situation.fence = view.server.fence;
  situation.command_known = settings_.fence_commands.contains(view.server.fence_command);
  situation.agent = parts_.leases.agent(view.server.id);
  situation.confirmed = confirmed;
  if (const auto unit = parts_.servers.unit(view.server.id); unit != nullptr) {
    situation.connected = unit->inventory->snapshot()->health.connected ||
                          (view.status.health == ServerHealth::unreachable &&
                           unit->engine->info(Deadline::after(settings_.knock)).has_value());
  }
  return situation;
}

std::optional<Error> HighAvailability::refusal(const ServerView& view, FenceDecision decision) const {
  switch (decision) {
    case FenceDecision::leave:
      return reachable(view.server.name);
    case FenceDecision::refuse:
      return not_fenced(view.server.name);
    case FenceDecision::go_on:
    case FenceDecision::confirm:
    case FenceDecision::command:
    case FenceDecision::lease:
      return std::nullopt;
  }
  return not_fenced(view.server.name);
}

Result<operations::TicketPointer> HighAvailability::fail_over(ServerId server, bool confirmed,
                                                              const audit::Origin& origin) {
  const auto view = BERTH_TRY(parts_.servers.find(server));
  if (auto refused = refusal(view, decide_fence(situation_of(view, confirmed)))) return std::move(*refused);
  return begin(
      "fleet.failover", "server", std::to_string(server.value()), json::to_json(Input{server.value(), confirmed}),
      origin, single_,
      [this, server, confirmed](operations::Context& context) { return evacuate(server, confirmed, context); });
}

Result<operations::TicketPointer> HighAvailability::fail_over_all(const audit::Origin& origin) {
  return begin("fleet.failover", "fleet", "failover", json::to_json(Input{}), origin, many_,
               [this](operations::Context& context) -> Result<MovesResult> {
                 std::vector<ServerView> down;
                 for (auto& view : parts_.servers.list()) {
                   if (view.status.health != ServerHealth::unreachable) continue;
                   if (!refusal(view, decide_fence(situation_of(view, false)))) down.push_back(std::move(view));
                 }
                 return evacuate_each(down, false, context);
               });
}

Result<operations::TicketPointer> HighAvailability::recover_everything(bool confirmed, const audit::Origin& origin) {
  std::optional<Error> first_refusal;
  bool any = false;
  for (const auto& view : parts_.servers.list()) {
    if (view.status.health != ServerHealth::unreachable) continue;
    auto refused = refusal(view, decide_fence(situation_of(view, confirmed)));
    any = any || !refused;
    if (refused && refused->reason() == "failover.not_fenced" && !first_refusal) first_refusal = std::move(refused);
  }
  if (first_refusal && !any) return std::move(*first_refusal);
  return begin("fleet.recovery", "fleet", "recovery", json::to_json(Input{0, confirmed}), origin, many_,
               [this, confirmed](operations::Context& context) -> Result<MovesResult> {
                 std::vector<ServerView> down;
                 for (auto& view : parts_.servers.list()) {
                   if (view.status.health == ServerHealth::unreachable) down.push_back(std::move(view));
                 }
                 return evacuate_each(down, confirmed, context);
               });
}

Result<MovesResult> HighAvailability::evacuate_each(const std::vector<ServerView>& servers, bool confirmed,
                                                    operations::Context& context) {
  std::vector<std::pair<ServerView, operations::TicketPointer>> begun;
  MovesResult result;
  for (const auto& view : servers) {
    auto ticket = fail_over(view.server.id, confirmed, context.operation().origin);
    if (ticket) {
      begun.emplace_back(view, std::move(*ticket));
    } else {
      result.refused.push_back(refused(view.server.name, ticket.error()));
    }
  }
  int done = 0;
  for (const auto& [view, ticket] : begun) {
    const auto ended = wait_for(ticket, context.deadline());
    context.progress(++done * 100 / static_cast<int>(begun.size()), view.server.name);
    if (!ended) {
      result.refused.push_back(refused(view.server.name, ended.error()));
    } else if (ended->failure) {
      result.refused.push_back(refused(view.server.name, operations::to_error(*ended->failure)));
    } else if (auto part = json::from_json<MovesResult>(ended->result)) {
      append(result, std::move(*part));
    }
  }
  return result;
}

Result<void> HighAvailability::fence(const ServerView& view, bool confirmed, operations::Context& context) {
  const auto decision = decide_fence(situation_of(view, confirmed));
  if (auto refused = refusal(view, decision)) return std::move(*refused);
  const audit::Origin& origin = context.operation().origin;
  switch (decision) {
    case FenceDecision::confirm:
      return parts_.mover.mark_fenced(view.server.id, "person", origin);
    case FenceDecision::command:
      BERTH_CHECK(run_fence_command(settings_.fence_commands.at(view.server.fence_command), view.server.id,
                                    view.server.name, Deadline::after(settings_.fence_limit)));
      return parts_.mover.mark_fenced(view.server.id, "command", origin);
    case FenceDecision::lease:
      return end_lease(view, context);
    case FenceDecision::go_on:
    case FenceDecision::leave:
    case FenceDecision::refuse:
      break;
  }
  return {};
}

Result<void> HighAvailability::end_lease(const ServerView& view, operations::Context& context) {
  const ServerId server = view.server.id;
  context.progress(0, "waiting for the lease to end");
  parts_.leases.close(server);
  // While it is marked no lease is given either; where it is not, its agent may have one again.
  UndoStack reopening;
  reopening.push([&] { parts_.leases.reopen(server); });
  context.on_cancel([] {});
  while (!parts_.leases.is_certain(server)) {
    if (stopping_) return interrupted();
    if (context.cancel_requested()) return cancelled();
    const AgentView agent = parts_.leases.agent(server);
    const bool can_be_told = agent.bond == Bond::timed || (agent.bond == Bond::standing && !agent.silent);
    if (!can_be_told || context.deadline().expired()) return not_fenced(view.server.name);
    settings_.pause(kLook);
  }
  return parts_.mover.mark_fenced(server, "agent", context.operation().origin);
}

Result<MovesResult> HighAvailability::evacuate(ServerId server, bool confirmed, operations::Context& context) {
  const auto view = BERTH_TRY(parts_.servers.find(server));
  context.progress(0, "fencing");
  BERTH_CHECK(fence(view, confirmed, context));
  context.progress(10, "moving");
  context.on_cancel([] {});
  MovesResult result;
  TakenThere taken;
  for (int round = 1; round <= kRounds; ++round) {
    FleetState state = parts_.mover.fleet_state();
    const auto left = leaving(state, server, taken);
    if (left.empty()) break;
    const auto plan = plan_evacuation(state, server, left);
    MovesResult part;
    recover_groups(plan, part, context);
    if (context.cancel_requested()) return cancelled();
    // Tried again only where another attempt may end differently.
    const bool again = note_taken(plan, part.not_moved, taken) || std::ranges::any_of(part.not_moved, may_pass);
    for (const ContainerId id : plan.homeless) {
      // What kept it off the server that had room for it tells more.
      const auto before = std::ranges::find(result.not_moved, id.value(), &NotMoved::container_id);
      const auto& one = *std::ranges::find(state.containers, id, &PlacedContainer::id);
      part.not_moved.push_back(before != result.not_moved.end() ? *before
                                                                : not_moved(id, one.name, server, homeless()));
    }
    std::ranges::move(part.moved, std::back_inserter(result.moved));
    result.not_moved = std::move(part.not_moved);
    if (!again || stopping_ || context.deadline().expired()) break;
  }
  return result;
}

void HighAvailability::recover_groups(const EvacuationPlan& plan, MovesResult& result, operations::Context& context) {
  struct Begun {
    const PlannedMove* move;
    Result<operations::TicketPointer> ticket;
  };
  std::vector<std::vector<ContainerId>> siblings;
  std::size_t longest = 0;
  std::size_t total = 0;
  for (const auto& group : plan.groups) {
    std::vector<ContainerId> ids;
    for (const auto& move : group) ids.push_back(move.container);
    siblings.push_back(std::move(ids));
    longest = std::max(longest, group.size());
    total += group.size();
  }
  std::size_t done = 0;
  const auto collect = [&](std::vector<Begun>& begun) {
    for (auto& [move, ticket] : begun) {
      auto outcome = ticket ? outcome_of(wait_for(*ticket, context.deadline()))
                            : Result<std::optional<MoveResult>>(ticket.error());
      if (!outcome) {
        result.not_moved.push_back(not_moved(move->container, move->name, move->from, outcome.error()));
      } else if (*outcome) {
        result.moved.push_back(std::move(**outcome));
      }
      context.progress(10 + static_cast<int>(++done * 90 / total), move->name);
    }
    begun.clear();
  };
  // The members of a group follow each other; different groups move at the same time.
  for (std::size_t turn = 0; turn < longest && !stopping_ && !context.cancel_requested(); ++turn) {
    std::vector<Begun> begun;
    for (std::size_t i = 0; i < plan.groups.size(); ++i) {
      if (turn >= plan.groups[i].size()) continue;
      const PlannedMove& move = plan.groups[i][turn];
      begun.push_back({&move, patiently([&] {
                         return parts_.mover.recover(context.operation().origin, move.container, move.to, siblings[i]);
                       })});
      if (begun.size() == settings_.at_once) collect(begun);
    }
    collect(begun);
  }
}

Result<operations::TicketPointer> HighAvailability::patiently(
    const std::function<Result<operations::TicketPointer>()>& begin) const {
  const Deadline deadline = Deadline::after(settings_.patience);
  while (true) {
    auto begun = begin();
    if (begun || begun.error().reason() != "operation.busy" || deadline.expired() || stopping_) return begun;
    settings_.pause(kRetry);
  }
}

Result<operations::Operation> HighAvailability::wait_for(const operations::TicketPointer& ticket,
                                                         Deadline deadline) const {
  while (true) {
    auto ended = ticket->wait(deadline.sooner(kLook));
    if (ended || ended.error().reason() != "operation.running" || deadline.expired()) return ended;
    if (stopping_) return interrupted();
  }
}

BalancePlan HighAvailability::balance_plan() const {
  return plan_balance(parts_.mover.fleet_state(), settings_.balance);
}

Result<MovesResult> HighAvailability::relocate_each(const std::vector<PlannedMove>& moves,
                                                    operations::Context& context) {
  MovesResult result;
  const Caller caller{UserId(), true, true, context.operation().origin};
  context.on_cancel([] {});
  for (std::size_t i = 0; i < moves.size(); ++i) {
    if (context.cancel_requested()) return cancelled();
    if (stopping_) return interrupted();
    const PlannedMove& move = moves[i];
    context.progress(static_cast<int>(i * 100 / moves.size()), move.name);
    const auto ticket = parts_.mover.relocate(caller, move.name, name_of(move.to));
    auto outcome =
        ticket ? outcome_of(wait_for(*ticket, context.deadline())) : Result<std::optional<MoveResult>>(ticket.error());
    if (outcome && *outcome) {
      result.moved.push_back(std::move(**outcome));
    } else if (!outcome) {
      result.not_moved.push_back(not_moved(move.container, move.name, move.from, outcome.error()));
    }
  }
  return result;
}

Result<operations::TicketPointer> HighAvailability::balance(const audit::Origin& origin) {
  return begin("fleet.balance", "fleet", "balance", "{}", origin, single_,
               [this](operations::Context& context) { return relocate_each(balance_plan().moves, context); });
}

Result<operations::TicketPointer> HighAvailability::empty(ServerId server, const audit::Origin& origin) {
  BERTH_CHECK(parts_.servers.find(server));
  return begin("fleet.empty", "server", std::to_string(server.value()), json::to_json(Input{server.value(), false}),
               origin, single_, [this, server](operations::Context& context) -> Result<MovesResult> {
                 const FleetState state = parts_.mover.fleet_state();
                 std::vector<ContainerId> leaving;
                 MovesResult stuck;
                 for (const auto& one : state.containers) {
                   if (one.server != server) continue;
                   if (one.movable) {
                     leaving.push_back(one.id);
                   } else {
                     const Error pinned(ErrorCode::conflict, "relocation.pinned",
                                        {"它依赖该服务器，或正在进行另一项操作",
                                         "It depends on its server, or another operation is under way"});
                     stuck.not_moved.push_back(not_moved(one.id, one.name, server, pinned));
                   }
                 }
                 const auto plan = plan_evacuation(state, server, leaving);
                 std::vector<PlannedMove> moves;
                 for (const auto& group : plan.groups) std::ranges::copy(group, std::back_inserter(moves));
                 for (const ContainerId id : plan.homeless) {
                   const auto& one = *std::ranges::find(state.containers, id, &PlacedContainer::id);
                   stuck.not_moved.push_back(not_moved(id, one.name, server, homeless()));
                 }
                 auto result = BERTH_TRY(relocate_each(moves, context));
                 append(result, std::move(stuck));
                 return result;
               });
}

}  // namespace berth::fleet
