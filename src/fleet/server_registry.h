#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "audit/audit_log.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/signal.h"
#include "base/worker_pool.h"
#include "compute/container_engine.h"
#include "compute/engine.h"
#include "compute/instance_service.h"
#include "compute/inventory.h"
#include "fleet/server.h"
#include "fleet/server_health.h"
#include "identity/sealing.h"
#include "metrics/registry.h"
#include "operations/operation_service.h"
#include "store/database.h"

namespace berth::fleet {

/// What operations and metrics call a server's engine: "server-<id>".
EngineId engine_id_of(ServerId id);

/// What a wish that names a server that is not there is told; with the field "server".
Error server_not_found(const std::string& name);

/// The engine of a server and what works on it. Destroyed in the reverse order of its members, never on a thread of
/// its own pool.
struct ServerUnit {
  ServerId id;
  std::string name;
  EngineId engine_id;
  std::unique_ptr<compute::InstanceEngine> engine;
  std::unique_ptr<WorkerPool> pool;
  std::unique_ptr<compute::Inventory> inventory;
  std::unique_ptr<compute::InstanceService> service;
  std::unique_ptr<ServerProbe> probe;
};

using UnitPointer = std::shared_ptr<ServerUnit>;

struct NewServer {
  std::string name;
  ServerAddress address;
  std::map<std::string, std::string> labels;
  Placement placement = Placement::open;
  Fence fence = Fence::none;
  std::string fence_command;
};

/// What is absent stays. An address is given whole; without a key it keeps the one that it has.
struct ServerChange {
  std::optional<ServerAddress> address;
  std::optional<std::map<std::string, std::string>> labels;
  std::optional<Placement> placement;
  std::optional<Fence> fence;
  std::optional<std::string> fence_command;
};

/// What a test of a server found.
struct ServerTest {
  compute::EngineInfo engine;
  std::chrono::milliseconds latency{0};
  std::optional<compute::EngineCapacity> capacity;
};

struct ServerView {
  Server server;  ///< without its key
  ServerStatus status;
};

enum class TestFirst { yes, no };

/// The servers that run containers: rows of the store, and for each a unit that works on its engine. Reads come from
/// memory. Every change is audited in its own transaction. Thread-safe; what may ask an engine or the store belongs on
/// worker threads. Errors: not_found "server.not_found", already_exists "server.exists", conflict "server.in_use",
/// invalid_argument "server.invalid" naming the fields ("name", "url", "labels", "fence_command"), and where a test
/// fails the engine's own, whose detail says why.
class ServerRegistry {
 public:
  /// Makes the engine of a server; nothing is asked of it yet.
  using EngineFactory = std::function<Result<std::unique_ptr<compute::InstanceEngine>>(const Server&)>;

  struct Settings {
    std::size_t threads = 32;              ///< of each server's pool: how many changes run on it at once
    std::chrono::milliseconds tick{5000};  ///< how old figures of its inventory become at most
    std::chrono::milliseconds test_limit{10'000};
    HealthSettings health;
  };

  /// What the registry works with; everything outlives it.
  struct Parts {
    store::Database& database;
    audit::AuditLog& audit;
    const identity::Sealing& sealing;
    operations::OperationService& operations;
    metrics::Registry& metrics;
    const Clock& clock;
  };

  /// Loads the servers and makes their units, which do nothing before `start`. A server whose engine cannot be made
  /// (a key that does not open, a bad address) is kept, unreachable.
  static Result<std::unique_ptr<ServerRegistry>> create(Settings settings, const Parts& parts, EngineFactory factory);
  ServerRegistry(const ServerRegistry&) = delete;
  ServerRegistry& operator=(const ServerRegistry&) = delete;
  ~ServerRegistry();

  /// Begins to read inventories and to measure health, also of servers that are added later. At most once.
  void start();
  /// Ends that; drain the operations before. Idempotent.
  void stop();

  std::vector<ServerView> list() const;  ///< by name
  Result<ServerView> find(ServerId id) const;
  Result<ServerView> find(const std::string& name) const;
  /// Of all servers together: the worst of them; healthy where there is none.
  ServerHealth health() const;

  /// Tests before anything is stored; an address from which no engine can be made is refused in any case.
  Result<ServerView> add(const NewServer& server, TestFirst test, const audit::Origin& origin);
  /// A new address is tested first; changes under way on the old one end as they can.
  Result<ServerView> update(ServerId id, const ServerChange& change, TestFirst test, const audit::Origin& origin);
  /// Whether new containers are placed on it.
  Result<void> set_placement(ServerId id, Placement placement, const audit::Origin& origin);
  /// Refused while containers of the catalog are on it, archived ones apart.
  Result<void> remove(ServerId id, const audit::Origin& origin);
  /// Asks a server that is there, or one that is not added yet. Changes nothing.
  Result<ServerTest> test(ServerId id);
  Result<ServerTest> test(const NewServer& server);

  /// Null if there is no such server or its engine could not be made.
  UnitPointer unit(ServerId id) const;
  std::vector<UnitPointer> units() const;
  /// Emitted with a unit that was made, from the thread that made it.
  Signal<const UnitPointer&>& unit_added() { return unit_added_; }
  /// Emitted with a unit that ends now: no more operations may be begun on it.
  Signal<const UnitPointer&>& unit_removed() { return unit_removed_; }
  /// Emitted when a server's health changed, with the state before and now.
  Signal<ServerId, const ServerStatus&, const ServerStatus&>& health_changed() { return health_changed_; }

  /// Settles an open operation of the "instance." and "image." kinds of any server's engine, for
  /// OperationService::reconcile_with. One whose server is gone has failed with "engine.removed"; one whose server
  /// does not answer is asked about again later, and holds up no other.
  Result<operations::Verdict> reconcile(const operations::Operation& operation);

  /// Seals keys that rest under an older key anew; yields how many.
  static Result<std::int64_t> reseal(store::Database& database, const identity::Sealing& sealing);

 private:
  struct Entry {
    Server server;
    UnitPointer unit;  ///< null where the engine could not be made
    std::string problem;
  };

  ServerRegistry(Settings settings, const Parts& parts, EngineFactory factory);
  Result<void> load();
  Result<UnitPointer> make_unit(const Server& server);
  Result<ServerTest> test_engine(const Server& server);
  /// Refuses an address from which no engine can be made, and, if it is to be tested, one that does not answer.
  Result<void> test_address(const Server& server, TestFirst test_first);
  Result<Entry> entry(ServerId id) const;
  ServerView view_of(const Entry& entry) const;
  void publish(Entry entry);
  void retire(UnitPointer unit);

  const Settings settings_;
  const Parts parts_;
  const EngineFactory factory_;
  Signal<const UnitPointer&> unit_added_;
  Signal<const UnitPointer&> unit_removed_;
  Signal<ServerId, const ServerStatus&, const ServerStatus&> health_changed_;

  /// One change of servers at a time, from the store to the unit.
  std::mutex changes_mutex_;
  mutable std::mutex mutex_;
  std::map<ServerId, Entry> entries_;
  bool started_ = false;
  bool stopped_ = false;
  /// Ends units in the background: one may wait for a hung engine.
  WorkerPool retiring_{{.name = "fleet-retire", .threads = 1}};
};

}  // namespace berth::fleet
