#include "fleet/fence_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace berth::fleet {
namespace {

Error failed(const std::string& name, std::string detail) {
  return Error(ErrorCode::unavailable, "failover.fence_failed",
               {fmt::format("服务器 {} 的隔离命令未成功，未迁移任何容器", name),
                fmt::format("The fence command of server {} did not succeed; nothing was moved", name)})
      .with_detail(std::move(detail));
}

/// The attributes and file actions of a spawn, freed.
struct Spawning {
  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};

  Spawning() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  Spawning(const Spawning&) = delete;
  Spawning& operator=(const Spawning&) = delete;
  ~Spawning() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
};

int begin(const std::vector<std::string>& argv, ServerId server, const std::string& name, pid_t& pid) {
  Spawning spawning;
  posix_spawn_file_actions_addopen(&spawning.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&spawning.actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&spawning.actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&spawning.actions, STDERR_FILENO + 1);
  posix_spawn_file_actions_addchdir_np(&spawning.actions, "/");
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&spawning.attributes, &none);
  posix_spawnattr_setsigdefault(&spawning.attributes, &all);
  // A group of its own, so that everything that it begins can be ended.
  posix_spawnattr_setpgroup(&spawning.attributes, 0);
  posix_spawnattr_setflags(&spawning.attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  std::vector<std::string> words = argv;
  std::vector<std::string> environment{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                       "BERTH_SERVER_NAME=" + name, fmt::format("BERTH_SERVER_ID={}", server.value())};
  const auto pointers_of = [](std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (auto& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
  };
  auto arguments = pointers_of(words);
  auto variables = pointers_of(environment);
  return posix_spawnp(&pid, arguments.front(), &spawning.actions, &spawning.attributes, arguments.data(),
                      variables.data());
}

/// Waits for the end of a child; false at the deadline.
bool wait_for(pid_t pid, Deadline deadline) {
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (handle < 0) return false;
  bool ended = false;
  while (!ended && !deadline.expired()) {
    pollfd waiting{handle, POLLIN, 0};
    const auto left = std::clamp<std::int64_t>(deadline.remaining().count() + 1, 1, 60'000);
    ended = ::poll(&waiting, 1, static_cast<int>(left)) > 0;
  }
  ::close(handle);
  return ended;
}

}  // namespace

Result<void> run_fence_command(const std::vector<std::string>& argv, ServerId server, const std::string& name,
                               Deadline deadline) {
  if (argv.empty() || argv.front().empty()) return failed(name, "the configuration names no program");
  pid_t pid = 0;
  if (const int problem = begin(argv, server, name, pid); problem != 0) {
    return failed(name, fmt::format("{}: {}", argv.front(), std::strerror(problem)));
  }
  const bool ended = wait_for(pid, deadline);
  // Also what it may have left behind; before it is waited for, so that the number is still its own.
  ::kill(-pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!ended) return failed(name, "it did not end in time");
  if (WIFSIGNALED(status)) return failed(name, fmt::format("it was ended by signal {}", WTERMSIG(status)));
  if (WEXITSTATUS(status) != 0) return failed(name, fmt::format("it ended with {}", WEXITSTATUS(status)));
  return {};
}

}  // namespace berth::fleet
