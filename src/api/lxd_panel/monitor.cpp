#include "api/lxd_panel/monitor.h"

#include <pthread.h>

#include <atomic>
#include <vector>

#include "json/write.h"

namespace berth::api::lxd_panel {
namespace {

constexpr std::uint16_t kGoingAway = 1001;
/// Of the range that applications may use: the credential that opened the connection is no longer good.
constexpr std::uint16_t kUnauthenticated = 4401;

}  // namespace

/// One open monitor. It stays in the hub's list from `on_open` to `on_close`.
class Monitor::Client final : public http::WebSocketHandler, public std::enable_shared_from_this<Client> {
 public:
  Client(Monitor& monitor, Call call, Audience audience)
      : audience(std::move(audience)),
        credential(std::move(call.credential)),
        expires_at(call.principal->expires_at),
        caller(call.principal->actor),
        monitor_(monitor) {}

  ~Client() override { monitor_.leave(this); }

  void on_open(std::shared_ptr<http::WebSocket> opened) override {
    {
      const std::lock_guard lock(mutex_);
      socket_ = std::move(opened);
    }
    monitor_.greet(*this);
  }
  void on_message(std::string_view, http::Frame) override {}  // the document's clients only listen
  void on_close() override {
    const std::lock_guard lock(mutex_);
    socket_.reset();
  }

  std::shared_ptr<http::WebSocket> socket() const {
    const std::lock_guard lock(mutex_);
    return socket_;
  }

  const Audience audience;
  const std::string credential;
  const Timestamp expires_at;
  const std::string caller;

 private:
  Monitor& monitor_;
  mutable std::mutex mutex_;
  std::shared_ptr<http::WebSocket> socket_;
};

Monitor::Monitor(Settings settings, compute::InstanceService& instances, compute::Inventory& inventory,
                 const telemetry::HostMonitor& host, const Authenticator& authenticator, const Clock& clock,
                 metrics::Registry& metrics)
    : settings_(settings),
      instances_(instances),
      host_(host),
      authenticator_(authenticator),
      clock_(clock),
      push_seconds_(metrics.histogram("berth_monitor_push_seconds", "Time to put a monitor's messages together")),
      changed_(inventory.changed()) {}

Monitor::~Monitor() {
  stop();
}

void Monitor::start() {
  subscription_ = changed_.subscribe([this](const auto& before, const auto& now) {
    if (before->structure_revision == now->structure_revision) return;
    {
      const std::lock_guard lock(wake_mutex_);
      state_changed_ = true;
    }
    wake_.notify_one();
  });
  thread_ = std::thread([this] { run(); });
}

void Monitor::stop() {
  subscription_.reset();
  {
    const std::lock_guard lock(wake_mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
  std::vector<std::shared_ptr<Client>> all;
  {
    const std::lock_guard lock(clients_mutex_);
    for (auto& [key, client] : clients_) {
      if (auto alive = client.lock()) all.push_back(std::move(alive));
    }
  }
  for (const auto& client : all) {
    if (const auto socket = client->socket()) socket->close(kGoingAway, "shutting down");
  }
}

Result<std::shared_ptr<http::WebSocketHandler>> Monitor::open(const Call& call, const compute::Viewer& viewer) {
  const std::lock_guard lock(clients_mutex_);
  std::size_t& mine = per_caller_[call.principal->actor];
  if (mine >= settings_.clients_per_caller) {
    return Error(ErrorCode::rate_limited, "monitor.too_many",
                 {"监控连接过多，请先关闭一些", "Too many open monitors; close some first"})
        .with_retry_after(std::chrono::seconds(5));
  }
  ++mine;
  Audience audience{viewer.sees_all, viewer.sees_all ? std::string() : viewer.owner};
  auto client = std::make_shared<Client>(*this, call, std::move(audience));
  clients_.emplace(client.get(), client);
  return std::shared_ptr<http::WebSocketHandler>(std::move(client));
}

std::size_t Monitor::clients() const {
  const std::lock_guard lock(clients_mutex_);
  return clients_.size();
}

void Monitor::leave(Client* client) {
  const std::lock_guard lock(clients_mutex_);
  clients_.erase(client);
  const auto mine = per_caller_.find(client->caller);
  if (mine != per_caller_.end() && --mine->second == 0) per_caller_.erase(mine);
}

void Monitor::run() {
  pthread_setname_np(pthread_self(), "monitor");
  Instant next_tick = std::chrono::steady_clock::now() + settings_.tick;
  std::unique_lock lock(wake_mutex_);
  while (!stopping_) {
    wake_.wait_until(lock, next_tick, [this] { return stopping_ || state_changed_; });
    if (stopping_) return;
    if (state_changed_) {
      wake_.wait_for(lock, settings_.gather, [this] { return stopping_; });
      if (stopping_) return;
      state_changed_ = false;
    }
    lock.unlock();
    const Instant now = std::chrono::steady_clock::now();
    close_unwelcome();
    push();
    if (now >= next_tick) next_tick = now + settings_.tick;
    lock.lock();
  }
}

/// Ends connections whose credential ran out or was revoked since they were opened.
void Monitor::close_unwelcome() {
  const std::uint64_t epoch = authenticator_.epoch();
  const bool recheck = epoch != std::exchange(seen_epoch_, epoch);
  const Timestamp now = clock_.now();
  std::vector<std::shared_ptr<Client>> suspects;
  {
    const std::lock_guard lock(clients_mutex_);
    for (auto& [key, client] : clients_) {
      if (auto alive = client.lock(); alive && !alive->credential.empty()) suspects.push_back(std::move(alive));
    }
  }
  for (const auto& client : suspects) {
    const bool good = now < client->expires_at && (!recheck || authenticator_.settle_credential(client->credential));
    if (good) continue;
    if (const auto socket = client->socket()) socket->close(kUnauthenticated, "credential expired or revoked");
  }
}

void Monitor::refresh_fragments() {
  const compute::SnapshotPointer snapshot = instances_.snapshot();
  const HostTotals totals = totals_of(*host_.snapshot());
  if (fragments_.snapshot() == snapshot && totals == totals_) return;
  const bool reusable = totals == totals_;
  totals_ = totals;
  fragments_ = Fragments(
      snapshot, reusable ? fragments_ : Fragments(),
      [&totals](const compute::Instance& instance) { return json::to_json(monitored_of(instance, totals)); },
      [](const compute::Instance&, const compute::Instance&) { return false; });
}

http::Payload Monitor::message_for(const Audience& audience, const std::string& host, const std::string& time) {
  const auto& instances = fragments_.snapshot()->instances;
  const auto& texts = fragments_.texts();
  auto message = std::make_shared<std::string>();
  std::size_t size = 128 + host.size();
  for (const auto& text : texts) size += text->size() + 1;
  if (audience.sees_all) message->reserve(size);
  *message += R"({"type":"update","timestamp":")" + time + R"(","data":{"instances":[)";
  bool first = true;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (!audience.sees_all && (audience.owner.empty() || instances[i]->owner != audience.owner)) continue;
    if (!std::exchange(first, false)) message->push_back(',');
    *message += *texts[i];
  }
  *message += "],\"host\":" + host + "}}";
  return message;
}

void Monitor::push() {
  const Instant begun = std::chrono::steady_clock::now();
  std::vector<std::shared_ptr<Client>> all;
  {
    const std::lock_guard lock(clients_mutex_);
    all.reserve(clients_.size());
    for (auto& [key, client] : clients_) {
      if (auto alive = client.lock()) all.push_back(std::move(alive));
    }
  }
  if (all.empty()) return;
  const std::string host = json::to_json(host_info_of(*host_.snapshot()));
  const std::string time = format_local(clock_.now());
  std::map<Audience, http::Payload> messages;
  {
    const std::lock_guard lock(fragments_mutex_);
    refresh_fragments();
    for (const auto& client : all) {
      auto& message = messages[client->audience];
      if (!message) message = message_for(client->audience, host, time);
    }
  }
  push_seconds_.observe(std::chrono::steady_clock::now() - begun);
  for (const auto& client : all) {
    if (const auto socket = client->socket()) socket->offer(messages[client->audience]);
  }
}

void Monitor::greet(Client& client) {
  const std::string host = json::to_json(host_info_of(*host_.snapshot()));
  const std::string time = format_local(clock_.now());
  http::Payload message;
  {
    const std::lock_guard lock(fragments_mutex_);
    refresh_fragments();
    message = message_for(client.audience, host, time);
  }
  if (const auto socket = client.socket()) socket->offer(std::move(message));
}

}  // namespace berth::api::lxd_panel
