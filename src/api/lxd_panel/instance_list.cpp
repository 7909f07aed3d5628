#include "api/lxd_panel/instance_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <span>

#include "base/encoding.h"

namespace berth::api::lxd_panel {
namespace {

constexpr std::string_view kJson = "application/json; charset=utf-8";

/// An array of `count` texts, the n-th of which is the one at `position_of(n)`.
template <class PositionOf>
std::string join(const std::vector<Fragments::Text>& texts, std::size_t count, PositionOf position_of) {
  std::size_t size = 2;
  for (std::size_t n = 0; n < count; ++n) size += texts[position_of(n)]->size() + 1;
  std::string body;
  body.reserve(size);
  body.push_back('[');
  for (std::size_t n = 0; n < count; ++n) {
    if (n > 0) body.push_back(',');
    body += *texts[position_of(n)];
  }
  body.push_back(']');
  return body;
}

std::string join(const std::vector<Fragments::Text>& texts, std::span<const std::size_t> positions) {
  return join(texts, positions.size(), [&](std::size_t n) { return positions[n]; });
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool contains(std::string_view text, std::string_view wanted) {
  const auto found = std::search(text.begin(), text.end(), wanted.begin(), wanted.end(),
                                 [](char a, char b) { return lower(a) == lower(b); });
  return found != text.end();
}

bool fits(const compute::Instance& instance, const ListQuery& query) {
  if (query.status &&
      !(contains(instance.engine_status, *query.status) && instance.engine_status.size() == query.status->size())) {
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

InstanceList::InstanceList() : epoch_(to_hex(random_bytes(6))) {}

InstanceList::PreparedPointer InstanceList::current(Secrets secrets) {
  const std::lock_guard lock(current_mutex_);
  return current_[static_cast<std::size_t>(secrets)];
}

InstanceList::PreparedPointer InstanceList::prepared(const compute::SnapshotPointer& snapshot, Secrets secrets) {
  PreparedPointer known = current(secrets);
  const auto fresh = [&](const PreparedPointer& candidate) {
    return candidate && candidate->fragments.snapshot()->structure_revision == snapshot->structure_revision;
  };
  if (fresh(known)) return known;
  const std::lock_guard lock(preparing_);
  known = current(secrets);
  if (fresh(known)) return known;
  auto made = std::make_shared<Prepared>();
  made->fragments = Fragments(
      snapshot, known ? known->fragments : Fragments(),
      [secrets](const compute::Instance& instance) { return json::to_json(info_of(instance, secrets)); }, same_info);
  const std::lock_guard publishing(current_mutex_);
  current_[static_cast<std::size_t>(secrets)] = made;
  return made;
}

/// The revision tells whether a list is the same as before, far cheaper than a hash of megabytes.
http::ContentPointer InstanceList::content_of(const Prepared& prepared, Secrets secrets, const std::string& owner,
                                              std::string body) const {
  const std::string_view kind = secrets == Secrets::shown ? "s" : "h";
  const auto revision = prepared.fragments.snapshot()->structure_revision;
  return std::make_shared<http::Content>(std::string(kJson), std::move(body),
                                         fmt::format("{}-{}-{}{}", epoch_, revision, kind, owner));
}

http::ContentPointer InstanceList::whole(const compute::SnapshotPointer& snapshot, const compute::Viewer& viewer,
                                         Secrets secrets) {
  const PreparedPointer ready = prepared(snapshot, secrets);
  const auto& texts = ready->fragments.texts();
  if (viewer.sees_all) {
    std::call_once(ready->all_once, [&] {
      ready->all = content_of(*ready, secrets, "", join(texts, texts.size(), [](std::size_t n) { return n; }));
    });
    return ready->all;
  }
  const auto mine = owned_by(*ready, viewer.owner);
  const std::lock_guard lock(ready->owned_mutex);
  http::ContentPointer& content = ready->owned[viewer.owner];
  if (!content) content = content_of(*ready, secrets, "-" + viewer.owner, join(texts, mine));
  return content;
}

std::span<const std::size_t> InstanceList::owned_by(Prepared& prepared, const std::string& owner) {
  std::call_once(prepared.owners_once, [&] {
    const auto& instances = prepared.fragments.snapshot()->instances;
    for (std::size_t i = 0; i < instances.size(); ++i) prepared.by_owner[instances[i]->owner].push_back(i);
  });
  const auto mine = owner.empty() ? prepared.by_owner.end() : prepared.by_owner.find(owner);
  return mine == prepared.by_owner.end() ? std::span<const std::size_t>() : mine->second;
}

std::vector<std::size_t> InstanceList::select(Prepared& prepared, const compute::InventorySnapshot& snapshot,
                                              const compute::Viewer& viewer, const ListQuery& query) {
  // Of the same structure as what is prepared, so positions agree, but with the newest counters to sort by.
  const auto& instances = snapshot.instances;
  std::vector<std::size_t> positions;
  if (viewer.sees_all) {
    positions.resize(instances.size());
    std::iota(positions.begin(), positions.end(), 0);
  } else {
    const auto mine = owned_by(prepared, viewer.owner);
    positions.assign(mine.begin(), mine.end());
  }
  std::erase_if(positions, [&](std::size_t position) { return !fits(*instances[position], query); });
  if (query.sort) sort_positions(positions, instances, *query.sort);
  return positions;
}

InstanceList::Page InstanceList::page(const compute::SnapshotPointer& snapshot, const compute::Viewer& viewer,
                                      Secrets secrets, const ListQuery& query) {
  const PreparedPointer ready = prepared(snapshot, secrets);
  const auto& texts = ready->fragments.texts();
  const auto cut = [&](std::size_t total, auto position_of) {
    const std::size_t begin = std::min(query.offset.value_or(0), total);
    const std::size_t count = std::min(query.limit.value_or(total), total - begin);
    return Page{join(texts, count, [&](std::size_t n) { return position_of(begin + n); }), total};
  };
  // A page in the order of names costs what it holds, however many there are besides.
  const bool plain = !query.status && !query.search && query.sort.value_or("name") == "name";
  if (plain && viewer.sees_all) return cut(texts.size(), [](std::size_t n) { return n; });
  if (plain) {
    const auto mine = owned_by(*ready, viewer.owner);
    return cut(mine.size(), [&](std::size_t n) { return mine[n]; });
  }
  const std::vector<std::size_t> positions = select(*ready, *snapshot, viewer, query);
  return cut(positions.size(), [&](std::size_t n) { return positions[n]; });
}

}  // namespace berth::api::lxd_panel
