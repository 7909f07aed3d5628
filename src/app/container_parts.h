#pragma once

#include <memory>

#include "api/container_rental/container_rental.h"
#include "app/alert_teller.h"
#include "app/configuration.h"
#include "app/fleet_measurements.h"
#include "app/foundation.h"
#include "base/result.h"
#include "fleet/containers.h"
#include "fleet/failover_watch.h"
#include "fleet/high_availability.h"
#include "fleet/lease_book.h"
#include "fleet/registries.h"
#include "fleet/server_registry.h"
#include "fleet/server_resources.h"
#include "notify/notifier.h"
#include "operations/operation_service.h"
#include "rental/access_table.h"
#include "rental/acl_service.h"
#include "rental/notifier_sender.h"
#include "rental/rental_service.h"
#include "telemetry/alert_engine.h"
#include "telemetry/series_store.h"
#include "telemetry/traffic_meter.h"

namespace berth::app {

class Periodic;

/// Everything behind the contract container-rental, put together. Destroyed in the reverse order of its members.
class ContainerParts {
 public:
  /// What the parts stand on; everything outlives them.
  struct Ground {
    const Configuration& configuration;
    Foundation& foundation;
    operations::OperationService& operations;
    std::uint32_t host_cores = 1;
  };

  static Result<std::unique_ptr<ContainerParts>> create(const Ground& ground);
  ContainerParts(const ContainerParts&) = delete;
  ContainerParts& operator=(const ContainerParts&) = delete;
  ~ContainerParts();

  void start();
  /// Begins nothing more of what moves many containers, so that the operations can be drained, and lets the agents'
  /// containers run on without us. While requests are still answered.
  void wind_down();
  /// Ends what runs by itself; drain the operations before.
  void stop();

  fleet::ServerRegistry& servers() { return *servers_; }
  fleet::Containers& containers() { return *containers_; }
  fleet::HighAvailability& ha() { return *ha_; }
  fleet::LeaseBook& leases() { return *leases_; }
  fleet::ServerResources& resources() { return *resources_; }
  fleet::Registries& registries() { return *registries_; }
  rental::AclService& acl() { return *acl_; }
  rental::RentalService& rentals() { return *rentals_; }
  notify::Notifier& notifier() { return *notifier_; }
  telemetry::TrafficMeter& traffic() { return *traffic_; }
  telemetry::AlertEngine& alerts() { return *alerts_; }

 private:
  ContainerParts();
  Result<void> build(const Ground& ground);

  std::unique_ptr<notify::Notifier> notifier_;
  std::unique_ptr<rental::NotifierSender> sender_;
  rental::AccessTable access_;
  std::unique_ptr<fleet::ServerRegistry> servers_;
  std::unique_ptr<fleet::Registries> registries_;
  std::unique_ptr<fleet::LeaseBook> leases_;
  std::unique_ptr<fleet::Containers> containers_;
  std::unique_ptr<fleet::ServerResources> resources_;
  std::unique_ptr<fleet::HighAvailability> ha_;
  std::unique_ptr<fleet::FailoverWatch> failover_;
  std::unique_ptr<rental::AclService> acl_;
  std::unique_ptr<rental::RentalService> rentals_;
  std::unique_ptr<telemetry::SeriesStore> series_;
  std::unique_ptr<FleetTraffic> traffic_source_;
  std::unique_ptr<telemetry::TrafficMeter> traffic_;
  std::unique_ptr<FleetMeasurements> measurements_;
  std::unique_ptr<AlertTeller> teller_;
  std::unique_ptr<telemetry::AlertEngine> alerts_;
  std::unique_ptr<Periodic> watching_;
  std::unique_ptr<Periodic> expiring_;
  std::unique_ptr<Periodic> sweeping_;
};

}  // namespace berth::app
