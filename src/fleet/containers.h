#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/worker_pool.h"
#include "fleet/container_catalog.h"
#include "fleet/container_service.h"
#include "fleet/image_pull.h"
#include "fleet/lease_book.h"
#include "fleet/placement.h"
#include "fleet/relocation.h"
#include "fleet/remains.h"
#include "fleet/server_registry.h"
#include "identity/sealing.h"
#include "operations/gate.h"

namespace berth::fleet {

namespace archive_folder {
struct ArchivedVolume;
struct Manifest;
}  // namespace archive_folder

/// The one implementation of ContainerService and ContainerMover: rows of the catalog beside what the servers'
/// inventories show. Its operations are of the kinds "container.…", on the resource "container" with the container's
/// id.
class Containers final : public ContainerService, public ContainerMover {
 public:
  struct Settings {
    std::filesystem::path archives;  ///< folder for archives; made if it is not there
    std::chrono::milliseconds quick_limit{20'000};
    std::chrono::milliseconds lifecycle_limit{60'000};
    std::chrono::milliseconds create_limit{1'800'000};  ///< with the pull of an image
    std::chrono::milliseconds archive_limit{7'200'000};
    std::chrono::seconds stop_grace{10};  ///< then by force
    /// How long a replacement must have run before the container that it replaces goes.
    std::chrono::milliseconds proving{3'000};
    /// How many renewals a change waits for the lease of its server's agent.
    int lease_patience{4};
  };
  /// What it works with; everything outlives it.
  struct Parts {
    ServerRegistry& servers;
    store::Database& database;
    const identity::Sealing& sealing;
    operations::OperationService& operations;
    const AccessPolicy& access;
    const Clock& clock;
    CredentialSource credentials = [](const std::string&) { return std::nullopt; };  ///< asked before each pull
  };

  /// Loads the catalog, follows the servers of the registry, and registers as the reconciler of "container."
  /// operations. Before it is destroyed the operations must have been drained.
  static Result<std::unique_ptr<Containers>> create(Settings settings, const Parts& parts);
  /// From now on nothing is begun on a server where its agent may have stopped what is to run. `leases` outlives this.
  void heed(const LeaseBook& leases) { leases_ = &leases; }
  Containers(const Containers&) = delete;
  Containers& operator=(const Containers&) = delete;
  ~Containers() override;

  ContainerPage list(const Caller& caller, const ContainerFilter& filter) const override;
  Result<ContainerPointer> find(const Caller& caller, const std::string& name, Right right) const override;
  Result<ContainerPointer> find(ContainerId id) const override;
  Result<ContainerPointer> find_at_rest(ContainerId id, Deadline deadline) const override;
  std::uint64_t revision() const override { return catalog_.book().view()->revision; }

  Result<Created> create(const Caller& caller, const NewContainer& container) override;
  Result<bool> start(const Caller& caller, const std::string& name) override;
  Result<bool> stop(const Caller& caller, const std::string& name, bool force) override;
  Result<bool> restart(const Caller& caller, const std::string& name, bool force) override;
  Result<bool> pause(const Caller& caller, const std::string& name) override;
  Result<bool> resume(const Caller& caller, const std::string& name) override;
  Result<void> remove(const Caller& caller, const std::string& name, bool force) override;
  Result<void> update(const Caller& caller, const std::string& name, const ContainerChange& change) override;
  Result<void> archive(const Caller& caller, const std::string& name) override;
  Result<void> restore(const Caller& caller, const std::string& name) override;
  Result<std::string> read_log(const Caller& caller, const std::string& name, const compute::LogQuery& query) override;
  Result<std::unique_ptr<compute::LogFollowing>> follow_log(const Caller& caller, const std::string& name,
                                                            const compute::LogQuery& query,
                                                            std::shared_ptr<compute::LogReader> reader) override;
  Result<std::shared_ptr<compute::Terminal>> exec(const Caller& caller, const std::string& name,
                                                  const compute::ExecRequest& request,
                                                  std::shared_ptr<compute::TerminalOutput> output) override;
  Result<std::shared_ptr<compute::Terminal>> console(const Caller& caller, const std::string& name,
                                                     compute::TerminalSize size,
                                                     std::shared_ptr<compute::TerminalOutput> output) override;
  Result<compute::ExecOutcome> run(const Caller& caller, const std::string& name, const compute::ExecRequest& request,
                                   std::chrono::milliseconds time_limit) override;

  FleetState fleet_state() const override;
  Result<operations::TicketPointer> relocate(const Caller& caller, const std::string& name,
                                             const std::optional<std::string>& server) override;
  Result<operations::TicketPointer> recover(const audit::Origin& origin, ContainerId container, ServerId to,
                                            const std::vector<ContainerId>& siblings) override;
  std::optional<FenceMark> fenced(ServerId server) const override { return remains_.fenced(server); }
  std::vector<ContainerThere> living_elsewhere(ServerId server) const override;
  NotToStart not_to_start(ServerId server) const override;
  Result<void> mark_fenced(ServerId server, const std::string& how, const audit::Origin& origin) override;

  /// Everything that a list shows now; its pointer changes with every change, counters included.
  ContainerViewPointer view() const { return catalog_.book().view(); }

  /// What a container is to be like, and where it stands in the books: for whoever moves containers.
  RowPointer row(ContainerId id) const { return catalog_.book().row(id); }

  /// Seals environments that rest under an older key, or unsealed, anew: in the store, then in the archives. Yields
  /// how many. Errors: internal "sealing.broken" if one in the store does not open, and then nothing was changed;
  /// internal "archive.reseal" once all other archives are done.
  static Result<std::int64_t> reseal(store::Database& database, const std::filesystem::path& archives,
                                     const identity::Sealing& sealing);

 private:
  enum class Action { start, stop, restart, pause, resume };
  /// A container that can be worked on now.
  struct Target {
    RowPointer row;
    UnitPointer unit;
  };
  /// A change of one container, ready to be submitted.
  struct Change {
    std::string kind;
    ContainerId id;
    UnitPointer unit;
    std::string input;
    std::string details = "{}";
    std::chrono::milliseconds limit{};
    operations::Work work;
  };
  struct Watch;

  Containers(Settings settings, const Parts& parts);

  // containers.cpp
  bool may(const Caller& caller, const Container& container, Right right) const;
  Result<Target> target_of(const ContainerPointer& container);
  /// The same for a change: where it stands as it should stand. Errors: also those of `wait_for_lease`.
  Result<Target> changeable(const ContainerPointer& container);
  Result<compute::InstancePointer> confirm(const Target& target);
  /// Waits some renewals for a lease that an agent is likely to have soon. Errors: unavailable "server.no_lease".
  Result<void> wait_for_lease(const UnitPointer& unit) const;
  bool lets_run(ServerId server) const;
  /// Whether it is to run: by how it stands there, or by what was wished where its agent may have stopped it.
  bool is_to_run(const ContainerRow& row, compute::Status status) const;
  Result<operations::TicketPointer> submit(const audit::Origin& origin, Change change);
  Result<void> wait_for(const Result<operations::TicketPointer>& ticket, std::chrono::milliseconds limit) const;
  Result<void> carry_out(const audit::Origin& origin, Change change);
  compute::EngineProgress progress_of(operations::Context& context, int from, int to, bool cancellable = false) const;
  /// Whether the caller may mount what the container did not have before.
  Result<void> check_mounts(const Caller& caller, const compute::ContainerSettings& wanted,
                            const compute::ContainerSettings& had) const;
  Result<std::string> owner_uuid(UserId owner);

  // container_lifecycle.cpp
  Result<bool> act(const Caller& caller, const std::string& name, Action action, bool force);
  Result<void> perform(Action action, const Target& target, std::chrono::seconds grace, operations::Context& context);
  Result<void> remove_row(const ContainerRow& row, const Caller& caller);
  operations::Work removing(const Target& target, bool force);

  // container_creation.cpp
  std::vector<PlacementCandidate> candidates(const ContainerView& view) const;
  Result<UnitPointer> place(const std::optional<std::string>& server, const std::string& name,
                            const compute::InstanceLimits& limits, const std::set<ServerId>& except = {});
  /// Keeps room on a server for a container that is about to be there, until `give_back`. With `placing_mutex_` held.
  void reserve(ServerId server, const std::string& name, const compute::InstanceLimits& limits);
  void give_back(ServerId server, const std::string& name);
  Result<void> bring_image(const UnitPointer& unit, const std::string& image, operations::Context& context, int from,
                           int to);
  Result<std::string> make(const Target& target, bool start, operations::Context& context);
  void undo_creation(const Target& target);
  /// Whether the container of that name is the one that the row was to become, and not somebody else's.
  Result<bool> is_ours(const UnitPointer& unit, const ContainerRow& row, Deadline deadline);
  Result<void> take_off(const UnitPointer& unit, const std::string& engine_name, Deadline deadline);
  Result<bool> has(const UnitPointer& unit, const std::string& engine_name, Deadline deadline);

  // container_change.cpp
  Result<std::string> carry_change(const Target& target, Pending pending, operations::Context& context);
  Result<void> change_in_place(const Target& target, operations::Context& context);
  Result<void> apply_limits(const UnitPointer& unit, const std::string& engine_name,
                            const compute::InstanceLimits& from, const compute::InstanceLimits& to, Deadline deadline);
  Result<void> replace(const Target& target, operations::Context& context);
  Result<void> prove(const UnitPointer& unit, const std::string& engine_name, const std::string& name,
                     operations::Context& context);
  Result<compute::ContainerSettings> settings_for_replacement(const Target& target, Deadline deadline);
  /// Ends a pending change, one way or the other, against what the engine really has; yields whether it took place.
  /// `undo`: it has just failed, and everything is put back as it was.
  enum class Settling { undo, later };
  Result<bool> settle(const Target& target, Deadline deadline, Settling how = Settling::later);
  Result<bool> settle_in_place(const Target& target, Deadline deadline);
  Result<bool> settle_replacement(const Target& target, Deadline deadline);
  Result<bool> finish_replacement(const Target& target, Deadline deadline);
  Result<bool> go_back(const Target& target, Deadline deadline);
  /// Starts it again if it ran before its change, which did not take place.
  Result<bool> start_at_home(const Target& target, Deadline deadline);
  Result<bool> commit_change(const Target& target, const std::string& engine_name);
  Result<bool> drop_pending(const Target& target);
  /// Settles what the row says now, as far as the engine answers; for undoing.
  void settle_now(const Target& target);

  // container_archive.cpp
  /// Writes a container that stands still, complete, into the archive of that name.
  Result<archive_folder::Manifest> save_archive(const Target& target, const std::string& archive_name,
                                                operations::Context& context, int from, int to);
  /// Makes a container, stopped, from an archive; `volumes` are those that are made and filled.
  Result<void> make_from_archive(const Target& target, const archive_folder::Manifest& manifest,
                                 const std::string& archive_name,
                                 const std::vector<archive_folder::ArchivedVolume>& volumes,
                                 operations::Context& context, int from, int to);
  Result<std::string> put_away(const Target& target, operations::Context& context);
  Result<std::string> bring_back(const Target& target, operations::Context& context);
  Result<UnitPointer> place_archived(const ContainerRow& row);
  Result<bool> settle_archive(const Target& target, Deadline deadline);
  Result<bool> settle_restore(const Target& target, Deadline deadline);
  Result<bool> leave_server(const Target& target, Deadline deadline);
  /// Removes volumes that no other container of the server mentions; one that is in use stays.
  Result<void> remove_volumes(const Target& target, const std::vector<std::string>& volumes, Deadline deadline);

  // container_relocation.cpp
  Result<void> check_movable(const ContainerRow& row) const;
  Result<std::string> move_away(const Target& source, const UnitPointer& to, operations::Context& context);
  Result<void> prepare_move(const Target& source, const UnitPointer& to, bool was_running,
                            const std::string& archive_name, Deadline deadline);
  Result<void> start_moved(const Target& source, const UnitPointer& to, operations::Context& context);
  /// Writes down whether it may run on the other server from now on.
  Result<void> note_started(ContainerId id, bool started);
  /// The last step of a move: makes the other server its own.
  Result<void> settle_down(const ContainerRow& row, const UnitPointer& to, Remains remains,
                           const audit::Origin& origin);
  /// Puts an undecided move back; but a copy that was let run stays where it is when this is done later, as it may have
  /// written something since.
  Result<bool> settle_move(const Target& target, Deadline deadline, Settling how);
  Result<bool> keep_started_copy(const ContainerRow& row, const UnitPointer& to, Deadline deadline);
  bool can_settle(const ContainerRow& row) const;
  static bool answers(const UnitPointer& unit);
  static Result<void> bring_networks(const UnitPointer& unit, const std::vector<std::string>& networks,
                                     Deadline deadline);
  /// Keeps room on a server free until the last copy goes.
  std::shared_ptr<void> hold_room(ServerId server, const std::string& name);
  Result<void> forget_move(const ContainerRow& row, bool leave_remains);

  // container_recovery.cpp
  Result<std::string> bring_elsewhere(ContainerId id, const UnitPointer& to, const std::vector<ContainerId>& siblings,
                                      operations::Context& context);
  /// The volumes of a container on the server that it comes to.
  struct VolumePlan {
    std::vector<archive_folder::ArchivedVolume> filled;
    std::vector<std::string> made;  ///< filled or not
    std::vector<std::string> lost;
  };
  Result<VolumePlan> plan_volumes(const ContainerRow& row, const UnitPointer& to,
                                  const archive_folder::Manifest* manifest, const std::vector<ContainerId>& siblings,
                                  Deadline deadline);
  Result<void> make_from_image(const Target& target, operations::Context& context, int from, int to);
  /// Whether the change that its server has not ended leaves a container to recover. Ends one that is as good as done.
  Result<bool> is_to_recover(const RowPointer& row, Deadline deadline);
  /// Of one whose archive is complete only the copy on its server is left.
  Result<void> end_archiving_elsewhere(const RowPointer& row);

  // container_remains.cpp
  /// Stops what lives elsewhere now, before anything else is done about a server that answers; false if something is
  /// left to be done.
  bool clear_remains(const UnitPointer& unit, ContainerBook::Differences& found);
  /// When an engine brings a container back by itself; where it cannot be told, what it brings back is stopped.
  void set_restart_policy(const UnitPointer& unit, const std::string& engine_name, compute::RestartPolicy policy);
  Result<void> bury(const UnitPointer& unit, const Remains& remains, Deadline deadline);
  Result<void> forget_remains(const Remains& remains);

  // container_upkeep.cpp
  void follow(const UnitPointer& unit);
  void unfollow(const UnitPointer& unit);
  static void end_watch(Watch& watch);
  void look_after(const std::shared_ptr<Watch>& watch);
  void keep_up(const std::shared_ptr<Watch>& watch);
  /// Something is left to be done on a server, though its inventory may show nothing of it.
  void look_again(ServerId server);
  bool adopt(const UnitPointer& unit, const ContainerBook::Differences& differences);
  bool rename_outside(const UnitPointer& unit, const RowPointer& row, const compute::InstancePointer& instance);
  bool mark_missing(const UnitPointer& unit, const RowPointer& row);
  bool take_as_it_is(const UnitPointer& unit, const RowPointer& row, const compute::InstancePointer& instance);
  /// Somebody has started with the engine's own tools what was to be stopped: now it is to run.
  bool take_as_started(const UnitPointer& unit, const RowPointer& row);
  void begin_settling(const UnitPointer& unit, const RowPointer& row);
  bool is_active(ContainerId id) const;
  bool is_being_created(const std::string& name) const;

  // container_reconciler.cpp
  Result<operations::Verdict> reconcile(const operations::Operation& operation);
  Result<operations::Verdict> judge_create(const operations::Operation& operation, const Target& target);
  Result<operations::Verdict> judge_lifecycle(const operations::Operation& operation, const Target& target);
  Result<operations::Verdict> judge_removal(const Target& target);
  Result<operations::Verdict> judge_pending(const operations::Operation& operation, const Target& target);

  const Settings settings_;
  const Parts parts_;
  ContainerCatalog catalog_;
  RemainsBook remains_;
  std::atomic<const LeaseBook*> leases_{nullptr};

  std::mutex placing_mutex_;
  /// What containers that are about to be on a server will take there, by name, until the book shows them.
  std::map<ServerId, std::multimap<std::string, compute::InstanceLimits>> reserved_;

  mutable std::mutex active_mutex_;
  std::multiset<ContainerId> active_;         ///< with an operation of ours in memory
  std::multiset<std::string> being_created_;  ///< names whose operation has not begun yet

  std::mutex watches_mutex_;
  std::map<ServerId, std::shared_ptr<Watch>> watches_;
  Signal<const UnitPointer&>::Subscription added_;
  Signal<const UnitPointer&>::Subscription removed_;

  /// Lets tasks of the servers' pools in until this ends.
  std::shared_ptr<operations::Gate> gate_ = std::make_shared<operations::Gate>();
  WorkerPool settling_{{.name = "fleet-settle", .threads = 2}};
};

}  // namespace berth::fleet
