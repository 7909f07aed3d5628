#include <utility>

#include "api/lxd_panel/lxd_panel.h"
#include "api/lxd_panel/panel_envelope.h"
#include "api/shared/terminal_socket.h"
#include "api/shared/terminal_wire.h"

namespace berth::api::lxd_panel {
namespace {

using http::Method;
using identity::permissions::kInstancesExec;
using SocketResult = Result<std::shared_ptr<http::WebSocketHandler>>;

/// What a terminal runs if no command is named: the best shell that the guest has.
std::vector<std::string> shell() {
  return {"/bin/sh", "-c", "exec \"$(command -v bash || command -v ash || echo /bin/sh)\" -l"};
}

ErrorWords words_in(Language language) {
  return [language](const Error& error) { return PanelEnvelope::words(error, language); };
}

/// Whoever an instance is taken away from loses what is open on it.
SocketWatch::Objection needs(compute::InstanceService& instances, const std::string& name) {
  return [&instances, name](const identity::Principal& principal) -> std::optional<Farewell> {
    const compute::Viewer all{.sees_all = true, .owner = {}, .origin = {}};
    if (!instances.find(all, name) || instances.find(viewer_of(principal), name)) return std::nullopt;
    return Farewell{close_code::kForbidden, "no longer permitted"};
  };
}

}  // namespace

void LxdPanel::add_terminal_routes() {
  contract_->add<InstancePath, Nothing, CommandRequest>(
      {Method::post,
       "/api/instances/{name}/exec",
       kInstancesExec,
       {"执行命令并等待结果", "Run a command and wait"},
       "terminals",
       &parts_.changes},
      [this](const Call& call, InstancePath path, Nothing, CommandRequest body) -> Result<CommandResult> {
        const std::chrono::seconds limit(body.timeout);
        return command_result_of(
            BERTH_TRY(parts_.instances.run(viewer_of(call), path.name, exec_request_of(std::move(body)), limit)));
      });
  contract_->add_websocket<InstancePath, TerminalQuery>(
      {Method::get, "/ws/instances/{name}/exec", kInstancesExec, {"终端", "A terminal"}, "terminals"},
      [this](const Call& call, InstancePath path, TerminalQuery query) -> SocketResult {
        const compute::Viewer viewer = viewer_of(call);
        BERTH_CHECK(parts_.instances.find(viewer, path.name));
        auto socket = make_terminal_socket(
            [this, viewer, name = path.name,
             request = exec_request_of(std::move(query), shell())](std::shared_ptr<compute::TerminalOutput> output) {
              return parts_.instances.exec(viewer, name, request, std::move(output));
            },
            parts_.changes, words_in(call.language));
        return parts_.sockets.watch(std::move(socket), call, kInstancesExec, needs(parts_.instances, path.name));
      });
  contract_->add_websocket<InstancePath, TerminalQuery>(
      {Method::get, "/ws/instances/{name}/console", kInstancesExec, {"控制台", "The console"}, "terminals"},
      [this](const Call& call, InstancePath path, TerminalQuery query) -> SocketResult {
        const compute::Viewer viewer = viewer_of(call);
        BERTH_CHECK(parts_.instances.find(viewer, path.name));
        auto socket = make_terminal_socket(
            [this, viewer, name = path.name,
             size = compute::TerminalSize{query.cols, query.rows}](std::shared_ptr<compute::TerminalOutput> output) {
              return parts_.instances.console(viewer, name, size, std::move(output));
            },
            parts_.changes, words_in(call.language));
        return parts_.sockets.watch(std::move(socket), call, kInstancesExec, needs(parts_.instances, path.name));
      });
}

}  // namespace berth::api::lxd_panel
