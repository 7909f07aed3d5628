#include "api/container_rental/encode.h"

#include "base/clock.h"

namespace berth::api::container_rental {
namespace {

constexpr std::uint64_t kMiB = 1ULL << 20U;

std::string_view presence_word(fleet::Presence presence) {
  switch (presence) {
    case fleet::Presence::present:
      return "present";
    case fleet::Presence::creating:
      return "creating";
    case fleet::Presence::archived:
      return "archived";
    case fleet::Presence::missing:
      return "missing";
  }
  return "missing";
}

}  // namespace

std::string_view status_word(const fleet::Container& container) {
  if (container.presence == fleet::Presence::missing) return "error";
  switch (container.status) {
    case compute::Status::running:
      return "running";
    case compute::Status::stopped:
    case compute::Status::starting:
    case compute::Status::stopping:
      return "stopped";
    case compute::Status::frozen:
      return "paused";
    case compute::Status::restarting:
      return "restarting";
    case compute::Status::error:
    case compute::Status::unresponsive:
      return "error";
  }
  return "error";
}

std::optional<compute::Status> parse_status(std::string_view word) {
  if (word == "running") return compute::Status::running;
  if (word == "stopped") return compute::Status::stopped;
  if (word == "paused") return compute::Status::frozen;
  if (word == "restarting") return compute::Status::restarting;
  if (word == "error") return compute::Status::error;
  return std::nullopt;
}

ContainerState state_of(const fleet::Container& container) {
  return {container.name, std::string(status_word(container))};
}

ContainerInfo info_of(const fleet::Container& container) {
  ContainerInfo info;
  info.container_id = container.id.value();
  info.container_name = container.name;
  info.status = status_word(container);
  info.server = container.server_name;
  info.reachable = container.reachable;
  info.presence = presence_word(container.presence);
  info.image = container.image;
  if (container.owner.value() != 0) info.owner_id = container.owner.value();
  info.ipv4 = container.ipv4;
  info.cpu_percent = container.cpu_percent;
  info.memory_used = container.counters.memory_bytes;
  info.traffic_in = container.counters.network_received_bytes;
  info.traffic_out = container.counters.network_sent_bytes;
  info.limits.cpu = container.limits.cpus;
  if (container.limits.memory_bytes) info.limits.memory = *container.limits.memory_bytes / kMiB;
  for (const auto& port : container.settings.ports) {
    info.ports.push_back(
        {port.container_port, port.host_port, std::string(compute::name(port.protocol)), port.host_address});
  }
  for (const auto& mount : container.settings.mounts) {
    info.volumes.push_back({mount.source, mount.target, mount.read_only});
  }
  info.networks = container.settings.networks;
  info.restart_policy = compute::name(container.settings.restart_policy);
  info.created_at = format_utc(container.created_at);
  return info;
}

ContainerDetail detail_of(const fleet::Container& container, Secrets secrets) {
  ContainerDetail detail{info_of(container), std::nullopt};
  if (!container.environment_open) return detail;
  detail.environment = container.settings.environment;
  if (secrets == Secrets::shown) return detail;
  for (auto& [name, value] : *detail.environment) value = kMasked;
  return detail;
}

compute::ContainerSettings settings_of(const NewContainerRequest& request) {
  compute::ContainerSettings settings;
  settings.command = request.command;
  settings.entrypoint = request.entrypoint;
  settings.environment = request.environment;
  for (const auto& port : request.ports) {
    settings.ports.push_back({port.container_port,
                              compute::parse_protocol(port.protocol).value_or(compute::Protocol::tcp), port.host_port,
                              port.host_address});
  }
  for (const auto& volume : request.volumes) {
    settings.mounts.push_back({volume.source, volume.target, volume.read_only});
  }
  settings.networks = request.networks;
  settings.restart_policy = compute::parse_restart_policy(request.restart_policy).value_or(compute::RestartPolicy::no);
  settings.labels = request.labels;
  return settings;
}

compute::InstanceLimits limits_of(const LimitsBody& body) {
  compute::InstanceLimits limits;
  limits.cpus = body.cpu;
  if (body.memory) limits.memory_bytes = *body.memory * kMiB;
  return limits;
}

}  // namespace berth::api::container_rental
