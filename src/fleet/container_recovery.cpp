// How a container of a fenced server comes back elsewhere; relocation.h tells the order of things.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/log.h"
#include "fleet/archive_folder.h"
#include "fleet/container_input.h"
#include "fleet/containers.h"
#include "fleet/server_rows.h"
#include "json/write.h"

namespace berth::fleet {
namespace {

/// How long a fenced server is given to say that it answers after all, right before a container of it is started.
constexpr std::chrono::milliseconds kKnock{500};

Error not_fenced(const std::string& server) {
  return Error(ErrorCode::conflict, "failover.not_fenced",
               {fmt::format("尚未确定服务器 {} 上已没有容器在运行", server),
                fmt::format("It is not certain that nothing runs on server {} any more", server)});
}

Error reachable(const std::string& server) {
  return Error(ErrorCode::conflict, "failover.reachable",
               {fmt::format("服务器 {} 仍可访问，不进行故障转移", server),
                fmt::format("Server {} answers: what it runs stays there", server)});
}

Error volume_taken(const std::string& server, const std::string& volume) {
  return Error(ErrorCode::conflict, "relocation.volume_taken",
               {fmt::format("服务器 {} 上已有名为 {} 的卷", server, volume),
                fmt::format("Server {} has a volume {} already", server, volume)});
}

}  // namespace

Result<operations::TicketPointer> Containers::recover(const audit::Origin& origin, ContainerId container, ServerId to,
                                                      const std::vector<ContainerId>& siblings) {
  const RowPointer row = catalog_.book().row(container);
  if (row == nullptr) return container_not_found(std::to_string(container.value()));
  const auto view = parts_.servers.find(row->server);
  const std::string from = view ? view->server.name : std::to_string(row->server.value());
  if (!remains_.fenced(row->server)) return not_fenced(from);
  const UnitPointer unit = parts_.servers.unit(to);
  if (unit == nullptr || to == row->server || remains_.fenced(to)) return compute::engine_unavailable();
  // Tried again by whoever asked; others wait behind this one.
  if (!lets_run(to)) return no_lease(unit->name);
  {
    const std::lock_guard placing(placing_mutex_);
    reserve(to, row->name, row->desired.limits);
  }
  const auto room = hold_room(to, row->name);
  Change change;
  change.kind = "container.recover";
  change.id = row->id;
  change.unit = unit;
  change.limit = settings_.archive_limit;
  change.input = json::to_json(ContainerInput{.name = row->name, .to = to.value()});
  change.details = json::to_json(ContainerDetails{.name = row->name, .server = unit->name, .from = from});
  change.work = [this, container, unit, siblings, room](operations::Context& context) {
    return bring_elsewhere(container, unit, siblings, context);
  };
  return submit(origin, std::move(change));
}

Result<bool> Containers::is_to_recover(const RowPointer& row, Deadline deadline) {
  if (!row->pending) return true;
  const Pending& pending = *row->pending;
  switch (pending.kind) {
    case Pending::Kind::relocate:
    case Pending::Kind::recover:
      // Where it has moved after all, there is nothing to recover.
      return !BERTH_TRY(settle_move({row, nullptr}, deadline, Settling::later));
    case Pending::Kind::restore:
      return false;
    case Pending::Kind::archive:
      if (!pending.decided) return true;
      BERTH_CHECK(end_archiving_elsewhere(row));
      return false;
    case Pending::Kind::replace:
    case Pending::Kind::rename:
    case Pending::Kind::limits:
    case Pending::Kind::resume:
      break;
  }
  return true;
}

Result<void> Containers::end_archiving_elsewhere(const RowPointer& row) {
  const Pending& pending = *row->pending;
  const auto manifest = BERTH_TRY(archive_folder::read(settings_.archives, pending.archive, parts_.sealing));
  Remains remains{.server = row->server,
                  .container = row->id,
                  .engine_name = row->engine_name,
                  .engine_id = row->engine_id,
                  .volumes = {},
                  .disposable = true};
  for (const auto& volume : manifest.volumes) remains.volumes.push_back(volume.name);
  BERTH_CHECK(catalog_.change(row->id, [&](store::Transaction& transaction, ContainerRow& now) -> Result<void> {
    if (now.pending != pending) return container_busy(now.name);
    BERTH_CHECK(remains_.add(transaction, remains));
    now.presence = Presence::archived;
    now.archive = pending.archive;
    now.engine_id.clear();
    now.desired.running = false;
    now.pending.reset();
    return container_rows::keep_only_name(transaction, now.id, now.name);
  }));
  archive_folder::remove_all(settings_.archives, row->id, pending.archive);
  return remains_.load();
}

Result<Containers::VolumePlan> Containers::plan_volumes(const ContainerRow& row, const UnitPointer& to,
                                                        const archive_folder::Manifest* manifest,
                                                        const std::vector<ContainerId>& siblings, Deadline deadline) {
  VolumePlan plan;
  const auto& mounts = manifest != nullptr ? manifest->desired.settings.mounts : row.desired.settings.mounts;
  if (mounts.empty()) return plan;
  std::vector<compute::Volume> there;
  if (compute::VolumeAbility* ability = to->engine->volumes()) {
    there = BERTH_TRY(ability->list_volumes(deadline.sooner(settings_.quick_limit)));
  }
  // One that a sibling brought along, and nobody else uses, is the same volume.
  const auto brought_by_sibling = [&](const std::string& volume) {
    bool brought = false;
    for (const auto& other : catalog_.book().rows_on(to->id)) {
      if (std::ranges::find(other->desired.settings.mounts, volume, &compute::Mount::source) ==
          other->desired.settings.mounts.end()) {
        continue;
      }
      if (std::ranges::find(siblings, other->id) == siblings.end()) return false;
      brought = true;
    }
    return brought;
  };
  std::set<std::string> seen;
  for (const auto& mount : mounts) {
    if (!seen.insert(mount.source).second) continue;
    if (mount.is_host_path()) {
      plan.lost.push_back(mount.source);
      continue;
    }
    if (std::ranges::find(there, mount.source, &compute::Volume::name) != there.end()) {
      if (!brought_by_sibling(mount.source)) return volume_taken(to->name, mount.source);
      continue;
    }
    plan.made.push_back(mount.source);
    bool kept = false;
    if (manifest != nullptr) {
      const auto at = std::ranges::find(manifest->volumes, mount.source, &archive_folder::ArchivedVolume::name);
      kept = at != manifest->volumes.end();
      if (kept) plan.filled.push_back(*at);
    }
    if (!kept) plan.lost.push_back(mount.source);
  }
  return plan;
}

Result<void> Containers::make_from_image(const Target& target, operations::Context& context, int from, int to) {
  const ContainerRow& row = *target.row;
  BERTH_CHECK(check_opened(row.desired, row.name));
  BERTH_CHECK(bring_image(target.unit, row.desired.image, context, from, (from + to) / 2));
  compute::NewInstance instance;
  instance.name = row.engine_name;
  instance.image = row.desired.image;
  instance.container = row.desired.settings;
  instance.limits = row.desired.limits;
  instance.owner = BERTH_TRY(owner_uuid(row.owner));
  instance.start = false;
  return target.unit->engine->create(instance, progress_of(context, (from + to) / 2, to), context.deadline());
}

Result<std::string> Containers::bring_elsewhere(ContainerId id, const UnitPointer& to,
                                                const std::vector<ContainerId>& siblings,
                                                operations::Context& context) {
  const Deadline deadline = context.deadline();
  RowPointer row = catalog_.book().row(id);
  if (row == nullptr) return container_not_found(std::to_string(id.value()));
  const auto view = BERTH_TRY(parts_.servers.find(row->server));
  const UnitPointer lost_unit = parts_.servers.unit(row->server);
  const auto is_back = [&] {
    return lost_unit != nullptr && (lost_unit->inventory->snapshot()->health.connected ||
                                    lost_unit->engine->info(Deadline::after(kKnock)).has_value());
  };
  if (!remains_.fenced(row->server)) return not_fenced(view.server.name);
  if (is_back()) return reachable(view.server.name);
  const bool to_recover = BERTH_TRY(is_to_recover(row, deadline));
  row = catalog_.book().row(id);
  if (!to_recover || row == nullptr || row->presence != Presence::present) return std::string("null");
  const auto wanted = std::make_shared<const ContainerRow>(as_its_change_leaves_it(*row));
  if (remains_.servers_of(id).contains(to->id) || BERTH_TRY(has(to, wanted->engine_name, deadline))) {
    return container_exists(wanted->engine_name);
  }
  std::optional<archive_folder::Manifest> manifest;
  if (!row->archive.empty() && to->engine->archives() != nullptr) {
    context.progress(0, "checksums");
    auto verified = archive_folder::verify(settings_.archives, row->archive, parts_.sealing);
    // A container without its data is better than none; what is lost is told.
    if (!verified) log::error("fleet", "the archive of {}: {}", row->name, verified.error().describe());
    if (verified) manifest = std::move(*verified);
  }
  const VolumePlan volumes = BERTH_TRY(plan_volumes(*wanted, to, manifest ? &*manifest : nullptr, siblings, deadline));
  const bool runs = row->desired.running;
  row = BERTH_TRY(catalog_.change(id, [&](store::Transaction& transaction, ContainerRow& now) -> Result<void> {
    BERTH_CHECK(server_rows::require(transaction, to->id));
    if (now.presence != Presence::present || now.pending != row->pending || now.server != row->server) {
      return container_busy(now.name);
    }
    // In the same transaction: while this is pending, the mark stays.
    if (!BERTH_TRY(RemainsBook::is_marked(transaction, now.server))) return not_fenced(view.server.name);
    Pending recovery{.kind = Pending::Kind::recover,
                     .decided = false,
                     .was_running = runs,
                     .name = wanted->name,
                     .desired = std::nullopt,
                     .archive = now.archive,
                     .server = to->id,
                     .volumes = volumes.made,
                     .started = false};
    if (wanted->desired != now.desired) recovery.desired = wanted->desired;
    if (now.pending) recovery.interrupted.push_back(std::move(*now.pending));
    now.pending = std::move(recovery);
    return {};
  }));
  const Target target{wanted, to};
  context.undo().push([this, gate = gate_, target = Target{row, to}] {
    if (const auto pass = gate->enter()) settle_now(target);
  });
  const auto& settings = manifest ? manifest->desired.settings : wanted->desired.settings;
  BERTH_CHECK(bring_networks(to, settings.networks, deadline));
  if (manifest) {
    BERTH_CHECK(make_from_archive(target, *manifest, row->archive, volumes.filled, context, 5, 85));
  } else {
    BERTH_CHECK(make_from_image(target, context, 5, 85));
  }
  if (runs) {
    BERTH_CHECK(note_started(id, true));
    // Whatever came back before this is told of; what comes back after it is stopped before anything else.
    if (is_back()) return reachable(view.server.name);
    context.progress(85, "starting");
    BERTH_CHECK(to->engine->start(wanted->engine_name, progress_of(context, 85, 95), deadline));
  }
  BERTH_CHECK(settle_down(*row, to, {}, context.operation().origin));
  // Of an archive that was being written when its server went.
  archive_folder::remove_all(settings_.archives, id, row->archive);
  MoveResult result{.container = wanted->name,
                    .container_id = id.value(),
                    .from = view.server.name,
                    .to = to->name,
                    .archive = std::nullopt,
                    .lost = volumes.lost};
  if (manifest) result.archive = manifest->made_at.time_since_epoch().count();
  return json::to_json(result);
}

}  // namespace berth::fleet
