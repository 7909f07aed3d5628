#include "base/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace berth {
namespace {

Error not_started(const std::string& program, int problem) {
  return Error(ErrorCode::unavailable, "process.start",
               {fmt::format("无法启动程序 {}", program), fmt::format("The program {} cannot be started", program)})
      .with_detail(fmt::format("{}: {}", program, std::strerror(problem)));
}

/// The file of a program; what has a '/' is one already.
std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  std::string_view rest = ChildProcess::kPath;
  while (!rest.empty()) {
    const std::string_view folder = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(folder.size() + 1, rest.size()));
    std::string file = fmt::format("{}/{}", folder, name);
    if (::access(file.c_str(), X_OK) == 0) return file;
  }
  return {};
}

std::vector<char*> pointers_of(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (auto& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

/// Everything that the child needs, made before the fork: behind it nothing may allocate or lock.
struct Plan {
  const char* program;
  char* const* arguments;
  char* const* variables;
  const char* folder;
  std::array<int, 3> streams;
  int report;  ///< takes the errno of what failed
  bool bound;
  pid_t parent;
  long descriptors;
};

/// Runs in the child, which shares nothing with us any more and has one thread. Never returns.
[[noreturn]] void become(Plan plan) {
  const auto fail = [&] {
    const int problem = errno;
    (void)!::write(plan.report, &problem, sizeof problem);
    ::_exit(127);
  };
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  ::setpgid(0, 0);
  if (plan.bound) {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail();
    // Who died before that was heard of cannot be told of any more.
    if (::getppid() != plan.parent) ::_exit(127);
  }
  if (::chdir(plan.folder) != 0) fail();
  // Out of the way first: one of them could have the number that another is to get.
  constexpr int kAside = 10;
  plan.report = ::fcntl(plan.report, F_DUPFD_CLOEXEC, kAside);
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int& stream : plan.streams) {
    stream = ::fcntl(stream >= 0 ? stream : nothing, F_DUPFD_CLOEXEC, kAside);
    if (stream < 0) fail();
  }
  for (int number = 0; number < 3; ++number) {
    if (::dup2(plan.streams[static_cast<std::size_t>(number)], number) < 0) fail();
  }
  // What a library forgot to mark.
  if (::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
    for (int open = 3; open < plan.descriptors; ++open) ::fcntl(open, F_SETFD, FD_CLOEXEC);
  }
  sigset_t none;
  sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  ::execve(plan.program, plan.arguments, plan.variables);
  fail();
  ::_exit(127);
}

/// Waits until the child runs its program; else what kept it from that.
int problem_of(int report) {
  int problem = 0;
  ssize_t got = 0;
  do {
    got = ::read(report, &problem, sizeof problem);
  } while (got < 0 && errno == EINTR);
  return got == sizeof problem ? problem : 0;
}

void reap(pid_t pid, int& status) {
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

Result<ChildProcess> ChildProcess::start(const Settings& settings) {
  if (settings.argv.empty()) return not_started("", ENOENT);
  const std::string& name = settings.argv.front();
  const std::string program = find_program(name);
  if (program.empty()) return not_started(name, ENOENT);
  auto words = settings.argv;
  auto environment = settings.environment;
  const auto arguments = pointers_of(words);
  const auto variables = pointers_of(environment);
  std::array<int, 2> report{};
  if (::pipe2(report.data(), O_CLOEXEC) != 0) return not_started(name, errno);
  Plan plan{.program = program.c_str(),
            .arguments = arguments.data(),
            .variables = variables.data(),
            .folder = settings.folder.c_str(),
            .streams = {settings.input, settings.output, settings.errors},
            .report = report[1],
            .bound = settings.bond == Bond::thread,
            .parent = ::getpid(),
            .descriptors = std::min(::sysconf(_SC_OPEN_MAX), 1L << 20U)};
  // No handler of ours runs in the child.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::fork();
  int problem = errno;
  if (pid == 0) become(plan);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::close(report[1]);
  if (pid > 0) problem = problem_of(report[0]);
  ::close(report[0]);
  if (pid < 0) return not_started(name, problem);
  const int handle = problem == 0 ? static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)) : -1;
  if (handle >= 0) return ChildProcess(pid, handle);
  if (problem == 0) problem = errno;
  ::kill(pid, SIGKILL);
  int status = 0;
  reap(pid, status);
  return not_started(name, problem);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), handle_(std::exchange(other.handle_, -1)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(handle_, other.handle_);
  return *this;
}

ChildProcess::~ChildProcess() {
  end();
}

bool ChildProcess::wait(Deadline deadline) const {
  bool ended = false;
  while (!ended) {
    pollfd waiting{handle_, POLLIN, 0};
    const auto left = std::clamp<std::int64_t>(deadline.remaining().count() + 1, 1, 60'000);
    ended = ::poll(&waiting, 1, static_cast<int>(left)) > 0;
    if (!ended && deadline.expired()) break;
  }
  return ended;
}

ChildProcess::Ending ChildProcess::end() {
  if (pid_ <= 0) return {};
  // Also what it may have left behind; before it is waited for, so that the number is still its own.
  ::kill(-pid_, SIGKILL);
  int status = 0;
  reap(std::exchange(pid_, -1), status);
  ::close(std::exchange(handle_, -1));
  if (WIFSIGNALED(status)) return {.code = 0, .signal = WTERMSIG(status)};
  return {.code = WEXITSTATUS(status), .signal = 0};
}

}  // namespace berth
