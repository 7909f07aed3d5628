#include "drivers/docker/capacities.h"

#include <filesystem>

namespace berth::drivers::docker {

Result<compute::EngineCapacity> Capacities::capacity(Deadline deadline) {
  const auto document = BERTH_TRY(api_.get("/info", {}, deadline));
  const json::View info = document.root();
  compute::EngineCapacity capacity;
  capacity.cpus = info["NCPU"].number().value_or(0);
  capacity.memory_bytes = info["MemTotal"].unsigned_integer().value_or(0);
  if (capacity.cpus <= 0 || capacity.memory_bytes == 0) return nonsense("a machine without processors or memory");
  if (const auto clock = parse_timestamp(info["SystemTime"].string().value_or(""))) capacity.clock = *clock;
  const std::string folder = info["DockerRootDir"].string_or("");
  if (!same_machine_ || !folder.starts_with('/')) return capacity;
  std::error_code failure;
  const auto space = std::filesystem::space(folder, failure);
  if (failure) return capacity;
  capacity.disk_bytes = space.capacity;
  capacity.disk_free_bytes = space.available;
  return capacity;
}

}  // namespace berth::drivers::docker
