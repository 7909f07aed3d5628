#include "drivers/docker/event_stream.h"

#include <algorithm>
#include <random>

#include "base/log.h"
#include "drivers/docker/line_reader.h"

namespace berth::drivers::docker {
namespace {

using compute::EngineEvent;
using std::chrono::milliseconds;

constexpr milliseconds kConnectTime{5000};
constexpr milliseconds kSignOfLife{5000};
constexpr milliseconds kFirstPause{100};
constexpr milliseconds kLongestPause{5000};

/// {"type":["container"]}
constexpr std::string_view kTarget = "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D";

}  // namespace

std::optional<ContainerEvent> decode_event(std::string_view line) {
  const auto document = json::Document::parse(line);
  if (!document) return std::nullopt;
  const json::View message = document->root();
  if (message["Type"].string() != "container") return std::nullopt;
  const json::View attributes = message["Actor"]["Attributes"];
  ContainerEvent decoded;
  decoded.id = message["Actor"]["ID"].string_or("");
  decoded.event.instance = attributes["name"].string_or("");
  if (decoded.event.instance.empty()) return std::nullopt;
  const std::string_view action = message["Action"].string().value_or("");
  if (action == "destroy" || action == "remove") {  // Podman's word is the second
    decoded.event.kind = EngineEvent::Kind::removed;
    return decoded;
  }
  if (action == "rename") {
    std::string old_name = attributes["oldName"].string_or("");
    if (old_name.starts_with('/')) old_name.erase(0, 1);
    if (old_name.empty()) return decoded;
    decoded.event.kind = EngineEvent::Kind::renamed;
    decoded.event.new_name = std::exchange(decoded.event.instance, std::move(old_name));
    return decoded;
  }
  for (const std::string_view telling : {"create", "start", "restart", "stop", "die", "died", "kill", "oom", "pause",
                                         "unpause", "update", "cleanup", "init"}) {
    if (action == telling) return decoded;
  }
  return std::nullopt;  // commands, copies, checks of health: nothing that is shown
}

/// Passes on what one connection brings. Its calls come from the client's thread.
class EventStream::Receiver : public http::StreamHandler {
 public:
  explicit Receiver(EventStream& stream) : stream_(stream) {}

  void on_open() override {
    stream_.seen_("");
    stream_.watcher_.on_gap();
  }
  void on_data(std::string_view bytes) override {
    lines_.feed(bytes, [this](std::string_view line) {
      const auto decoded = decode_event(line);
      if (!decoded) return;
      stream_.seen_(decoded->id);
      stream_.watcher_.on_event(decoded->event);
    });
  }
  void on_end(const Result<void>& /*outcome*/) override {
    const std::lock_guard lock(stream_.mutex_);
    ended_ = true;
    stream_.wake_.notify_all();
  }
  /// Under the stream's mutex.
  bool ended() const { return ended_; }

 private:
  EventStream& stream_;
  LineSplitter lines_;
  bool ended_ = false;
};

EventStream::EventStream(Api& api, compute::EngineWatcher& watcher, std::function<void(std::string_view id)> seen)
    : api_(api.endpoint(), api.link()), watcher_(watcher), seen_(std::move(seen)), client_("docker-events"), thread_([this] {
        run();
      }) {}

EventStream::~EventStream() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    wake_.notify_all();
  }
  api_.stop();
  client_.stop();
  thread_.join();
}

void EventStream::run() {
  std::minstd_rand random(std::random_device{}());
  milliseconds wait = kFirstPause;
  bool told = false;
  while (true) {
    if (serve()) {
      wait = kFirstPause;
      told = false;
      log::info("docker", "the engine's event stream ended, connecting anew");
    } else if (!std::exchange(told, true)) {
      log::warning("docker", "no event stream from the engine, trying on");
    }
    std::uniform_int_distribution<milliseconds::rep> jitter(wait.count() / 2, wait.count());
    if (!pause(milliseconds(jitter(random)))) return;
    wait = std::min(wait * 2, kLongestPause);
  }
}

bool EventStream::serve() {
  const auto receiver = std::make_shared<Receiver>(*this);
  const auto stream =
      api_.open(client_, http::Method::get, kTarget, {}, false, receiver, {}, Deadline::after(kConnectTime));
  if (!stream) {
    log::debug("docker", "event stream: {}", stream.error().describe());
    return false;
  }
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, kSignOfLife, [&] { return ending_ || receiver->ended(); })) {
    lock.unlock();
    const bool lives = api_.ask_version(Deadline::after(kSignOfLife)).has_value();
    lock.lock();
    if (!lives) break;
  }
  // The lock must go first: ending the connection waits for a call of the receiver, which takes it.
  lock.unlock();
  return true;
}

bool EventStream::pause(milliseconds wait) {
  std::unique_lock lock(mutex_);
  return !wake_.wait_for(lock, wait, [this] { return ending_; });
}

}  // namespace berth::drivers::docker
