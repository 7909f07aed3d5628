#pragma once

#include <memory>
#include <string>

#include "compute/container_engine.h"
#include "compute/engine.h"
#include "drivers/docker/address.h"

namespace berth::drivers::docker {

/// Docker Engine, and Podman where it speaks Docker's API, by unix socket, by TCP with or without TLS, or over SSH. The
/// version of the API is settled with the server. Nothing is asked of the server before the first call; a server that
/// is not there makes calls fail with unavailable, and the next call tries again.
///
/// What Docker cannot do: snapshots; another description of a container that exists (unsupported
/// "engine.unsupported"); a limit of disks on most storage (the same). It renames running containers too.
class DockerEngine : public compute::InstanceEngine {
 public:
  explicit DockerEngine(Connection connection);
  /// Ends terminals, followed logs and what waits in the background, at once, also while the server hangs. Watches
  /// and calls must have ended before.
  ~DockerEngine() override;

  Result<void> check_name(std::string_view name) const override;
  Result<compute::EngineInfo> info(Deadline deadline) override;
  Result<std::vector<compute::Instance>> list(Deadline deadline) override;
  Result<compute::Instance> get(const std::string& name, Deadline deadline) override;

  /// The image must be there (see registry()). Errors beside the engine's: conflict "instance.port", not_found
  /// "network.not_found", those of compute::check_container_settings.
  Result<void> create(const compute::NewInstance& instance, const compute::EngineProgress& progress,
                      Deadline deadline) override;
  Result<void> start(const std::string& name, const compute::EngineProgress& progress, Deadline deadline) override;
  Result<void> stop(const std::string& name, std::chrono::seconds grace, const compute::EngineProgress& progress,
                    Deadline deadline) override;
  Result<void> restart(const std::string& name, std::chrono::seconds grace, const compute::EngineProgress& progress,
                       Deadline deadline) override;
  Result<void> remove(const std::string& name, const compute::EngineProgress& progress, Deadline deadline) override;
  Result<void> rename(const std::string& name, const std::string& new_name, Deadline deadline) override;
  Result<void> update(const std::string& name, const compute::InstanceChange& change, Deadline deadline) override;

  std::unique_ptr<compute::EngineWatch> watch(compute::EngineWatcher& watcher) override;
  /// Docker has no handles of its work: what a call began ends with the call.
  Result<bool> still_working(const std::string& handle, Deadline deadline) override;

  compute::ImageAbility* images() override;
  compute::TerminalAbility* terminals() override;
  compute::ContainerAbility* containers() override;
  compute::RegistryAbility* registry() override;
  compute::LogAbility* logs() override;
  compute::ArchiveAbility* archives() override;
  compute::VolumeAbility* volumes() override;
  compute::NetworkAbility* networks() override;
  compute::CapacityAbility* capacities() override;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace berth::drivers::docker
