#include <algorithm>
#include <utility>

#include "compute/instance_input.h"
#include "compute/instance_service.h"
#include "json/write.h"

namespace berth::compute {
namespace {

constexpr std::size_t kMaximumArguments = 256;
constexpr std::size_t kMaximumBytes = 64 * 1024;
/// Of a command that the audit log keeps.
constexpr std::size_t kAuditedBytes = 4096;

bool fits(const ExecRequest& request) {
  const auto no_null = [](const std::string& text) { return text.find('\0') == std::string::npos; };
  std::size_t bytes = 0;
  for (const auto& argument : request.command) bytes += argument.size();
  for (const auto& [name, value] : request.environment) {
    bytes += name.size() + value.size();
    if (name.empty() || name.find('=') != std::string::npos || !no_null(name) || !no_null(value)) return false;
  }
  return !request.command.empty() && !request.command.front().empty() && request.command.size() <= kMaximumArguments &&
         bytes <= kMaximumBytes && std::ranges::all_of(request.command, no_null) && no_null(request.working_directory);
}

Result<void> check_request(const ExecRequest& request) {
  if (fits(request)) return {};
  const Text message{"命令不能为空，最多 256 个参数，连同环境变量不超过 64 KiB，且不能包含空字符",
                     "A command is not empty, has at most 256 arguments and, with its environment, 64 KiB, and "
                     "holds no null characters"};
  return Error(ErrorCode::invalid_argument, "exec.command", message).with_field("command", message);
}

std::string details_of(const ExecRequest& request) {
  std::vector<std::string> shown;
  std::size_t left = kAuditedBytes;
  for (const std::string& argument : request.command) {
    if (argument.size() > left) {
      shown.emplace_back("…");
      break;
    }
    left -= argument.size();
    shown.push_back(argument);
  }
  return json::to_json(AuditDetails{.command = std::move(shown)});
}

}  // namespace

Result<void> InstanceService::audit_terminal(const Viewer& viewer, const std::string& action, const std::string& name,
                                             const std::string& details, audit::Outcome outcome) {
  return operations_.audit_log().append(viewer.origin, {action, "instance", name, outcome, details});
}

// A terminal is audited before it is opened, so that none is ever open unrecorded; one that then cannot be
// opened leaves a second entry that says so.

Result<std::shared_ptr<Terminal>> InstanceService::exec(const Viewer& viewer, const std::string& name,
                                                        const ExecRequest& request,
                                                        std::shared_ptr<TerminalOutput> output) {
  TerminalAbility* ability = BERTH_TRY(terminal_ability());
  BERTH_CHECK(locate(viewer, name));
  BERTH_CHECK(check_request(request));
  const std::string details = details_of(request);
  BERTH_CHECK(audit_terminal(viewer, "instance.exec", name, details, audit::Outcome::success));
  auto opened = ability->exec(name, request, std::move(output), Deadline::after(settings_.quick_limit));
  if (!opened) BERTH_CHECK(audit_terminal(viewer, "instance.exec", name, details, audit::Outcome::failure));
  return opened;
}

Result<ExecOutcome> InstanceService::run(const Viewer& viewer, const std::string& name, const ExecRequest& request,
                                         std::chrono::milliseconds time_limit) {
  TerminalAbility* ability = BERTH_TRY(terminal_ability());
  BERTH_CHECK(locate(viewer, name));
  BERTH_CHECK(check_request(request));
  const std::string details = details_of(request);
  BERTH_CHECK(audit_terminal(viewer, "instance.exec", name, details, audit::Outcome::success));
  auto ran = ability->run(name, request, Deadline::after(std::min(time_limit, settings_.create_limit)));
  if (!ran) BERTH_CHECK(audit_terminal(viewer, "instance.exec", name, details, audit::Outcome::failure));
  return ran;
}

Result<std::shared_ptr<Terminal>> InstanceService::console(const Viewer& viewer, const std::string& name,
                                                           TerminalSize size, std::shared_ptr<TerminalOutput> output) {
  TerminalAbility* ability = BERTH_TRY(terminal_ability());
  BERTH_CHECK(locate(viewer, name));
  BERTH_CHECK(audit_terminal(viewer, "instance.console", name, "{}", audit::Outcome::success));
  auto opened = ability->console(name, size, std::move(output), Deadline::after(settings_.quick_limit));
  if (!opened) BERTH_CHECK(audit_terminal(viewer, "instance.console", name, "{}", audit::Outcome::failure));
  return opened;
}

}  // namespace berth::compute
