#include "fleet/container_book.h"

#include <algorithm>
#include <set>
#include <utility>

namespace berth::fleet {
namespace {

/// From so many changes on the list is made anew instead of changed in place.
constexpr std::size_t kMany = 64;

bool any_limit(const compute::InstanceLimits& limits) {
  return limits.cpus || limits.memory_bytes || limits.disk_bytes;
}

/// A container without anything running or about to.
compute::Status status_without_instance(Presence presence) {
  switch (presence) {
    case Presence::creating:
      return compute::Status::starting;
    case Presence::missing:
      return compute::Status::error;
    case Presence::present:
    case Presence::archived:
      return compute::Status::stopped;
  }
  return compute::Status::stopped;
}

bool looks_alike(const Container& one, const Container& other) {
  return one.name == other.name && one.server == other.server && one.server_name == other.server_name &&
         one.owner == other.owner && one.presence == other.presence && one.status == other.status &&
         one.reachable == other.reachable && one.image == other.image && one.settings == other.settings &&
         one.environment_open == other.environment_open && one.limits == other.limits && one.ipv4 == other.ipv4 &&
         one.created_at == other.created_at;
}

auto position(const std::vector<ContainerPointer>& containers, std::string_view name) {
  return std::ranges::lower_bound(containers, name, {},
                                  [](const ContainerPointer& one) { return std::string_view(one->name); });
}

}  // namespace

ContainerPointer ContainerView::find(std::string_view name) const {
  const auto at = position(containers, name);
  return at == containers.end() || (*at)->name != name ? nullptr : *at;
}

ContainerBook::ContainerBook() : view_(std::make_shared<const ContainerView>()) {}

ContainerBook::Side* ContainerBook::side_of(const ContainerRow& row) {
  const auto at = sides_.find(row.server);
  return at == sides_.end() ? nullptr : &at->second;
}

compute::InstancePointer ContainerBook::look_up(const Side* side, const ContainerRow& row) const {
  if (side == nullptr || side->snapshot == nullptr || row.presence == Presence::archived) return nullptr;
  if (auto instance = side->snapshot->find(row.engine_name)) return instance;
  if (!row.pending || row.pending->kind != Pending::Kind::replace) return nullptr;
  // In the middle of a replacement it goes by another name.
  if (auto instance = side->snapshot->find(engine_name_after(row))) return instance;
  if (auto instance = side->snapshot->find(fresh_name(row.id))) return instance;
  return side->snapshot->find(spare_name(row.id));
}

void ContainerBook::refresh(Entry& entry, Changes& changes) {
  const ContainerRow& row = *entry.row;
  const Side* side = side_of(row);
  auto next = std::make_shared<Container>();
  next->id = row.id;
  next->name = row.name;
  next->server = row.server;
  next->owner = row.owner;
  next->presence = row.presence;
  next->image = row.desired.image;
  next->settings = row.desired.settings;
  next->environment_open = row.desired.unopened.empty();
  next->limits = row.desired.limits;
  next->status = status_without_instance(row.presence);
  next->created_at = row.created_at;
  if (side != nullptr) {
    next->server_name = side->name;
    next->reachable = side->snapshot != nullptr && side->snapshot->health.connected;
  } else {
    next->reachable = false;
  }
  if (entry.instance != nullptr) {
    const compute::Instance& instance = *entry.instance;
    if (row.presence == Presence::present) next->status = instance.status;
    if (any_limit(instance.limits)) next->limits = instance.limits;
    next->counters = instance.counters;
    next->measured = instance.measured;
    next->engine_id = instance.engine_id;
    next->cpu_percent = instance.cpu_percent;
    next->ipv4 = instance.ipv4;
  }
  if (entry.shown == nullptr || !looks_alike(*entry.shown, *next)) changes.visible = true;
  if (entry.shown != nullptr && entry.shown->name != next->name) changes.gone.push_back(entry.shown->name);
  entry.shown = std::move(next);
  changes.put.push_back(entry.shown);
}

void ContainerBook::publish(Changes changes) {
  if (changes.put.empty() && changes.gone.empty()) return;
  auto next = std::make_shared<ContainerView>(*view_);
  if (changes.visible || !changes.gone.empty()) ++next->revision;
  if (changes.put.size() + changes.gone.size() > kMany) {
    next->containers.clear();
    next->containers.reserve(entries_.size());
    for (const auto& [id, entry] : entries_) next->containers.push_back(entry.shown);
    std::ranges::sort(next->containers, {}, [](const ContainerPointer& one) { return std::string_view(one->name); });
  } else {
    // First what goes: a name may go from one container to another.
    for (const std::string& name : changes.gone) {
      const auto at = position(next->containers, name);
      if (at != next->containers.end() && (*at)->name == name) next->containers.erase(at);
    }
    for (auto& container : changes.put) {
      const auto at = position(next->containers, container->name);
      if (at != next->containers.end() && (*at)->name == container->name) {
        next->containers[static_cast<std::size_t>(at - next->containers.begin())] = std::move(container);
      } else {
        next->containers.insert(at, std::move(container));
      }
    }
  }
  const std::lock_guard lock(view_mutex_);
  view_ = std::move(next);
}

void ContainerBook::unlink(const ContainerRow& row) {
  Side* side = side_of(row);
  if (side == nullptr) return;
  const auto at = side->by_engine_name.find(row.engine_name);
  if (at != side->by_engine_name.end() && at->second == row.id) side->by_engine_name.erase(at);
}

void ContainerBook::put(const std::vector<RowPointer>& rows) {
  const std::lock_guard lock(mutex_);
  Changes changes;
  for (const RowPointer& row : rows) {
    Entry& entry = entries_[row->id];
    if (entry.row != nullptr) unlink(*entry.row);
    entry.row = row;
    Side* side = side_of(*row);
    if (side != nullptr && row->presence != Presence::archived) side->by_engine_name[row->engine_name] = row->id;
    entry.instance = look_up(side, *row);
    refresh(entry, changes);
  }
  publish(std::move(changes));
}

void ContainerBook::erase(ContainerId id) {
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(id);
  if (at == entries_.end()) return;
  Changes changes;
  changes.gone.push_back(at->second.shown->name);
  unlink(*at->second.row);
  entries_.erase(at);
  publish(std::move(changes));
}

void ContainerBook::add_server(ServerId id, std::string name) {
  const std::lock_guard lock(mutex_);
  Side& side = sides_[id];
  side.name = std::move(name);
  side.snapshot = nullptr;
  side.by_engine_name.clear();
  Changes changes;
  for (auto& [container, entry] : entries_) {
    if (entry.row->server != id) continue;
    if (entry.row->presence != Presence::archived) side.by_engine_name[entry.row->engine_name] = container;
    refresh(entry, changes);
  }
  publish(std::move(changes));
}

void ContainerBook::remove_server(ServerId id) {
  const std::lock_guard lock(mutex_);
  if (sides_.erase(id) == 0) return;
  Changes changes;
  for (auto& [container, entry] : entries_) {
    if (entry.row->server != id) continue;
    entry.instance = nullptr;
    refresh(entry, changes);
  }
  publish(std::move(changes));
}

void ContainerBook::take(ServerId id, const compute::SnapshotPointer& snapshot) {
  const std::lock_guard lock(mutex_);
  const auto at = sides_.find(id);
  if (at == sides_.end()) return;
  Side& side = at->second;
  const bool connection_changed =
      side.snapshot == nullptr || side.snapshot->health.connected != snapshot->health.connected;
  side.snapshot = snapshot;
  Changes changes;
  // Both are sorted by the engine's names, so one walk finds the pairs.
  auto instance = snapshot->instances.begin();
  for (const auto& [engine_name, container] : side.by_engine_name) {
    Entry& entry = entries_.at(container);
    while (instance != snapshot->instances.end() && (*instance)->name < engine_name) ++instance;
    const bool found = instance != snapshot->instances.end() && (*instance)->name == engine_name;
    auto shown = found ? *instance : look_up(&side, *entry.row);
    if (!connection_changed && shown == entry.instance) continue;
    entry.instance = std::move(shown);
    refresh(entry, changes);
  }
  publish(std::move(changes));
}

ContainerViewPointer ContainerBook::view() const {
  const std::lock_guard lock(view_mutex_);
  return view_;
}

ContainerPointer ContainerBook::find(ContainerId id) const {
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(id);
  return at == entries_.end() ? nullptr : at->second.shown;
}

RowPointer ContainerBook::row(ContainerId id) const {
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(id);
  return at == entries_.end() ? nullptr : at->second.row;
}

std::vector<RowPointer> ContainerBook::rows() const {
  const std::lock_guard lock(mutex_);
  std::vector<RowPointer> rows;
  rows.reserve(entries_.size());
  for (const auto& [id, entry] : entries_) rows.push_back(entry.row);
  return rows;
}

std::vector<RowPointer> ContainerBook::rows_on(ServerId server) const {
  const std::lock_guard lock(mutex_);
  std::vector<RowPointer> rows;
  const auto side = sides_.find(server);
  if (side == sides_.end()) return rows;
  for (const auto& [name, id] : side->second.by_engine_name) rows.push_back(entries_.at(id).row);
  return rows;
}

compute::InstancePointer ContainerBook::instance_of(ContainerId id) const {
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(id);
  return at == entries_.end() ? nullptr : at->second.instance;
}

ContainerBook::Differences ContainerBook::differences(ServerId server) const {
  Differences found;
  const std::lock_guard lock(mutex_);
  const auto at = sides_.find(server);
  if (at == sides_.end() || at->second.snapshot == nullptr || !at->second.snapshot->health.connected) return found;
  const Side& side = at->second;
  // What a change that is under way calls a container, or will.
  std::set<std::string> spoken_for;
  for (const auto& [id, entry] : entries_) {
    const ContainerRow& row = *entry.row;
    if (!row.pending) continue;
    const Pending::Kind kind = row.pending->kind;
    const bool comes =
        kind == Pending::Kind::restore || kind == Pending::Kind::relocate || kind == Pending::Kind::recover;
    if (comes && row.pending->server == server) {
      spoken_for.insert(engine_name_after(row));
      // One that is relocated is settled from where it is.
      if (kind != Pending::Kind::relocate) found.unsettled.push_back(entry.row);
    } else if (row.server == server) {
      spoken_for.merge(engine_names_of(row));
    }
  }
  std::set<std::string, std::less<>> shown;
  for (const auto& [engine_name, id] : side.by_engine_name) {
    const Entry& entry = entries_.at(id);
    if (entry.instance != nullptr && !entry.row->engine_id.empty()) shown.insert(entry.row->engine_id);
  }
  for (const auto& instance : side.snapshot->instances) {
    if (side.by_engine_name.contains(instance->name) || spoken_for.contains(instance->name)) continue;
    // What a change of ours made beside a container is none of its own while that container is here.
    if (const auto helped = owner_of_helper(instance->name)) {
      const auto row = entries_.find(*helped);
      if (row != entries_.end() && row->second.row->server == server) continue;
    }
    // The snapshot has read the new name of a renamed one, and not yet that the old one is gone.
    if (shown.contains(instance->engine_id)) {
      found.doubtful = true;
      continue;
    }
    found.unknown.push_back(instance);
  }
  for (const auto& [engine_name, id] : side.by_engine_name) {
    const Entry& entry = entries_.at(id);
    const ContainerRow& row = *entry.row;
    if (row.presence == Presence::creating || row.pending) {
      found.unsettled.push_back(entry.row);
      continue;
    }
    const auto instance = side.snapshot->find(engine_name);
    if (instance == nullptr) {
      found.lost.push_back(entry.row);
    } else if (row.presence == Presence::missing ||
               (!instance->engine_id.empty() && instance->engine_id != row.engine_id)) {
      found.changed.emplace_back(entry.row, instance);
    } else if (!row.desired.running && instance->status == compute::Status::running) {
      found.started.push_back(entry.row);
    }
  }
  return found;
}

}  // namespace berth::fleet
