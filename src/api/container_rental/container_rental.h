#pragma once

#include <memory>

#include "api/shared/contract.h"
#include "api/shared/socket_watch.h"
#include "base/worker_pool.h"
#include "fleet/access.h"
#include "fleet/container_service.h"
#include "identity/identity_service.h"
#include "metrics/registry.h"
#include "operations/operation_service.h"

namespace berth::fleet {
class ContainerMover;
class HighAvailability;
class LeaseBook;
class Registries;
class ServerRegistry;
class ServerResources;
}  // namespace berth::fleet
namespace berth::rental {
class AclService;
class RentalService;
}  // namespace berth::rental
namespace berth::telemetry {
class AlertEngine;
class TrafficMeter;
}  // namespace berth::telemetry
namespace berth::notify {
class Notifier;
}

namespace berth::api::container_rental {

/// The `container-rental` contract: container-rental.md, and what the contracts' page adds to it. Holds no rule of
/// its own: decodes, calls one service, encodes.
class ContainerRental {
 public:
  /// What it calls. Everything outlives the contract.
  struct Parts {
    fleet::ContainerService& containers;
    fleet::ServerRegistry& servers;
    fleet::ContainerMover& mover;
    fleet::HighAvailability& ha;
    fleet::LeaseBook& leases;
    fleet::ServerResources& resources;
    fleet::Registries& registries;
    rental::AclService& acl;
    rental::RentalService& rentals;
    telemetry::TrafficMeter& traffic;
    telemetry::AlertEngine& alerts;
    notify::Notifier& notifier;
    operations::OperationService& operations;
    identity::IdentityService& identity;
    const Authenticator& authenticator;
    /// Looks after terminals and logs; stopped before the contract ends.
    SocketWatch& sockets;
    metrics::Registry& metrics;
    const Clock& clock;
    /// Threads that wait for changes in engines; as many callers wait at once as it has threads.
    WorkerPool& changes;
    /// Threads for password hashing.
    WorkerPool& logins;
    /// Threads for everything short that reads the store.
    WorkerPool& reads;
    /// Threads for the leases of agents alone.
    WorkerPool& renewals;
  };

  /// Declares and seals every route.
  static Result<std::unique_ptr<ContainerRental>> create(const Parts& parts);

  std::shared_ptr<Contract> contract() const { return contract_; }

 private:
  explicit ContainerRental(const Parts& parts);

  void add_user_routes();
  void add_container_routes();
  void add_lifecycle_routes();
  void add_health_routes();
  void add_server_routes();
  void add_acl_routes();
  void add_rental_routes();
  void add_traffic_routes();
  void add_alert_routes();

  Parts parts_;
  std::shared_ptr<Contract> contract_;
};

/// For whom the fleet acts in a call.
fleet::Caller caller_of(const Call& call);
/// The same, for what is only looked up.
fleet::Caller caller_of(const identity::Principal& principal);

}  // namespace berth::api::container_rental
