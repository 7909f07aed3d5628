#pragma once

#include <memory>

#include "api/lxd_panel/instance_list.h"
#include "api/lxd_panel/monitor.h"
#include "api/shared/contract.h"
#include "api/shared/socket_watch.h"
#include "base/worker_pool.h"
#include "compute/instance_service.h"
#include "identity/identity_service.h"
#include "metrics/registry.h"
#include "operations/operation_service.h"
#include "telemetry/host_monitor.h"

namespace berth::api::lxd_panel {

/// The `lxd-panel` contract: lxd-panel.md, whole, and what the contracts' page adds to it. Holds no rule of its own:
/// decodes, calls one service, encodes.
class LxdPanel {
 public:
  /// What it calls. Everything outlives the panel.
  struct Parts {
    compute::InstanceService& instances;
    compute::Inventory& inventory;
    operations::OperationService& operations;
    identity::IdentityService& identity;
    const telemetry::HostMonitor& host;
    const Authenticator& authenticator;
    /// Looks after terminals; stopped before the contract ends.
    SocketWatch& sockets;
    metrics::Registry& metrics;
    const Clock& clock;
    /// Threads that wait for changes in the engine; as many callers wait at once as it has threads.
    WorkerPool& changes;
    /// Threads for password hashing.
    WorkerPool& logins;
    /// Threads for everything short that reads the store.
    WorkerPool& reads;
  };
  struct Settings {
    Monitor::Settings monitor;
  };

  /// Declares and seals every route.
  static Result<std::unique_ptr<LxdPanel>> create(Settings settings, const Parts& parts);

  /// Begins to push to monitors; `stop` says goodbye to them, before the server drains.
  void start() { monitor_.start(); }
  void stop() { monitor_.stop(); }

  std::shared_ptr<Contract> contract() const { return contract_; }

 private:
  LxdPanel(Settings settings, const Parts& parts);

  void add_system_routes();
  void add_instance_routes();
  void add_lifecycle_routes();
  void add_change_routes();
  void add_snapshot_routes();
  void add_image_routes();
  void add_terminal_routes();

  Result<http::Response> list(const Call& call, const ListQuery& query);
  Result<Reply<ActionResult<CreateData>>> create_instance(const Call& call, const CreateRequest& request,
                                                          std::chrono::seconds wait);

  Parts parts_;
  std::shared_ptr<Contract> contract_;
  InstanceList list_;
  Monitor monitor_;
};

/// For whom the instance service acts in a call.
compute::Viewer viewer_of(const Call& call);
/// The same, for what is only looked up.
compute::Viewer viewer_of(const identity::Principal& principal);
Secrets secrets_of(const Call& call);

}  // namespace berth::api::lxd_panel
