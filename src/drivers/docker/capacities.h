#pragma once

#include "compute/container_engine.h"
#include "drivers/docker/api.h"

namespace berth::drivers::docker {

/// What the engine's machine has. Docker does not tell about its disk; where the engine runs on this machine, the disk
/// of its folder is looked at. Thread-safe.
class Capacities : public compute::CapacityAbility {
 public:
  Capacities(Api& api, bool same_machine) : api_(api), same_machine_(same_machine) {}
  Result<compute::EngineCapacity> capacity(Deadline deadline) override;

 private:
  Api& api_;
  const bool same_machine_;
};

}  // namespace berth::drivers::docker
