// How a container becomes another one: in place where its engine can, by a replacement where not.
//
// A replacement is made beside the old container under a name of its own. Both names stay what they are until the
// new one has proven itself and that is written down (`Pending::decided`): before it, going back is removing the new
// one and starting the old; after it, going on is swapping the names and removing the old. So one look at the engine
// tells at any moment what is left to do, also after a crash.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <thread>
#include <utility>

#include "base/encoding.h"
#include "base/log.h"
#include "fleet/container_input.h"
#include "fleet/containers.h"
#include "json/write.h"

namespace berth::fleet {
namespace {

using compute::Status;

constexpr std::chrono::milliseconds kReadBack{3000};
/// How long undoing may take once the time of the operation itself is over.
constexpr std::chrono::milliseconds kUndo{60'000};
/// Between looks at a replacement that has to prove itself.
constexpr std::chrono::milliseconds kLook{100};

Error did_not_run(const std::string& name, const std::string& why) {
  return Error(
      ErrorCode::conflict, "container.replacement_failed",
      {fmt::format("容器 {} 的新版本未能正常运行（{}），已恢复原容器", name, why),
       fmt::format("The new version of container {} did not keep running ({}); the old one is back", name, why)});
}

bool is_up(Status status) {
  return status != Status::stopped && status != Status::error;
}

/// What of the limits is to become another value.
template <class T>
std::optional<std::optional<T>> difference(const std::optional<T>& from, const std::optional<T>& to) {
  if (from == to) return std::nullopt;
  return std::optional<std::optional<T>>(to);
}

Desired changed(const Desired& from, const ContainerChange& change) {
  Desired desired = from;
  if (change.image) desired.image = *change.image;
  if (change.settings) {
    desired.settings = *change.settings;
    if (!desired.settings.environment.empty()) desired.unopened.clear();
  }
  if (change.limits) desired.limits = *change.limits;
  return desired;
}

}  // namespace

Result<void> Containers::update(const Caller& caller, const std::string& name, const ContainerChange& change) {
  const ContainerPointer container = BERTH_TRY(find(caller, name, Right::write));
  if (change.name && *change.name != name) {
    if (auto checked = compute::check_container_name(*change.name); !checked) return checked;
  }
  if (change.image) BERTH_CHECK(compute::check_image_reference(*change.image));
  if (change.settings) BERTH_CHECK(compute::check_container_settings(*change.settings));
  if (change.limits) BERTH_CHECK(compute::check_limits(*change.limits));
  const Target target = BERTH_TRY(changeable(container));
  if (change.settings) BERTH_CHECK(check_mounts(caller, *change.settings, target.row->desired.settings));
  Pending pending;
  pending.name = change.name.value_or(name);
  pending.desired = changed(target.row->desired, change);
  const Desired& before = target.row->desired;
  const bool renamed = pending.name != name;
  if (!renamed && *pending.desired == before) return {};
  // Asked before anything begins: a name that is taken is the better answer.
  if (renamed && catalog_.book().view()->find(pending.name) != nullptr) return container_exists(pending.name);
  if (pending.desired->image != before.image || pending.desired->settings != before.settings) {
    BERTH_CHECK(check_opened(*pending.desired, name));
    pending.kind = Pending::Kind::replace;
  } else {
    pending.kind = pending.desired->limits != before.limits ? Pending::Kind::limits : Pending::Kind::rename;
  }
  ContainerDetails details{.name = name};
  if (renamed) details.new_name = pending.name;
  if (pending.desired->image != before.image) details.image = pending.desired->image;
  if (pending.desired->settings != before.settings) details.settings_changed = true;
  if (pending.desired->limits != before.limits) {
    details.cpus = pending.desired->limits.cpus;
    details.memory_bytes = pending.desired->limits.memory_bytes;
    details.disk_bytes = pending.desired->limits.disk_bytes;
  }
  Change submitted;
  submitted.kind = "container.update";
  submitted.id = target.row->id;
  submitted.unit = target.unit;
  submitted.limit = pending.kind == Pending::Kind::replace ? settings_.create_limit : settings_.lifecycle_limit;
  submitted.input = json::to_json(ContainerInput{.name = name, .token = random_uuid()});
  submitted.details = json::to_json(details);
  submitted.work = [this, target, pending](operations::Context& context) {
    return carry_change(target, pending, context);
  };
  return carry_out(caller.origin, std::move(submitted));
}

Result<std::string> Containers::carry_change(const Target& begun, Pending pending, operations::Context& context) {
  const Deadline deadline = context.deadline();
  auto read = begun.unit->inventory->reread(begun.row->engine_name, deadline.sooner(settings_.quick_limit));
  const compute::InstancePointer instance = BERTH_TRY(std::move(read));
  pending.was_running = is_to_run(*begun.row, instance->status);
  if (pending.name != begun.row->name && pending.name != begun.row->engine_name &&
      BERTH_TRY(has(begun.unit, pending.name, deadline))) {
    return container_exists(pending.name);
  }
  const auto write_down = [&](const std::optional<Pending>& before) {
    return catalog_.change(begun.row->id, [&](store::Transaction& transaction, ContainerRow& row) -> Result<void> {
      if (row.presence != Presence::present || row.pending != before) return container_busy(row.name);
      BERTH_CHECK(container_rows::take_name(transaction, row.id, pending.name));
      row.pending = pending;
      return {};
    });
  };
  Target target{BERTH_TRY(write_down(std::nullopt)), begun.unit};
  context.undo().push([this, gate = gate_, target] {
    if (const auto pass = gate->enter()) settle_now(target);
  });
  if (pending.kind != Pending::Kind::replace) {
    auto done = change_in_place(target, context);
    if (done) return std::string("null");
    if (done.error().code() != ErrorCode::unsupported) return take_error(done);
    // What the engine cannot change in place is changed by a replacement.
    const Pending in_place = std::exchange(pending, *target.row->pending);
    pending.kind = Pending::Kind::replace;
    target.row = BERTH_TRY(write_down(in_place));
  }
  BERTH_CHECK(replace(target, context));
  return std::string("null");
}

Result<void> Containers::apply_limits(const UnitPointer& unit, const std::string& engine_name,
                                      const compute::InstanceLimits& from, const compute::InstanceLimits& to,
                                      Deadline deadline) {
  compute::InstanceChange change;
  change.cpus = difference(from.cpus, to.cpus);
  change.memory_bytes = difference(from.memory_bytes, to.memory_bytes);
  change.disk_bytes = difference(from.disk_bytes, to.disk_bytes);
  if (!change.cpus && !change.memory_bytes && !change.disk_bytes) return {};
  return unit->engine->update(engine_name, change, deadline);
}

Result<void> Containers::change_in_place(const Target& target, operations::Context& context) {
  const ContainerRow& row = *target.row;
  const Deadline deadline = context.deadline();
  BERTH_CHECK(apply_limits(target.unit, row.engine_name, row.desired.limits, row.pending->desired->limits, deadline));
  const std::string after = engine_name_after(row);
  if (after != row.engine_name) {
    BERTH_CHECK(target.unit->engine->rename(row.engine_name, after, deadline));
    target.unit->inventory->refresh(row.engine_name, Deadline::after(kReadBack));
  }
  target.unit->inventory->refresh(after, Deadline::after(kReadBack));
  BERTH_CHECK(commit_change(target, after));
  return {};
}

Result<compute::ContainerSettings> Containers::settings_for_replacement(const Target& target, Deadline deadline) {
  BERTH_CHECK(check_opened(*target.row->pending->desired, target.row->name));
  compute::ContainerSettings settings = target.row->pending->desired->settings;
  compute::ContainerAbility* ability = target.unit->engine->containers();
  if (ability == nullptr) return settings;
  // Volumes that its image asked for have no name in the wish, but data.
  const auto detail = BERTH_TRY(ability->inspect(target.row->engine_name, deadline));
  const auto known = [](const std::vector<compute::Mount>& mounts, const std::string& path) {
    return std::ranges::find(mounts, path, &compute::Mount::target) != mounts.end();
  };
  for (const auto& mount : detail.settings.mounts) {
    if (mount.is_host_path() || known(target.row->desired.settings.mounts, mount.target) ||
        known(settings.mounts, mount.target)) {
      continue;
    }
    settings.mounts.push_back(mount);
  }
  return settings;
}

Result<void> Containers::replace(const Target& target, operations::Context& context) {
  const ContainerRow& row = *target.row;
  const Pending& pending = *row.pending;
  compute::InstanceEngine& engine = *target.unit->engine;
  const std::string fresh = fresh_name(row.id);
  const Deadline deadline = context.deadline();
  BERTH_CHECK(bring_image(target.unit, pending.desired->image, context, 0, 50));
  compute::NewInstance instance;
  instance.name = fresh;
  instance.image = pending.desired->image;
  instance.container = BERTH_TRY(settings_for_replacement(target, deadline));
  instance.limits = pending.desired->limits;
  instance.owner = BERTH_TRY(owner_uuid(row.owner));
  instance.start = false;
  // What an earlier attempt may have left.
  BERTH_CHECK(take_off(target.unit, fresh, deadline));
  BERTH_CHECK(engine.create(instance, progress_of(context, 50, 60), deadline));
  if (pending.was_running) {
    // Both want the same ports and volumes, so the old one goes first.
    context.progress(60, "stopping");
    BERTH_CHECK(engine.stop(row.engine_name, settings_.stop_grace, progress_of(context, 60, 70), deadline));
    context.progress(70, "starting");
    BERTH_CHECK(engine.start(fresh, progress_of(context, 70, 80), deadline));
    BERTH_CHECK(prove(target.unit, fresh, row.name, context));
  }
  context.progress(95, "swapping");
  const auto decided = BERTH_TRY(catalog_.change(row.id, [&](store::Transaction&, ContainerRow& now) -> Result<void> {
    if (!now.pending) return container_busy(now.name);
    now.pending->decided = true;
    return {};
  }));
  if (!BERTH_TRY(finish_replacement({decided, target.unit}, deadline))) {
    return did_not_run(row.name, "it is gone");
  }
  return {};
}

Result<void> Containers::prove(const UnitPointer& unit, const std::string& engine_name, const std::string& name,
                               operations::Context& context) {
  const Deadline proven = Deadline::after(settings_.proving);
  compute::InstanceEngine* engine = unit->engine.get();
  compute::ContainerAbility* ability = engine->containers();
  context.progress(80, "proving");
  while (true) {
    if (context.deadline().expired()) return did_not_run(name, "its time ran out");
    const Status status = BERTH_TRY(engine->get(engine_name, context.deadline())).status;
    if (ability != nullptr) {
      const auto detail = BERTH_TRY(ability->inspect(engine_name, context.deadline()));
      if (!is_up(status)) return did_not_run(name, fmt::format("exit code {}", detail.exit_code.value_or(0)));
      if (detail.restarts > 0) return did_not_run(name, "it restarts again and again");
      if (detail.health == "unhealthy") return did_not_run(name, "unhealthy");
    }
    if (!is_up(status)) return did_not_run(name, "it ended");
    if (proven.expired()) return {};
    std::this_thread::sleep_for(std::min(kLook, proven.remaining() + std::chrono::milliseconds(1)));
  }
}

Result<bool> Containers::commit_change(const Target& target, const std::string& engine_name) {
  const auto now = target.unit->inventory->reread(engine_name, Deadline::after(kReadBack));
  BERTH_CHECK(catalog_.change(target.row->id, [&](store::Transaction& transaction, ContainerRow& row) -> Result<void> {
    if (!row.pending) return {};
    row.name = row.pending->name;
    row.engine_name = engine_name;
    if (now) row.engine_id = (*now)->engine_id;
    if (row.pending->desired) {
      const bool running = row.desired.running;
      row.desired = *row.pending->desired;
      row.desired.running = running;
    }
    row.pending.reset();
    return container_rows::keep_only_name(transaction, row.id, row.name);
  }));
  return true;
}

Result<bool> Containers::drop_pending(const Target& target) {
  BERTH_CHECK(catalog_.change(target.row->id, [&](store::Transaction& transaction, ContainerRow& row) -> Result<void> {
    row.pending.reset();
    return container_rows::keep_only_name(transaction, row.id, row.name);
  }));
  return false;
}

void Containers::settle_now(const Target& target) {
  const RowPointer now = catalog_.book().row(target.row->id);
  if (now == nullptr || !now->pending) return;
  const auto settled = settle({now, target.unit}, Deadline::after(kUndo), Settling::undo);
  if (settled) return;
  // The change stays pending, and is settled as soon as the engine answers.
  log::warning("fleet", "undoing the change of {}: {}", now->name, settled.error().describe());
  look_again(now->server);
}

Result<bool> Containers::settle(const Target& target, Deadline deadline, Settling how) {
  switch (target.row->pending->kind) {
    case Pending::Kind::replace:
      return settle_replacement(target, deadline);
    case Pending::Kind::rename:
    case Pending::Kind::limits:
      return settle_in_place(target, deadline);
    case Pending::Kind::archive:
      return settle_archive(target, deadline);
    case Pending::Kind::restore:
      return settle_restore(target, deadline);
    case Pending::Kind::relocate:
    case Pending::Kind::recover:
      return settle_move(target, deadline, how);
    case Pending::Kind::resume:
      return start_at_home(target, deadline);
  }
  return drop_pending(target);
}

Result<bool> Containers::settle_in_place(const Target& target, Deadline deadline) {
  const ContainerRow& row = *target.row;
  const std::string after = engine_name_after(row);
  if (after != row.engine_name) {
    const bool old_there = BERTH_TRY(has(target.unit, row.engine_name, deadline));
    // Its limits were changed before its name was.
    if (!old_there && BERTH_TRY(has(target.unit, after, deadline))) return commit_change(target, after);
    if (!old_there) return drop_pending(target);
  }
  if (row.pending->kind == Pending::Kind::limits) {
    auto back = apply_limits(target.unit, row.engine_name, row.pending->desired->limits, row.desired.limits, deadline);
    if (!back && no_answer(back.error())) return take_error(back);
    target.unit->inventory->refresh(row.engine_name, Deadline::after(kReadBack));
  }
  return drop_pending(target);
}

Result<bool> Containers::settle_replacement(const Target& target, Deadline deadline) {
  return target.row->pending->decided ? finish_replacement(target, deadline) : go_back(target, deadline);
}

Result<bool> Containers::go_back(const Target& target, Deadline deadline) {
  BERTH_CHECK(take_off(target.unit, fresh_name(target.row->id), deadline));
  return start_at_home(target, deadline);
}

Result<bool> Containers::start_at_home(const Target& target, Deadline deadline) {
  const ContainerRow& row = *target.row;
  if (row.pending->was_running && BERTH_TRY(has(target.unit, row.engine_name, deadline))) {
    set_restart_policy(target.unit, row.engine_name, row.desired.settings.restart_policy);
    auto started = target.unit->engine->start(row.engine_name, compute::EngineProgress{}, deadline);
    if (!started && no_answer(started.error())) return take_error(started);
    if (!started) log::error("fleet", "{} does not start again: {}", row.name, started.error().describe());
    target.unit->inventory->refresh(row.engine_name, Deadline::after(kReadBack));
  }
  return drop_pending(target);
}

Result<bool> Containers::finish_replacement(const Target& target, Deadline deadline) {
  const ContainerRow& row = *target.row;
  compute::InstanceEngine& engine = *target.unit->engine;
  const std::string fresh = fresh_name(row.id);
  const std::string spare = spare_name(row.id);
  const std::string after = engine_name_after(row);
  if (BERTH_TRY(has(target.unit, fresh, deadline))) {
    if (!BERTH_TRY(has(target.unit, spare, deadline)) && BERTH_TRY(has(target.unit, row.engine_name, deadline))) {
      BERTH_CHECK(engine.rename(row.engine_name, spare, deadline));
    }
    BERTH_CHECK(engine.rename(fresh, after, deadline));
  } else if (!BERTH_TRY(has(target.unit, after, deadline))) {
    // Somebody has removed the new one meanwhile: the old one is better than none.
    if (BERTH_TRY(has(target.unit, spare, deadline))) {
      BERTH_CHECK(engine.rename(spare, row.engine_name, deadline));
    }
    return go_back(target, deadline);
  }
  BERTH_CHECK(take_off(target.unit, spare, deadline));
  for (const std::string& name : {row.engine_name, fresh}) {
    if (name != after) target.unit->inventory->refresh(name, Deadline::after(kReadBack));
  }
  return commit_change(target, after);
}

}  // namespace berth::fleet
