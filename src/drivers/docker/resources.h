#pragma once

#include "compute/container_engine.h"
#include "drivers/docker/api.h"

namespace berth::drivers::docker {

/// The engine's volumes. Thread-safe.
class Volumes : public compute::VolumeAbility {
 public:
  explicit Volumes(Api& api) : api_(api) {}
  Result<std::vector<compute::Volume>> list_volumes(Deadline deadline) override;
  Result<void> create_volume(const std::string& name, Deadline deadline) override;
  Result<void> remove_volume(const std::string& name, Deadline deadline) override;

 private:
  Api& api_;
};

/// The engine's networks. Thread-safe. Creating one that is there, and removing one that is not, succeed. Errors beside
/// the engine's: conflict "network.in_use" and "network.built_in", invalid_argument "network.name".
class Networks : public compute::NetworkAbility {
 public:
  explicit Networks(Api& api) : api_(api) {}
  Result<std::vector<compute::ContainerNetwork>> list_networks(Deadline deadline) override;
  Result<void> create_network(const std::string& name, Deadline deadline) override;
  Result<void> remove_network(const std::string& name, Deadline deadline) override;

 private:
  Api& api_;
};

}  // namespace berth::drivers::docker
