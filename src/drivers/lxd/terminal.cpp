#include "drivers/lxd/terminal.h"

#include <fmt/format.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "drivers/lxd/request_body.h"
#include "json/write.h"

namespace berth::drivers::lxd {
namespace {

using ConnectionPointer = std::shared_ptr<http::WebSocketClient::Connection>;
using std::chrono::milliseconds;

constexpr milliseconds kSilence{30'000};
constexpr milliseconds kExitCodeTime{10'000};
constexpr milliseconds kLastOutputTime{2000};
constexpr std::size_t kOutputLimit = 1UL << 20U;
constexpr std::uint16_t kNormalClosure = 1000;

http::Payload control_message(const Body& body) {
  return std::make_shared<const std::string>(json::to_json(body));
}

http::Payload resize_message(compute::TerminalSize size) {
  return control_message(
      {{"command", "window-resize"},
       {"args", StringMap{{"width", std::to_string(size.columns)}, {"height", std::to_string(size.rows)}}}});
}

http::Payload kill_message() {
  constexpr std::int64_t kKill = 9;
  return control_message({{"command", "signal"}, {"signal", kKill}});
}

std::string wait_path(const std::string& operation, std::chrono::seconds wait) {
  return fmt::format("/operations/{}/wait?timeout={}", http::percent_encode(operation), wait.count());
}

/// The sockets of an operation, by name: "0" and "control", or "0", "1", "2" and "control".
class OperationSockets {
 public:
  OperationSockets(Api& api, http::WebSocketClient& client, const Answer& started)
      : api_(api), client_(client), operation_(started.operation()), secrets_(started.metadata()["metadata"]["fds"]) {}

  Result<ConnectionPointer> connect(std::string_view socket, std::shared_ptr<http::WebSocketHandler> handler,
                                    Deadline deadline) {
    const auto secret = secrets_[socket].string();
    if (!secret) return nonsense(fmt::format("an operation without a socket '{}'", socket));
    const std::string path = fmt::format("/operations/{}/websocket?secret={}", http::percent_encode(operation_),
                                         http::percent_encode(*secret));
    auto connection = client_.connect(api_.endpoint(), api_.target(path), {}, std::move(handler), deadline, kSilence);
    if (!connection) return translate(connection.error());
    return std::move(*connection);
  }
  const std::string& operation() const { return operation_; }

 private:
  Api& api_;
  http::WebSocketClient& client_;
  std::string operation_;
  json::View secrets_;
};

/// For sockets on which nothing is expected.
class DeafHandler : public http::WebSocketHandler {
 public:
  void on_open(std::shared_ptr<http::WebSocket> /*socket*/) override {}
  void on_message(std::string_view /*message*/, http::Frame /*frame*/) override {}
  void on_close() override {}
};

/// One open terminal. Lives until its data socket has closed and the end was told, whoever holds it.
class Session : public http::WebSocketHandler, public std::enable_shared_from_this<Session> {
 public:
  Session(Api& api, WorkerPool& finishers, std::string operation, bool has_exit_code,
          std::shared_ptr<compute::TerminalOutput> output)
      : api_(api),
        finishers_(finishers),
        operation_(std::move(operation)),
        has_exit_code_(has_exit_code),
        output_(std::move(output)) {}

  void attach(ConnectionPointer data, ConnectionPointer control) {
    const std::lock_guard lock(mutex_);
    if (closed_) return;  // the command has ended already
    data_ = std::move(data);
    control_ = std::move(control);
  }

  void write(std::string_view bytes) {
    if (bytes.empty()) return;
    if (const auto data = data_socket()) data->send(std::make_shared<const std::string>(bytes), http::Frame::binary);
  }
  void resize(compute::TerminalSize size) {
    if (const auto control = control_socket()) control->send(resize_message(size), http::Frame::text);
  }
  void pause() {
    if (const auto data = data_socket()) data->pause_reading();
  }
  void resume() {
    if (const auto data = data_socket()) data->resume_reading();
  }
  void close() {
    cut_off_ = true;
    if (const auto control = control_socket()) {
      if (has_exit_code_) control->send(kill_message(), http::Frame::text);
      control->close(kNormalClosure, "");
    }
    if (const auto data = data_socket()) data->close(kNormalClosure, "");
  }

  void on_open(std::shared_ptr<http::WebSocket> socket) override { socket_ = std::move(socket); }
  void on_message(std::string_view message, http::Frame frame) override {
    if (!message.empty()) return output_->on_output(message);
    // So LXD marks the end of the output; it leaves the closing to us.
    if (frame == http::Frame::text) socket_->close(kNormalClosure, "");
  }
  void on_close() override {
    socket_.reset();
    const bool taken = finishers_.submit([self = shared_from_this()] { self->finish(); });
    if (!taken) output_->on_end(std::nullopt);
  }

 private:
  ConnectionPointer data_socket() {
    const std::lock_guard lock(mutex_);
    return data_;
  }
  ConnectionPointer control_socket() {
    const std::lock_guard lock(mutex_);
    return control_;
  }

  void finish() {
    output_->on_end(exit_code());
    ConnectionPointer data;
    ConnectionPointer control;
    const std::lock_guard lock(mutex_);
    closed_ = true;
    data.swap(data_);
    control.swap(control_);
  }

  std::optional<int> exit_code() {
    if (!has_exit_code_ || cut_off_) return std::nullopt;
    const auto wait = std::chrono::duration_cast<std::chrono::seconds>(kExitCodeTime);
    const auto answer = api_.get(wait_path(operation_, wait), Subject::of_operation(operation_),
                                 Deadline::after(kExitCodeTime + milliseconds(2000)));
    if (!answer) return std::nullopt;
    const auto code = answer->metadata()["metadata"]["return"].integer();
    if (!code) return std::nullopt;
    return static_cast<int>(*code);
  }

  Api& api_;
  WorkerPool& finishers_;
  const std::string operation_;
  const bool has_exit_code_;
  const std::shared_ptr<compute::TerminalOutput> output_;
  std::atomic<bool> cut_off_{false};
  std::shared_ptr<http::WebSocket> socket_;  // on the sockets' thread only
  std::mutex mutex_;
  bool closed_ = false;
  ConnectionPointer data_;
  ConnectionPointer control_;
};

/// What the caller holds: letting go of it closes the terminal.
class Handle : public compute::Terminal {
 public:
  explicit Handle(std::shared_ptr<Session> session) : session_(std::move(session)) {}
  ~Handle() override { session_->close(); }
  void write(std::string_view bytes) override { session_->write(bytes); }
  void resize(compute::TerminalSize size) override { session_->resize(size); }
  void pause_output() override { session_->pause(); }
  void resume_output() override { session_->resume(); }
  void close() override { session_->close(); }

 private:
  std::shared_ptr<Session> session_;
};

/// Takes in one output stream of a command until its end.
class Collector : public http::WebSocketHandler {
 public:
  void on_open(std::shared_ptr<http::WebSocket> /*socket*/) override {}
  void on_message(std::string_view message, http::Frame frame) override {
    const std::lock_guard lock(mutex_);
    if (message.empty() && frame == http::Frame::text) return end();
    const std::size_t room = kOutputLimit - text_.size();
    truncated_ = truncated_ || message.size() > room;
    text_.append(message.substr(0, room));
  }
  void on_close() override {
    const std::lock_guard lock(mutex_);
    end();
  }

  void wait_for_end(Deadline deadline) {
    std::unique_lock lock(mutex_);
    ended_.wait_until(lock, deadline.at(), [this] { return has_ended_; });
  }
  std::string take_text() {
    const std::lock_guard lock(mutex_);
    return std::move(text_);
  }
  bool truncated() {
    const std::lock_guard lock(mutex_);
    return truncated_;
  }

 private:
  void end() {
    has_ended_ = true;
    ended_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable ended_;
  std::string text_;
  bool truncated_ = false;
  bool has_ended_ = false;
};

Body exec_body(const compute::ExecRequest& request, bool interactive) {
  StringMap environment(request.environment.begin(), request.environment.end());
  if (interactive) environment.try_emplace("TERM", "xterm-256color");
  Body body{{"command", request.command},
            {"environment", std::move(environment)},
            {"interactive", interactive},
            {"wait-for-websocket", true}};
  if (interactive) {
    body["width"] = std::int64_t{request.size.columns};
    body["height"] = std::int64_t{request.size.rows};
  }
  if (!request.working_directory.empty()) body["cwd"] = request.working_directory;
  if (request.user_id) body["user"] = std::int64_t{*request.user_id};
  return body;
}

}  // namespace

Terminals::Terminals(Api& api)
    : api_(api), sockets_("lxd-terminals"), finishers_({.name = "lxd-finish", .threads = 2, .queue_limit = 10'000}) {}

Terminals::~Terminals() {
  sockets_.stop();
  finishers_.drain();
}

Result<std::shared_ptr<compute::Terminal>> Terminals::open(const Answer& started, bool has_exit_code,
                                                           std::shared_ptr<compute::TerminalOutput> output,
                                                           Deadline deadline) {
  OperationSockets sockets(api_, sockets_, started);
  auto session = std::make_shared<Session>(api_, finishers_, sockets.operation(), has_exit_code, std::move(output));
  // The control socket first: once the data socket stands, output may come and the end may be told.
  auto control = BERTH_TRY(sockets.connect("control", std::make_shared<DeafHandler>(), deadline));
  auto data = BERTH_TRY(sockets.connect("0", session, deadline));
  session->attach(std::move(data), std::move(control));
  return std::shared_ptr<compute::Terminal>(std::make_shared<Handle>(std::move(session)));
}

Result<std::shared_ptr<compute::Terminal>> Terminals::exec(const std::string& instance,
                                                           const compute::ExecRequest& request,
                                                           std::shared_ptr<compute::TerminalOutput> output,
                                                           Deadline deadline) {
  BERTH_CHECK(check_instance(instance));
  const Answer started =
      BERTH_TRY(api_.call(http::Method::post, instance_path(instance) + "/exec",
                          json::to_json(exec_body(request, true)), Subject::of_instance(instance), deadline));
  return open(started, true, std::move(output), deadline);
}

Result<std::shared_ptr<compute::Terminal>> Terminals::console(const std::string& instance, compute::TerminalSize size,
                                                              std::shared_ptr<compute::TerminalOutput> output,
                                                              Deadline deadline) {
  BERTH_CHECK(check_instance(instance));
  const Body body{{"type", "console"}, {"width", std::int64_t{size.columns}}, {"height", std::int64_t{size.rows}}};
  const Answer started = BERTH_TRY(api_.call(http::Method::post, instance_path(instance) + "/console",
                                             json::to_json(body), Subject::of_instance(instance), deadline));
  return open(started, false, std::move(output), deadline);
}

Result<compute::ExecOutcome> Terminals::run(const std::string& instance, const compute::ExecRequest& request,
                                            Deadline deadline) {
  BERTH_CHECK(check_instance(instance));
  const Subject subject = Subject::of_instance(instance);
  const Answer started = BERTH_TRY(api_.call(http::Method::post, instance_path(instance) + "/exec",
                                             json::to_json(exec_body(request, false)), subject, deadline));
  OperationSockets sockets(api_, sockets_, started);
  const auto standard_output = std::make_shared<Collector>();
  const auto standard_error = std::make_shared<Collector>();
  const auto deaf = std::make_shared<DeafHandler>();
  const auto control = BERTH_TRY(sockets.connect("control", deaf, deadline));
  const auto output = BERTH_TRY(sockets.connect("1", standard_output, deadline));
  const auto error = BERTH_TRY(sockets.connect("2", standard_error, deadline));
  const auto input = BERTH_TRY(sockets.connect("0", deaf, deadline));
  input->close(kNormalClosure, "");

  const auto kill = [&control] {
    control->send(kill_message(), http::Frame::text);
    control->close(kNormalClosure, "");
  };
  while (true) {
    auto answer = api_.get(wait_path(sockets.operation(), std::chrono::seconds(1)),
                           Subject::of_operation(sockets.operation()), deadline);
    if (!answer) {
      kill();
      return take_error(answer);
    }
    const json::View state = answer->metadata();
    const auto status = state["status_code"].integer();
    if (!status) return nonsense("an operation without status_code");
    if (*status < 200) {
      if (!deadline.expired()) continue;
      kill();
      return Error(ErrorCode::deadline_exceeded, "engine.timeout",
                   {"命令未在限定时间内结束", "The command did not end in time"});
    }
    const auto code = state["metadata"]["return"].integer();
    if (!code && *status != 200) return translate(*status, state["err"].string().value_or(""), subject);
    const Deadline last = deadline.sooner(kLastOutputTime);
    standard_output->wait_for_end(last);
    standard_error->wait_for_end(last);
    compute::ExecOutcome outcome;
    outcome.exit_code = static_cast<int>(code.value_or(0));
    outcome.truncated = standard_output->truncated() || standard_error->truncated();
    outcome.standard_output = standard_output->take_text();
    outcome.standard_error = standard_error->take_text();
    return outcome;
  }
}

}  // namespace berth::drivers::lxd
