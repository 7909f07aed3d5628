#include "api/shared/terminal_socket.h"

#include <boost/describe/class.hpp>
#include <mutex>
#include <optional>

#include "api/shared/hold_back.h"
#include "json/read.h"
#include "json/write.h"

namespace berth::api {
namespace terminal {

struct Command {
  std::string type;
  std::optional<std::string> data;
  std::optional<std::uint16_t> cols;
  std::optional<std::uint16_t> rows;
};
BOOST_DESCRIBE_STRUCT(Command, (), (type, data, cols, rows))

struct Exit {
  std::string type = "exit";
  std::optional<int> code;
};
BOOST_DESCRIBE_STRUCT(Exit, (), (type, code))

struct Failure {
  std::string type = "error";
  std::string detail;
};
BOOST_DESCRIBE_STRUCT(Failure, (), (type, detail))

/// Input typed before the terminal is there.
constexpr std::size_t kEarlyInput = 64UL * 1024;

/// Between a browser and a guest. Both sides keep it alive; either side's end ends the other.
class Session final : public WatchedSocket,
                      public compute::TerminalOutput,
                      public std::enable_shared_from_this<Session> {
 public:
  Session(OpenTerminal open, WorkerPool& pool, ErrorWords words)
      : open_(std::move(open)), pool_(pool), words_(std::move(words)) {}

  void on_open(std::shared_ptr<http::WebSocket> socket) override {
    {
      const std::lock_guard lock(mutex_);
      socket_ = std::move(socket);
    }
    const bool taken = pool_.submit([self = shared_from_this()] { self->begin(); });
    if (!taken) {
      fail(Error(ErrorCode::exhausted, "server.overloaded",
                 {"服务繁忙，请稍后重试", "The server is busy; try again shortly"}));
    }
  }

  void on_message(std::string_view message, http::Frame frame) override {
    if (frame == http::Frame::binary) return input(message);
    const auto command = json::from_json<Command>(message);
    if (!command) return;
    if (command->type == "input" && command->data) return input(*command->data);
    if (command->type == "resize" && command->cols && command->rows) resize({*command->cols, *command->rows});
  }

  void on_drained() override { hold_back_.drained(); }

  void on_close() override {
    std::shared_ptr<compute::Terminal> held;
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      socket_.reset();
      held = std::move(terminal_);
    }
    if (held) held->close();
  }

  void dismiss(const Farewell& farewell) override {
    std::shared_ptr<http::WebSocket> target;
    std::shared_ptr<compute::Terminal> held;
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      target = socket_;
      held = std::move(terminal_);
    }
    if (target) target->close(farewell.code, farewell.reason);
    if (held) held->close();
  }

  void on_output(std::string_view bytes) override {
    const auto target = socket();
    if (!target) return;
    target->send(std::make_shared<const std::string>(bytes), http::Frame::binary);
    hold_back_.sent(*target);
  }

  void on_end(std::optional<int> exit_code) override {
    const auto target = socket();
    {
      const std::lock_guard lock(mutex_);
      terminal_.reset();
    }
    if (!target) return;
    target->send(std::make_shared<const std::string>(json::to_json(Exit{"exit", exit_code})), http::Frame::text);
    target->close(close_code::kNormal, "ended");
  }

 private:
  void begin() {
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return;
    }
    auto opened = open_(shared_from_this());
    if (!opened) return fail(opened.error());
    std::string early;
    std::optional<compute::TerminalSize> size;
    bool gone = false;
    {
      const std::lock_guard lock(mutex_);
      gone = closed_;
      if (!gone) terminal_ = *opened;
      early = std::exchange(early_input_, {});
      size = early_size_;
    }
    if (gone) return (*opened)->close();
    const std::weak_ptr<compute::Terminal> source = *opened;
    const auto tell = [source](void (compute::Terminal::*what)()) {
      return [source, what] {
        if (const auto held = source.lock()) ((*held).*what)();
      };
    };
    hold_back_.attach(tell(&compute::Terminal::pause_output), tell(&compute::Terminal::resume_output));
    if (size) (*opened)->resize(*size);
    if (!early.empty()) (*opened)->write(early);
  }

  void input(std::string_view bytes) {
    std::shared_ptr<compute::Terminal> held;
    {
      const std::lock_guard lock(mutex_);
      held = terminal_;
      if (!held && early_input_.size() + bytes.size() <= kEarlyInput) early_input_ += bytes;
    }
    if (held) held->write(bytes);
  }

  void resize(compute::TerminalSize size) {
    if (size.columns == 0 || size.rows == 0) return;
    std::shared_ptr<compute::Terminal> held;
    {
      const std::lock_guard lock(mutex_);
      held = terminal_;
      if (!held) early_size_ = size;
    }
    if (held) held->resize(size);
  }

  void fail(const Error& error) {
    if (const auto target = socket()) close_failed(*target, words_(error));
  }

  std::shared_ptr<http::WebSocket> socket() const {
    const std::lock_guard lock(mutex_);
    return socket_;
  }

  OpenTerminal open_;
  WorkerPool& pool_;
  ErrorWords words_;
  HoldBack hold_back_;
  mutable std::mutex mutex_;
  std::shared_ptr<http::WebSocket> socket_;
  std::shared_ptr<compute::Terminal> terminal_;
  std::string early_input_;
  std::optional<compute::TerminalSize> early_size_;
  bool closed_ = false;
};

}  // namespace terminal

std::shared_ptr<WatchedSocket> make_terminal_socket(OpenTerminal open, WorkerPool& pool, ErrorWords words) {
  return std::make_shared<terminal::Session>(std::move(open), pool, std::move(words));
}

void close_failed(http::WebSocket& socket, const std::string& words) {
  socket.send(std::make_shared<const std::string>(json::to_json(terminal::Failure{"error", words})), http::Frame::text);
  socket.close(close_code::kInternal, "failed");
}

}  // namespace berth::api
