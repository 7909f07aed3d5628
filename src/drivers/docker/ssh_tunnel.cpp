#include "drivers/docker/ssh_tunnel.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <random>
#include <utility>

#include "base/log.h"
#include "compute/instance.h"

namespace berth::drivers::docker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kSocket = "engine.sock";
/// For all of a connection's beginning; ssh itself bounds only its first part.
constexpr seconds kConnectTime{20};
constexpr milliseconds kLook{20};
/// A connection that stood that long was a good one.
constexpr seconds kGood{10};
constexpr milliseconds kFirstPause{250};
constexpr milliseconds kLongestPause{15'000};
/// Asked more often, a server may lock us out.
constexpr milliseconds kPauseForAPerson{60'000};
/// Older words explain nothing that fails now.
constexpr seconds kFresh{2};
constexpr std::size_t kMostWords = 4096;

Error out_of(const char* what) {
  return internal_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

Error unreachable(Text message, std::string detail) {
  return Error(ErrorCode::unavailable, compute::engine_unavailable().reason(), std::move(message))
      .with_detail(std::move(detail));
}

Error not_started(const Error& error) {
  return unreachable({"无法启动 ssh，请安装 openssh-client", "ssh cannot be started: install openssh-client"},
                     error.detail());
}

Error too_slow() {
  return unreachable({"SSH 服务器没有应答", "The SSH server does not answer"},
                     fmt::format("ssh: no connection within {} s", kConnectTime.count()));
}

/// A pipe whose reading end does not wait.
struct Pipe {
  int out = -1;
  int in = -1;

  Pipe() {
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return;
    out = ends[0];
    in = ends[1];
    ::fcntl(out, F_SETFL, O_NONBLOCK);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    if (out >= 0) ::close(out);
    close_in();
  }
  void close_in() {
    if (in >= 0) ::close(std::exchange(in, -1));
  }
};

}  // namespace

Result<std::shared_ptr<SshTunnel>> SshTunnel::create(SshAddress address, const std::filesystem::path& folder) {
  auto key = BERTH_TRY(MemoryFile::make(address.key.reveal()));
  auto known_hosts = BERTH_TRY(MemoryFile::make(address.known_hosts));
  address.key = Secret();
  std::error_code failure;
  if (std::filesystem::create_directories(folder, failure)) {
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, failure);
  }
  std::string own = (folder / "ssh-XXXXXX").string();
  if (::mkdtemp(own.data()) == nullptr) return out_of("no folder for a socket");
  const int handle = ::open(own.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  const int wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (handle < 0 || wake < 0) {
    const Error error = out_of("no descriptor for a tunnel");
    if (handle >= 0) ::close(handle);
    if (wake >= 0) ::close(wake);
    std::filesystem::remove_all(own, failure);
    return error;
  }
  return std::shared_ptr<SshTunnel>(
      new SshTunnel(std::move(address), own, handle, wake, std::move(key), std::move(known_hosts)));
}

SshTunnel::SshTunnel(SshAddress address, std::filesystem::path folder, int folder_handle, int wake, MemoryFile key,
                     MemoryFile known_hosts)
    : address_(std::move(address)),
      folder_(std::move(folder)),
      folder_handle_(folder_handle),
      wake_(wake),
      key_(std::move(key)),
      known_hosts_(std::move(known_hosts)) {}

SshTunnel::~SshTunnel() {
  const std::uint64_t one = 1;
  (void)!::write(wake_, &one, sizeof one);
  if (thread_.joinable()) thread_.join();
  ::close(wake_);
  ::close(folder_handle_);
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string SshTunnel::socket() const {
  return fmt::format("/proc/self/fd/{}/{}", folder_handle_, kSocket);
}

Result<void> SshTunnel::wait(Deadline deadline, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  if (state_ == State::idle) {
    thread_ = std::thread([this] { run(); });
    state_ = State::connecting;
  }
  changed_.wait_until(lock, stop, deadline.at(), [this] { return state_ == State::up || problem_; });
  if (state_ == State::up) return {};
  if (problem_) return *problem_;
  if (stop.stop_requested()) return compute::engine_unavailable().with_detail("shutting down");
  return unreachable({"SSH 连接尚未建立", "The SSH connection does not stand yet"}, {});
}

std::optional<Error> SshTunnel::trouble() {
  const std::lock_guard lock(mutex_);
  if (state_ != State::up && problem_) return problem_;
  // Before ssh closes a connection it says why: its words are there, also if nobody has read them yet.
  hear();
  const Instant now = std::chrono::steady_clock::now();
  if (!words_.empty() && now - heard_ < kFresh) return ssh_trouble(words_, address_).error;
  if (parting_ && now - parted_ < kFresh) return parting_;
  return std::nullopt;
}

bool SshTunnel::hear() {
  if (words_handle_ < 0) return false;
  // More than a pipe holds is not waited for, however much a server talks.
  std::array<char, 4096> part{};
  for (int parts = 0; parts < 16; ++parts) {
    const ssize_t got = ::read(words_handle_, part.data(), part.size());
    if (got <= 0) return got < 0;
    words_.append(part.data(), static_cast<std::size_t>(got));
    if (words_.size() > kMostWords) words_.erase(0, words_.size() - kMostWords);
    heard_ = std::chrono::steady_clock::now();
  }
  return true;
}

void SshTunnel::become(State state) {
  const std::lock_guard lock(mutex_);
  state_ = state;
  if (state == State::up) {
    problem_.reset();
    words_.clear();  // a greeting
  }
  changed_.notify_all();
}

bool SshTunnel::pause(milliseconds wait) {
  pollfd ending{wake_, POLLIN, 0};
  return ::poll(&ending, 1, static_cast<int>(wait.count())) == 0;
}

bool SshTunnel::listens() const {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = socket();
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return false;
  const bool connected = ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(probe);
  return connected;
}

void SshTunnel::run() {
  pthread_setname_np(pthread_self(), "ssh-tunnel");
  std::minstd_rand random(std::random_device{}());
  milliseconds longest = kFirstPause;
  bool told = false;
  while (true) {
    const Outcome outcome = serve();
    if (!pause(milliseconds(0))) return;
    const Error& error = outcome.trouble.error;
    if (outcome.good) {
      log::info("docker", "the SSH connection to {} ended, connecting anew: {}", address_.host, error.describe());
      longest = kFirstPause;
      told = false;
      continue;
    }
    if (!std::exchange(told, true)) {
      log::warning("docker", "no SSH connection to {}, trying on: {}", address_.host, error.describe());
    }
    become(State::pausing);
    std::uniform_int_distribution<milliseconds::rep> jitter(longest.count() / 2, longest.count());
    if (!pause(outcome.trouble.needs_a_person ? kPauseForAPerson : milliseconds(jitter(random)))) return;
    longest = std::min(longest * 2, kLongestPause);
    become(State::connecting);
  }
}

SshTunnel::Outcome SshTunnel::serve() {
  Pipe words;
  ChildProcess::Settings settings;
  settings.argv = ssh_command(address_);
  settings.environment = {fmt::format("PATH={}", ChildProcess::kPath), "LC_ALL=C"};
  settings.folder = folder_.string();
  settings.input = key_.handle();
  settings.output = known_hosts_.handle();
  settings.errors = words.in;
  settings.bond = ChildProcess::Bond::thread;
  std::error_code ignored;
  std::filesystem::remove(folder_ / kSocket, ignored);
  auto ssh = ChildProcess::start(settings);
  std::optional<Instant> stood;
  bool in_time = true;
  if (ssh) {
    words.close_in();
    {
      const std::lock_guard lock(mutex_);
      words_.clear();
      words_handle_ = words.out;
    }
    in_time = follow(*ssh, stood);
    ssh->end();
  }
  const std::lock_guard lock(mutex_);
  hear();
  words_handle_ = -1;
  Outcome outcome{!ssh       ? SshTrouble{not_started(ssh.error())}
                  : !in_time ? SshTrouble{too_slow()}
                             : ssh_trouble(words_, address_),
                  stood && std::chrono::steady_clock::now() - *stood > kGood};
  // Who calls after a good connection waits for the next one.
  state_ = State::connecting;
  if (outcome.good) {
    parting_ = outcome.trouble.error;
    parted_ = std::chrono::steady_clock::now();
  } else {
    problem_ = outcome.trouble.error;
  }
  changed_.notify_all();
  return outcome;
}

bool SshTunnel::follow(const ChildProcess& ssh, std::optional<Instant>& stood) {
  const Deadline start = Deadline::after(kConnectTime);
  std::array<pollfd, 3> events{pollfd{ssh.handle(), POLLIN, 0}, {wake_, POLLIN, 0}, {words_handle_, POLLIN, 0}};
  while (true) {
    ::poll(events.data(), events.size(), stood ? -1 : static_cast<int>(kLook.count()));
    if (events[0].revents != 0 || events[1].revents != 0) return true;
    if (events[2].revents != 0) {
      const std::lock_guard lock(mutex_);
      if (!hear()) events[2].fd = -1;
    }
    if (stood) continue;
    if (listens()) {
      stood = std::chrono::steady_clock::now();
      become(State::up);
      log::info("docker", "the SSH connection to {} stands", address_.host);
    } else if (start.expired()) {
      return false;
    }
  }
}

}  // namespace berth::drivers::docker
