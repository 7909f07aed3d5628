#include "fleet/remains.h"

#include <algorithm>
#include <utility>

#include "fleet/container_rows.h"
#include "json/read.h"
#include "json/write.h"

namespace berth::fleet {
namespace {

bool is_of(const Remains& remains, const compute::Instance& instance) {
  if (!remains.engine_id.empty() && !instance.engine_id.empty()) return remains.engine_id == instance.engine_id;
  return remains.engine_name == instance.name;
}

}  // namespace

Result<void> RemainsBook::load() {
  struct Read {
    std::multimap<ServerId, Remains> remains;
    std::map<ServerId, FenceMark> fenced;
  };
  // Held over the read, so that an older one never replaces a newer one.
  const std::lock_guard lock(mutex_);
  auto read = BERTH_TRY(database_.read([](store::Transaction& transaction) -> Result<Read> {
    Read found;
    const auto rows = BERTH_TRY(transaction.query("SELECT * FROM container_remains ORDER BY id"));
    for (const auto& row : rows) {
      Remains remains;
      remains.id = row.integer("id");
      remains.server = ServerId(row.integer("server_id"));
      remains.container = ContainerId(row.integer("container_id"));
      remains.engine_name = row.text("engine_name");
      remains.engine_id = row.text("engine_id");
      remains.volumes = BERTH_TRY(json::from_json<std::vector<std::string>>(row.text("volumes")));
      remains.disposable = row.flag("disposable");
      found.remains.emplace(remains.server, std::move(remains));
    }
    const auto servers =
        BERTH_TRY(transaction.query("SELECT id, fenced_at, fenced_by FROM servers WHERE fenced_at IS NOT NULL"));
    for (const auto& row : servers) {
      found.fenced[ServerId(row.integer("id"))] = {row.time("fenced_at"), row.text("fenced_by")};
    }
    return found;
  }));
  remains_ = std::move(read.remains);
  fenced_ = std::move(read.fenced);
  return {};
}

Result<void> RemainsBook::add(store::Transaction& transaction, const Remains& remains) const {
  BERTH_CHECK(
      transaction.insert("INSERT INTO container_remains (server_id, container_id, engine_name, engine_id, volumes, "
                         "disposable, created_at) VALUES (:server, :container, :name, :engine_id, :volumes, "
                         ":disposable, :now)",
                         {{"server", remains.server},
                          {"container", remains.container},
                          {"name", remains.engine_name},
                          {"engine_id", remains.engine_id},
                          {"volumes", json::to_json(remains.volumes)},
                          {"disposable", remains.disposable},
                          {"now", clock_.now()}}));
  return {};
}

Result<void> RemainsBook::remove(store::Transaction& transaction, std::int64_t id) {
  BERTH_CHECK(transaction.execute("DELETE FROM container_remains WHERE id = :id", {{"id", id}}));
  return {};
}

Result<void> RemainsBook::mark(store::Transaction& transaction, ServerId server, const std::string& how) const {
  BERTH_CHECK(transaction.execute("UPDATE servers SET fenced_at = :now, fenced_by = :how WHERE id = :id",
                                  {{"now", clock_.now()}, {"how", how}, {"id", server}}));
  return {};
}

Result<bool> RemainsBook::unmark(store::Transaction& transaction, ServerId server) {
  const auto changing = BERTH_TRY(
      transaction.query("SELECT pending FROM containers WHERE server_id = :id AND pending <> ''", {{"id", server}}));
  for (const auto& row : changing) {
    if (BERTH_TRY(pending_outline(row.text("pending"))).kind == Pending::Kind::recover) return false;
  }
  BERTH_CHECK(
      transaction.execute("UPDATE servers SET fenced_at = NULL, fenced_by = '' WHERE id = :id", {{"id", server}}));
  return true;
}

Result<bool> RemainsBook::is_marked(store::Transaction& transaction, ServerId server) {
  const auto rows =
      BERTH_TRY(transaction.query("SELECT id FROM servers WHERE id = :id AND fenced_at IS NOT NULL", {{"id", server}}));
  return !rows.empty();
}

std::vector<Remains> RemainsBook::on(ServerId server) const {
  const std::lock_guard lock(mutex_);
  std::vector<Remains> all;
  const auto [begin, end] = remains_.equal_range(server);
  for (auto at = begin; at != end; ++at) all.push_back(at->second);
  return all;
}

std::optional<Remains> RemainsBook::match(ServerId server, const compute::Instance& instance) const {
  const auto helped = owner_of_helper(instance.name);
  const std::lock_guard lock(mutex_);
  const auto [begin, end] = remains_.equal_range(server);
  for (auto at = begin; at != end; ++at) {
    if (is_of(at->second, instance) || helped == at->second.container) return at->second;
  }
  return std::nullopt;
}

std::set<ServerId> RemainsBook::servers_of(ContainerId container) const {
  const std::lock_guard lock(mutex_);
  std::set<ServerId> servers;
  for (const auto& [server, remains] : remains_) {
    if (remains.container == container) servers.insert(server);
  }
  return servers;
}

std::optional<FenceMark> RemainsBook::fenced(ServerId server) const {
  const std::lock_guard lock(mutex_);
  const auto at = fenced_.find(server);
  return at == fenced_.end() ? std::nullopt : std::optional(at->second);
}

bool RemainsBook::concerns(ServerId server) const {
  const std::lock_guard lock(mutex_);
  return remains_.contains(server) || fenced_.contains(server);
}

}  // namespace berth::fleet
