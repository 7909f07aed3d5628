#pragma once

#include "compute/container_engine.h"
#include "drivers/docker/api.h"

namespace berth::drivers::docker {

/// What containers have beside the core. Thread-safe.
class Containers : public compute::ContainerAbility {
 public:
  explicit Containers(Api& api) : api_(api) {}
  Result<compute::ContainerDetail> inspect(const std::string& name, Deadline deadline) override;
  Result<void> pause(const std::string& name, Deadline deadline) override;
  Result<void> resume(const std::string& name, Deadline deadline) override;
  Result<void> set_restart_policy(const std::string& name, compute::RestartPolicy policy, Deadline deadline) override;

 private:
  /// Succeeds where the engine refuses because it is so already.
  Result<void> act(const std::string& name, std::string_view action, std::string_view already, Deadline deadline);

  Api& api_;
};

}  // namespace berth::drivers::docker
