#pragma once

#include <cstdint>
#include <string>

#include "audit/audit_log.h"
#include "base/id.h"

namespace berth::fleet {

using ContainerId = Id<struct ContainerTag, std::int64_t>;

/// What somebody may do with a container: see it, change it, run commands in it.
enum class Right : std::uint8_t { read = 1, write = 2, execute = 4 };

/// Whose wish it is.
struct Caller {
  UserId user;              ///< 0 for anonymous_loopback and the system
  bool sees_all = false;    ///< whether ownership and grants do not matter
  bool host_paths = false;  ///< may mount folders of a server
  audit::Origin origin;
};

/// Decides what users may do with containers that are not their own. Answers from memory; thread-safe.
class AccessPolicy {
 public:
  virtual ~AccessPolicy() = default;
  virtual bool allows(UserId user, ContainerId container, Right right) const = 0;
  /// Changes with every change of an answer, so that what was made from answers may be kept until then.
  virtual std::uint64_t epoch() const = 0;
};

}  // namespace berth::fleet
