#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>

#include "api/lxd_panel/encode.h"
#include "api/lxd_panel/fragments.h"
#include "api/shared/authenticator.h"
#include "api/shared/call.h"
#include "compute/instance_service.h"
#include "http/websocket.h"
#include "metrics/registry.h"
#include "telemetry/host_monitor.h"

namespace berth::api::lxd_panel {

/// `/ws/monitor`: sends the state of all instances on connect, every tick, and as soon as one changes state.
/// A message is put together once for all viewers who see the same, from each instance's ready text; slow
/// readers get the newest state. Thread-safe.
class Monitor {
 public:
  struct Settings {
    std::chrono::milliseconds tick{5000};
    /// Changes that follow each other closely go out together.
    std::chrono::milliseconds gather{50};
    std::size_t clients_per_caller = 256;
  };

  Monitor(Settings settings, compute::InstanceService& instances, compute::Inventory& inventory,
          const telemetry::HostMonitor& host, const Authenticator& authenticator, const Clock& clock,
          metrics::Registry& metrics);
  ~Monitor();

  void start();
  /// Ends the thread and says goodbye to every client.
  void stop();

  /// A handler for one more client. Errors: rate_limited "monitor.too_many".
  Result<std::shared_ptr<http::WebSocketHandler>> open(const Call& call, const compute::Viewer& viewer);
  std::size_t clients() const;

 private:
  class Client;
  /// What viewers who see the same get.
  struct Audience {
    bool sees_all = false;
    std::string owner;
    auto operator<=>(const Audience&) const = default;
  };

  void run();
  void push();
  void close_unwelcome();
  http::Payload message_for(const Audience& audience, const std::string& host, const std::string& time);
  void refresh_fragments();
  void greet(Client& client);
  void leave(Client* client);

  Settings settings_;
  compute::InstanceService& instances_;
  const telemetry::HostMonitor& host_;
  const Authenticator& authenticator_;
  const Clock& clock_;
  metrics::Histogram& push_seconds_;
  Signal<const compute::SnapshotPointer&, const compute::SnapshotPointer&>& changed_;
  Signal<const compute::SnapshotPointer&, const compute::SnapshotPointer&>::Subscription subscription_;

  mutable std::mutex clients_mutex_;
  std::unordered_map<Client*, std::weak_ptr<Client>> clients_;
  std::map<std::string, std::size_t> per_caller_;

  std::mutex fragments_mutex_;
  Fragments fragments_;
  HostTotals totals_;

  std::mutex wake_mutex_;
  std::condition_variable wake_;
  bool state_changed_ = false;
  bool stopping_ = false;
  std::uint64_t seen_epoch_ = 0;
  std::thread thread_;
};

}  // namespace berth::api::lxd_panel
