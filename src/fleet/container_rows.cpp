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

store::Parameters parameters_of(const ContainerRow& row, const EnvironmentSeal& seal) {
  return {{"name", row.name},
          {"server", server_value(row.server)},
          {"engine_name", row.engine_name},
          {"engine_id", row.engine_id},
          {"owner", owner_value(row.owner)},
          {"presence", name(row.presence)},
          {"desired", to_json(row.desired, seal)},
          {"epoch", row.epoch},
          {"pending", row.pending ? to_json(*row.pending, seal) : std::string()},
          {"archive", row.archive},
          {"now", row.updated_at}};
}

Result<RowPointer> row_of(const store::Row& stored, const identity::Sealing& sealing) {
  auto row = std::make_shared<ContainerRow>();
  row->id = ContainerId(stored.integer("id"));
  const EnvironmentSeal seal = seal_of(row->id, sealing);
  row->name = stored.text("name");
  row->server = ServerId(stored.optional_integer("server_id").value_or(0));
  row->engine_name = stored.text("engine_name");
  row->engine_id = stored.text("engine_id");
  row->owner = UserId(stored.optional_integer("owner_id").value_or(0));
  row->presence = presence_of(stored.text("presence"));
  row->desired = BERTH_TRY(desired_from_json(stored.text("desired"), seal));
  row->epoch = stored.integer("epoch");
  if (const std::string pending = stored.text("pending"); !pending.empty()) {
    row->pending = BERTH_TRY(pending_from_json(pending, seal));
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

std::set<std::string> engine_names_of(const ContainerRow& row) {
  std::set<std::string> names{row.engine_name, engine_name_after(row), fresh_name(row.id), spare_name(row.id)};
  if (!row.pending) return names;
  for (const auto& interrupted : row.pending->interrupted) {
    if (interrupted.name != row.name) names.insert(interrupted.name);
  }
  return names;
}

ContainerRow as_its_change_leaves_it(const ContainerRow& row) {
  ContainerRow wanted = row;
  const Pending* change = row.pending ? &*row.pending : nullptr;
  if (change != nullptr && !change->interrupted.empty()) change = &change->interrupted.front();
  if (change == nullptr || change->kind != Pending::Kind::replace || !change->decided) return wanted;
  wanted.name = change->name;
  wanted.engine_name = change->name != row.name ? change->name : row.engine_name;
  if (change->desired) wanted.desired = *change->desired;
  wanted.desired.running = row.desired.running;
  return wanted;
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

Result<void> check_opened(const Desired& desired, const std::string& name) {
  if (desired.unopened.empty()) return {};
  return Error(ErrorCode::conflict, "container.environment",
               {fmt::format("容器 {} 的环境变量无法解封（密钥已丢失），请重新设置", name),
                fmt::format("The environment of container {} does not open, its key is gone: set it anew", name)});
}

namespace container_rows {

Result<ContainerId> insert(store::Transaction& transaction, const ContainerRow& row, const identity::Sealing& sealing) {
  if (BERTH_TRY(is_taken(transaction, row.name))) return container_exists(row.name);
  // What is sealed is bound to the id, which is not known yet.
  ContainerRow bare = row;
  bare.desired.settings.environment.clear();
  bare.pending.reset();
  auto parameters = parameters_of(bare, seal_of(row.id, sealing));
  parameters.emplace_back("created", row.created_at);
  const ContainerId id(BERTH_TRY(transaction.insert(
      "INSERT INTO containers (name, server_id, engine_name, engine_id, owner_id, presence, desired, epoch, pending, "
      "archive, created_at, updated_at) VALUES (:name, :server, :engine_name, :engine_id, :owner, :presence, :desired, "
      ":epoch, :pending, :archive, :created, :now)",
      parameters)));
  if (bare.desired != row.desired || row.pending) {
    ContainerRow made = row;
    made.id = id;
    BERTH_CHECK(update(transaction, made, sealing));
  }
  BERTH_CHECK(take_name(transaction, id, row.name));
  return id;
}

Result<bool> update(store::Transaction& transaction, const ContainerRow& row, const identity::Sealing& sealing) {
  auto parameters = parameters_of(row, seal_of(row.id, sealing));
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

Result<std::optional<RowPointer>> find(store::Transaction& transaction, ContainerId id,
                                       const identity::Sealing& sealing) {
  const auto rows = BERTH_TRY(transaction.query("SELECT * FROM containers WHERE id = :id", {{"id", id}}));
  if (rows.empty()) return std::optional<RowPointer>();
  return std::optional(BERTH_TRY(row_of(rows.front(), sealing)));
}

Result<std::vector<RowPointer>> all(store::Transaction& transaction, const identity::Sealing& sealing) {
  const auto rows = BERTH_TRY(transaction.query("SELECT * FROM containers ORDER BY id"));
  std::vector<RowPointer> all;
  all.reserve(rows.size());
  for (const auto& row : rows) all.push_back(BERTH_TRY(row_of(row, sealing)));
  return all;
}

Result<std::int64_t> reseal(store::Transaction& transaction, const identity::Sealing& sealing) {
  const auto rows = BERTH_TRY(transaction.query("SELECT id, desired, pending FROM containers"));
  std::int64_t resealed = 0;
  for (const auto& row : rows) {
    const ContainerId id(row.integer("id"));
    const std::string desired = row.text("desired");
    const std::string pending = row.text("pending");
    const auto fresh = BERTH_TRY(reseal_desired(desired, seal_of(id, sealing)));
    std::optional<std::string> fresh_pending;
    if (!pending.empty()) fresh_pending = BERTH_TRY(reseal_pending(pending, seal_of(id, sealing)));
    if (!fresh && !fresh_pending) continue;
    resealed += BERTH_TRY(transaction.execute(
        "UPDATE containers SET desired = :fresh, pending = :fresh_pending WHERE id = :id AND desired = :desired AND "
        "pending = :pending",
        {{"fresh", fresh.value_or(desired)},
         {"fresh_pending", fresh_pending.value_or(pending)},
         {"id", id},
         {"desired", desired},
         {"pending", pending}}));
  }
  return resealed;
}

Result<std::int64_t> count_moving_to(store::Transaction& transaction, ServerId server) {
  std::int64_t count = 0;
  for (const auto& row : BERTH_TRY(transaction.query("SELECT pending FROM containers WHERE pending <> ''"))) {
    if (BERTH_TRY(pending_outline(row.text("pending"))).server == server) ++count;
  }
  return count;
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
