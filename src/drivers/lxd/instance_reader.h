#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/worker_pool.h"
#include "compute/instance.h"
#include "drivers/lxd/api.h"

namespace berth::drivers::lxd {

/// Reads instances so that one whose guest process hangs holds up nobody.
///
/// LXD 5.0 never answers `recursion=2`, nor an instance's state, while the monitor process of one instance does
/// not answer; only the plain list of names does not care. So: everything in one call as long as that answers;
/// else name by name, each with a short deadline. One that does not answer is remembered, shown `unresponsive`
/// with what was last known of it, and no longer asked on the way; a probe in the background waits for it, so
/// that each hung instance costs the engine one waiting request and heals at once. Thread-safe.
class InstanceReader {
 public:
  explicit InstanceReader(Api& api);
  /// The Api must have been stopped before, so that waiting probes end.
  ~InstanceReader();

  Result<std::vector<compute::Instance>> list(Deadline deadline);
  Result<compute::Instance> get(const std::string& name, Deadline deadline);
  /// The instance was removed or renamed by us.
  void forget(const std::string& name);

 private:
  struct Reading;
  struct Hung {
    bool probing = false;
  };

  Result<std::vector<compute::Instance>> list_at_once(Deadline deadline);
  Result<std::vector<compute::Instance>> list_one_by_one(Deadline deadline);
  Result<std::vector<std::string>> list_names(Deadline deadline);
  Result<compute::Instance> read_one(const std::string& name, Deadline deadline);
  Result<compute::Instance> decode(json::View instance, Deadline deadline);
  std::uint64_t host_memory(Deadline deadline);

  bool any_hung() const;
  bool is_hung(const std::string& name) const;
  /// Marks it and lets a probe wait for it.
  void suspect(const std::string& name);
  void probe(const std::string& name);
  void remember(const compute::Instance& instance);
  compute::Instance last_known(const std::string& name) const;

  Api& api_;
  std::atomic<std::uint64_t> host_memory_{0};
  mutable std::mutex mutex_;
  std::map<std::string, compute::Instance> known_;
  std::map<std::string, Hung> hung_;
  // Last, so that their threads end before what they use.
  WorkerPool readers_;
  WorkerPool probes_;
};

}  // namespace berth::drivers::lxd
