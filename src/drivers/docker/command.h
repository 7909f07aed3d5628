#pragma once

#include <optional>
#include <string>

#include "compute/engine.h"
#include "drivers/docker/api.h"

namespace berth::drivers::docker {

/// A command in a container, made but not begun.
struct Command {
  std::string container;  ///< path of it
  std::string id;
  std::string mark;  ///< by which its processes are known
  std::string user;
};

/// Errors: those of the container; conflict "instance.state" if it does not run.
Result<Command> make_command(Api& api, const std::string& instance, const compute::ExecRequest& request,
                             bool interactive, Deadline deadline);
/// What begins it, as the body of a request to `path_of_exec(command.id) + "/start"`.
std::string start_body(bool interactive, bool detached);
std::string path_of_exec(const std::string& id);

/// Its exit code once it has ended; nothing while it runs, or if the engine does not say.
std::optional<int> exit_code_of(Api& api, const std::string& id, Deadline deadline);
/// Waits for the exit code of a command whose output has ended.
std::optional<int> wait_for_exit_code(Api& api, const std::string& id, Deadline deadline);
/// Ends its processes, if they still run and the container has a shell. Blocks a moment.
void kill_command(Api& api, const Command& command, Deadline deadline);

}  // namespace berth::drivers::docker
