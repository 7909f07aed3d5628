#pragma once

#include <memory>
#include <string>

#include "compute/engine.h"
#include "http/client.h"

namespace berth::drivers::lxd {

/// How to reach an LXD or Incus server, and where in it instances are made.
struct Settings {
  http::Endpoint endpoint;
  std::string project = "default";
  std::string storage_pool = "";  ///< of new root disks; "": the profile's, else the server's first
};

/// The endpoint of a server's unix socket.
http::Endpoint unix_endpoint(std::string socket_path);

/// LXD 5 and Incus over their common REST API 1.0, by unix socket or by HTTPS with a client certificate.
/// Nothing is asked of the server before the first call; a server that is not there makes calls fail with
/// unavailable, and the next call tries again.
class LxdEngine : public compute::InstanceEngine {
 public:
  explicit LxdEngine(Settings settings);
  /// Ends terminals and what waits in the background, at once, also while the server hangs. Watches and calls
  /// must have ended before.
  ~LxdEngine() override;

  Result<compute::EngineInfo> info(Deadline deadline) override;
  Result<std::vector<compute::Instance>> list(Deadline deadline) override;
  Result<compute::Instance> get(const std::string& name, Deadline deadline) override;

  Result<void> create(const compute::NewInstance& instance, const compute::EngineProgress& progress,
                      Deadline deadline) override;
  Result<void> start(const std::string& name, const compute::EngineProgress& progress, Deadline deadline) override;
  Result<void> stop(const std::string& name, std::chrono::seconds grace, const compute::EngineProgress& progress,
                    Deadline deadline) override;
  Result<void> restart(const std::string& name, std::chrono::seconds grace, const compute::EngineProgress& progress,
                       Deadline deadline) override;
  Result<void> remove(const std::string& name, const compute::EngineProgress& progress, Deadline deadline) override;
  Result<void> rename(const std::string& name, const std::string& new_name, Deadline deadline) override;
  Result<void> update(const std::string& name, const compute::InstanceChange& change, Deadline deadline) override;

  std::unique_ptr<compute::EngineWatch> watch(compute::EngineWatcher& watcher) override;
  Result<bool> still_working(const std::string& handle, Deadline deadline) override;

  compute::SnapshotAbility* snapshots() override;
  compute::ImageAbility* images() override;
  compute::TerminalAbility* terminals() override;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace berth::drivers::lxd
