#pragma once

#include "compute/container_engine.h"
#include "drivers/docker/api.h"

namespace berth::drivers::docker {

/// Files of containers in and out, from file to file, however large. Thread-safe.
class Archives : public compute::ArchiveAbility {
 public:
  explicit Archives(Api& api) : api_(api) {}
  Result<void> save_path(const std::string& name, const std::string& path, const std::string& file,
                         const compute::EngineProgress& progress, Deadline deadline) override;
  Result<void> load_path(const std::string& name, const std::string& path, const std::string& file,
                         const compute::EngineProgress& progress, Deadline deadline) override;
  Result<void> save_root(const std::string& name, const std::string& file, const compute::EngineProgress& progress,
                         Deadline deadline) override;
  Result<void> import_root(const std::string& file, const std::string& reference,
                           const compute::EngineProgress& progress, Deadline deadline) override;

 private:
  Api& api_;
};

}  // namespace berth::drivers::docker
