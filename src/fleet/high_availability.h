#pragma once

#include <atomic>
#include <boost/describe/class.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/worker_pool.h"
#include "fleet/balance_plan.h"
#include "fleet/evacuation_plan.h"
#include "fleet/lease_book.h"
#include "fleet/relocation.h"
#include "fleet/server_registry.h"
#include "operations/gate.h"

namespace berth::fleet {

/// A container that was to be moved and was not.
struct NotMoved {
  std::string container;
  std::int64_t container_id = 0;
  std::string server;  ///< where it is still at home
  std::string reason;
  std::string message_zh;
  std::string message_en;
};
BOOST_DESCRIBE_STRUCT(NotMoved, (), (container, container_id, server, reason, message_zh, message_en))

/// A server from which nothing was moved.
struct NotFailedOver {
  std::string server;
  std::string reason;
  std::string message_zh;
  std::string message_en;
};
BOOST_DESCRIBE_STRUCT(NotFailedOver, (), (server, reason, message_zh, message_en))

/// What an operation of HighAvailability did: its result.
struct MovesResult {
  std::vector<MoveResult> moved;
  std::vector<NotMoved> not_moved;
  std::vector<NotFailedOver> refused;
};
BOOST_DESCRIBE_STRUCT(MovesResult, (), (moved, not_moved, refused))

/// What a book of leases asks, answered by these two, which outlive it.
LeaseBook::Surroundings lease_surroundings(const ServerRegistry& servers, const ContainerMover& mover);

/// What moves many containers: failover, disaster recovery, balancing, emptying a server. Each is an operation
/// ("fleet.failover", "fleet.recovery", "fleet.balance", "fleet.empty") whose parts are operations on the containers;
/// an equal one that runs is joined. Decisions are made by balance_plan.h and evacuation_plan.h. After a crash what was
/// under way has failed with "operation.interrupted"; what had moved has moved, and the rest is at home where it was,
/// so that it can be begun again. Thread-safe; calls may ask engines, so they belong on worker threads.
class HighAvailability {
 public:
  struct Settings {
    std::map<std::string, std::vector<std::string>> fence_commands;  ///< by name; argv
    std::chrono::milliseconds fence_limit{60'000};
    std::chrono::milliseconds knock{1000};       ///< that a server which is down gets to say that it is not
    std::chrono::milliseconds patience{10'000};  ///< with other operations on a container
    std::chrono::milliseconds limit{7'200'000};  ///< of a whole operation
    std::size_t at_once = 16;                    ///< containers that are recovered at the same time
    /// How long passes between looks at what is waited for; a simulation lets its own time pass.
    std::function<void(std::chrono::milliseconds)> pause = [](auto time) { std::this_thread::sleep_for(time); };
    BalanceRules balance;
  };
  struct Parts {
    ContainerMover& mover;
    ServerRegistry& servers;
    operations::OperationService& operations;
    LeaseBook& leases;
  };

  /// Registers as the reconciler of "fleet." operations. Stop it, and drain the operations, before it is destroyed.
  HighAvailability(Settings settings, const Parts& parts);
  HighAvailability(const HighAvailability&) = delete;
  HighAvailability& operator=(const HighAvailability&) = delete;
  ~HighAvailability();

  /// What is under way begins nothing more and has failed with "operation.interrupted". Idempotent.
  void stop() { stopping_ = true; }

  /// Brings the containers of a server that is down back on others. `confirmed`: a person says that the machine is
  /// off. Errors: conflict "failover.reachable", conflict "failover.not_fenced", not_found "server.not_found".
  Result<operations::TicketPointer> fail_over(ServerId server, bool confirmed, const audit::Origin& origin);
  /// The same for every server that is down and has a fence, or has been fenced before.
  Result<operations::TicketPointer> fail_over_all(const audit::Origin& origin);
  /// The same for every server that is down; `confirmed` speaks for all of them. Errors: conflict
  /// "failover.not_fenced" if that lets none of those that are down begin.
  Result<operations::TicketPointer> recover_everything(bool confirmed, const audit::Origin& origin);

  BalancePlan balance_plan() const;
  /// Carries out the plan of the moment when it begins.
  Result<operations::TicketPointer> balance(const audit::Origin& origin);
  /// Moves everything that can be moved off a server that answers.
  Result<operations::TicketPointer> empty(ServerId server, const audit::Origin& origin);

 private:
  using Work = std::function<Result<MovesResult>(operations::Context&)>;

  Result<operations::TicketPointer> begin(std::string kind, std::string resource_type, std::string resource_id,
                                          std::string input, const audit::Origin& origin, WorkerPool& pool, Work work);
  FenceSituation situation_of(const ServerView& view, bool confirmed) const;
  /// Why nothing of a server may move; nothing if it may.
  std::optional<Error> refusal(const ServerView& view, FenceDecision decision) const;
  Result<void> fence(const ServerView& view, bool confirmed, operations::Context& context);
  /// Waits until the agent of a server has certainly stopped everything.
  Result<void> end_lease(const ServerView& view, operations::Context& context);
  Result<MovesResult> evacuate(ServerId server, bool confirmed, operations::Context& context);
  Result<MovesResult> evacuate_each(const std::vector<ServerView>& servers, bool confirmed,
                                    operations::Context& context);
  void recover_groups(const EvacuationPlan& plan, MovesResult& result, operations::Context& context);
  Result<MovesResult> relocate_each(const std::vector<PlannedMove>& moves, operations::Context& context);
  /// Begins something on a container as soon as nothing else is under way there.
  Result<operations::TicketPointer> patiently(const std::function<Result<operations::TicketPointer>()>& begin) const;
  /// Waits for an operation on a container or a server, as long as this is not stopped.
  Result<operations::Operation> wait_for(const operations::TicketPointer& ticket, Deadline deadline) const;
  NotMoved not_moved(ContainerId container, const std::string& name, ServerId server, const Error& error) const;
  std::string name_of(ServerId server) const;

  const Settings settings_;
  const Parts parts_;
  std::atomic<bool> stopping_{false};
  std::shared_ptr<operations::Gate> gate_ = std::make_shared<operations::Gate>();
  /// Operations that wait for those of single servers have threads of their own.
  WorkerPool single_{{.name = "fleet-failover", .threads = 4}};
  WorkerPool many_{{.name = "fleet-recovery", .threads = 2}};
};

}  // namespace berth::fleet
