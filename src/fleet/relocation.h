#pragma once

#include <boost/describe/class.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "fleet/access.h"
#include "fleet/fleet_state.h"
#include "fleet/lease.h"
#include "fleet/remains.h"
#include "operations/operation_service.h"

// How one container comes to another server.
//
// While its server answers it is relocated: stopped, put into an archive, made on the other server from that, started
// and proven there; then one transaction makes that server its own, and what it left behind goes. Until then it can go
// back, and does if anything fails: what was made goes, and it is started again where it was. Only where that could not
// be done at once, and it has been let run on the other server, it stays there: it may have written something since.
//
// While its server does not answer it may be recovered, if that server is certainly fenced: made elsewhere from its
// newest archive, or from its image and settings. What it left behind is stopped as soon as that server answers.
//
// It never runs twice: it is started on the new server only once it has been written down that it may run there
// (`Pending::started`), and on the old one only once it is certain that it does not.
namespace berth::fleet {

/// What a move did: the result of its operation.
struct MoveResult {
  std::string container;
  std::int64_t container_id = 0;
  std::string from;
  std::string to;
  /// When the archive was made that it comes from, in microseconds; nothing: made from its image and settings.
  std::optional<std::int64_t> archive;
  /// Named volumes and folders of the server that did not come along.
  std::vector<std::string> lost;
};
BOOST_DESCRIBE_STRUCT(MoveResult, (), (container, container_id, from, to, archive, lost))

class ContainerMover {
 public:
  virtual ~ContainerMover() = default;

  /// Everything that decisions are made from, from memory.
  virtual FleetState fleet_state() const = 0;

  /// Moves a container to a server by name, or to the best other one. An operation "container.relocate" on the
  /// container. Errors: those of ContainerService, conflict "placement.no_server" (and the others of placing),
  /// conflict "relocation.same_server", "relocation.pinned" (a folder of its server, or a volume that another
  /// container uses too), "relocation.volume_taken".
  virtual Result<operations::TicketPointer> relocate(const Caller& caller, const std::string& name,
                                                     const std::optional<std::string>& server) = 0;

  /// Brings a container of a fenced server back on another one. An operation "container.recover" on the container.
  /// Volumes that it shares with `siblings`, which were on the same server, are kept where those brought them along.
  /// Errors: conflict "failover.not_fenced", "failover.reachable" (its server answers), "operation.busy".
  virtual Result<operations::TicketPointer> recover(const audit::Origin& origin, ContainerId container, ServerId to,
                                                    const std::vector<ContainerId>& siblings) = 0;

  /// Nothing for a server that is not fenced.
  virtual std::optional<FenceMark> fenced(ServerId server) const = 0;
  /// What lies on a server of containers that live on another one.
  virtual std::vector<ContainerThere> living_elsewhere(ServerId server) const = 0;
  /// All that the agent of a server is not to start again there.
  virtual NotToStart not_to_start(ServerId server) const = 0;
  /// Writes down that nothing runs on a server any more. It is forgotten when the server answers and nothing runs
  /// there that lives elsewhere.
  virtual Result<void> mark_fenced(ServerId server, const std::string& how, const audit::Origin& origin) = 0;
};

}  // namespace berth::fleet
