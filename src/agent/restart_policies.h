#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "base/result.h"
#include "compute/container.h"

namespace berth::agent {

/// When an engine would start a container again, until that was taken away.
struct TakenPolicy {
  std::string container;  ///< its name
  compute::RestartPolicy policy = compute::RestartPolicy::no;
  bool starts = false;  ///< its engine would have started it with itself
  bool operator==(const TakenPolicy&) const = default;
};

/// Takes the restart policy away from every container in an engine's folder, so that an engine that starts does not
/// start what must not run: Docker reads "hostconfig.json" of each container when it starts, and only then. Yields
/// those that had one, by id. Harmless beside an engine that runs, which has its own copy in memory. A container whose
/// files cannot be understood is left as it is and logged.
std::map<std::string, TakenPolicy> take_restart_policies(const std::filesystem::path& containers);

/// What a container is called, by its files in an engine's folder; nothing where they do not tell.
std::optional<std::string> container_name(const std::filesystem::path& containers, const std::string& id);

}  // namespace berth::agent
