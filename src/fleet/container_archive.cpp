// How a container is put away and brought back.
//
// The archive is complete on disk, and that is written down (`Pending::decided`), before anything is removed from the
// server; before that, going back is dropping it and starting the container again. A restore is decided when the row
// says that the container is present; before that, going back is removing what was made.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/encoding.h"
#include "base/log.h"
#include "fleet/archive_folder.h"
#include "fleet/container_input.h"
#include "fleet/containers.h"
#include "fleet/server_rows.h"
#include "json/write.h"

namespace berth::fleet {
namespace {

constexpr std::chrono::milliseconds kReadBack{3000};

Error unsupported() {
  return Error(ErrorCode::unsupported, "engine.unsupported", {"该引擎不支持此功能", "This engine cannot do that"});
}

/// The image that an archived file system becomes where its own image is nowhere to be had.
std::string image_of_archive(ContainerId id) {
  return fmt::format("berth-archive/{}:latest", id.value());
}

/// An archive of "/srv/data" holds "data/…", so it is unpacked in "/srv".
std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

}  // namespace

Result<void> Containers::archive(const Caller& caller, const std::string& name) {
  const ContainerPointer container = BERTH_TRY(find(caller, name, Right::write));
  if (container->presence == Presence::archived) return {};
  const Target target = BERTH_TRY(changeable(container));
  BERTH_CHECK(check_opened(target.row->desired, name));
  if (target.unit->engine->archives() == nullptr) return unsupported();
  Change change;
  change.kind = "container.archive";
  change.id = target.row->id;
  change.unit = target.unit;
  change.limit = settings_.archive_limit;
  change.input = json::to_json(ContainerInput{.name = name});
  change.details = json::to_json(ContainerDetails{.name = name, .server = target.unit->name});
  change.work = [this, target](operations::Context& context) { return put_away(target, context); };
  return carry_out(caller.origin, std::move(change));
}

Result<archive_folder::Manifest> Containers::save_archive(const Target& target, const std::string& archive_name,
                                                          operations::Context& context, int from, int to) {
  const ContainerRow& row = *target.row;
  compute::ArchiveAbility& archives = *target.unit->engine->archives();
  const Deadline deadline = context.deadline();
  const auto at = [from, to](int percent) { return from + (to - from) * percent / 100; };
  archive_folder::Manifest manifest{
      .container = row.id, .name = row.name, .desired = row.desired, .volumes = {}, .made_at = parts_.clock.now()};
  std::vector<compute::Mount> mounts = row.desired.settings.mounts;
  if (compute::ContainerAbility* ability = target.unit->engine->containers()) {
    // Also volumes that its image asked for.
    mounts = BERTH_TRY(ability->inspect(row.engine_name, deadline)).settings.mounts;
    manifest.desired.settings.mounts = mounts;
  }
  const auto folder = BERTH_TRY(archive_folder::begin(settings_.archives, archive_name));
  context.progress(at(0), "root");
  BERTH_CHECK(archives.save_root(row.engine_name, (folder / archive_folder::kRoot).string(),
                                 progress_of(context, at(0), at(60)), deadline));
  for (const auto& mount : mounts) {
    if (mount.is_host_path()) continue;  // the server's own, which no archive holds
    const std::string file = archive_folder::volume_file(manifest.volumes.size());
    context.progress(at(60), "volume " + mount.source);
    BERTH_CHECK(archives.save_path(row.engine_name, mount.target, (folder / file).string(),
                                   progress_of(context, at(60), at(90)), deadline));
    manifest.volumes.push_back({mount.source, mount.target, file});
  }
  context.progress(at(90), "checksums");
  BERTH_CHECK(archive_folder::complete(settings_.archives, archive_name, manifest, parts_.sealing));
  return manifest;
}

Result<std::string> Containers::put_away(const Target& begun, operations::Context& context) {
  const UnitPointer& unit = begun.unit;
  const ContainerId id = begun.row->id;
  const std::string& engine_name = begun.row->engine_name;
  const Deadline deadline = context.deadline();
  auto read = unit->inventory->reread(engine_name, deadline.sooner(settings_.quick_limit));
  const bool was_running = is_to_run(*begun.row, BERTH_TRY(std::move(read))->status);
  const std::string archive_name = archive_folder::new_name(id, parts_.clock.now());
  const auto row = BERTH_TRY(catalog_.change(id, [&](store::Transaction&, ContainerRow& now) -> Result<void> {
    if (now.presence != Presence::present || now.pending) return container_busy(now.name);
    now.pending = Pending{.kind = Pending::Kind::archive,
                          .decided = false,
                          .was_running = was_running,
                          .name = now.name,
                          .desired = std::nullopt,
                          .archive = archive_name,
                          .server = {},
                          .volumes = {}};
    return {};
  }));
  context.undo().push([this, gate = gate_, target = Target{row, unit}] {
    if (const auto pass = gate->enter()) settle_now(target);
  });
  // What is written while it is copied would be copied in pieces.
  if (was_running) {
    BERTH_CHECK(unit->engine->stop(engine_name, settings_.stop_grace, progress_of(context, 0, 5), deadline));
    unit->inventory->refresh(engine_name, Deadline::after(kReadBack));
  }
  BERTH_CHECK(save_archive({row, unit}, archive_name, context, 5, 85));
  const auto decided = BERTH_TRY(catalog_.change(id, [&](store::Transaction&, ContainerRow& now) -> Result<void> {
    if (!now.pending) return container_busy(now.name);
    now.pending->decided = true;
    now.archive = archive_name;
    return {};
  }));
  context.progress(90, "removing");
  BERTH_CHECK(leave_server({decided, unit}, deadline));
  return std::string("null");
}

Result<void> Containers::remove_volumes(const Target& target, const std::vector<std::string>& volumes,
                                        Deadline deadline) {
  compute::VolumeAbility* ability = target.unit->engine->volumes();
  if (ability == nullptr || volumes.empty()) return {};
  std::set<std::string> shared;
  for (const auto& row : catalog_.book().rows_on(target.unit->id)) {
    if (row->id == target.row->id) continue;
    for (const auto& mount : row->desired.settings.mounts) shared.insert(mount.source);
  }
  for (const auto& volume : volumes) {
    if (shared.contains(volume)) continue;
    auto removed = ability->remove_volume(volume, deadline);
    if (!removed && removed.error().code() != ErrorCode::conflict) return take_error(removed);
  }
  return {};
}

Result<bool> Containers::leave_server(const Target& target, Deadline deadline) {
  const ContainerRow& row = *target.row;
  const auto manifest = BERTH_TRY(archive_folder::read(settings_.archives, row.pending->archive, parts_.sealing));
  BERTH_CHECK(take_off(target.unit, row.engine_name, deadline));
  std::vector<std::string> volumes;
  for (const auto& volume : manifest.volumes) volumes.push_back(volume.name);
  BERTH_CHECK(remove_volumes(target, volumes, deadline));
  BERTH_CHECK(catalog_.change(row.id, [&](store::Transaction&, ContainerRow& now) -> Result<void> {
    if (!now.pending) return {};
    now.presence = Presence::archived;
    now.archive = now.pending->archive;
    now.pending.reset();
    now.engine_id.clear();
    now.desired.running = false;
    return {};
  }));
  archive_folder::remove_all(settings_.archives, row.id, row.pending->archive);
  return true;
}

Result<bool> Containers::settle_archive(const Target& target, Deadline deadline) {
  const ContainerRow& row = *target.row;
  if (row.pending->decided) return leave_server(target, deadline);
  archive_folder::remove_all(settings_.archives, row.id, row.archive);
  return go_back(target, deadline);
}

Result<UnitPointer> Containers::place_archived(const ContainerRow& row) {
  const std::set<ServerId> barred = remains_.servers_of(row.id);
  const auto home = parts_.servers.find(row.server);
  if (home && !barred.contains(row.server)) {
    if (auto unit = place(home->server.name, row.name, row.desired.limits)) return unit;
  }
  auto elsewhere = place(std::nullopt, row.name, row.desired.limits, barred);
  if (!elsewhere && home && barred.contains(row.server)) return remains_there(home->server.name, row.name);
  return elsewhere;
}

Result<void> Containers::restore(const Caller& caller, const std::string& name) {
  const ContainerPointer container = BERTH_TRY(find(caller, name, Right::write));
  if (container->presence == Presence::present) return {};
  const RowPointer row = catalog_.book().row(container->id);
  if (row == nullptr) return container_not_found(name);
  if (row->presence != Presence::archived || row->archive.empty()) {
    return Error(ErrorCode::conflict, "container.not_archived",
                 {fmt::format("容器 {} 没有可恢复的归档", name),
                  fmt::format("There is no archive of container {} to restore", name)});
  }
  if (row->pending) return container_busy(name);
  const UnitPointer unit = BERTH_TRY(place_archived(*row));
  give_back(unit->id, row->name);
  if (unit->engine->archives() == nullptr) return unsupported();
  Change change;
  change.kind = "container.restore";
  change.id = row->id;
  change.unit = unit;
  change.limit = settings_.archive_limit;
  change.input = json::to_json(ContainerInput{.name = name});
  change.details = json::to_json(ContainerDetails{.name = name, .server = unit->name});
  change.work = [this, target = Target{row, unit}](operations::Context& context) {
    return bring_back(target, context);
  };
  return carry_out(caller.origin, std::move(change));
}

Result<void> Containers::make_from_archive(const Target& target, const archive_folder::Manifest& manifest,
                                           const std::string& archive_name,
                                           const std::vector<archive_folder::ArchivedVolume>& volumes,
                                           operations::Context& context, int from, int to) {
  const ContainerRow& row = *target.row;
  compute::InstanceEngine& engine = *target.unit->engine;
  compute::ArchiveAbility& archives = *engine.archives();
  const Deadline deadline = context.deadline();
  const auto at = [from, to](int percent) { return from + (to - from) * percent / 100; };
  const auto folder = settings_.archives / archive_name;
  const std::string root = (folder / archive_folder::kRoot).string();
  compute::NewInstance instance;
  instance.name = row.engine_name;
  instance.image = manifest.desired.image;
  instance.container = manifest.desired.settings;
  instance.limits = row.desired.limits;
  instance.owner = BERTH_TRY(owner_uuid(row.owner));
  instance.start = false;
  const auto brought = bring_image(target.unit, instance.image, context, at(0), at(28));
  if (!brought) {
    // The image is nowhere to be had any more: what was archived becomes one.
    if (brought.error().reason() != "image.pull_failed") return brought.error();
    instance.image = image_of_archive(row.id);
    BERTH_CHECK(archives.import_root(root, instance.image, progress_of(context, at(0), at(28)), deadline));
  }
  if (compute::VolumeAbility* ability = engine.volumes()) {
    for (const auto& volume : volumes) BERTH_CHECK(ability->create_volume(volume.name, deadline));
  }
  BERTH_CHECK(engine.create(instance, progress_of(context, at(28), at(40)), deadline));
  if (brought) {
    context.progress(at(40), "root");
    BERTH_CHECK(archives.load_path(row.engine_name, "/", root, progress_of(context, at(40), at(72)), deadline));
  }
  for (const auto& volume : volumes) {
    context.progress(at(72), "volume " + volume.name);
    BERTH_CHECK(archives.load_path(row.engine_name, parent_of(volume.target), (folder / volume.file).string(),
                                   progress_of(context, at(72), at(100)), deadline));
  }
  return {};
}

Result<std::string> Containers::bring_back(const Target& begun, operations::Context& context) {
  const UnitPointer& unit = begun.unit;
  const ContainerId id = begun.row->id;
  const std::string& engine_name = begun.row->engine_name;
  const Deadline deadline = context.deadline();
  context.progress(0, "checksums");
  const auto manifest = BERTH_TRY(archive_folder::verify(settings_.archives, begun.row->archive, parts_.sealing));
  if (BERTH_TRY(has(unit, engine_name, deadline))) return container_exists(begun.row->name);
  // A volume that is there belongs to others too, and holds newer data than the archive.
  std::vector<archive_folder::ArchivedVolume> volumes = manifest.volumes;
  if (compute::VolumeAbility* ability = unit->engine->volumes()) {
    const auto there = BERTH_TRY(ability->list_volumes(deadline));
    std::erase_if(volumes, [&](const auto& volume) {
      return std::ranges::find(there, volume.name, &compute::Volume::name) != there.end();
    });
  }
  const auto row =
      BERTH_TRY(catalog_.change(id, [&](store::Transaction& transaction, ContainerRow& now) -> Result<void> {
        BERTH_CHECK(server_rows::require(transaction, unit->id));
        if (now.presence != Presence::archived || now.pending) return container_busy(now.name);
        Pending pending{.kind = Pending::Kind::restore,
                        .decided = false,
                        .was_running = false,
                        .name = now.name,
                        .desired = std::nullopt,
                        .archive = now.archive,
                        .server = unit->id,
                        .volumes = {}};
        for (const auto& volume : volumes) pending.volumes.push_back(volume.name);
        now.pending = std::move(pending);
        return {};
      }));
  context.undo().push([this, gate = gate_, target = Target{row, unit}] {
    if (const auto pass = gate->enter()) settle_now(target);
  });
  BERTH_CHECK(make_from_archive({row, unit}, manifest, begun.row->archive, volumes, context, 5, 95));
  const auto made = BERTH_TRY(unit->inventory->reread(engine_name, Deadline::after(kReadBack)));
  BERTH_CHECK(catalog_.change(id, [&](store::Transaction&, ContainerRow& now) -> Result<void> {
    if (now.server != unit->id) ++now.epoch;
    now.server = unit->id;
    now.presence = Presence::present;
    now.engine_id = made->engine_id;
    now.desired.running = false;
    now.pending.reset();
    return {};
  }));
  return std::string("null");
}

Result<bool> Containers::settle_restore(const Target& target, Deadline deadline) {
  const ContainerRow& row = *target.row;
  // Checked to be free before anything was made, so what is there is what was made.
  BERTH_CHECK(take_off(target.unit, row.engine_name, deadline));
  BERTH_CHECK(remove_volumes(target, row.pending->volumes, deadline));
  return drop_pending(target);
}

}  // namespace berth::fleet
