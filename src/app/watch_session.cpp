#include "app/watch_session.h"

#include <fmt/format.h>

#include <boost/describe/class.hpp>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <ostream>
#include <thread>

#include "app/instance_tables.h"
#include "http/websocket_client.h"
#include "json/read.h"

namespace berth::app {
namespace {

namespace wire = api::lxd_panel;

constexpr std::chrono::seconds kConnectTime{10};
constexpr std::chrono::seconds kSilence{30};
constexpr std::chrono::seconds kTryAgain{2};
/// Moves to the top left and clears from there to the end of the screen.
constexpr std::string_view kRedraw = "\x1b[H\x1b[J";

struct MonitorData {
  std::vector<wire::MonitoredInstance> instances;
  wire::HostInfo host;
};
BOOST_DESCRIBE_STRUCT(MonitorData, (), (instances, host))

struct MonitorMessage {
  std::string timestamp;
  MonitorData data;
};
BOOST_DESCRIBE_STRUCT(MonitorMessage, (), (timestamp, data))

/// Hands the newest message from the connection's thread to the one that draws.
class Mailbox final : public http::WebSocketHandler {
 public:
  void on_open(std::shared_ptr<http::WebSocket>) override {}
  void on_message(std::string_view message, http::Frame) override {
    {
      const std::lock_guard lock(mutex_);
      newest_ = std::string(message);
    }
    changed_.notify_one();
  }
  void on_close() override {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    changed_.notify_one();
  }

  /// Waits for a message; nothing once the connection is closed.
  std::optional<std::string> take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || newest_; });
    return std::exchange(newest_, std::nullopt);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<std::string> newest_;
  bool closed_ = false;
};

std::string drawing(const MonitorMessage& message, bool colours) {
  const auto& host = message.data.host;
  return fmt::format("{}  cpu {:.1f} % of {}  memory {} / {} MiB  disk {} / {} GiB\n\n{}", printable(message.timestamp),
                     host.cpu_percent, host.cpu_cores, host.memory_used, host.memory_total, host.disk_used,
                     host.disk_total, watch_table(message.data.instances).text(colours));
}

void follow(Mailbox& mailbox, Console& console, bool json) {
  while (const auto text = mailbox.take()) {
    if (json) {
      console.out << *text << "\n" << std::flush;
      continue;
    }
    const auto message = json::from_json<MonitorMessage>(*text);
    if (!message) continue;  // of a kind that a newer daemon may add
    if (console.colours) console.out << kRedraw;
    console.out << drawing(*message, console.colours) << std::flush;
  }
}

}  // namespace

Result<void> watch_instances(ApiClient& client, Console& console, bool json) {
  http::WebSocketClient connector("watch");
  bool connected_before = false;
  while (console.out) {
    // A refused upgrade does not say why, and a token that ran out can be renewed.
    BERTH_CHECK(client.renew_if_needed());
    const auto mailbox = std::make_shared<Mailbox>();
    const auto connection = connector.connect(client.endpoint(), client.target("/ws/monitor"), client.headers(),
                                              mailbox, Deadline::after(kConnectTime), kSilence);
    if (connection) {
      connected_before = true;
      follow(*mailbox, console, json);
    } else if (!connected_before) {
      // The plain request tells in words what the upgrade's status means.
      if (const auto reason = client.get("/api/instances?limit=1"); !reason) return reason.error();
      return connection.error();
    }
    if (!console.out) break;
    console.err << console.say({"连接中断，正在重连…\n", "connection lost, connecting again…\n"}) << std::flush;
    std::this_thread::sleep_for(kTryAgain);
  }
  return {};
}

}  // namespace berth::app
