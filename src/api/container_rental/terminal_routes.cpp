#include "api/container_rental/container_rental.h"
#include "api/container_rental/rental_envelope.h"
#include "api/container_rental/wire.h"
#include "api/shared/terminal_socket.h"

namespace berth::api::container_rental {
namespace {

using http::Method;
using namespace identity::permissions;

/// What a terminal runs if no command is named: the best shell that the container has.
std::vector<std::string> shell() {
  return {"/bin/sh", "-c", "exec \"$(command -v bash || command -v ash || echo /bin/sh)\""};
}

ErrorWords words_in(Language language) {
  return [language](const Error& error) { return RentalEnvelope::words(error, language); };
}

}  // namespace

void ContainerRental::add_log_routes() {
  contract_->add<ContainerPath, LogsQuery, Nothing>(
      {Method::get,
       "/api/containers/{container_name}/logs",
       kInstancesRead,
       {"容器日志", "A container's log"},
       "containers",
       &parts_.changes},
      [this](const Call& call, ContainerPath path, LogsQuery query, Nothing) -> Result<ContainerLogs> {
        compute::LogQuery wanted;
        wanted.tail = query.tail;
        wanted.timestamps = query.timestamps;
        return ContainerLogs{path.container_name,
                             BERTH_TRY(parts_.containers.read_log(caller_of(call), path.container_name, wanted))};
      });
}

void ContainerRental::add_terminal_routes() {
  contract_->add<ContainerPath, Nothing, RunRequest>(
      {Method::post,
       "/api/containers/{container_name}/exec",
       kInstancesExec,
       {"执行命令并等待结果", "Run a command and wait"},
       "terminals",
       &parts_.changes},
      [this](const Call& call, ContainerPath path, Nothing, RunRequest body) -> Result<RunResult> {
        compute::ExecRequest request;
        request.command = std::move(body.command);
        request.environment = std::move(body.environment);
        request.working_directory = std::move(body.working_directory);
        auto outcome = BERTH_TRY(
            parts_.containers.run(caller_of(call), path.container_name, request, std::chrono::seconds(body.timeout)));
        return RunResult{outcome.exit_code, std::move(outcome.standard_output), std::move(outcome.standard_error),
                         outcome.truncated};
      });
  contract_->add_websocket<ContainerPath, TerminalQuery>(
      {Method::get, "/ws/containers/{container_name}/exec", kInstancesExec, {"终端", "A terminal"}, "terminals"},
      [this](const Call& call, ContainerPath path,
             TerminalQuery query) -> Result<std::shared_ptr<http::WebSocketHandler>> {
        const fleet::Caller caller = caller_of(call);
        BERTH_CHECK(parts_.containers.find(caller, path.container_name, fleet::Right::execute));
        compute::ExecRequest request;
        request.command = query.command.empty() ? shell() : std::move(query.command);
        request.environment = {{"TERM", "xterm-256color"}};
        request.size = {query.cols, query.rows};
        return make_terminal_socket(
            [this, caller, name = path.container_name, request](std::shared_ptr<compute::TerminalOutput> output) {
              return parts_.containers.exec(caller, name, request, std::move(output));
            },
            parts_.changes, words_in(call.language));
      });
}

}  // namespace berth::api::container_rental
