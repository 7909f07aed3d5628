#pragma once

#include "base/clock.h"
#include "fleet/containers.h"
#include "fleet/server_registry.h"
#include "rental/rental_service.h"
#include "telemetry/alert_engine.h"
#include "telemetry/traffic_meter.h"

namespace berth::app {

/// The counters of containers, for the traffic meter. Thread-safe.
class FleetTraffic final : public telemetry::TrafficSource {
 public:
  explicit FleetTraffic(const fleet::Containers& containers) : containers_(containers) {}
  std::vector<telemetry::TrafficSample> sample() const override;
  bool exists(std::int64_t container) const override;

 private:
  const fleet::Containers& containers_;
};

/// What containers, servers and rentals are like, for alerts. Answers from memory but for rentals, which are read from
/// the store at most once a minute. Thread-safe.
class FleetMeasurements final : public telemetry::MetricSource {
 public:
  /// Everything outlives it.
  struct Parts {
    const fleet::Containers& containers;
    const fleet::ServerRegistry& servers;
    rental::RentalService& rentals;
    const telemetry::TrafficMeter& traffic;
    const Clock& clock;
  };

  explicit FleetMeasurements(const Parts& parts) : parts_(parts) {}
  std::optional<std::vector<telemetry::Measurement>> measure(telemetry::AlertType type) const override;

 private:
  using Measurements = std::vector<telemetry::Measurement>;

  /// False as long as a server has not yet answered or been given up.
  bool everything_known() const;
  template <class Value>
  Measurements of_containers(Value value) const;
  Measurements of_disks() const;
  Measurements of_servers() const;
  std::optional<Measurements> of_rentals() const;

  const Parts parts_;
  mutable std::mutex rentals_mutex_;
  mutable std::optional<Measurements> rentals_;
  mutable Instant rentals_read_{};
};

}  // namespace berth::app
