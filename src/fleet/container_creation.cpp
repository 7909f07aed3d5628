#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/encoding.h"
#include "base/log.h"
#include "base/undo_stack.h"
#include "fleet/container_input.h"
#include "fleet/containers.h"
#include "json/write.h"

namespace berth::fleet {
namespace {

/// How long undoing may take once the time of the operation itself is over.
constexpr std::chrono::milliseconds kUndo{30'000};
constexpr std::chrono::milliseconds kReadBack{3000};

Error no_server() {
  return Error(ErrorCode::conflict, "placement.no_server",
               {"没有可用的服务器能容纳此容器", "No server that is open and healthy has room for this container"});
}

Result<void> check_new(const NewContainer& container) {
  BERTH_CHECK(compute::check_container_name(container.name));
  BERTH_CHECK(compute::check_image_reference(container.image));
  BERTH_CHECK(compute::check_container_settings(container.settings));
  return compute::check_limits(container.limits);
}

/// Whether its server has it, or is about to.
bool takes_room(const Container& container) {
  return container.presence != Presence::archived && container.presence != Presence::missing;
}

}  // namespace

std::vector<PlacementCandidate> Containers::candidates(const ContainerView& view) const {
  std::vector<PlacementCandidate> candidates;
  for (const auto& view : parts_.servers.list()) {
    PlacementCandidate candidate;
    candidate.id = view.server.id;
    candidate.name = view.server.name;
    candidate.placement = view.server.placement;
    candidate.health = view.status.health;
    const auto unit = parts_.servers.unit(view.server.id);
    candidate.connected = unit != nullptr && unit->inventory->snapshot()->health.connected &&
                          !remains_.fenced(view.server.id) && lets_run(view.server.id);
    candidate.cpus = view.status.cpus;
    candidate.memory_bytes = view.status.memory_bytes;
    candidates.push_back(std::move(candidate));
  }
  // The book counts also what its engine has not been asked for yet, and limits that an engine does not tell.
  for (const auto& container : view.containers) {
    if (!takes_room(*container)) continue;
    const auto at = std::ranges::find(candidates, container->server, &PlacementCandidate::id);
    if (at == candidates.end()) continue;
    ++at->containers;
    at->cpus_reserved += container->limits.cpus.value_or(0);
    at->memory_reserved_bytes += container->limits.memory_bytes.value_or(0);
  }
  return candidates;
}

Result<UnitPointer> Containers::place(const std::optional<std::string>& server, const std::string& name,
                                      const compute::InstanceLimits& limits, const std::set<ServerId>& except) {
  for (const auto& unit : parts_.servers.units()) {
    if (server && unit->name == *server) BERTH_CHECK(wait_for_lease(unit));
  }
  const std::lock_guard placing(placing_mutex_);
  const auto view = catalog_.book().view();
  auto all = candidates(*view);
  for (auto& candidate : all) {
    const auto reserved = reserved_.find(candidate.id);
    if (reserved == reserved_.end()) continue;
    for (const auto& [awaited, taken] : reserved->second) {
      const auto shown = view->find(awaited);
      if (shown != nullptr && shown->server == candidate.id && takes_room(*shown)) continue;  // counted already
      candidate.cpus_reserved += taken.cpus.value_or(0);
      candidate.memory_reserved_bytes += taken.memory_bytes.value_or(0);
      ++candidate.containers;
    }
  }
  std::optional<ServerId> chosen;
  if (server) {
    const auto at = std::ranges::find(all, *server, &PlacementCandidate::name);
    if (at == all.end()) return server_not_found(*server);
    if (at->placement != Placement::open) {
      return Error(ErrorCode::conflict, "placement.draining",
                   {fmt::format("服务器 {} 正在排空，不接受新容器", *server),
                    fmt::format("Server {} is draining and takes no new containers", *server)});
    }
    if (!at->connected || at->health == ServerHealth::unreachable) return compute::engine_unavailable();
    if (!has_room(*at, limits)) return no_server();
    chosen = at->id;
  } else {
    std::erase_if(all, [&](const PlacementCandidate& one) { return except.contains(one.id); });
    chosen = choose_server(all, limits);
  }
  if (!chosen) return no_server();
  UnitPointer unit = parts_.servers.unit(*chosen);
  if (unit == nullptr) return no_server();
  reserve(*chosen, name, limits);
  return unit;
}

void Containers::reserve(ServerId server, const std::string& name, const compute::InstanceLimits& limits) {
  reserved_[server].emplace(name, limits);
}

void Containers::give_back(ServerId server, const std::string& name) {
  const std::lock_guard placing(placing_mutex_);
  const auto at = reserved_.find(server);
  if (at == reserved_.end()) return;
  if (const auto one = at->second.find(name); one != at->second.end()) at->second.erase(one);
  if (at->second.empty()) reserved_.erase(at);
}

Result<ContainerService::Created> Containers::create(const Caller& caller, const NewContainer& wish) {
  BERTH_CHECK(check_new(wish));
  BERTH_CHECK(check_mounts(caller, wish.settings, {}));
  const UserId owner = wish.owner.value_or(caller.user);
  if (!caller.sees_all && owner != caller.user) {
    return Error(ErrorCode::permission_denied, "container.owner",
                 {"只能为自己创建容器", "You can create containers for yourself only"});
  }
  // Before a server is looked for: a name that is taken is the better answer.
  if (catalog_.book().view()->find(wish.name) != nullptr) return container_exists(wish.name);
  const UnitPointer unit = BERTH_TRY(place(wish.server, wish.name, wish.limits));
  ContainerRow row;
  row.name = row.engine_name = wish.name;
  row.server = unit->id;
  row.owner = owner;
  row.presence = Presence::creating;
  row.desired = {wish.image, wish.settings, wish.limits, wish.start};
  // From here until its operation runs, the row must not pass for one that was left behind.
  const auto mark = [this, &wish](bool on) {
    const std::lock_guard lock(active_mutex_);
    if (on) {
      being_created_.insert(wish.name);
    } else if (const auto at = being_created_.find(wish.name); at != being_created_.end()) {
      being_created_.erase(at);
    }
  };
  mark(true);
  UndoStack unmark;
  unmark.push([&] { mark(false); });
  Result<RowPointer> added = container_exists(wish.name);
  if (auto checked = unit->engine->check_name(wish.name); !checked) {
    added = take_error(checked);
  } else {
    added = catalog_.add(std::move(row));
  }
  give_back(unit->id, wish.name);
  const Target target{BERTH_TRY(std::move(added)), unit};
  Change change;
  change.kind = "container.create";
  change.id = target.row->id;
  change.unit = unit;
  change.limit = settings_.create_limit;
  change.input = json::to_json(ContainerInput{.name = wish.name, .start = wish.start, .token = random_uuid()});
  change.details = json::to_json(ContainerDetails{.name = wish.name,
                                                  .server = unit->name,
                                                  .image = wish.image,
                                                  .cpus = wish.limits.cpus,
                                                  .memory_bytes = wish.limits.memory_bytes,
                                                  .owner = owner.value()});
  change.work = [this, target, start = wish.start](operations::Context& context) {
    return make(target, start, context);
  };
  auto ticket = submit(caller.origin, std::move(change));
  if (!ticket) {
    if (const auto freed = catalog_.remove(target.row->id); !freed) {
      log::error("fleet", "the name {} stays taken: {}", wish.name, freed.error().describe());
    }
    return take_error(ticket);
  }
  return Created{target.row->id, std::move(*ticket)};
}

Result<void> Containers::bring_image(const UnitPointer& unit, const std::string& image, operations::Context& context,
                                     int from, int to) {
  compute::RegistryAbility* registry = unit->engine->registry();
  if (registry == nullptr) return {};
  context.progress(from, "image");
  if (BERTH_TRY(registry->has_image(image, context.deadline().sooner(settings_.quick_limit)))) return {};
  return pull_image(*registry, image, parts_.credentials, progress_of(context, from, to, true), context.deadline());
}

Result<bool> Containers::has(const UnitPointer& unit, const std::string& engine_name, Deadline deadline) {
  const auto found = unit->engine->get(engine_name, deadline.sooner(settings_.quick_limit));
  if (found) return true;
  if (found.error().code() == ErrorCode::not_found) return false;
  return found.error();
}

Result<void> Containers::take_off(const UnitPointer& unit, const std::string& engine_name, Deadline deadline) {
  const compute::EngineProgress nobody;
  auto stopped = unit->engine->stop(engine_name, std::chrono::seconds(0), nobody, deadline);
  if (!stopped && stopped.error().code() != ErrorCode::not_found) return take_error(stopped);
  BERTH_CHECK(unit->engine->remove(engine_name, nobody, deadline));
  unit->inventory->refresh(engine_name, Deadline::after(kReadBack));
  return {};
}

Result<bool> Containers::is_ours(const UnitPointer& unit, const ContainerRow& row, Deadline deadline) {
  auto found = unit->engine->get(row.engine_name, deadline.sooner(settings_.quick_limit));
  if (!found && found.error().code() == ErrorCode::not_found) return false;
  const compute::Instance instance = BERTH_TRY(std::move(found));
  std::string image = instance.image;
  if (compute::ContainerAbility* ability = unit->engine->containers()) {
    image = BERTH_TRY(ability->inspect(row.engine_name, deadline.sooner(settings_.quick_limit))).image;
  }
  return image == row.desired.image && instance.owner == BERTH_TRY(owner_uuid(row.owner));
}

void Containers::undo_creation(const Target& target) {
  const ContainerRow& row = *target.row;
  const Deadline deadline = Deadline::after(kUndo);
  auto undone = take_off(target.unit, row.engine_name, deadline);
  if (undone) undone = catalog_.remove(row.id);
  // Otherwise the row stays `creating`, and is settled as soon as the engine answers.
  if (undone) return;
  log::warning("fleet", "undoing the creation of {}: {}", row.name, undone.error().describe());
  look_again(row.server);
}

Result<std::string> Containers::make(const Target& target, bool start, operations::Context& context) {
  const ContainerRow& row = *target.row;
  compute::InstanceEngine& engine = *target.unit->engine;
  context.on_cancel([] {});
  const auto ours = std::make_shared<bool>(false);
  context.undo().push([this, gate = gate_, target, ours] {
    const auto pass = gate->enter();
    if (!pass) return;
    if (*ours) {
      undo_creation(target);
    } else if (const auto freed = catalog_.remove(target.row->id); !freed) {
      log::warning("fleet", "undoing the creation of {}: {}", target.row->name, freed.error().describe());
    }
  });
  BERTH_CHECK(bring_image(target.unit, row.desired.image, context, 0, 70));
  if (context.cancel_requested()) {
    return Error(ErrorCode::cancelled, "operation.cancelled", {"操作已取消", "The operation was cancelled"});
  }
  // Made by somebody else under that name: not ours to undo.
  if (BERTH_TRY(has(target.unit, row.engine_name, context.deadline()))) return container_exists(row.name);
  compute::NewInstance instance;
  instance.name = row.engine_name;
  instance.image = row.desired.image;
  instance.container = row.desired.settings;
  instance.limits = row.desired.limits;
  instance.owner = BERTH_TRY(owner_uuid(row.owner));
  instance.start = false;
  auto created = engine.create(instance, progress_of(context, 70, 85), context.deadline());
  if (!created && created.error().code() == ErrorCode::already_exists) return container_exists(row.name);
  *ours = true;
  if (!created) return take_error(created);
  if (start) BERTH_CHECK(engine.start(row.engine_name, progress_of(context, 85, 100), context.deadline()));
  const auto made = target.unit->inventory->reread(row.engine_name, Deadline::after(kReadBack));
  BERTH_CHECK(catalog_.change(row.id, [&](store::Transaction&, ContainerRow& now) -> Result<void> {
    now.presence = Presence::present;
    if (made) now.engine_id = (*made)->engine_id;
    return {};
  }));
  return fmt::format("{{\"container_id\":{}}}", row.id.value());
}

}  // namespace berth::fleet
