#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "agent/lease_keeper.h"
#include "base/result.h"
#include "compute/container.h"

namespace berth::agent {

/// What an agent remembers across restarts, in one small file that is replaced as a whole. A timed lease of before the
/// machine was started counts no more. Not thread-safe.
class Memory {
 public:
  struct Content {
    KeptLease lease = {};
    std::set<std::string> ids = {};      ///< of containers, as the engine told them
    std::set<std::string> stopped = {};  ///< ids of those that it stopped itself, to start them again
    std::map<std::string, compute::RestartPolicy> taken = {};  ///< by id: policies to be given back
    bool operator==(const Content&) const;
  };

  /// A file that is not there is an empty one. Errors: internal "agent.memory" where it makes no sense: what an agent
  /// owes must not be forgotten by accident; unavailable "agent.memory" where it cannot be read or written.
  static Result<Memory> open(std::filesystem::path file);

  const Content& content() const { return content_; }
  /// Returns once it is on the disk, where it must be: when what the agent is bound to changes.
  Result<void> keep(Content content);

 private:
  Memory(std::filesystem::path file, std::string boot) : file_(std::move(file)), boot_(std::move(boot)) {}

  std::filesystem::path file_;
  std::string boot_;  ///< which start of the machine this is
  Content content_;
};

}  // namespace berth::agent
