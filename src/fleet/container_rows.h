#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fleet/container_service.h"
#include "identity/sealing.h"
#include "store/database.h"

namespace berth::fleet {

/// What a container is to be like.
struct Desired {
  std::string image;
  compute::ContainerSettings settings;
  compute::InstanceLimits limits;
  bool running = true;
  /// The environment as it rests where its key is gone, "" where it is open: it goes on resting until another is set.
  std::string unopened = {};
  bool operator==(const Desired&) const = default;
};

/// Seals environments, which may hold passwords, each bound to the place where it rests; the rest of what a container
/// is to be like stays readable.
struct EnvironmentSeal {
  const identity::Sealing& sealing;
  std::string context;
};
/// For what the store keeps of a container.
EnvironmentSeal seal_of(ContainerId id, const identity::Sealing& sealing);

std::string to_json(const Desired& desired, const EnvironmentSeal& seal);
/// Also reads what was written before environments were sealed. One that does not open is `unopened`.
Result<Desired> desired_from_json(std::string_view text, const EnvironmentSeal& seal);
/// The same with its environment under the newest key; nothing if it is that already. Errors: internal
/// "sealing.broken".
Result<std::optional<std::string>> reseal_desired(std::string_view text, const EnvironmentSeal& seal);

/// A change of several steps that is under way or was left half done: enough to end it, whatever became of it.
struct Pending {
  /// `relocate`: to another server while its own answers. `recover`: to another while its own is fenced. `resume`: a
  /// change that was given up had stopped it, and its server does not answer: it is to be started there again.
  enum class Kind { replace, rename, limits, archive, restore, relocate, recover, resume };
  Kind kind = Kind::replace;
  /// Past it the change is carried to its end, before it everything is put back as it was.
  bool decided = false;
  bool was_running = false;
  std::string name = {};                  ///< of the container afterwards, in the catalog
  std::optional<Desired> desired = {};    ///< afterwards
  std::string archive = {};               ///< its folder
  ServerId server = {};                   ///< for `restore`, `relocate` and `recover`: where to
  std::vector<std::string> volumes = {};  ///< for these: which it makes there
  bool started = false;                   ///< for `relocate` and `recover`: it may run there from now on
  /// For `recover`, none or one: the change that its server has not ended, to be gone on with there if it stays there.
  std::vector<Pending> interrupted = {};
  bool operator==(const Pending&) const = default;
};

std::string to_json(const Pending& pending, const EnvironmentSeal& seal);
Result<Pending> pending_from_json(std::string_view text, const EnvironmentSeal& seal);
/// What of a pending change is told without opening its environment.
struct PendingOutline {
  Pending::Kind kind;
  ServerId server;
};
Result<PendingOutline> pending_outline(std::string_view text);
/// As for `Desired`.
Result<std::optional<std::string>> reseal_pending(std::string_view text, const EnvironmentSeal& seal);

/// A container as the store has it. Immutable once it is shared.
struct ContainerRow {
  ContainerId id;
  std::string name;
  ServerId server;          ///< 0 for an archived one whose server is gone
  std::string engine_name;  ///< what its engine calls it; another than `name` if that was taken when it was adopted
  std::string engine_id;    ///< the engine's own id; "" while not known
  UserId owner;
  Presence presence = Presence::present;
  Desired desired;
  std::int64_t epoch = 0;
  std::optional<Pending> pending;
  std::string archive;  ///< folder of the newest archive; "" for none
  Timestamp created_at;
  Timestamp updated_at;
};

/// What the engine calls the container once its pending change is done.
std::string engine_name_after(const ContainerRow& row);
/// Whatever its engines may call it, or a copy of it, while its pending change is under way.
std::set<std::string> engine_names_of(const ContainerRow& row);
/// What a container is like once its change has taken place, if that was decided.
ContainerRow as_its_change_leaves_it(const ContainerRow& row);

using RowPointer = std::shared_ptr<const ContainerRow>;

std::string_view name(Presence presence);

/// What a replacement is called beside the container that it replaces, and that one once it has been.
std::string fresh_name(ContainerId id);
std::string spare_name(ContainerId id);
/// The container that such a name belongs to.
std::optional<ContainerId> owner_of_helper(std::string_view engine_name);

// How containers are kept in the store.
namespace container_rows {

/// Takes the name too. Errors: already_exists "container.exists".
Result<ContainerId> insert(store::Transaction& transaction, const ContainerRow& row, const identity::Sealing& sealing);
/// Writes all but id and creation. False if there is no such row.
Result<bool> update(store::Transaction& transaction, const ContainerRow& row, const identity::Sealing& sealing);
Result<void> remove(store::Transaction& transaction, ContainerId id);
Result<std::optional<RowPointer>> find(store::Transaction& transaction, ContainerId id,
                                       const identity::Sealing& sealing);
Result<std::vector<RowPointer>> all(store::Transaction& transaction, const identity::Sealing& sealing);
/// Seals environments that rest under an older key, or unsealed, anew; yields of how many containers.
Result<std::int64_t> reseal(store::Transaction& transaction, const identity::Sealing& sealing);

/// How many containers are on their way to a server: relocated, recovered or restored there.
Result<std::int64_t> count_moving_to(store::Transaction& transaction, ServerId server);

/// Takes another name for a container; one that it has already is taken again. Errors as above.
Result<void> take_name(store::Transaction& transaction, ContainerId id, const std::string& name);
/// Gives up every name of a container but one.
Result<void> keep_only_name(store::Transaction& transaction, ContainerId id, const std::string& name);
Result<bool> is_taken(store::Transaction& transaction, const std::string& name);

/// Nobody (0) if no user has that UUID.
Result<UserId> user_of_uuid(store::Transaction& transaction, const std::string& uuid);
/// "" if there is no such user.
Result<std::string> uuid_of_user(store::Transaction& transaction, UserId user);

}  // namespace container_rows

Error container_exists(const std::string& name);
Error container_not_found(const std::string& name);
/// conflict "container.environment" unless the environment is open.
Result<void> check_opened(const Desired& desired, const std::string& name);

}  // namespace berth::fleet
