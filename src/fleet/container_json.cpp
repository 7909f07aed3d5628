#include "fleet/container_json.h"

#include <array>
#include <string_view>
#include <utility>

#include "fleet/container_rows.h"
#include "json/read.h"
#include "json/write.h"

namespace berth::fleet {
namespace {

constexpr std::array<std::pair<Pending::Kind, std::string_view>, 7> kKinds{{
    {Pending::Kind::replace, "replace"},
    {Pending::Kind::rename, "rename"},
    {Pending::Kind::limits, "limits"},
    {Pending::Kind::archive, "archive"},
    {Pending::Kind::restore, "restore"},
    {Pending::Kind::relocate, "relocate"},
    {Pending::Kind::recover, "recover"},
}};

stored::Settings settings_to_stored(const compute::ContainerSettings& settings) {
  stored::Settings out{.command = settings.command,
                       .entrypoint = settings.entrypoint,
                       .environment = settings.environment,
                       .ports = {},
                       .mounts = {},
                       .networks = settings.networks,
                       .restart_policy = std::string(compute::name(settings.restart_policy)),
                       .labels = settings.labels,
                       .working_directory = settings.working_directory,
                       .user = settings.user,
                       .hostname = settings.hostname};
  for (const auto& port : settings.ports) {
    out.ports.push_back(
        {port.container_port, std::string(compute::name(port.protocol)), port.host_port, port.host_address});
  }
  for (const auto& mount : settings.mounts) out.mounts.push_back({mount.source, mount.target, mount.read_only});
  return out;
}

compute::ContainerSettings settings_of_stored(stored::Settings in) {
  compute::ContainerSettings settings;
  settings.command = std::move(in.command);
  settings.entrypoint = std::move(in.entrypoint);
  settings.environment = std::move(in.environment);
  settings.networks = std::move(in.networks);
  settings.restart_policy = compute::parse_restart_policy(in.restart_policy).value_or(compute::RestartPolicy::no);
  settings.labels = std::move(in.labels);
  settings.working_directory = std::move(in.working_directory);
  settings.user = std::move(in.user);
  settings.hostname = std::move(in.hostname);
  for (auto& port : in.ports) {
    settings.ports.push_back({port.container_port,
                              compute::parse_protocol(port.protocol).value_or(compute::Protocol::tcp), port.host_port,
                              std::move(port.host_address)});
  }
  for (auto& mount : in.mounts) {
    settings.mounts.push_back({std::move(mount.source), std::move(mount.target), mount.read_only});
  }
  return settings;
}

stored::Desired desired_to_stored(const Desired& desired) {
  return {desired.image,
          settings_to_stored(desired.settings),
          desired.limits.cpus,
          desired.limits.memory_bytes,
          desired.limits.disk_bytes,
          desired.running};
}

Desired desired_of_stored(stored::Desired in) {
  return {std::move(in.image),
          settings_of_stored(std::move(in.settings)),
          {in.cpus, in.memory_bytes, in.disk_bytes},
          in.running};
}

}  // namespace

std::string to_json(const Desired& desired) {
  return json::to_json(desired_to_stored(desired));
}

Result<Desired> desired_from_json(std::string_view text) {
  return desired_of_stored(BERTH_TRY(json::from_json<stored::Desired>(text)));
}

std::string to_json(const Pending& pending) {
  stored::Pending out{.kind = {},
                      .decided = pending.decided,
                      .was_running = pending.was_running,
                      .name = pending.name,
                      .desired = std::nullopt,
                      .archive = pending.archive,
                      .server = pending.server.value(),
                      .volumes = pending.volumes,
                      .started = pending.started};
  for (const auto& [kind, word] : kKinds) {
    if (kind == pending.kind) out.kind = word;
  }
  if (pending.desired) out.desired = desired_to_stored(*pending.desired);
  return json::to_json(out);
}

Result<Pending> pending_from_json(std::string_view text) {
  auto in = BERTH_TRY(json::from_json<stored::Pending>(text));
  Pending pending;
  bool known = false;
  for (const auto& [kind, word] : kKinds) {
    if (word != in.kind) continue;
    pending.kind = kind;
    known = true;
  }
  if (!known) return internal_error("unknown pending change of a container: " + in.kind);
  pending.decided = in.decided;
  pending.was_running = in.was_running;
  pending.name = std::move(in.name);
  if (in.desired) pending.desired = desired_of_stored(std::move(*in.desired));
  pending.archive = std::move(in.archive);
  pending.server = ServerId(in.server);
  if (in.volumes) pending.volumes = std::move(*in.volumes);
  pending.started = in.started.value_or(false);
  return pending;
}

}  // namespace berth::fleet
