#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "compute/container.h"
#include "compute/container_engine.h"
#include "compute/instance.h"
#include "fleet/access.h"
#include "fleet/server.h"
#include "operations/operation_service.h"

namespace berth::fleet {

/// Where a container stands in Berth's books.
enum class Presence {
  present,   ///< on its server
  creating,  ///< its name is taken, its engine has it not yet
  archived,  ///< its files and settings are kept, nothing runs
  missing,   ///< its server has it no more, though nobody here removed it
};

/// One container of all servers, as it was at one moment.
struct Container {
  ContainerId id;
  std::string name;  ///< unique among all servers
  ServerId server;
  std::string server_name;
  UserId owner;  ///< 0 for nobody: made outside
  Presence presence = Presence::present;
  compute::Status status = compute::Status::stopped;
  bool reachable = true;  ///< its server answers; otherwise `status` is the last one known
  std::string image;
  compute::ContainerSettings settings;
  bool environment_open = true;  ///< otherwise its key is gone, and `settings` are without it
  compute::InstanceLimits limits;
  compute::InstanceCounters counters;
  Instant measured{};     ///< when `counters` were read
  std::string engine_id;  ///< the engine's own id: another one after the container was made anew
  double cpu_percent = 0;
  std::optional<std::string> ipv4;
  Timestamp created_at;
};

using ContainerPointer = std::shared_ptr<const Container>;

struct NewContainer {
  std::string name;
  std::string image;
  std::optional<std::string> server;  ///< nothing: the one with the most room
  compute::ContainerSettings settings;
  compute::InstanceLimits limits;
  std::optional<UserId> owner;  ///< nothing: the caller
  bool start = true;
};

/// What is absent stays. A change of image, settings, or a limit that the engine cannot change in place replaces the
/// container: the old one is kept until the new one runs, and comes back if it does not.
struct ContainerChange {
  std::optional<std::string> name;
  std::optional<std::string> image;
  std::optional<compute::ContainerSettings> settings;
  std::optional<compute::InstanceLimits> limits;
};

struct ContainerFilter {
  std::optional<std::string> server = std::nullopt;
  std::optional<compute::Status> status = std::nullopt;
  std::optional<UserId> owner = std::nullopt;
  std::string search = {};  ///< part of the name or image
  std::size_t limit = 0;    ///< 0: all
  std::size_t offset = 0;
};

struct ContainerPage {
  std::vector<ContainerPointer> containers;  ///< by name
  std::size_t total = 0;
};

/// The containers of all servers under one roof: whose they are, who may do what, one operation at a time, what each
/// should be like. Reads come from memory; changes are operations on the pool of the container's server. A container
/// that the caller may not see is not_found "container.not_found"; one that it sees but may not change is
/// permission_denied "container.right". Thread-safe; changes block until done or their deadline, so call them from
/// worker threads only.
class ContainerService {
 public:
  virtual ~ContainerService() = default;

  virtual ContainerPage list(const Caller& caller, const ContainerFilter& filter) const = 0;
  virtual Result<ContainerPointer> find(const Caller& caller, const std::string& name,
                                        Right right = Right::read) const = 0;
  virtual Result<ContainerPointer> find(ContainerId id) const = 0;
  /// The container once nothing is being done about it, or as it is at the deadline. Blocks.
  virtual Result<ContainerPointer> find_at_rest(ContainerId id, Deadline deadline) const = 0;
  /// Grows with every change that `list` can show, counters apart.
  virtual std::uint64_t revision() const = 0;

  struct Created {
    ContainerId id;
    operations::TicketPointer ticket;
  };
  /// Returns when the name is taken and the operation runs. Errors: already_exists "container.exists", conflict
  /// "placement.no_server", and those of the settings.
  virtual Result<Created> create(const Caller& caller, const NewContainer& container) = 0;
  /// Whether anything changed.
  virtual Result<bool> start(const Caller& caller, const std::string& name) = 0;
  virtual Result<bool> stop(const Caller& caller, const std::string& name, bool force) = 0;
  virtual Result<bool> restart(const Caller& caller, const std::string& name, bool force) = 0;
  virtual Result<bool> pause(const Caller& caller, const std::string& name) = 0;
  virtual Result<bool> resume(const Caller& caller, const std::string& name) = 0;
  /// Without `force` a running one is conflict "instance.running".
  virtual Result<void> remove(const Caller& caller, const std::string& name, bool force) = 0;
  virtual Result<void> update(const Caller& caller, const std::string& name, const ContainerChange& change) = 0;

  /// Puts the container's settings, file system and volumes into the archive and takes it off its server, in that
  /// order; the archive is complete before anything is removed. Idempotent.
  virtual Result<void> archive(const Caller& caller, const std::string& name) = 0;
  /// Brings an archived one back, on its server or another, stopped.
  virtual Result<void> restore(const Caller& caller, const std::string& name) = 0;

  virtual Result<std::string> read_log(const Caller& caller, const std::string& name,
                                       const compute::LogQuery& query) = 0;
  virtual Result<std::unique_ptr<compute::LogFollowing>> follow_log(const Caller& caller, const std::string& name,
                                                                    const compute::LogQuery& query,
                                                                    std::shared_ptr<compute::LogReader> reader) = 0;
  virtual Result<std::shared_ptr<compute::Terminal>> exec(const Caller& caller, const std::string& name,
                                                          const compute::ExecRequest& request,
                                                          std::shared_ptr<compute::TerminalOutput> output) = 0;
  /// Joins the container's first process: its terminal, or where it has none what it writes and reads. Letting go of it
  /// does not end the process.
  virtual Result<std::shared_ptr<compute::Terminal>> console(const Caller& caller, const std::string& name,
                                                             compute::TerminalSize size,
                                                             std::shared_ptr<compute::TerminalOutput> output) = 0;
  virtual Result<compute::ExecOutcome> run(const Caller& caller, const std::string& name,
                                           const compute::ExecRequest& request,
                                           std::chrono::milliseconds time_limit) = 0;
};

}  // namespace berth::fleet
