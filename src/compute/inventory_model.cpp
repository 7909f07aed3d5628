#include "compute/inventory_model.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace berth::compute {
namespace {

/// Below this, the engine's own granularity would be most of the figure.
constexpr std::chrono::milliseconds kShortestInterval{500};

/// Whether all but what is measured is the same. `fresh` is as it was afterwards.
bool same_but_measurements(const Instance& before, Instance& fresh) {
  const auto counters = std::exchange(fresh.counters, before.counters);
  const auto cpu_percent = std::exchange(fresh.cpu_percent, before.cpu_percent);
  const auto measured = std::exchange(fresh.measured, before.measured);
  const bool same = fresh == before;
  fresh.counters = counters;
  fresh.cpu_percent = cpu_percent;
  fresh.measured = measured;
  return same;
}

/// Whether `counters` of a read that began at `began` are newer than those of one that began later: an engine may
/// answer about one instance at once with counters that it was asked for before.
bool has_newer_counters(const Instance& fresh, const Instance& published, Instant began) {
  return fresh.engine_id == published.engine_id && fresh.status == published.status && fresh.measured >= began &&
         published.measured < began;
}

bool same_problem(const std::optional<Error>& a, const Error& b) {
  return a && a->code() == b.code() && a->reason() == b.reason() && a->message() == b.message();
}

}  // namespace

InstancePointer InventorySnapshot::find(std::string_view name) const {
  const auto at = std::ranges::lower_bound(
      instances, name, {}, [](const InstancePointer& instance) { return std::string_view(instance->name); });
  return at != instances.end() && (*at)->name == name ? *at : nullptr;
}

InventoryModel::InventoryModel(std::uint32_t host_cores)
    : host_cores_(std::max<std::uint32_t>(host_cores, 1)), snapshot_(std::make_shared<const InventorySnapshot>()) {}

InventoryModel::Mark InventoryModel::begin_read(Instant now) {
  reading_.emplace(++last_mark_, now);
  return last_mark_;
}

void InventoryModel::abandon(Mark mark) {
  end_read(mark);
}

void InventoryModel::end_read(Mark mark) {
  reading_.erase(mark);
  // A removal matters only to reads that began before it.
  if (reading_.empty()) {
    removed_.clear();
  } else {
    std::erase_if(removed_, [&](const auto& removed) { return removed.second < reading_.begin()->first; });
  }
}

std::size_t InventoryModel::position(std::string_view name) const {
  const auto& instances = snapshot_->instances;
  const auto at = std::ranges::lower_bound(
      instances, name, {}, [](const InstancePointer& instance) { return std::string_view(instance->name); });
  return static_cast<std::size_t>(at - instances.begin());
}

void InventoryModel::measure_cpu(Entry& entry, const Instance* before, Instance& fresh) const {
  fresh.cpu_percent = 0;
  if (fresh.status == Status::unresponsive) return;  // its counters may be blank: the interval goes on
  if (fresh.status != Status::running) {
    entry.cpu_since.reset();
    return;
  }
  const auto restart_interval = [&] {
    entry.cpu_since = fresh.measured;
    entry.cpu_ns = fresh.counters.cpu_ns;
  };
  if (!entry.cpu_since) return restart_interval();
  const auto interval = fresh.measured - *entry.cpu_since;
  if (interval < kShortestInterval) {
    if (before != nullptr) fresh.cpu_percent = before->cpu_percent;
    return;
  }
  // After a restart the counter begins at 0 again: what it shows was used within the interval.
  const std::uint64_t used =
      fresh.counters.cpu_ns >= entry.cpu_ns ? fresh.counters.cpu_ns - entry.cpu_ns : fresh.counters.cpu_ns;
  const double limit = fresh.limits.cpus.value_or(host_cores_);
  const double cores = limit > 0 ? std::min(limit, host_cores_) : host_cores_;
  const double available =
      static_cast<double>(std::chrono::duration_cast<std::chrono::nanoseconds>(interval).count()) * cores;
  fresh.cpu_percent = std::clamp(100.0 * static_cast<double>(used) / available, 0.0, 100.0);
  restart_interval();
}

InstancePointer InventoryModel::merge(Entry& entry, const InstancePointer& before, Instance fresh,
                                      Change& change) const {
  measure_cpu(entry, before.get(), fresh);
  if (before != nullptr && same_but_measurements(*before, fresh)) {
    if (fresh.counters == before->counters && fresh.cpu_percent == before->cpu_percent) return before;
    change = std::max(change, Change::counters);
    return std::make_shared<const Instance>(std::move(fresh));
  }
  change = Change::structure;
  return std::make_shared<const Instance>(std::move(fresh));
}

SnapshotPointer InventoryModel::publish(InventorySnapshot next, Change change) {
  if (change != Change::none) ++next.revision;
  if (change == Change::structure) ++next.structure_revision;
  snapshot_ = std::make_shared<const InventorySnapshot>(std::move(next));
  return snapshot_;
}

SnapshotPointer InventoryModel::apply_all(Mark mark, std::vector<Instance> instances, EngineInfo info, Timestamp now) {
  if (mark < last_full_) {
    end_read(mark);
    return nullptr;
  }
  last_full_ = mark;
  if (info.cpus > 0) host_cores_ = info.cpus;
  std::ranges::stable_sort(instances, {}, &Instance::name);
  const auto repeated = std::ranges::unique(instances, {}, &Instance::name);
  instances.erase(repeated.begin(), repeated.end());

  const InventorySnapshot& old = *snapshot_;
  const Instant began = reading_.at(mark);
  InventorySnapshot next;
  next.revision = old.revision;
  next.structure_revision = old.structure_revision;
  next.instances.reserve(instances.size());
  std::vector<Entry> entries;
  entries.reserve(instances.size());
  Change change = Change::none;

  const auto keep = [&](std::size_t at) {
    next.instances.push_back(old.instances[at]);
    entries.push_back(entries_[at]);
  };
  std::size_t at = 0;
  const auto pass_unnamed_until = [&](const std::string* name) {
    for (; at < old.instances.size() && (name == nullptr || old.instances[at]->name < *name); ++at) {
      if (entries_[at].mark > mark) {
        keep(at);
      } else {
        change = Change::structure;
      }
    }
  };
  for (Instance& fresh : instances) {
    pass_unnamed_until(&fresh.name);
    const bool known = at < old.instances.size() && old.instances[at]->name == fresh.name;
    if (known && entries_[at].mark > mark) {
      keep(at);
      const InstancePointer& kept = old.instances[at++];
      if (has_newer_counters(fresh, *kept, began)) {
        Instance updated = *kept;
        updated.counters = fresh.counters;
        updated.measured = fresh.measured;
        next.instances.back() = merge(entries.back(), kept, std::move(updated), change);
      }
      continue;
    }
    if (const auto removed = removed_.find(fresh.name); removed != removed_.end() && removed->second > mark) {
      continue;
    }
    Entry entry = known ? entries_[at] : Entry{};
    entry.mark = mark;
    next.instances.push_back(merge(entry, known ? old.instances[at] : nullptr, std::move(fresh), change));
    entries.push_back(entry);
    if (known) ++at;
  }
  pass_unnamed_until(nullptr);

  if (!old.health.connected) change = Change::structure;
  next.health = {true, true, std::nullopt, std::move(info)};
  next.read_at = began;
  next.read_time = now;
  entries_ = std::move(entries);
  end_read(mark);
  return publish(std::move(next), change);
}

SnapshotPointer InventoryModel::apply_one(Mark mark, Instance instance) {
  const std::string name = instance.name;
  const std::size_t at = position(name);
  const auto& instances = snapshot_->instances;
  const bool known = at < instances.size() && instances[at]->name == name;
  const auto removed = removed_.find(name);
  const bool outdated =
      mark < last_full_ || (known && entries_[at].mark > mark) || (removed != removed_.end() && removed->second > mark);
  end_read(mark);
  if (outdated) return nullptr;

  Entry entry = known ? entries_[at] : Entry{};
  entry.mark = mark;
  Change change = Change::none;
  InstancePointer fresh = merge(entry, known ? instances[at] : nullptr, std::move(instance), change);
  if (known) {
    entries_[at] = entry;
  } else {
    entries_.insert(entries_.begin() + static_cast<std::ptrdiff_t>(at), entry);
  }
  if (change == Change::none) return nullptr;
  InventorySnapshot next = *snapshot_;
  if (known) {
    next.instances[at] = std::move(fresh);
  } else {
    next.instances.insert(next.instances.begin() + static_cast<std::ptrdiff_t>(at), std::move(fresh));
  }
  return publish(std::move(next), change);
}

SnapshotPointer InventoryModel::apply_missing(Mark mark, const std::string& name) {
  const std::size_t at = position(name);
  const auto& instances = snapshot_->instances;
  const bool known = at < instances.size() && instances[at]->name == name;
  const bool outdated = mark < last_full_ || (known && entries_[at].mark > mark);
  if (!outdated) removed_[name] = std::max(removed_[name], mark);
  end_read(mark);
  if (outdated || !known) return nullptr;
  InventorySnapshot next = *snapshot_;
  next.instances.erase(next.instances.begin() + static_cast<std::ptrdiff_t>(at));
  entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(at));
  return publish(std::move(next), Change::structure);
}

SnapshotPointer InventoryModel::disconnect(const Error& problem) {
  const EngineHealth& health = snapshot_->health;
  if (!health.connected && same_problem(health.problem, problem)) return nullptr;
  InventorySnapshot next = *snapshot_;
  next.health.connected = false;
  next.health.problem = problem;
  return publish(std::move(next), Change::structure);
}

}  // namespace berth::compute
