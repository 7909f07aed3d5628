#include "api/lxd_panel/lxd_panel.h"
#include "api/lxd_panel/panel_envelope.h"
#include "api/shared/terminal_socket.h"

namespace berth::api::lxd_panel {
namespace {

using http::Method;
using identity::permissions::kInstancesExec;

/// What a terminal runs if no command is named: the best shell that the guest has.
std::vector<std::string> shell() {
  return {"/bin/sh", "-c", "exec \"$(command -v bash || command -v ash || echo /bin/sh)\" -l"};
}

ErrorWords words_in(Language language) {
  return [language](const Error& error) { return PanelEnvelope::words(error, language); };
}

}  // namespace

void LxdPanel::add_terminal_routes() {
  contract_->add<InstancePath, Nothing, ExecRequest>(
      {Method::post,
       "/api/instances/{name}/exec",
       kInstancesExec,
       {"执行命令并等待结果", "Run a command and wait"},
       "terminals",
       &parts_.changes},
      [this](const Call& call, InstancePath path, Nothing, ExecRequest body) -> Result<ExecResult> {
        compute::ExecRequest request;
        request.command = std::move(body.command);
        request.environment = std::move(body.environment);
        request.working_directory = std::move(body.working_directory);
        auto outcome =
            BERTH_TRY(parts_.instances.run(viewer_of(call), path.name, request, std::chrono::seconds(body.timeout)));
        return ExecResult{outcome.exit_code, std::move(outcome.standard_output), std::move(outcome.standard_error),
                          outcome.truncated};
      });
  contract_->add_websocket<InstancePath, TerminalQuery>(
      {Method::get, "/ws/instances/{name}/exec", kInstancesExec, {"终端", "A terminal"}, "terminals"},
      [this](const Call& call, InstancePath path,
             TerminalQuery query) -> Result<std::shared_ptr<http::WebSocketHandler>> {
        const compute::Viewer viewer = viewer_of(call);
        BERTH_CHECK(parts_.instances.find(viewer, path.name));
        compute::ExecRequest request;
        request.command = query.command.empty() ? shell() : std::move(query.command);
        request.environment = {{"TERM", "xterm-256color"}};
        request.size = {query.cols, query.rows};
        return make_terminal_socket(
            [this, viewer, name = path.name, request](std::shared_ptr<compute::TerminalOutput> output) {
              return parts_.instances.exec(viewer, name, request, std::move(output));
            },
            parts_.changes, words_in(call.language));
      });
  contract_->add_websocket<InstancePath, TerminalQuery>(
      {Method::get, "/ws/instances/{name}/console", kInstancesExec, {"控制台", "The console"}, "terminals"},
      [this](const Call& call, InstancePath path,
             TerminalQuery query) -> Result<std::shared_ptr<http::WebSocketHandler>> {
        const compute::Viewer viewer = viewer_of(call);
        BERTH_CHECK(parts_.instances.find(viewer, path.name));
        const compute::TerminalSize size{query.cols, query.rows};
        return make_terminal_socket(
            [this, viewer, name = path.name, size](std::shared_ptr<compute::TerminalOutput> output) {
              return parts_.instances.console(viewer, name, size, std::move(output));
            },
            parts_.changes, words_in(call.language));
      });
}

}  // namespace berth::api::lxd_panel
