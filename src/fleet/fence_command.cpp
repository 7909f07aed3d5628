#include "fleet/fence_command.h"

#include <fmt/format.h>

#include "base/child_process.h"

namespace berth::fleet {
namespace {

Error failed(const std::string& name, std::string detail) {
  return Error(ErrorCode::unavailable, "failover.fence_failed",
               {fmt::format("服务器 {} 的隔离命令未成功，未迁移任何容器", name),
                fmt::format("The fence command of server {} did not succeed; nothing was moved", name)})
      .with_detail(std::move(detail));
}

}  // namespace

Result<void> run_fence_command(const std::vector<std::string>& argv, ServerId server, const std::string& name,
                               Deadline deadline) {
  if (argv.empty() || argv.front().empty()) return failed(name, "the configuration names no program");
  ChildProcess::Settings settings;
  settings.argv = argv;
  settings.environment = {fmt::format("PATH={}", ChildProcess::kPath), "BERTH_SERVER_NAME=" + name,
                          fmt::format("BERTH_SERVER_ID={}", server.value())};
  auto command = ChildProcess::start(settings);
  if (!command) return failed(name, command.error().detail());
  const bool ended = command->wait(deadline);
  const ChildProcess::Ending ending = command->end();
  if (!ended) return failed(name, "it did not end in time");
  if (ending.signal != 0) return failed(name, fmt::format("it was ended by signal {}", ending.signal));
  if (ending.code != 0) return failed(name, fmt::format("it ended with {}", ending.code));
  return {};
}

}  // namespace berth::fleet
