#include "app/fleet_measurements.h"

#include <algorithm>
#include <map>

namespace berth::app {
namespace {

using telemetry::AlertType;
using telemetry::Measurement;
using telemetry::SubjectKind;

constexpr std::chrono::minutes kRentalsAreFresh{1};

/// A number that changes when the container was made anew.
std::uint64_t incarnation_of(const fleet::Container& container) {
  return container.engine_id.empty() ? 0 : std::hash<std::string>{}(container.engine_id);
}

double share(double part, double whole) {
  return whole > 0 ? part * 100 / whole : 0;
}

}  // namespace

std::vector<telemetry::TrafficSample> FleetTraffic::sample() const {
  std::vector<telemetry::TrafficSample> samples;
  const auto view = containers_.view();
  samples.reserve(view->containers.size());
  for (const auto& container : view->containers) {
    // Counters of one that does not run are those of its last run, or none.
    if (!container->reachable || container->status != compute::Status::running) continue;
    samples.push_back({container->id.value(), container->counters.network_received_bytes,
                       container->counters.network_sent_bytes, container->measured, incarnation_of(*container)});
  }
  return samples;
}

bool FleetTraffic::exists(std::int64_t container) const {
  return containers_.row(fleet::ContainerId(container)) != nullptr;
}

bool FleetMeasurements::everything_known() const {
  const auto servers = parts_.servers.list();
  return std::ranges::none_of(
      servers, [](const fleet::ServerView& view) { return view.status.health == fleet::ServerHealth::unknown; });
}

template <class Value>
FleetMeasurements::Measurements FleetMeasurements::of_containers(Value value) const {
  Measurements measured;
  const auto view = parts_.containers.view();
  measured.reserve(view->containers.size());
  for (const auto& container : view->containers) {
    if (container->presence == fleet::Presence::missing) continue;
    const bool runs = container->reachable && container->status == compute::Status::running;
    measured.push_back({SubjectKind::container, container->name,
                        container->reachable ? std::optional<double>(runs ? value(*container) : 0) : std::nullopt});
  }
  return measured;
}

FleetMeasurements::Measurements FleetMeasurements::of_disks() const {
  Measurements measured;
  for (const auto& [server, status] : parts_.servers.list()) {
    const auto used = static_cast<double>(status.disk_bytes - std::min(status.disk_free_bytes, status.disk_bytes));
    const bool known = status.disk_bytes > 0 && status.health != fleet::ServerHealth::unreachable;
    measured.push_back({SubjectKind::server, server.name,
                        known ? std::optional(share(used, static_cast<double>(status.disk_bytes))) : std::nullopt});
  }
  return measured;
}

FleetMeasurements::Measurements FleetMeasurements::of_servers() const {
  Measurements measured;
  const Timestamp now = parts_.clock.now();
  for (const auto& [server, status] : parts_.servers.list()) {
    double silent = 0;
    if (status.health == fleet::ServerHealth::unreachable) {
      const Timestamp since = status.answered_at.value_or(server.created_at);
      silent = std::max(1.0, std::chrono::duration<double>(now - since).count());
    }
    measured.push_back({SubjectKind::server, server.name, silent});
  }
  return measured;
}

std::optional<FleetMeasurements::Measurements> FleetMeasurements::of_rentals() const {
  const std::lock_guard lock(rentals_mutex_);
  const Instant instant = std::chrono::steady_clock::now();
  if (rentals_ && instant - rentals_read_ < kRentalsAreFresh) return rentals_;
  const auto ends = parts_.rentals.ends();
  if (!ends) return rentals_;  // what was known; the store answers later
  const Timestamp now = parts_.clock.now();
  Measurements measured;
  measured.reserve(ends->size());
  for (const auto& end : *ends) {
    const double days = std::chrono::duration<double>(end.expires_at - now).count() / 86'400;
    measured.push_back({SubjectKind::container, end.container_name, days});
  }
  rentals_ = std::move(measured);
  rentals_read_ = instant;
  return rentals_;
}

std::optional<FleetMeasurements::Measurements> FleetMeasurements::measure(AlertType type) const {
  if (type == AlertType::rental_expiry) return of_rentals();
  if (!everything_known()) return std::nullopt;
  switch (type) {
    case AlertType::traffic:
      return of_containers([this](const fleet::Container& container) {
        const auto traffic = parts_.traffic.now(container.id.value());
        return traffic.in_rate + traffic.out_rate;
      });
    case AlertType::cpu:
      return of_containers([](const fleet::Container& container) { return container.cpu_percent; });
    case AlertType::memory: {
      std::map<fleet::ServerId, double> machines;
      for (const auto& [server, status] : parts_.servers.list()) {
        machines[server.id] = static_cast<double>(status.memory_bytes);
      }
      return of_containers([&](const fleet::Container& container) {
        const double most = container.limits.memory_bytes ? static_cast<double>(*container.limits.memory_bytes)
                                                          : machines[container.server];
        return share(static_cast<double>(container.counters.memory_bytes), most);
      });
    }
    case AlertType::disk:
      return of_disks();
    case AlertType::server_down:
      return of_servers();
    case AlertType::rental_expiry:
      break;
  }
  return std::nullopt;
}

}  // namespace berth::app
