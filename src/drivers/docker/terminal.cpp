#include "drivers/docker/terminal.h"

#include <fmt/format.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "drivers/docker/command.h"
#include "drivers/docker/decode.h"
#include "drivers/docker/frames.h"

namespace berth::drivers::docker {
namespace {

using StreamPointer = std::shared_ptr<http::StreamClient::Stream>;
using std::chrono::milliseconds;

constexpr milliseconds kExitCodeTime{10'000};
constexpr milliseconds kResizeTime{5000};
constexpr milliseconds kKillTime{5000};
constexpr std::size_t kOutputLimit = 1UL << 20U;
constexpr std::string_view kDetachKeys = "ctrl-_%2Cctrl-_%2Cctrl-%40%2Cctrl-%40";

/// One open terminal. Lives until its connection has ended and the end was told, whoever holds it.
class Session : public http::StreamHandler, public std::enable_shared_from_this<Session> {
 public:
  /// `command` is nothing for a console. `resize_path` takes new sizes; "" where there is no terminal behind.
  Session(Api& api, WorkerPool& helpers, std::optional<Command> command, std::string resize_path, bool raw,
          std::shared_ptr<compute::TerminalOutput> output)
      : api_(api),
        helpers_(helpers),
        command_(std::move(command)),
        resize_path_(std::move(resize_path)),
        frames_(raw),
        output_(std::move(output)) {}

  void attach(StreamPointer stream) {
    const std::lock_guard lock(mutex_);
    if (!ended_) stream_ = std::move(stream);  // else the command has ended already
  }

  void write(std::string_view bytes) {
    if (const auto stream = this->stream()) stream->send(std::string(bytes));
  }
  void pause() {
    if (const auto stream = this->stream()) stream->pause();
  }
  void resume() {
    if (const auto stream = this->stream()) stream->resume();
  }
  void resize(compute::TerminalSize size) {
    if (resize_path_.empty()) return;
    {
      const std::lock_guard lock(mutex_);
      if (ended_) return;
      // Only the newest size matters: one helper at a time takes it along.
      if (std::exchange(size_, size)) return;
    }
    (void)helpers_.submit([self = shared_from_this()] { self->send_size(); });
  }
  void close() {
    if (cut_off_.exchange(true)) return;
    const auto stream = this->stream();
    if (stream == nullptr) return;
    if (command_) {
      (void)helpers_.submit(
          [self = shared_from_this()] { kill_command(self->api_, *self->command_, Deadline::after(kKillTime)); });
    }
    stream->close();
  }

  void on_data(std::string_view bytes) override {
    frames_.feed(bytes, [this](FrameReader::Stream, std::string_view part) { output_->on_output(part); });
  }
  void on_end(const Result<void>& /*outcome*/) override {
    const bool taken = helpers_.submit([self = shared_from_this()] { self->finish(true); });
    if (!taken) finish(false);
  }

 private:
  StreamPointer stream() {
    const std::lock_guard lock(mutex_);
    return stream_;
  }

  void send_size() {
    std::optional<compute::TerminalSize> size;
    {
      const std::lock_guard lock(mutex_);
      size = std::exchange(size_, std::nullopt);
    }
    if (!size) return;
    (void)api_.call(http::Method::post, fmt::format("{}/resize?h={}&w={}", resize_path_, size->rows, size->columns), {},
                    Subject::of_exec(), Deadline::after(kResizeTime));
  }

  void finish(bool may_wait) {
    std::optional<int> code;
    if (may_wait && command_ && !cut_off_)
      code = wait_for_exit_code(api_, command_->id, Deadline::after(kExitCodeTime));
    output_->on_end(code);
    StreamPointer stream;
    const std::lock_guard lock(mutex_);
    ended_ = true;
    stream.swap(stream_);
  }

  Api& api_;
  WorkerPool& helpers_;
  const std::optional<Command> command_;
  const std::string resize_path_;
  FrameReader frames_;  // on the streams' thread only
  const std::shared_ptr<compute::TerminalOutput> output_;
  std::atomic<bool> cut_off_{false};
  std::mutex mutex_;
  bool ended_ = false;
  std::optional<compute::TerminalSize> size_;
  StreamPointer stream_;
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

/// Takes in the output of a command until its end.
class Collector : public http::StreamHandler {
 public:
  void on_data(std::string_view bytes) override {
    const std::lock_guard lock(mutex_);
    sound_ = sound_ && frames_.feed(bytes, [this](FrameReader::Stream stream, std::string_view part) {
      std::string& text =
          stream == FrameReader::Stream::standard_error ? outcome_.standard_error : outcome_.standard_output;
      const std::size_t room = kOutputLimit - text.size();
      outcome_.truncated = outcome_.truncated || part.size() > room;
      text.append(part.substr(0, room));
    });
  }
  void on_end(const Result<void>& outcome) override {
    const std::lock_guard lock(mutex_);
    end_ = outcome;
    ended_.notify_all();
  }

  /// Errors: those of the connection; deadline_exceeded "engine.timeout".
  Result<compute::ExecOutcome> wait(Deadline deadline) {
    std::unique_lock lock(mutex_);
    if (!ended_.wait_until(lock, deadline.at(), [this] { return end_.has_value(); })) {
      return Error(ErrorCode::deadline_exceeded, "engine.timeout",
                   {"命令未在限定时间内结束", "The command did not end in time"});
    }
    if (!*end_) return translate(end_->error());
    if (!sound_) return nonsense("output that is not made of frames");
    return std::move(outcome_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  FrameReader frames_{false};
  bool sound_ = true;
  compute::ExecOutcome outcome_;
  std::optional<Result<void>> end_;
};

}  // namespace

Terminals::Terminals(Api& api)
    : api_(api), streams_("docker-terms"), helpers_({.name = "docker-terms", .threads = 4, .queue_limit = 10'000}) {}

Terminals::~Terminals() {
  streams_.stop();
  helpers_.drain();
}

Result<std::shared_ptr<compute::Terminal>> Terminals::exec(const std::string& instance,
                                                           const compute::ExecRequest& request,
                                                           std::shared_ptr<compute::TerminalOutput> output,
                                                           Deadline deadline) {
  Command command = BERTH_TRY(make_command(api_, instance, request, true, deadline));
  const std::string path = path_of_exec(command.id);
  const auto session = std::make_shared<Session>(api_, helpers_, std::move(command), path, true, std::move(output));
  auto stream = BERTH_TRY(api_.open(streams_, http::Method::post, path + "/start", start_body(true, false), true,
                                    session, Subject::of_exec(), deadline));
  session->attach(std::move(stream));
  session->resize(request.size);
  return std::shared_ptr<compute::Terminal>(std::make_shared<Handle>(session));
}

Result<std::shared_ptr<compute::Terminal>> Terminals::console(const std::string& instance, compute::TerminalSize size,
                                                              std::shared_ptr<compute::TerminalOutput> output,
                                                              Deadline deadline) {
  const auto subject = Subject::of_container(instance);
  const std::string path = BERTH_TRY(api_.container_path(instance, deadline));
  const auto document = BERTH_TRY(api_.get(path + "/json", subject, deadline));
  // Docker would wait for it to start.
  if (decode_status(document.root()["State"]["Status"].string().value_or("")) != compute::Status::running) {
    return Error(ErrorCode::conflict, "instance.state", {"容器未在运行", "The container is not running"});
  }
  const bool raw = document.root()["Config"]["Tty"].boolean().value_or(false);
  const auto session =
      std::make_shared<Session>(api_, helpers_, std::nullopt, raw ? path : std::string(), raw, std::move(output));
  auto stream = BERTH_TRY(api_.open(
      streams_, http::Method::post,
      fmt::format("{}/attach?stream=true&stdin=true&stdout=true&stderr=true&detachKeys={}", path, kDetachKeys), {},
      true, session, subject, deadline));
  session->attach(std::move(stream));
  session->resize(size);
  return std::shared_ptr<compute::Terminal>(std::make_shared<Handle>(session));
}

Result<compute::ExecOutcome> Terminals::run(const std::string& instance, const compute::ExecRequest& request,
                                            Deadline deadline) {
  const Command command = BERTH_TRY(make_command(api_, instance, request, false, deadline));
  const auto collector = std::make_shared<Collector>();
  const auto kill = [&] {
    (void)helpers_.submit([&api = api_, command] { kill_command(api, command, Deadline::after(kKillTime)); });
  };
  const auto stream = api_.open(streams_, http::Method::post, path_of_exec(command.id) + "/start",
                                start_body(false, false), true, collector, Subject::of_exec(), deadline);
  if (!stream) {
    kill();
    return stream.error();
  }
  auto outcome = collector->wait(deadline);
  if (!outcome) {
    kill();
    return outcome;
  }
  const auto code = wait_for_exit_code(api_, command.id, deadline.sooner(kExitCodeTime));
  if (!code) return deadline.expired() ? timed_out() : nonsense("a command that ended without a code");
  outcome->exit_code = *code;
  return outcome;
}

}  // namespace berth::drivers::docker
