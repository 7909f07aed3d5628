#pragma once

#include <filesystem>
#include <set>
#include <string>

namespace berth::agent {

/// The processes of containers, found by the control groups that every engine of Docker's kind puts them in, whose
/// paths hold the container's id (64 hexadecimal digits): so they are found without the engine. Thread-safe.
class ContainerProcesses {
 public:
  /// Which of these containers have processes now. Without those that have ended and are not waited for yet.
  static std::set<std::string> running(const std::set<std::string>& ids);

  /// Ends every process of these containers by SIGKILL, paused ones too; yields the containers that had any. What
  /// begins meanwhile is left to the next call.
  static std::set<std::string> kill(const std::set<std::string>& ids);
};

/// The ids of the containers that an engine has on its disk ("/var/lib/docker/containers"): the names of its folders
/// that are ids. Empty where there is no such folder.
std::set<std::string> container_ids_in(const std::filesystem::path& folder);

}  // namespace berth::agent
