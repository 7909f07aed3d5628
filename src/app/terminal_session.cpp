#include "app/terminal_session.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <mutex>
#include <optional>

#include "http/websocket_client.h"
#include "json/document.h"
#include "json/write.h"

namespace berth::app {
namespace {

constexpr std::chrono::seconds kConnectTime{15};
constexpr std::chrono::seconds kSilence{60};
constexpr std::size_t kMostUnsent = 256UL * 1024;

class FileDescriptor {
 public:
  explicit FileDescriptor(int number) : number_(number) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int number() const { return number_; }

 private:
  int number_;
};

/// Keys reach the guest as they are typed while this lives.
class RawMode {
 public:
  RawMode() {
    if (tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios raw = before_;
    cfmakeraw(&raw);
    changed_ = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
  }
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;
  ~RawMode() {
    if (changed_) tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
  }

 private:
  termios before_{};
  bool changed_ = false;
};

/// Takes signals through a descriptor, so that the terminal is always put back.
class SignalQueue {
 public:
  SignalQueue() : descriptor_(open(set_, before_)) {}
  SignalQueue(const SignalQueue&) = delete;
  SignalQueue& operator=(const SignalQueue&) = delete;
  ~SignalQueue() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  int descriptor() const { return descriptor_.number(); }
  std::optional<int> take() const {
    signalfd_siginfo info{};
    if (::read(descriptor_.number(), &info, sizeof info) != sizeof info) return std::nullopt;
    return static_cast<int>(info.ssi_signo);
  }

 private:
  static int open(sigset_t& set, sigset_t& before) {
    sigemptyset(&set);
    for (const int number : {SIGWINCH, SIGTERM, SIGHUP, SIGINT}) sigaddset(&set, number);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  }

  sigset_t set_{};
  sigset_t before_{};
  FileDescriptor descriptor_;
};

winsize terminal_size() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {24, 80, 0, 0};
  return size;
}

bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

/// How a session ended.
struct Ending {
  std::optional<int> code;
  std::string problem;
};

/// What comes from the daemon. Output is written by the connection's own thread: a terminal that does not keep
/// up holds back the reading, and so the guest.
class Output final : public http::WebSocketHandler {
 public:
  Output() : ended_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  void on_open(std::shared_ptr<http::WebSocket>) override {}
  void on_message(std::string_view message, http::Frame frame) override {
    if (frame == http::Frame::binary) {
      write_all(STDOUT_FILENO, message);
      return;
    }
    const auto document = json::Document::parse(message);
    if (!document) return;
    const auto type = document->root()["type"].string_or("");
    const std::lock_guard lock(mutex_);
    if (type == "exit") {
      if (const auto code = document->root()["code"].integer()) ending_.code = static_cast<int>(*code);
    } else if (type == "error") {
      ending_.problem = document->root()["detail"].string_or("?");
    }
  }
  void on_close() override {
    const std::uint64_t one = 1;
    // Cannot fail: the counter is far from its limit.
    [[maybe_unused]] const auto written = ::write(ended_.number(), &one, sizeof one);
  }

  /// Readable once the connection has ended.
  int descriptor() const { return ended_.number(); }
  Ending ending() const {
    const std::lock_guard lock(mutex_);
    return ending_;
  }

 private:
  FileDescriptor ended_;
  mutable std::mutex mutex_;
  Ending ending_;
};

std::string exec_target(const ApiClient& client, const std::string& instance, const std::vector<std::string>& command) {
  const auto size = terminal_size();
  auto target =
      fmt::format("/ws/instances/{}/exec?cols={}&rows={}", http::percent_encode(instance), size.ws_col, size.ws_row);
  for (const auto& word : command) target += "&command=" + http::percent_encode(word);
  return client.target(target);
}

void send_size(http::WebSocket& socket) {
  const auto size = terminal_size();
  socket.send(std::make_shared<const std::string>(
                  fmt::format(R"({{"type":"resize","cols":{},"rows":{}}})", size.ws_col, size.ws_row)),
              http::Frame::text);
}

/// Passes keys and sizes on until one side ends.
void pump(http::WebSocket& socket, const Output& output, const SignalQueue& signals) {
  bool input_open = true;
  std::array<char, 4096> buffer{};
  while (true) {
    // While much is under way, keys wait in the terminal's own buffer.
    const bool take_input = input_open && socket.waiting_bytes() < kMostUnsent;
    std::array<pollfd, 3> events = {pollfd{output.descriptor(), POLLIN, 0}, pollfd{signals.descriptor(), POLLIN, 0},
                                    pollfd{take_input ? STDIN_FILENO : -1, POLLIN, 0}};
    if (::poll(events.data(), events.size(), input_open && !take_input ? 20 : -1) < 0 && errno != EINTR) return;
    if (events[0].revents != 0) return;
    if (events[1].revents != 0) {
      const auto number = signals.take();
      if (number && *number != SIGWINCH) return;
      if (number) send_size(socket);
    }
    if (events[2].revents == 0) continue;
    const auto got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (got > 0) {
      socket.send(std::make_shared<const std::string>(buffer.data(), static_cast<std::size_t>(got)),
                  http::Frame::binary);
    } else if (got == 0 || errno != EINTR) {
      input_open = false;
    }
  }
}

}  // namespace

bool TerminalSession::possible() {
  return ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
}

Result<int> TerminalSession::run(ApiClient& client, const std::string& instance,
                                 const std::vector<std::string>& command) {
  BERTH_CHECK(client.renew_if_needed());
  // Also tells in words what a refused upgrade would not.
  if (const auto there = client.get("/api/instances/" + http::percent_encode(instance)); !there) return there.error();
  const SignalQueue signals;
  const auto output = std::make_shared<Output>();
  http::WebSocketClient connector("exec");
  const RawMode raw;
  const auto connection =
      BERTH_TRY(connector.connect(client.endpoint(), exec_target(client, instance, command), client.headers(), output,
                                  Deadline::after(kConnectTime), kSilence));
  pump(*connection, *output, signals);
  const auto ending = output->ending();
  if (!ending.problem.empty()) {
    return Error(ErrorCode::unavailable, "cli.terminal", {ending.problem, ending.problem});
  }
  return ending.code.value_or(1);
}

}  // namespace berth::app
