#include "drivers/lxd/event_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "base/log.h"
#include "http/message.h"
#include "json/document.h"

namespace berth::drivers::lxd {
namespace {

using compute::EngineEvent;
using std::chrono::milliseconds;

constexpr milliseconds kConnectTime{3000};
constexpr milliseconds kSilence{6000};
constexpr milliseconds kFirstPause{100};
constexpr milliseconds kLongestPause{5000};

/// The instance of "/1.0/instances/NAME[/…][?…]" (older: containers, virtual-machines); "" if it is none.
std::string instance_of(std::string_view path) {
  path = path.substr(0, path.find('?'));
  for (const std::string_view prefix : {"/1.0/instances/", "/1.0/containers/", "/1.0/virtual-machines/"}) {
    if (!path.starts_with(prefix)) continue;
    path.remove_prefix(prefix.size());
    return http::percent_decode(path.substr(0, path.find('/'))).value_or("");
  }
  return {};
}

std::vector<EngineEvent> decode_lifecycle(json::View metadata) {
  std::string_view action = metadata["action"].string().value_or("");
  std::string name = instance_of(metadata["source"].string().value_or(""));
  if (name.empty()) return {};
  if (action.ends_with("-renamed") && !action.ends_with("-snapshot-renamed")) {
    std::string old_name = metadata["context"]["old_name"].string_or("");
    if (old_name.empty()) return {{EngineEvent::Kind::changed, std::move(name), {}}};
    return {{EngineEvent::Kind::renamed, std::move(old_name), std::move(name)}};
  }
  if (action == "instance-deleted" || action == "container-deleted" || action == "virtual-machine-deleted") {
    return {{EngineEvent::Kind::removed, std::move(name), {}}};
  }
  // Looking at a log or running a command changes nothing that is shown.
  for (const std::string_view quiet :
       {"-exec", "-console", "-log-retrieved", "-file-retrieved", "-metadata-retrieved"}) {
    if (action.find(quiet) != std::string_view::npos) return {};
  }
  return {{EngineEvent::Kind::changed, std::move(name), {}}};
}

/// The end of an operation: only then is what it did visible in full.
std::vector<EngineEvent> decode_operation(json::View metadata) {
  if (metadata["class"].string() != "task") return {};
  if (metadata["status_code"].integer().value_or(0) < 200) return {};
  std::vector<EngineEvent> events;
  for (const auto& path : metadata["resources"]["instances"].elements()) {
    std::string name = instance_of(path.string().value_or(""));
    if (!name.empty()) events.push_back({EngineEvent::Kind::changed, std::move(name), {}});
  }
  return events;
}

}  // namespace

std::vector<EngineEvent> decode_event(std::string_view message, std::string_view project) {
  const auto document = json::Document::parse(message);
  if (!document) return {};
  const json::View event = document->root();
  // Servers without projects in their events have only the default one.
  if (event["project"].string().value_or(project) != project) return {};
  const auto type = event["type"].string();
  if (type == "lifecycle") return decode_lifecycle(event["metadata"]);
  if (type == "operation") return decode_operation(event["metadata"]);
  return {};
}

/// Passes on what one connection brings. Its calls come from the client's thread.
class EventStream::Receiver : public http::WebSocketHandler {
 public:
  explicit Receiver(EventStream& stream) : stream_(stream) {}

  void on_open(std::shared_ptr<http::WebSocket> /*socket*/) override { stream_.watcher_.on_gap(); }
  void on_message(std::string_view message, http::Frame /*frame*/) override {
    for (const auto& event : decode_event(message, stream_.project_)) stream_.watcher_.on_event(event);
  }
  void on_close() override {
    const std::lock_guard lock(stream_.mutex_);
    closed_ = true;
    stream_.wake_.notify_all();
  }
  /// Under the stream's mutex.
  bool closed() const { return closed_; }

 private:
  EventStream& stream_;
  bool closed_ = false;
};

EventStream::EventStream(const Api& api, compute::EngineWatcher& watcher)
    : endpoint_(api.endpoint()),
      project_(api.project()),
      target_(api.target("/events?type=lifecycle,operation")),
      watcher_(watcher),
      client_("lxd-events"),
      thread_([this] { run(); }) {}

EventStream::~EventStream() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    wake_.notify_all();
  }
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
      log::info("lxd", "the engine's event stream ended, connecting anew");
    } else if (!std::exchange(told, true)) {
      log::warning("lxd", "no event stream from the engine, trying on");
    }
    std::uniform_int_distribution<milliseconds::rep> jitter(wait.count() / 2, wait.count());
    if (!pause(milliseconds(jitter(random)))) return;
    wait = std::min(wait * 2, kLongestPause);
  }
}

bool EventStream::serve() {
  const auto receiver = std::make_shared<Receiver>(*this);
  const auto connection = client_.connect(endpoint_, target_, {}, receiver, Deadline::after(kConnectTime), kSilence);
  if (!connection) {
    log::debug("lxd", "event stream: {}", connection.error().describe());
    return false;
  }
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [&] { return ending_ || receiver->closed(); });
  // The lock must go first: ending the connection waits for a call of the receiver, which takes it.
  lock.unlock();
  return true;
}

bool EventStream::pause(milliseconds wait) {
  std::unique_lock lock(mutex_);
  return !wake_.wait_for(lock, wait, [this] { return ending_; });
}

}  // namespace berth::drivers::lxd
