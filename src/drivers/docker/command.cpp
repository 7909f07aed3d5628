#include "drivers/docker/command.h"

#include <algorithm>
#include <thread>

#include "base/encoding.h"
#include "base/log.h"
#include "json/write.h"

namespace berth::drivers::docker {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPause{20};

/// Keys that nobody presses: Docker would take its own (Ctrl-P Ctrl-Q) out of what is typed.
constexpr std::string_view kDetachKeys = "ctrl-_,ctrl-_,ctrl-@,ctrl-@";

/// Ends every process whose environment holds the line "$0".
constexpr std::string_view kKillScript =
    R"(for p in /proc/[0-9]*; do tr '\0' '\n' <"$p/environ" | grep -qxF "$0" && kill -KILL "${p#/proc/}"; done)";

struct Exec {
  bool AttachStdin = false;
  bool AttachStdout = false;
  bool AttachStderr = false;
  bool Tty = false;
  std::string DetachKeys{kDetachKeys};
  std::vector<std::string> Cmd;
  std::vector<std::string> Env;
  std::string WorkingDir;
  std::string User;
};
BOOST_DESCRIBE_STRUCT(Exec, (), (AttachStdin, AttachStdout, AttachStderr, Tty, DetachKeys, Cmd, Env, WorkingDir, User))

struct Start {
  bool Detach = false;
  bool Tty = false;
};
BOOST_DESCRIBE_STRUCT(Start, (), (Detach, Tty))

Result<std::string> make_exec(Api& api, const std::string& container, const Exec& exec, const Subject& subject,
                              Deadline deadline) {
  const auto document =
      BERTH_TRY(api.call(http::Method::post, container + "/exec", json::to_json(exec), subject, deadline));
  std::string id = document.root()["Id"].string_or("");
  if (id.empty()) return nonsense("a command without an id");
  return id;
}

}  // namespace

Result<Command> make_command(Api& api, const std::string& instance, const compute::ExecRequest& request,
                             bool interactive, Deadline deadline) {
  Command command;
  command.container = BERTH_TRY(api.container_path(instance, deadline));
  command.mark = "BERTH_EXEC=" + random_uuid();
  if (request.user_id) command.user = std::to_string(*request.user_id);
  Exec exec;
  exec.AttachStdin = interactive;
  exec.AttachStdout = exec.AttachStderr = true;
  exec.Tty = interactive;
  exec.Cmd = request.command;
  for (const auto& [name, value] : request.environment) exec.Env.push_back(name + "=" + value);
  if (interactive && !request.environment.contains("TERM")) exec.Env.emplace_back("TERM=xterm-256color");
  exec.Env.push_back(command.mark);
  exec.WorkingDir = request.working_directory;
  exec.User = command.user;
  command.id = BERTH_TRY(make_exec(api, command.container, exec, Subject::of_container(instance), deadline));
  return command;
}

std::string start_body(bool interactive, bool detached) {
  return json::to_json(Start{.Detach = detached, .Tty = interactive});
}

std::string path_of_exec(const std::string& id) {
  return "/exec/" + http::percent_encode(id);
}

std::optional<int> exit_code_of(Api& api, const std::string& id, Deadline deadline) {
  const auto document = api.get(path_of_exec(id) + "/json", Subject::of_exec(), deadline);
  if (!document || document->root()["Running"].boolean().value_or(true)) return std::nullopt;
  const auto code = document->root()["ExitCode"].integer();
  if (!code) return std::nullopt;
  return static_cast<int>(*code);
}

std::optional<int> wait_for_exit_code(Api& api, const std::string& id, Deadline deadline) {
  // The output ends a moment before Docker has written down the code.
  while (true) {
    const auto document = api.get(path_of_exec(id) + "/json", Subject::of_exec(), deadline);
    if (!document) return std::nullopt;
    if (!document->root()["Running"].boolean().value_or(true)) {
      const auto code = document->root()["ExitCode"].integer();
      return code ? std::optional<int>(static_cast<int>(*code)) : std::nullopt;
    }
    if (deadline.expired()) return std::nullopt;
    std::this_thread::sleep_for(std::min(kPause, deadline.remaining()));
  }
}

void kill_command(Api& api, const Command& command, Deadline deadline) {
  if (exit_code_of(api, command.id, deadline)) return;
  Exec killer;
  killer.Cmd = {"sh", "-c", std::string(kKillScript), command.mark};
  // Another user may not see the environment.
  killer.User = command.user;
  auto id = make_exec(api, command.container, killer, Subject::of_exec(), deadline);
  if (!id) return;  // the container has ended, and its commands with it
  const auto begun =
      api.call(http::Method::post, path_of_exec(*id) + "/start", start_body(false, true), Subject::of_exec(), deadline);
  if (!begun) log::debug("docker", "a command in a container may run on: {}", begun.error().describe());
}

}  // namespace berth::drivers::docker
