#include "api/shared/terminal_wire.h"

#include <utility>

namespace berth::api {

compute::ExecRequest exec_request_of(CommandRequest request) {
  compute::ExecRequest wanted;
  wanted.command = std::move(request.command);
  wanted.environment = std::move(request.environment);
  wanted.working_directory = std::move(request.working_directory);
  return wanted;
}

compute::ExecRequest exec_request_of(TerminalQuery query, std::vector<std::string> shell) {
  compute::ExecRequest wanted;
  wanted.command = query.command.empty() ? std::move(shell) : std::move(query.command);
  wanted.environment = {{"TERM", "xterm-256color"}};
  wanted.size = {query.cols, query.rows};
  return wanted;
}

CommandResult command_result_of(compute::ExecOutcome outcome) {
  return {outcome.exit_code, std::move(outcome.standard_output), std::move(outcome.standard_error), outcome.truncated};
}

}  // namespace berth::api
