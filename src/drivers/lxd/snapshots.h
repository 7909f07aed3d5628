#pragma once

#include <string>
#include <vector>

#include "compute/engine.h"
#include "drivers/lxd/api.h"

namespace berth::drivers::lxd {

/// Snapshots of instances. Thread-safe.
class Snapshots : public compute::SnapshotAbility {
 public:
  explicit Snapshots(Api& api) : api_(api) {}

  Result<std::vector<compute::InstanceSnapshot>> list_snapshots(const std::string& instance,
                                                                Deadline deadline) override;
  Result<void> create_snapshot(const std::string& instance, const std::string& snapshot, bool stateful,
                               const compute::EngineProgress& progress, Deadline deadline) override;
  Result<void> restore_snapshot(const std::string& instance, const std::string& snapshot,
                                const compute::EngineProgress& progress, Deadline deadline) override;
  Result<void> remove_snapshot(const std::string& instance, const std::string& snapshot,
                               const compute::EngineProgress& progress, Deadline deadline) override;

 private:
  Api& api_;
};

}  // namespace berth::drivers::lxd
