#include <algorithm>
#include <set>
#include <utility>

#include "base/log.h"
#include "fleet/container_input.h"
#include "fleet/containers.h"
#include "json/write.h"

namespace berth::fleet {
namespace {

/// Containers that are adopted in one transaction.
constexpr std::size_t kBatch = 100;
constexpr std::chrono::milliseconds kInspect{5000};

audit::Entry noted(std::string action, const ContainerRow& row, const std::string& server) {
  return {std::move(action), "container", std::to_string(row.id.value()), audit::Outcome::success,
          json::to_json(ContainerDetails{.name = row.name, .server = server})};
}

bool is_up(compute::Status status) {
  return status != compute::Status::stopped && status != compute::Status::error;
}

}  // namespace

/// How one server's inventory is followed.
struct Containers::Watch {
  UnitPointer unit;
  std::mutex working;  ///< one look at a time
  std::atomic<bool> queued{false};
  std::atomic<bool> again{true};  ///< the last look left something to be done
  std::atomic<std::uint64_t> structure{0};
  Signal<const compute::SnapshotPointer&, const compute::SnapshotPointer&>::Subscription subscription;
};

void Containers::follow(const UnitPointer& unit) {
  auto watch = std::make_shared<Watch>();
  watch->unit = unit;
  catalog_.book().add_server(unit->id, unit->name);
  // The signal's callback must not keep its own watch alive: the watch ends the subscription.
  watch->subscription =
      unit->inventory->changed().subscribe([this, weak = std::weak_ptr(watch)](const auto&, const auto& now) {
        const auto watched = weak.lock();
        if (watched == nullptr) return;
        catalog_.book().take(watched->unit->id, now);
        if (watched->structure.exchange(now->structure_revision) != now->structure_revision || watched->again ||
            remains_.concerns(watched->unit->id)) {
          look_after(watched);
        }
      });
  catalog_.book().take(unit->id, unit->inventory->snapshot());
  look_after(watch);
  const std::lock_guard lock(watches_mutex_);
  watches_[unit->id] = std::move(watch);
}

void Containers::unfollow(const UnitPointer& unit) {
  std::shared_ptr<Watch> ended;
  {
    const std::lock_guard lock(watches_mutex_);
    const auto at = watches_.find(unit->id);
    if (at == watches_.end() || at->second->unit != unit) return;
    ended = std::move(at->second);
    watches_.erase(at);
  }
  end_watch(*ended);
  catalog_.book().remove_server(unit->id);
}

void Containers::end_watch(Watch& watch) {
  watch.subscription.reset();
}

void Containers::look_after(const std::shared_ptr<Watch>& watch) {
  if (!watch->unit->inventory->snapshot()->health.connected || watch->queued.exchange(true)) return;
  const bool taken = watch->unit->pool->submit([this, gate = gate_, watch] {
    if (const auto pass = gate->enter()) keep_up(watch);
  });
  if (taken) return;
  watch->again = true;
  watch->queued = false;
}

void Containers::keep_up(const std::shared_ptr<Watch>& watch) {
  const std::lock_guard working(watch->working);
  watch->queued = false;
  watch->again = false;
  const UnitPointer& unit = watch->unit;
  auto found = catalog_.book().differences(unit->id);
  bool done = clear_remains(unit, found);
  done = adopt(unit, found) && done;
  for (const auto& [row, instance] : found.changed) done = take_as_it_is(unit, row, instance) && done;
  for (const auto& row : found.started) done = take_as_started(unit, row) && done;
  for (const auto& row : found.unsettled) {
    done = false;  // looked at again until it is settled
    begin_settling(unit, row);
  }
  if (!done || found.doubtful) watch->again = true;
}

void Containers::look_again(ServerId server) {
  const std::lock_guard lock(watches_mutex_);
  if (const auto at = watches_.find(server); at != watches_.end()) at->second->again = true;
}

bool Containers::adopt(const UnitPointer& unit, const ContainerBook::Differences& found) {
  compute::ContainerAbility* ability = unit->engine->containers();
  bool done = true;
  std::set<ContainerId> renamed;
  std::vector<ContainerRow> fresh;
  std::vector<std::string> owners;
  const auto flush = [&] {
    const auto prepare = [&](store::Transaction& transaction, ContainerRow& row, std::size_t index) -> Result<bool> {
      row.owner = BERTH_TRY(container_rows::user_of_uuid(transaction, owners[index]));
      // The same name on two servers: the second one is told apart by its server's name.
      if (BERTH_TRY(container_rows::is_taken(transaction, row.name))) row.name += "@" + unit->name;
      return !BERTH_TRY(container_rows::is_taken(transaction, row.name));
    };
    const auto also = [&](store::Transaction& transaction, ContainerRow& row) {
      return parts_.operations.audit_log().append(transaction, system_origin(),
                                                  noted("container.adopt", row, unit->name));
    };
    if (const auto added = catalog_.add_all(fresh, prepare, also); !added) {
      log::warning("fleet", "adopting containers of {}: {}", unit->name, added.error().describe());
      done = false;
    }
    fresh.clear();
    owners.clear();
  };
  for (const auto& instance : found.unknown) {
    const auto lost = std::ranges::find_if(found.lost, [&](const RowPointer& row) {
      return !instance->engine_id.empty() && row->engine_id == instance->engine_id;
    });
    if (lost != found.lost.end()) {
      renamed.insert((*lost)->id);
      done = rename_outside(unit, *lost, instance) && done;
      continue;
    }
    // Its agent may have stopped it, and says so once it has a lease.
    if (!is_up(instance->status) && !lets_run(unit->id)) {
      done = false;
      continue;
    }
    ContainerRow row;
    row.name = row.engine_name = instance->name;
    row.engine_id = instance->engine_id;
    row.server = unit->id;
    row.desired.image = instance->image;
    row.desired.limits = instance->limits;
    row.desired.running = is_up(instance->status);
    if (ability != nullptr) {
      auto detail = ability->inspect(instance->name, Deadline::after(kInspect));
      if (!detail) {
        // Gone again, or to be looked at at the next turn.
        if (detail.error().code() != ErrorCode::not_found) done = false;
        if (no_answer(detail.error())) break;
        continue;
      }
      row.desired.image = detail->image;
      row.desired.settings = std::move(detail->settings);
    }
    fresh.push_back(std::move(row));
    owners.push_back(instance->owner);
    if (fresh.size() == kBatch) flush();
  }
  if (!fresh.empty()) flush();
  for (const auto& row : found.lost) {
    if (row->presence == Presence::present && !renamed.contains(row->id)) done = mark_missing(unit, row) && done;
  }
  return done;
}

bool Containers::rename_outside(const UnitPointer& unit, const RowPointer& row,
                                const compute::InstancePointer& instance) {
  if (is_active(row->id)) return false;
  const auto renamed =
      catalog_.change(row->id, [&](store::Transaction& transaction, ContainerRow& now) -> Result<void> {
        if (now.presence == Presence::archived || now.pending || now.engine_name != row->engine_name) {
          return container_busy(now.name);  // somebody was quicker: looked at again
        }
        now.presence = Presence::present;
        now.engine_name = instance->name;
        std::string name = instance->name;
        if (auto taken = container_rows::take_name(transaction, now.id, name); !taken) {
          if (taken.error().reason() != "container.exists") return take_error(taken);
          name += "@" + unit->name;
          BERTH_CHECK(container_rows::take_name(transaction, now.id, name));
        }
        now.name = name;
        BERTH_CHECK(container_rows::keep_only_name(transaction, now.id, name));
        return parts_.operations.audit_log().append(transaction, system_origin(),
                                                    noted("container.renamed", now, unit->name));
      });
  return renamed.has_value();
}

bool Containers::mark_missing(const UnitPointer& unit, const RowPointer& row) {
  if (is_active(row->id)) return false;
  const auto read = unit->inventory->reread(row->engine_name, Deadline::after(kInspect));
  if (read) return true;
  if (read.error().code() != ErrorCode::not_found) return false;
  const auto marked = catalog_.change(row->id, [&](store::Transaction& transaction, ContainerRow& now) -> Result<void> {
    if (now.presence != Presence::present || now.pending || now.engine_name != row->engine_name ||
        now.server != row->server) {
      return container_busy(now.name);
    }
    now.presence = Presence::missing;
    return parts_.operations.audit_log().append(transaction, system_origin(),
                                                noted("container.missing", now, unit->name));
  });
  return marked.has_value() || marked.error().code() == ErrorCode::not_found;
}

bool Containers::take_as_it_is(const UnitPointer& unit, const RowPointer& row,
                               const compute::InstancePointer& instance) {
  if (is_active(row->id)) return false;
  const bool made_anew = !row->engine_id.empty() && row->engine_id != instance->engine_id;
  Desired desired = row->desired;
  compute::ContainerAbility* ability = unit->engine->containers();
  if (made_anew && ability != nullptr) {
    auto detail = ability->inspect(instance->name, Deadline::after(kInspect));
    if (!detail) return detail.error().code() == ErrorCode::not_found;
    desired = {detail->image, std::move(detail->settings), instance->limits, is_up(instance->status)};
  }
  const auto taken = catalog_.change(row->id, [&](store::Transaction& transaction, ContainerRow& now) -> Result<void> {
    if (now.pending || now.engine_name != row->engine_name || now.presence == Presence::archived) {
      return container_busy(now.name);
    }
    now.presence = Presence::present;
    now.engine_id = instance->engine_id;
    now.desired = desired;
    const UserId owner = BERTH_TRY(container_rows::user_of_uuid(transaction, instance->owner));
    // What somebody made anew under an old name is not at once its former owner's.
    if (made_anew || owner.value() != 0) now.owner = owner;
    return parts_.operations.audit_log().append(transaction, system_origin(),
                                                noted("container.found", now, unit->name));
  });
  return taken.has_value();
}

bool Containers::take_as_started(const UnitPointer& unit, const RowPointer& row) {
  if (is_active(row->id)) return false;
  // Somebody may have stopped it since the snapshot was read.
  const auto read = unit->inventory->reread(row->engine_name, Deadline::after(kInspect));
  if (!read) return read.error().code() == ErrorCode::not_found;
  if ((*read)->status != compute::Status::running) return true;
  const auto taken = catalog_.change(row->id, [&](store::Transaction& transaction, ContainerRow& now) -> Result<void> {
    if (now.pending || now.desired != row->desired || now.server != row->server || is_active(row->id)) {
      return container_busy(now.name);
    }
    now.desired.running = true;
    return parts_.operations.audit_log().append(transaction, system_origin(),
                                                noted("container.started", now, unit->name));
  });
  return taken.has_value();
}

void Containers::begin_settling(const UnitPointer& unit, const RowPointer& row) {
  if (is_active(row->id) || is_being_created(row->name)) return;
  // It may have been settled since it was looked for, and an operation would stand in the way of others.
  const RowPointer known = catalog_.book().row(row->id);
  if (known == nullptr || (known->presence != Presence::creating && !known->pending)) return;
  if (!can_settle(*known)) return;
  Change change;
  change.kind = "container.settle";
  change.id = row->id;
  change.unit = unit;
  change.limit = settings_.lifecycle_limit;
  change.input = json::to_json(ContainerInput{.name = row->name});
  change.details = json::to_json(ContainerDetails{.name = row->name, .server = unit->name});
  change.work = [this, unit, id = row->id](operations::Context& context) -> Result<std::string> {
    const RowPointer now = catalog_.book().row(id);
    if (now == nullptr || (now->presence != Presence::creating && !now->pending)) return std::string("null");
    const Target target{now, unit};
    if (now->presence == Presence::creating) {
      if (BERTH_TRY(is_ours(unit, *now, context.deadline()))) {
        BERTH_CHECK(take_off(unit, now->engine_name, context.deadline()));
      }
      BERTH_CHECK(catalog_.remove(id));
      return std::string("null");
    }
    return std::string(BERTH_TRY(settle(target, context.deadline())) ? "true" : "false");
  };
  // What an earlier run left open, or another node does, has the resource: then it is settled there.
  if (const auto begun = submit(system_origin(), std::move(change));
      !begun && begun.error().code() != ErrorCode::conflict) {
    log::warning("fleet", "settling {}: {}", row->name, begun.error().describe());
  }
}

}  // namespace berth::fleet
