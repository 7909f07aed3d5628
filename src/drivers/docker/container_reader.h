#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/worker_pool.h"
#include "compute/engine.h"
#include "drivers/docker/api.h"

namespace berth::drivers::docker {

/// Reads containers: one call for the list, then of each running one its counters, all in parallel, for Docker takes
/// them once a second and lets everybody wait who asks: were there fewer readers than containers, those left over would
/// wait for a second more. There are up to 256, as many as the containers that run need. What seldom changes (limits,
/// when it was made) is asked for once and kept until something happens to the container, at most a minute. A container
/// that does not answer comes back with the counters that it had, and is left alone for a while. Thread-safe.
class ContainerReader {
 public:
  explicit ContainerReader(Api& api);
  ~ContainerReader();

  Result<std::vector<compute::Instance>> list(Deadline deadline);
  /// With the counters as they were last read; newer ones are asked for in the background.
  Result<compute::Instance> get(const std::string& name, Deadline deadline);

  /// Something happened to that container (its id): what is kept of it may be wrong.
  void forget(std::string_view id);
  /// Anything may have happened.
  void forget_all();

 private:
  struct Reading;
  struct Known {
    std::optional<compute::Instance> facts;  ///< as inspected
    Instant inspected{};
    std::uint64_t changes = 0;  ///< times that it was forgotten: what was asked before that is out of date
    compute::InstanceCounters counters;
    Instant measured{};
    bool measuring = false;  ///< in the background
    Instant silent_until{};  ///< did not answer: is not asked again before
  };

  /// Completes what the list said of one container.
  void complete(compute::Instance& instance, Deadline deadline);
  void inspect(compute::Instance& instance, Deadline deadline);
  void measure(compute::Instance& instance, Deadline deadline);
  /// Adds what is known already; not the facts where they were just inspected.
  void use_known(compute::Instance& instance, bool inspected);
  void measure_later(const compute::Instance& instance);
  /// Who reads the container that comes after so many running ones.
  WorkerPool& readers_of(std::size_t running);
  std::uint64_t changes_of(const std::string& id);
  void remember(const compute::Instance& facts, std::uint64_t changes);

  Api& api_;
  std::mutex mutex_;
  std::map<std::string, Known, std::less<>> known_;   // by id
  std::vector<std::unique_ptr<WorkerPool>> readers_;  ///< in groups, of which only those needed are there
};

}  // namespace berth::drivers::docker
