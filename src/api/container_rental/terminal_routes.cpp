#include "api/container_rental/terminal_routes.h"

#include <utility>

#include "api/container_rental/container_rental.h"
#include "api/container_rental/rental_envelope.h"
#include "api/container_rental/wire.h"
#include "api/shared/log_socket.h"
#include "api/shared/terminal_socket.h"
#include "api/shared/terminal_wire.h"

namespace berth::api::container_rental {
namespace {

using fleet::Right;
using http::Method;
using namespace identity::permissions;
using SocketResult = Result<std::shared_ptr<http::WebSocketHandler>>;

/// How long a change that ends a log may take before the log's end is told without it.
constexpr std::chrono::seconds kChangeTime{30};

/// What a terminal runs if no command is named: the best shell that the container has.
std::vector<std::string> shell() {
  return {"/bin/sh", "-c", "exec \"$(command -v bash || command -v ash || echo /bin/sh)\""};
}

ErrorWords words_in(Language language) {
  return [language](const Error& error) { return RentalEnvelope::words(error, language); };
}

/// Whoever lost the right to a container loses what is open on it. One that is gone ends by itself.
SocketWatch::Objection needs(fleet::ContainerService& containers, fleet::ContainerId id, Right right) {
  return [&containers, id, right](const identity::Principal& principal) -> std::optional<Farewell> {
    const auto container = containers.find(id);
    if (!container || containers.find(caller_of(principal), (*container)->name, right)) return std::nullopt;
    return Farewell{close_code::kForbidden, "no longer permitted"};
  };
}

LogEnd server_gone() {
  return {"server_gone", {close_code::kTryAgainLater, "the server does not answer"}};
}

/// A server that does not answer may leave its connections open without a word.
SocketWatch::Objection needs_log(fleet::ContainerService& containers, fleet::ContainerId id) {
  return [&containers, id,
          right = needs(containers, id, Right::read)](const identity::Principal& principal) -> std::optional<Farewell> {
    if (auto farewell = right(principal)) return farewell;
    const auto container = containers.find(id);
    return container && !(*container)->reachable ? std::optional(server_gone().farewell) : std::nullopt;
  };
}

ExplainLogEnd explain(fleet::ContainerService& containers, fleet::ContainerPointer followed) {
  return [&containers, followed](const Result<void>& outcome) -> LogEnd {
    if (!outcome) return server_gone();
    const auto now = containers.find_at_rest(followed->id, Deadline::after(kChangeTime));
    if (!now) return {"removed", {close_code::kNormal, "the container was removed"}};
    if ((*now)->presence == fleet::Presence::archived) {
      return {"archived", {close_code::kNormal, "the container was archived"}};
    }
    if ((*now)->server != followed->server) return {"moved", {close_code::kNormal, "the container was moved"}};
    return {"stopped", {close_code::kNormal, "the container stopped"}};
  };
}

template <class Query>
Result<compute::LogQuery> log_query_of(const Query& query) {
  compute::LogQuery wanted;
  wanted.tail = query.tail;
  wanted.timestamps = query.timestamps;
  if (!query.since) return wanted;
  const auto since = parse_timestamp(*query.since);
  if (!since) return Error(since.error()).with_field("since", since.error().message());
  wanted.since = *since;
  return wanted;
}

void add_log_routes(Contract& contract, const TerminalRouteParts& parts) {
  contract.add<ContainerPath, LogsQuery, Nothing>(
      {Method::get,
       "/api/containers/{container_name}/logs",
       kInstancesRead,
       {"容器日志", "A container's log"},
       "containers",
       &parts.changes},
      [parts](const Call& call, ContainerPath path, LogsQuery query, Nothing) -> Result<ContainerLogs> {
        const auto wanted = BERTH_TRY(log_query_of(query));
        return ContainerLogs{path.container_name,
                             BERTH_TRY(parts.containers.read_log(caller_of(call), path.container_name, wanted))};
      });
  contract.add_websocket<ContainerPath, LogFollowQuery>(
      {Method::get,
       "/ws/containers/{container_name}/logs",
       kInstancesRead,
       {"实时跟踪容器日志", "A container's log as it is written"},
       "containers"},
      [parts](const Call& call, ContainerPath path, LogFollowQuery query) -> SocketResult {
        fleet::ContainerService& containers = parts.containers;
        const fleet::Caller caller = caller_of(call);
        const auto wanted = BERTH_TRY(log_query_of(query));
        const auto container = BERTH_TRY(containers.find(caller, path.container_name, Right::read));
        auto socket = make_log_socket(
            [&containers, caller, name = path.container_name, wanted](std::shared_ptr<compute::LogReader> reader) {
              return containers.follow_log(caller, name, wanted, std::move(reader));
            },
            explain(containers, container), parts.changes, words_in(call.language));
        return parts.sockets.watch(std::move(socket), call, kInstancesRead, needs_log(containers, container->id));
      });
}

void add_exec_routes(Contract& contract, const TerminalRouteParts& parts) {
  contract.add<ContainerPath, Nothing, CommandRequest>(
      {Method::post,
       "/api/containers/{container_name}/exec",
       kInstancesExec,
       {"执行命令并等待结果", "Run a command and wait"},
       "terminals",
       &parts.changes},
      [parts](const Call& call, ContainerPath path, Nothing, CommandRequest body) -> Result<CommandResult> {
        const std::chrono::seconds limit(body.timeout);
        return command_result_of(BERTH_TRY(
            parts.containers.run(caller_of(call), path.container_name, exec_request_of(std::move(body)), limit)));
      });
  contract.add_websocket<ContainerPath, TerminalQuery>(
      {Method::get, "/ws/containers/{container_name}/exec", kInstancesExec, {"终端", "A terminal"}, "terminals"},
      [parts](const Call& call, ContainerPath path, TerminalQuery query) -> SocketResult {
        fleet::ContainerService& containers = parts.containers;
        const fleet::Caller caller = caller_of(call);
        const auto container = BERTH_TRY(containers.find(caller, path.container_name, Right::execute));
        auto socket = make_terminal_socket(
            [&containers, caller, name = path.container_name,
             request = exec_request_of(std::move(query), shell())](std::shared_ptr<compute::TerminalOutput> output) {
              return containers.exec(caller, name, request, std::move(output));
            },
            parts.changes, words_in(call.language));
        return parts.sockets.watch(std::move(socket), call, kInstancesExec,
                                   needs(containers, container->id, Right::execute));
      });
  contract.add_websocket<ContainerPath, ConsoleQuery>(
      {Method::get,
       "/ws/containers/{container_name}/console",
       kInstancesExec,
       {"控制台：连接主进程", "The console: joins the main process"},
       "terminals"},
      [parts](const Call& call, ContainerPath path, ConsoleQuery query) -> SocketResult {
        fleet::ContainerService& containers = parts.containers;
        const fleet::Caller caller = caller_of(call);
        const auto container = BERTH_TRY(containers.find(caller, path.container_name, Right::execute));
        auto socket = make_terminal_socket(
            [&containers, caller, name = path.container_name,
             size = compute::TerminalSize{query.cols, query.rows}](std::shared_ptr<compute::TerminalOutput> output) {
              return containers.console(caller, name, size, std::move(output));
            },
            parts.changes, words_in(call.language));
        return parts.sockets.watch(std::move(socket), call, kInstancesExec,
                                   needs(containers, container->id, Right::execute));
      });
}

}  // namespace

void add_terminal_routes(Contract& contract, const TerminalRouteParts& parts) {
  add_log_routes(contract, parts);
  add_exec_routes(contract, parts);
}

}  // namespace berth::api::container_rental
