#pragma once

#include <boost/describe/class.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compute/engine.h"
#include "json/fields.h"
#include "json/write.h"

// What contracts that have terminals and commands put on the wire for them: the same in each.
namespace berth::api {

struct CommandRequest {
  std::vector<std::string> command;
  std::map<std::string, std::string> environment;
  std::string working_directory;
  std::uint32_t timeout = 30;
};
BOOST_DESCRIBE_STRUCT(CommandRequest, (), (command, environment, working_directory, timeout))
inline void describe_fields(json::Fields<CommandRequest>& fields) {
  fields("command").items(1, 256).doc({"命令及其参数，不经过 shell", "The command and its arguments; no shell"});
  fields("environment").has_default().items(0, 256);
  fields("working_directory").has_default().length(0, 4096);
  fields("timeout").has_default().range(1, 600).doc({"秒", "Seconds"});
}

struct CommandResult {
  int exit_code = 0;
  std::string stdout_;
  std::string stderr_;
  bool truncated = false;
};
BOOST_DESCRIBE_STRUCT(CommandResult, (), (exit_code, stdout_, stderr_, truncated))

struct TerminalQuery {
  std::vector<std::string> command;
  std::uint16_t cols = 80;
  std::uint16_t rows = 24;
  std::optional<std::string> token;
};
BOOST_DESCRIBE_STRUCT(TerminalQuery, (), (command, cols, rows, token))
inline void describe_fields(json::Fields<TerminalQuery>& fields) {
  fields("command").has_default().items(0, 256).doc({"缺省为 shell", "A shell if absent"});
  fields("cols").has_default().range(1, 1000);
  fields("rows").has_default().range(1, 1000);
  fields("token").secret();
}

compute::ExecRequest exec_request_of(CommandRequest request);
/// `shell`: what runs if no command is named.
compute::ExecRequest exec_request_of(TerminalQuery query, std::vector<std::string> shell);
CommandResult command_result_of(compute::ExecOutcome outcome);

}  // namespace berth::api
