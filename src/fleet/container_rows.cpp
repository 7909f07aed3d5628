#include "fleet/container_rows.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "fleet/container_json.h"
#include "json/read.h"
#include "json/write.h"

namespace berth::fleet {
namespace {

constexpr std::string_view kFresh = "berth-new-";
constexpr std::string_view kSpare = "berth-old-";

Presence presence_of(std::string_view word) {
  for (const Presence presence : {Presence::present, Presence::creating, Presence::archived}) {
    if (word == name(presence)) return presence;
  }
  return Presence::missing;
}

std::optional<std::int64_t> owner_value(UserId owner) {
  return owner.value() == 0 ? std::nullopt : std::optional(owner.value());
}

std::optional<std::int64_t> server_value(ServerId server) {
  return server.value() == 0 ? std::nullopt : std::optional(server.value());
}

store::Parameters parameters_of(const ContainerRow& row) {
  return {{"name", row.name},
          {"server", server_value(row.server)},
          {"engine_name", row.engine_name},
          {"engine_id", row.engine_id},
          {"owner", owner_value(row.owner)},
          {"presence", name(row.presence)},
          {"desired", to_json(row.desired)},
          {"epoch", row.epoch},
          {"pending", row.pending ? to_json(*row.pending) : std::string()},
          {"archive", row.archive},
          {"now", row.updated_at}};
}

Result<RowPointer> row_of(const store::Row& stored) {
  auto row = std::make_shared<ContainerRow>();
  row->id = ContainerId(stored.integer("id"));
  row->name = stored.text("name");
  row->server = ServerId(stored.optional_integer("server_id").value_or(0));
  row->engine_name = stored.text("engine_name");
  row->engine_id = stored.text("engine_id");
  row->owner = UserId(stored.optional_integer("owner_id").value_or(0));
  row->presence = presence_of(stored.text("presence"));
  row->desired = BERTH_TRY(desired_from_json(stored.text("desired")));
  row->epoch = stored.integer("epoch");
  if (const std::string pending = stored.text("pending"); !pending.empty()) {
    row->pending = BERTH_TRY(pending_from_json(pending));
  }
  row->archive = stored.text("archive");
  row->created_at = stored.time("created_at");
  row->updated_at = stored.time("updated_at");
  return RowPointer(std::move(row));
}

}  // namespace

std::string_view name(Presence presence) {
  switch (presence) {
    case Presence::present:
      return "present";
    case Presence::creating:
      return "creating";
    case Presence::archived:
      return "archived";
    case Presence::missing:
      return "missing";
  }
  return "missing";
}

std::string fresh_name(ContainerId id) {
  return fmt::format("{}{}", kFresh, id.value());
}

std::string spare_name(ContainerId id) {
  return fmt::format("{}{}", kSpare, id.value());
}

std::string engine_name_after(const ContainerRow& row) {
  return row.pending && row.pending->name != row.name ? row.pending->name : row.engine_name;
}

std::optional<ContainerId> owner_of_helper(std::string_view engine_name) {
  if (!engine_name.starts_with(kFresh) && !engine_name.starts_with(kSpare)) return std::nullopt;
  const std::string_view digits = engine_name.substr(kFresh.size());
  std::int64_t id = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), id);
  if (problem != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return ContainerId(id);
}

Error container_exists(const std::string& name) {
  const Text message{fmt::format("容器 {} 已存在", name), fmt::format("Container {} already exists", name)};
  return Error(ErrorCode::already_exists, "container.exists", message).with_field("name", message);
}

Error container_not_found(const std::string& name) {
  return Error(ErrorCode::not_found, "container.not_found",
               {fmt::format("容器 {} 不存在", name), fmt::format("Container {} does not exist", name)});
}

namespace container_rows {

Result<ContainerId> insert(store::Transaction& transaction, const ContainerRow& row) {
  if (BERTH_TRY(is_taken(transaction, row.name))) return container_exists(row.name);
  auto parameters = parameters_of(row);
  parameters.emplace_back("created", row.created_at);
  const ContainerId id(BERTH_TRY(transaction.insert(
      "INSERT INTO containers (name, server_id, engine_name, engine_id, owner_id, presence, desired, epoch, pending, "
      "archive, created_at, updated_at) VALUES (:name, :server, :engine_name, :engine_id, :owner, :presence, :desired, "
      ":epoch, :pending, :archive, :created, :now)",
      parameters)));
  BERTH_CHECK(take_name(transaction, id, row.name));
  return id;
}

Result<bool> update(store::Transaction& transaction, const ContainerRow& row) {
  auto parameters = parameters_of(row);
  parameters.emplace_back("id", row.id);
  const auto changed = BERTH_TRY(transaction.execute(
      "UPDATE containers SET name = :name, server_id = :server, engine_name = :engine_name, engine_id = :engine_id, "
      "owner_id = :owner, presence = :presence, desired = :desired, epoch = :epoch, pending = :pending, "
      "archive = :archive, updated_at = :now WHERE id = :id",
      parameters));
  return changed == 1;
}

Result<void> remove(store::Transaction& transaction, ContainerId id) {
  BERTH_CHECK(transaction.execute("DELETE FROM containers WHERE id = :id", {{"id", id}}));
  return {};
}

Result<std::optional<RowPointer>> find(store::Transaction& transaction, ContainerId id) {
  const auto rows = BERTH_TRY(transaction.query("SELECT * FROM containers WHERE id = :id", {{"id", id}}));
  if (rows.empty()) return std::optional<RowPointer>();
  return std::optional(BERTH_TRY(row_of(rows.front())));
}

Result<std::vector<RowPointer>> all(store::Transaction& transaction) {
  const auto rows = BERTH_TRY(transaction.query("SELECT * FROM containers ORDER BY id"));
  std::vector<RowPointer> all;
  all.reserve(rows.size());
  for (const auto& row : rows) all.push_back(BERTH_TRY(row_of(row)));
  return all;
}

Result<void> take_name(store::Transaction& transaction, ContainerId id, const std::string& name) {
  const auto taken =
      BERTH_TRY(transaction.query("SELECT container_id FROM container_names WHERE name = :name", {{"name", name}}));
  if (!taken.empty()) {
    if (taken.front().integer("container_id") == id.value()) return {};
    return container_exists(name);
  }
  BERTH_CHECK(transaction.execute("INSERT INTO container_names (name, container_id) VALUES (:name, :id)",
                                  {{"name", name}, {"id", id}}));
  return {};
}

Result<void> keep_only_name(store::Transaction& transaction, ContainerId id, const std::string& name) {
  BERTH_CHECK(transaction.execute("DELETE FROM container_names WHERE container_id = :id AND name <> :name",
                                  {{"id", id}, {"name", name}}));
  return {};
}

Result<bool> is_taken(store::Transaction& transaction, const std::string& name) {
  const auto rows =
      BERTH_TRY(transaction.query("SELECT container_id FROM container_names WHERE name = :name", {{"name", name}}));
  return !rows.empty();
}

Result<UserId> user_of_uuid(store::Transaction& transaction, const std::string& uuid) {
  if (uuid.empty()) return UserId();
  const auto rows = BERTH_TRY(transaction.query("SELECT id FROM users WHERE uuid = :uuid", {{"uuid", uuid}}));
  return rows.empty() ? UserId() : UserId(rows.front().integer("id"));
}

Result<std::string> uuid_of_user(store::Transaction& transaction, UserId user) {
  if (user.value() == 0) return std::string();
  const auto rows = BERTH_TRY(transaction.query("SELECT uuid FROM users WHERE id = :id", {{"id", user}}));
  return rows.empty() ? std::string() : rows.front().text("uuid");
}

}  // namespace container_rows
}  // namespace berth::fleet
