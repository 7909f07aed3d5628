#pragma once

#include "compute/container_engine.h"
#include "drivers/docker/api.h"
#include "http/stream_client.h"

namespace berth::drivers::docker {

/// Logs of containers, at once or as they are written. Thread-safe.
class Logs : public compute::LogAbility {
 public:
  Logs(Api& api, http::StreamClient& streams) : api_(api), streams_(streams) {}
  Result<std::string> read_log(const std::string& name, const compute::LogQuery& query, Deadline deadline) override;
  Result<std::unique_ptr<compute::LogFollowing>> follow_log(const std::string& name, const compute::LogQuery& query,
                                                            std::shared_ptr<compute::LogReader> reader,
                                                            Deadline deadline) override;

 private:
  struct Target {
    std::string path;  ///< of the container
    bool terminal = false;
  };
  Result<Target> find(const std::string& name, Deadline deadline);

  Api& api_;
  http::StreamClient& streams_;
};

}  // namespace berth::drivers::docker
