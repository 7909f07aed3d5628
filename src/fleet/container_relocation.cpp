// How a container moves to another server while its own answers; relocation.h tells the order of things.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "fleet/archive_folder.h"
#include "fleet/container_input.h"
#include "fleet/containers.h"
#include "fleet/server_rows.h"
#include "json/write.h"

namespace berth::fleet {
namespace {

using compute::Status;

constexpr std::chrono::milliseconds kReadBack{3000};
constexpr std::chrono::milliseconds kKnock{1000};
/// How long removing what a move left behind may hold up its end; what takes longer is done in the background.
constexpr std::chrono::milliseconds kBury{20'000};

bool is_up(Status status) {
  return status != Status::stopped && status != Status::error;
}

Error pinned(const std::string& name, const std::string& why_zh, const std::string& why_en) {
  return Error(ErrorCode::conflict, "relocation.pinned",
               {fmt::format("容器 {} 不能迁移：{}", name, why_zh),
                fmt::format("Container {} cannot be moved: {}", name, why_en)});
}

Error unsupported() {
  return Error(ErrorCode::unsupported, "engine.unsupported", {"该引擎不支持此功能", "This engine cannot do that"});
}

Error cancelled() {
  return Error(ErrorCode::cancelled, "operation.cancelled", {"操作已取消", "The operation was cancelled"});
}

Error runs_still(const std::string& name) {
  return Error(ErrorCode::conflict, "relocation.still_running",
               {fmt::format("容器 {} 在原服务器上又启动了", name),
                fmt::format("Container {} was started again on its server meanwhile", name)});
}

bool is_move(const Pending& pending) {
  return pending.kind == Pending::Kind::relocate || pending.kind == Pending::Kind::recover;
}

}  // namespace

bool Containers::answers(const UnitPointer& unit) {
  return unit != nullptr &&
         (unit->inventory->snapshot()->health.connected || unit->engine->info(Deadline::after(kKnock)).has_value());
}

std::shared_ptr<void> Containers::hold_room(ServerId server, const std::string& name) {
  return {nullptr, [this, gate = gate_, server, name](void*) {
            if (const auto pass = gate->enter()) give_back(server, name);
          }};
}

FleetState Containers::fleet_state() const {
  FleetState state{candidates(*catalog_.book().view()), {}};
  for (const auto& row : catalog_.book().rows()) {
    if (row->presence != Presence::present) continue;
    PlacedContainer placed;
    placed.id = row->id;
    placed.name = row->name;
    placed.server = row->server;
    placed.limits = row->desired.limits;
    for (const auto& port : row->desired.settings.ports) {
      if (port.host_port) placed.ports.emplace(port.protocol, *port.host_port);
    }
    for (const auto& mount : row->desired.settings.mounts) {
      if (!mount.is_host_path()) placed.volumes.insert(mount.source);
    }
    placed.barred = remains_.servers_of(row->id);
    placed.movable = !row->pending && check_movable(*row).has_value();
    state.containers.push_back(std::move(placed));
  }
  return state;
}

Result<void> Containers::check_movable(const ContainerRow& row) const {
  BERTH_CHECK(check_opened(row.desired, row.name));
  for (const auto& mount : row.desired.settings.mounts) {
    if (mount.is_host_path()) {
      return pinned(row.name, "它挂载了服务器的目录 " + mount.source, "it mounts the server's folder " + mount.source);
    }
  }
  if (row.desired.settings.mounts.empty()) return {};
  for (const auto& other : catalog_.book().rows_on(row.server)) {
    if (other->id == row.id) continue;
    for (const auto& theirs : other->desired.settings.mounts) {
      if (std::ranges::find(row.desired.settings.mounts, theirs.source, &compute::Mount::source) ==
          row.desired.settings.mounts.end()) {
        continue;
      }
      return pinned(row.name, fmt::format("它与容器 {} 共用卷 {}", other->name, theirs.source),
                    fmt::format("it shares volume {} with container {}", theirs.source, other->name));
    }
  }
  return {};
}

Result<operations::TicketPointer> Containers::relocate(const Caller& caller, const std::string& name,
                                                       const std::optional<std::string>& server) {
  const Target target = BERTH_TRY(changeable(BERTH_TRY(find(caller, name, Right::write))));
  if (server && *server == target.unit->name) {
    return Error(ErrorCode::conflict, "relocation.same_server",
                 {fmt::format("容器 {} 已在服务器 {} 上", name, *server),
                  fmt::format("Container {} is on server {} already", name, *server)});
  }
  BERTH_CHECK(check_movable(*target.row));
  std::set<ServerId> except = remains_.servers_of(target.row->id);
  for (const auto& view : parts_.servers.list()) {
    if (server && *server == view.server.name && except.contains(view.server.id)) return remains_there(*server, name);
  }
  except.insert(target.unit->id);
  const UnitPointer to = BERTH_TRY(place(server, name, target.row->desired.limits, except));
  const auto room = hold_room(to->id, name);
  if (target.unit->engine->archives() == nullptr || to->engine->archives() == nullptr) return unsupported();
  Change change;
  change.kind = "container.relocate";
  change.id = target.row->id;
  change.unit = target.unit;
  change.limit = settings_.archive_limit;
  change.input = json::to_json(ContainerInput{.name = name, .to = to->id.value()});
  change.details = json::to_json(ContainerDetails{.name = name, .server = to->name, .from = target.unit->name});
  change.work = [this, target, to, room](operations::Context& context) { return move_away(target, to, context); };
  return submit(caller.origin, std::move(change));
}

Result<void> Containers::bring_networks(const UnitPointer& unit, const std::vector<std::string>& networks,
                                        Deadline deadline) {
  compute::NetworkAbility* ability = unit->engine->networks();
  if (ability == nullptr || networks.empty()) return {};
  const auto there = BERTH_TRY(ability->list_networks(deadline));
  for (const auto& network : networks) {
    if (std::ranges::find(there, network, &compute::ContainerNetwork::name) != there.end()) continue;
    BERTH_CHECK(ability->create_network(network, deadline));
  }
  return {};
}

Result<void> Containers::prepare_move(const Target& source, const UnitPointer& to, bool was_running,
                                      const std::string& archive_name, Deadline deadline) {
  const ContainerRow& row = *source.row;
  if (BERTH_TRY(has(to, row.engine_name, deadline))) return container_exists(row.engine_name);
  std::vector<compute::Mount> mounts = row.desired.settings.mounts;
  if (compute::ContainerAbility* ability = source.unit->engine->containers()) {
    mounts = BERTH_TRY(ability->inspect(row.engine_name, deadline)).settings.mounts;
  }
  if (compute::VolumeAbility* ability = to->engine->volumes(); ability != nullptr && !mounts.empty()) {
    const auto there = BERTH_TRY(ability->list_volumes(deadline));
    for (const auto& mount : mounts) {
      if (std::ranges::find(there, mount.source, &compute::Volume::name) == there.end()) continue;
      return Error(ErrorCode::conflict, "relocation.volume_taken",
                   {fmt::format("服务器 {} 上已有名为 {} 的卷", to->name, mount.source),
                    fmt::format("Server {} has a volume {} already", to->name, mount.source)});
    }
  }
  BERTH_CHECK(catalog_.change(row.id, [&](store::Transaction& transaction, ContainerRow& now) -> Result<void> {
    BERTH_CHECK(server_rows::require(transaction, to->id));
    if (now.presence != Presence::present || now.pending || now.server != source.unit->id ||
        now.engine_name != row.engine_name) {
      return container_busy(now.name);
    }
    now.pending = Pending{.kind = Pending::Kind::relocate,
                          .decided = false,
                          .was_running = was_running,
                          .name = now.name,
                          .desired = std::nullopt,
                          .archive = archive_name,
                          .server = to->id,
                          .volumes = {},
                          .started = false};
    return {};
  }));
  return {};
}

Result<void> Containers::note_started(ContainerId id, bool started) {
  BERTH_CHECK(catalog_.change(id, [started](store::Transaction&, ContainerRow& now) -> Result<void> {
    if (!now.pending) return container_busy(now.name);
    now.pending->started = started;
    return {};
  }));
  return {};
}

Result<void> Containers::start_moved(const Target& source, const UnitPointer& to, operations::Context& context) {
  const ContainerRow& row = *source.row;
  const Deadline deadline = context.deadline();
  // Somebody may have started it again behind our back.
  const auto there = BERTH_TRY(source.unit->engine->get(row.engine_name, deadline.sooner(settings_.quick_limit)));
  if (is_up(there.status)) return runs_still(row.name);
  BERTH_CHECK(note_started(row.id, true));
  context.progress(88, "starting");
  BERTH_CHECK(to->engine->start(row.engine_name, progress_of(context, 88, 90), deadline));
  return prove(to, row.engine_name, row.name, context);
}

Result<void> Containers::settle_down(const ContainerRow& row, const UnitPointer& to, Remains remains,
                                     const audit::Origin& origin) {
  const std::string engine_name = engine_name_after(row);
  const auto made = BERTH_TRY(to->inventory->reread(engine_name, Deadline::after(kReadBack)));
  const auto view = parts_.servers.find(row.server);
  const std::string from = view ? view->server.name : std::to_string(row.server.value());
  BERTH_CHECK(catalog_.change(row.id, [&](store::Transaction& transaction, ContainerRow& now) -> Result<void> {
    if (!now.pending || !is_move(*now.pending) || now.pending->server != to->id) return container_busy(now.name);
    remains.server = now.server;
    remains.container = now.id;
    remains.engine_name = now.engine_name;
    // In the middle of a replacement it goes by names only.
    const bool replaced = now.pending->desired.has_value();
    remains.engine_id = replaced ? "" : now.engine_id;
    BERTH_CHECK(remains_.add(transaction, remains));
    if (engine_name != now.engine_name) {
      remains.engine_name = engine_name;
      BERTH_CHECK(remains_.add(transaction, remains));
    }
    if (replaced) {
      const bool running = now.desired.running;
      now.desired = *now.pending->desired;
      now.desired.running = running;
    }
    now.name = now.pending->name;
    now.engine_name = engine_name;
    BERTH_CHECK(container_rows::keep_only_name(transaction, now.id, now.name));
    now.server = to->id;
    now.engine_id = made->engine_id;
    now.presence = Presence::present;
    now.pending.reset();
    ++now.epoch;
    return parts_.operations.audit_log().append(
        transaction, origin,
        {"container.moved", "container", std::to_string(now.id.value()), audit::Outcome::success,
         json::to_json(ContainerDetails{.name = now.name, .server = to->name, .from = from})});
  }));
  // It has moved; what was left behind is read again before anything on that server is adopted.
  if (const auto loaded = remains_.load(); !loaded) log::warning("fleet", "{}", loaded.error().describe());
  return {};
}

Result<std::string> Containers::move_away(const Target& begun, const UnitPointer& to, operations::Context& context) {
  const UnitPointer& unit = begun.unit;
  const ContainerId id = begun.row->id;
  const std::string& engine_name = begun.row->engine_name;
  const Deadline deadline = context.deadline();
  context.on_cancel([] {});
  auto read = unit->inventory->reread(engine_name, deadline.sooner(settings_.quick_limit));
  const Status status = BERTH_TRY(std::move(read))->status;
  const bool was_running = is_to_run(*begun.row, status);
  const std::string archive_name = archive_folder::new_name(id, parts_.clock.now());
  BERTH_CHECK(prepare_move(begun, to, was_running, archive_name, deadline));
  context.undo().push([this, gate = gate_, begun] {
    if (const auto pass = gate->enter()) settle_now(begun);
  });
  // While it still runs, so that it stands still for as short as may be.
  auto brought = bring_image(to, begun.row->desired.image, context, 0, 30);
  if (!brought && brought.error().reason() != "image.pull_failed") return take_error(brought);
  if (context.cancel_requested()) return cancelled();
  if (was_running) {
    context.progress(30, "stopping");
    compute::ContainerAbility* ability = unit->engine->containers();
    if (status == Status::frozen && ability != nullptr) BERTH_CHECK(ability->resume(engine_name, deadline));
    // Should its engine restart from here on, it must not bring it back.
    set_restart_policy(unit, engine_name, compute::RestartPolicy::no);
    BERTH_CHECK(unit->engine->stop(engine_name, settings_.stop_grace, progress_of(context, 30, 35), deadline));
    unit->inventory->refresh(engine_name, Deadline::after(kReadBack));
  }
  const auto manifest = BERTH_TRY(save_archive(begun, archive_name, context, 35, 60));
  std::vector<std::string> volumes;
  for (const auto& volume : manifest.volumes) volumes.push_back(volume.name);
  BERTH_CHECK(catalog_.change(id, [&](store::Transaction&, ContainerRow& now) -> Result<void> {
    if (!now.pending) return container_busy(now.name);
    now.archive = archive_name;
    now.pending->volumes = volumes;
    return {};
  }));
  archive_folder::remove_all(settings_.archives, id, archive_name);
  if (context.cancel_requested()) return cancelled();
  BERTH_CHECK(bring_networks(to, manifest.desired.settings.networks, deadline));
  BERTH_CHECK(make_from_archive({begun.row, to}, manifest, archive_name, manifest.volumes, context, 60, 88));
  if (context.cancel_requested()) return cancelled();
  if (was_running) BERTH_CHECK(start_moved(begun, to, context));
  context.progress(95, "removing");
  BERTH_CHECK(settle_down(*begun.row, to, {.volumes = volumes, .disposable = true}, context.operation().origin));
  const Deadline burying = deadline.sooner(kBury);
  for (const auto& remains : remains_.on(unit->id)) {
    if (remains.container != id) continue;
    // Done in the background where it does not work now.
    const auto buried = bury(unit, remains, burying);
    if (!buried)
      log::warning("fleet", "{} of {} on {}: {}", engine_name, id.value(), unit->name, buried.error().describe());
  }
  return json::to_json(MoveResult{.container = begun.row->name,
                                  .container_id = id.value(),
                                  .from = unit->name,
                                  .to = to->name,
                                  .archive = manifest.made_at.time_since_epoch().count(),
                                  .lost = {}});
}

bool Containers::can_settle(const ContainerRow& row) const {
  if (!row.pending || !is_move(*row.pending)) return true;
  const auto in_reach = [this](ServerId server) {
    const UnitPointer unit = parts_.servers.unit(server);
    return remains_.fenced(server) || (unit != nullptr && unit->inventory->snapshot()->health.connected);
  };
  if (row.pending->started && !in_reach(row.pending->server)) return false;
  return row.pending->kind == Pending::Kind::recover || in_reach(row.server);
}

Result<bool> Containers::keep_started_copy(const ContainerRow& row, const UnitPointer& to, Deadline deadline) {
  const Pending& pending = *row.pending;
  const std::string engine_name = engine_name_after(row);
  if (!pending.started || !answers(to)) return false;
  auto copy = to->engine->get(engine_name, deadline.sooner(settings_.quick_limit));
  if (!copy && copy.error().code() != ErrorCode::not_found) return take_error(copy);
  if (!copy) return false;
  if (pending.was_running && copy->status != Status::running) {
    const auto started = to->engine->start(engine_name, compute::EngineProgress{}, deadline);
    if (!started && no_answer(started.error())) return started.error();
    if (!started) return false;
  }
  // What is recovered leaves more behind than what was in its archive.
  const bool relocated = pending.kind == Pending::Kind::relocate;
  BERTH_CHECK(settle_down(
      row, to, {.volumes = relocated ? pending.volumes : std::vector<std::string>(), .disposable = relocated},
      system_origin()));
  look_again(row.server);
  return true;
}

Result<bool> Containers::settle_move(const Target& target, Deadline deadline, Settling how) {
  const ContainerRow& row = *target.row;
  const Pending& pending = *row.pending;
  const UnitPointer to = parts_.servers.unit(pending.server);
  const UnitPointer from = parts_.servers.unit(row.server);
  if (how == Settling::later && BERTH_TRY(keep_started_copy(row, to, deadline))) return true;
  const auto clear = [&]() -> Result<void> {
    if (!answers(to)) return compute::engine_unavailable();
    // Checked to be free before anything was made, so what is there is what was made.
    const Deadline soon = deadline.sooner(settings_.quick_limit);
    BERTH_CHECK(take_off(to, engine_name_after(row), soon));
    return remove_volumes({target.row, to}, pending.volumes, soon);
  };
  auto cleared = clear();
  // Where it may run, nothing goes on until it is certain that it does not.
  if (!cleared && pending.started && !remains_.fenced(pending.server)) return take_error(cleared);
  // From here on it may run at home again: `clear_remains` must not stop it there any more.
  if (pending.started) BERTH_CHECK(note_started(row.id, false));
  const bool back = answers(from);
  if (!back && pending.kind == Pending::Kind::relocate && !remains_.fenced(row.server)) {
    return compute::engine_unavailable();
  }
  archive_folder::remove_all(settings_.archives, row.id, row.archive);
  BERTH_CHECK(forget_move(row, !cleared));
  const RowPointer left = catalog_.book().row(row.id);
  if (!back || left == nullptr || !left->pending || left->server != row.server) return false;
  if (!pending.interrupted.empty()) {
    look_again(row.server);
    return false;
  }
  return settle({left, from}, deadline, how);
}

/// It stays at home, where what is left to be done is done as soon as its server answers.
Result<void> Containers::forget_move(const ContainerRow& row, bool leave_remains) {
  BERTH_CHECK(catalog_.change(row.id, [&](store::Transaction& transaction, ContainerRow& now) -> Result<void> {
    if (!now.pending || !is_move(*now.pending)) return {};
    if (leave_remains && parts_.servers.find(now.pending->server)) {
      BERTH_CHECK(remains_.add(transaction, {.server = now.pending->server,
                                             .container = now.id,
                                             .engine_name = engine_name_after(now),
                                             .engine_id = {},
                                             .volumes = now.pending->volumes,
                                             .disposable = true}));
    }
    const Pending ended = *std::exchange(now.pending, std::nullopt);
    if (!ended.interrupted.empty()) {
      now.pending = ended.interrupted.front();
      return {};
    }
    if (ended.was_running) now.pending = Pending{.kind = Pending::Kind::resume, .was_running = true, .name = now.name};
    return container_rows::keep_only_name(transaction, now.id, now.name);
  }));
  return leave_remains ? remains_.load() : Result<void>();
}

}  // namespace berth::fleet
