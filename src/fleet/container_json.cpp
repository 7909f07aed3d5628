#include "fleet/container_json.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <string_view>
#include <utility>

#include "base/secret.h"
#include "fleet/container_rows.h"
#include "json/read.h"
#include "json/write.h"

namespace berth::fleet {
namespace {

constexpr std::array<std::pair<Pending::Kind, std::string_view>, 8> kKinds{{
    {Pending::Kind::replace, "replace"},
    {Pending::Kind::rename, "rename"},
    {Pending::Kind::limits, "limits"},
    {Pending::Kind::archive, "archive"},
    {Pending::Kind::restore, "restore"},
    {Pending::Kind::relocate, "relocate"},
    {Pending::Kind::recover, "recover"},
    {Pending::Kind::resume, "resume"},
}};

using Environment = std::map<std::string, std::string>;

void seal_environment(const Environment& environment, stored::Settings& settings, const EnvironmentSeal& seal) {
  settings.environment.reset();
  settings.sealed_environment.reset();
  if (environment.empty()) {
    settings.environment.emplace();
    return;
  }
  std::string plain = json::to_json(environment);
  settings.sealed_environment = seal.sealing.seal(plain, seal.context);
  wipe(plain);
}

Result<Environment> open_environment(const stored::Settings& settings, const EnvironmentSeal& seal) {
  if (settings.environment) return *settings.environment;
  if (!settings.sealed_environment) return internal_error("a container without an environment");
  const Secret plain = BERTH_TRY(seal.sealing.open(*settings.sealed_environment, seal.context));
  return json::from_json<Environment>(plain.reveal());
}

/// Whether anything had to be sealed anew.
Result<bool> reseal(stored::Settings& settings, const EnvironmentSeal& seal) {
  const bool sealed = settings.sealed_environment ? !seal.sealing.outdated(*settings.sealed_environment)
                                                  : settings.environment.has_value() && settings.environment->empty();
  if (sealed) return false;
  seal_environment(BERTH_TRY(open_environment(settings, seal)), settings, seal);
  return true;
}

Result<Pending::Kind> kind_of(const stored::Pending& pending) {
  for (const auto& [kind, word] : kKinds) {
    if (word == pending.kind) return kind;
  }
  return internal_error("unknown pending change of a container: " + pending.kind);
}

stored::Settings settings_to_stored(const compute::ContainerSettings& settings) {
  stored::Settings out{.command = settings.command,
                       .entrypoint = settings.entrypoint,
                       .environment = std::nullopt,
                       .sealed_environment = std::nullopt,
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

stored::Desired desired_to_stored(const Desired& desired, const EnvironmentSeal& seal) {
  stored::Desired out{desired.image,
                      settings_to_stored(desired.settings),
                      desired.limits.cpus,
                      desired.limits.memory_bytes,
                      desired.limits.disk_bytes,
                      desired.running};
  if (desired.unopened.empty()) {
    seal_environment(desired.settings.environment, out.settings, seal);
  } else {
    out.settings.sealed_environment = desired.unopened;
  }
  return out;
}

Result<Desired> desired_of_stored(stored::Desired in, const EnvironmentSeal& seal) {
  Desired desired;
  auto environment = open_environment(in.settings, seal);
  if (!environment) {
    if (!in.settings.sealed_environment) return take_error(environment);
    desired.unopened = *in.settings.sealed_environment;
  }
  desired.image = std::move(in.image);
  desired.settings = settings_of_stored(std::move(in.settings));
  if (environment) desired.settings.environment = std::move(*environment);
  desired.limits = {in.cpus, in.memory_bytes, in.disk_bytes};
  desired.running = in.running;
  return desired;
}

/// Whether anything had to be sealed anew.
Result<bool> reseal(stored::Pending& pending, const EnvironmentSeal& seal) {
  bool any = pending.desired && BERTH_TRY(reseal(pending.desired->settings, seal));
  if (pending.interrupted) {
    for (auto& one : *pending.interrupted) any = BERTH_TRY(reseal(one, seal)) || any;
  }
  return any;
}

stored::Pending pending_to_stored(const Pending& pending, const EnvironmentSeal& seal) {
  stored::Pending out{.kind = {},
                      .decided = pending.decided,
                      .was_running = pending.was_running,
                      .name = pending.name,
                      .desired = std::nullopt,
                      .archive = pending.archive,
                      .server = pending.server.value(),
                      .volumes = pending.volumes,
                      .started = pending.started,
                      .interrupted = std::nullopt};
  for (const auto& [kind, word] : kKinds) {
    if (kind == pending.kind) out.kind = word;
  }
  if (pending.desired) out.desired = desired_to_stored(*pending.desired, seal);
  if (!pending.interrupted.empty()) out.interrupted.emplace();
  for (const auto& one : pending.interrupted) out.interrupted->push_back(pending_to_stored(one, seal));
  return out;
}

Result<Pending> pending_of_stored(stored::Pending in, const EnvironmentSeal& seal) {
  Pending pending;
  pending.kind = BERTH_TRY(kind_of(in));
  pending.decided = in.decided;
  pending.was_running = in.was_running;
  pending.name = std::move(in.name);
  if (in.desired) pending.desired = BERTH_TRY(desired_of_stored(std::move(*in.desired), seal));
  pending.archive = std::move(in.archive);
  pending.server = ServerId(in.server);
  if (in.volumes) pending.volumes = std::move(*in.volumes);
  pending.started = in.started.value_or(false);
  if (in.interrupted) {
    for (auto& one : *in.interrupted) {
      pending.interrupted.push_back(BERTH_TRY(pending_of_stored(std::move(one), seal)));
    }
  }
  return pending;
}

}  // namespace

EnvironmentSeal seal_of(ContainerId id, const identity::Sealing& sealing) {
  return {sealing, fmt::format("container:{}", id.value())};
}

std::string to_json(const Desired& desired, const EnvironmentSeal& seal) {
  return json::to_json(desired_to_stored(desired, seal));
}

Result<Desired> desired_from_json(std::string_view text, const EnvironmentSeal& seal) {
  return desired_of_stored(BERTH_TRY(json::from_json<stored::Desired>(text)), seal);
}

Result<std::optional<std::string>> reseal_desired(std::string_view text, const EnvironmentSeal& seal) {
  auto stored = BERTH_TRY(json::from_json<stored::Desired>(text));
  if (!BERTH_TRY(reseal(stored.settings, seal))) return std::optional<std::string>();
  return std::optional(json::to_json(stored));
}

Result<std::optional<std::string>> reseal_pending(std::string_view text, const EnvironmentSeal& seal) {
  auto stored = BERTH_TRY(json::from_json<stored::Pending>(text));
  if (!BERTH_TRY(reseal(stored, seal))) return std::optional<std::string>();
  return std::optional(json::to_json(stored));
}

std::string to_json(const Pending& pending, const EnvironmentSeal& seal) {
  return json::to_json(pending_to_stored(pending, seal));
}

Result<PendingOutline> pending_outline(std::string_view text) {
  const auto in = BERTH_TRY(json::from_json<stored::Pending>(text));
  return PendingOutline{BERTH_TRY(kind_of(in)), ServerId(in.server)};
}

Result<Pending> pending_from_json(std::string_view text, const EnvironmentSeal& seal) {
  return pending_of_stored(BERTH_TRY(json::from_json<stored::Pending>(text)), seal);
}

}  // namespace berth::fleet
