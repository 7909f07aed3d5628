#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/container_rental/container_rental.h"
#include "api/lxd_panel/lxd_panel.h"
#include "api/shared/authenticator.h"
#include "api/shared/socket_watch.h"
#include "app/configuration.h"
#include "app/container_parts.h"
#include "app/engine_unit.h"
#include "app/foundation.h"
#include "app/periodic.h"
#include "app/state_lock.h"
#include "base/worker_pool.h"
#include "http/client.h"
#include "http/server.h"
#include "operations/operation_service.h"
#include "telemetry/host_monitor.h"

namespace berth::app {

/// Everything that runs, put together: made in the order of its members, ended in the reverse order.
class Daemon {
 public:
  /// Builds every part; listens, but accepts nothing yet. Errors are those of the parts.
  static Result<std::unique_ptr<Daemon>> create(LoadedConfiguration loaded, const Environment& environment);
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  ~Daemon();

  /// The administrator that a first start made.
  const std::optional<FirstAdministrator>& first_administrator() const { return administrator_; }
  void start();
  /// Where each listener is reached: "http://127.0.0.1:8000".
  std::vector<std::string> urls() const;

  /// Takes over what can change while running and logs what needs a restart; reads again what commands may have
  /// changed in the store. Errors: those of the configuration, which then stays as it is.
  Result<void> reload(const ConfigurationSource& source);

  /// Whether requests are answered and the store answers, found out by trying both.
  bool alive(std::chrono::milliseconds wait);

  /// Ends in order: refuses new work, lets running work finish until `drain_time` is over. False if something
  /// still ran then: its outcome is found out at the next start, but its threads may not be waited for.
  bool stop();

 private:
  Daemon(LoadedConfiguration loaded, const Environment& environment);

  Result<void> build();
  Result<void> build_engines();
  void build_pools();
  Result<void> build_panel();
  Result<void> build_rental();
  Result<void> build_server();
  Result<operations::Verdict> reconcile(const operations::Operation& operation);
  bool answers_requests(std::chrono::milliseconds wait);
  std::vector<http::ListenerSettings> listener_settings() const;
  bool is_default(const std::string& key) const;

  LoadedConfiguration loaded_;
  Environment environment_;
  std::optional<StateLock> lock_;
  std::unique_ptr<Foundation> foundation_;
  std::optional<FirstAdministrator> administrator_;
  std::unique_ptr<telemetry::HostMonitor> host_;
  std::unique_ptr<operations::OperationService> operations_;
  std::map<std::string, EngineUnit> engines_;
  std::unique_ptr<ContainerParts> containers_;
  std::unique_ptr<WorkerPool> changes_;
  std::unique_ptr<WorkerPool> logins_;
  std::unique_ptr<WorkerPool> renewals_;
  std::unique_ptr<WorkerPool> reads_;
  std::unique_ptr<api::Authenticator> authenticator_;
  std::unique_ptr<api::SocketWatch> sockets_;
  std::unique_ptr<api::lxd_panel::LxdPanel> panel_;
  std::unique_ptr<api::container_rental::ContainerRental> rental_;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<http::Client> probe_;  // asks our own listener whether it answers
  std::unique_ptr<Periodic> sweeping_;
};

}  // namespace berth::app
