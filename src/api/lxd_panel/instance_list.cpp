#include "api/lxd_panel/instance_list.h"

#include <algorithm>
#include <numeric>
#include <span>

namespace berth::api::lxd_panel {
namespace {

constexpr std::string_view kJson = "application/json; charset=utf-8";

std::string join(const std::vector<Fragments::Text>& texts, std::span<const std::size_t> positions) {
  std::size_t size = 2;
  for (const std::size_t position : positions) size += texts[position]->size() + 1;
  std::string body;
  body.reserve(size);
  body.push_back('[');
  for (const std::size_t position : positions) {
    if (body.size() > 1) body.push_back(',');
    body += *texts[position];
  }
  body.push_back(']');
  return body;
}

std::vector<std::size_t> every_position(std::size_t count) {
  std::vector<std::size_t> positions(count);
  std::iota(positions.begin(), positions.end(), 0);
  return positions;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool contains(std::string_view text, std::string_view wanted) {
  const auto found = std::search(text.begin(), text.end(), wanted.begin(), wanted.end(),
                                 [](char a, char b) { return lower(a) == lower(b); });
  return found != text.end();
}

bool fits(const compute::Instance& instance, const ListQuery& query) {
  if (query.status && !(contains(instance.engine_status, *query.status) &&
                        instance.engine_status.size() == query.status->size())) {
    return false;
  }
  if (!query.search) return true;
  // The description is searched without its password: a search must not be a way to guess one.
  return contains(instance.name, *query.search) || (instance.ipv4 && contains(*instance.ipv4, *query.search)) ||
         (instance.ipv6 && contains(*instance.ipv6, *query.search)) ||
         contains(info_of(instance, Secrets::hidden).description, *query.search);
}

void sort_positions(std::vector<std::size_t>& positions, const std::vector<compute::InstancePointer>& instances,
                    std::string_view key) {
  const bool descending = key.starts_with('-');
  if (descending) key.remove_prefix(1);
  const auto by = [&](auto project) {
    std::stable_sort(positions.begin(), positions.end(), [&](std::size_t a, std::size_t b) {
      return descending ? project(*instances[b]) < project(*instances[a])
                        : project(*instances[a]) < project(*instances[b]);
    });
  };
  if (key == "name") by([](const compute::Instance& i) -> const std::string& { return i.name; });
  if (key == "status") by([](const compute::Instance& i) -> const std::string& { return i.engine_status; });
  if (key == "created_at") by([](const compute::Instance& i) { return i.created_at; });
  if (key == "cpu") by([](const compute::Instance& i) { return i.cpu_percent; });
  if (key == "memory") by([](const compute::Instance& i) { return i.counters.memory_bytes; });
}

}  // namespace

InstanceList::PreparedPointer InstanceList::prepared(const compute::SnapshotPointer& snapshot, Secrets secrets) {
  auto& slot = current_[static_cast<std::size_t>(secrets)];
  PreparedPointer known = slot.load(std::memory_order_acquire);
  const auto fresh = [&](const PreparedPointer& candidate) {
    return candidate && candidate->fragments.snapshot()->structure_revision == snapshot->structure_revision;
  };
  if (fresh(known)) return known;
  const std::lock_guard lock(preparing_);
  known = slot.load(std::memory_order_acquire);
  if (fresh(known)) return known;
  auto made = std::make_shared<Prepared>();
  made->fragments = Fragments(
      snapshot, known ? known->fragments : Fragments(),
      [secrets](const compute::Instance& instance) { return json::to_json(info_of(instance, secrets)); }, same_info);
  const auto& instances = snapshot->instances;
  for (std::size_t i = 0; i < instances.size(); ++i) made->by_owner[instances[i]->owner].push_back(i);
  made->all = std::make_shared<http::Content>(
      std::string(kJson), join(made->fragments.texts(), every_position(instances.size())));
  slot.store(made, std::memory_order_release);
  return made;
}

http::ContentPointer InstanceList::whole(const compute::SnapshotPointer& snapshot, const compute::Viewer& viewer,
                                         Secrets secrets) {
  const PreparedPointer ready = prepared(snapshot, secrets);
  if (viewer.sees_all) return ready->all;
  const std::lock_guard lock(ready->owners_mutex);
  http::ContentPointer& content = ready->owned[viewer.owner];
  if (!content) {
    const auto positions = viewer.owner.empty() ? ready->by_owner.end() : ready->by_owner.find(viewer.owner);
    const std::span<const std::size_t> mine =
        positions == ready->by_owner.end() ? std::span<const std::size_t>() : positions->second;
    content = std::make_shared<http::Content>(std::string(kJson), join(ready->fragments.texts(), mine));
  }
  return content;
}

std::vector<std::size_t> InstanceList::select(const Prepared& prepared, const compute::InventorySnapshot& snapshot,
                                              const compute::Viewer& viewer, const ListQuery& query) {
  // Of the same structure as what is prepared, so positions agree, but with the newest counters to sort by.
  const auto& instances = snapshot.instances;
  std::vector<std::size_t> positions;
  if (viewer.sees_all) {
    positions = every_position(instances.size());
  } else if (const auto mine = prepared.by_owner.find(viewer.owner);
             !viewer.owner.empty() && mine != prepared.by_owner.end()) {
    positions = mine->second;
  }
  if (query.status || query.search) {
    std::erase_if(positions, [&](std::size_t position) { return !fits(*instances[position], query); });
  }
  if (query.sort && *query.sort != "name") sort_positions(positions, instances, *query.sort);
  return positions;
}

InstanceList::Page InstanceList::page(const compute::SnapshotPointer& snapshot, const compute::Viewer& viewer,
                                      Secrets secrets, const ListQuery& query) {
  const PreparedPointer ready = prepared(snapshot, secrets);
  const std::vector<std::size_t> positions = select(*ready, *snapshot, viewer, query);
  const std::size_t begin = std::min(query.offset.value_or(0), positions.size());
  const std::size_t count = std::min(query.limit.value_or(positions.size()), positions.size() - begin);
  return {join(ready->fragments.texts(), std::span(positions).subspan(begin, count)), positions.size()};
}

}  // namespace berth::api::lxd_panel
