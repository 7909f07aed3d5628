#include "operations/operation_record.h"

#include <algorithm>
#include <utility>

namespace berth::operations::record {
namespace {

constexpr std::string_view kSelect = "SELECT * FROM operations";

std::optional<std::string> failure_part(const Operation& operation, std::string Failure::*part) {
  return operation.failure ? std::optional((*operation.failure).*part) : std::nullopt;
}

Operation read(const store::Row& row) {
  Operation operation;
  operation.id = OperationId(row.text("id"));
  operation.kind = row.text("kind");
  operation.engine = EngineId(row.text("engine"));
  operation.resource_type = row.text("resource_type");
  operation.resource_id = row.text("resource_id");
  operation.state = parse_state(row.text("state")).value_or(State::failed);
  operation.progress = static_cast<int>(row.integer("progress"));
  operation.stage = row.text("stage");
  operation.may_cancel = row.flag("may_cancel");
  operation.cancel_requested = row.flag("cancel_requested");
  operation.input = row.text("input");
  operation.handle = row.text("handle");
  operation.result = row.text("result");
  if (!row.is_null("failure_code")) {
    operation.failure =
        Failure{parse_code(row.text("failure_code")),
                row.optional_text("failure_reason").value_or(""),
                {row.optional_text("failure_zh").value_or(""), row.optional_text("failure_en").value_or("")}};
  }
  operation.origin = {UserId(row.integer("user_id")), row.text("actor"), row.text("address"), row.text("contract"),
                      RequestId(row.text("request_id"))};
  operation.created_at = row.time("created_at");
  operation.updated_at = row.time("updated_at");
  operation.deadline_at = row.time("deadline_at");
  operation.finished_at = row.optional_time("finished_at");
  return operation;
}

std::vector<Operation> read_all(const store::Rows& rows) {
  std::vector<Operation> operations;
  operations.reserve(rows.size());
  for (const store::Row& row : rows) operations.push_back(read(row));
  return operations;
}

Result<bool> changed_one(Result<std::int64_t> changed) {
  if (!changed) return take_error(changed);
  return *changed > 0;
}

/// The conditions of a filter and what they bind.
struct Conditions {
  std::string sql;
  store::Parameters parameters;

  void add(std::string_view condition, std::string name, store::Value value) {
    sql += sql.empty() ? " WHERE " : " AND ";
    sql += condition;
    parameters.emplace_back(std::move(name), std::move(value));
  }
};

Conditions conditions_of(const Filter& filter) {
  Conditions conditions;
  if (filter.state) conditions.add("state = :state", "state", name(*filter.state));
  if (filter.resource_type) conditions.add("resource_type = :type", "type", *filter.resource_type);
  if (filter.resource_id) conditions.add("resource_id = :resource", "resource", *filter.resource_id);
  if (filter.user_id) conditions.add("user_id = :user", "user", *filter.user_id);
  if (filter.kind_prefix && !filter.kind_prefix->empty()) {
    // Not LIKE: its letter case differs between the dialects, and a prefix may hold its wildcards.
    conditions.add("substr(kind, 1, :kind_length) = :kind", "kind", *filter.kind_prefix);
    conditions.parameters.emplace_back("kind_length", static_cast<std::int64_t>(filter.kind_prefix->size()));
  }
  return conditions;
}

}  // namespace

Result<void> insert(store::Transaction& transaction, const Operation& operation) {
  BERTH_CHECK(transaction.execute(
      "INSERT INTO operations (id, kind, engine, resource_type, resource_id, state, input, user_id, actor, "
      "address, contract, request_id, created_at, updated_at, deadline_at) VALUES (:id, :kind, :engine, :type, "
      ":resource, :state, :input, :user, :actor, :address, :contract, :request, :created, :updated, :deadline)",
      {{"id", operation.id},
       {"kind", operation.kind},
       {"engine", operation.engine},
       {"type", operation.resource_type},
       {"resource", operation.resource_id},
       {"state", name(operation.state)},
       {"input", operation.input},
       {"user", operation.origin.user_id},
       {"actor", operation.origin.actor},
       {"address", operation.origin.address},
       {"contract", operation.origin.contract},
       {"request", operation.origin.request_id},
       {"created", operation.created_at},
       {"updated", operation.updated_at},
       {"deadline", operation.deadline_at}}));
  return {};
}

Result<bool> update_progress(store::Transaction& transaction, const Operation& operation) {
  return changed_one(
      transaction.execute("UPDATE operations SET progress = :progress, stage = :stage, may_cancel = :may_cancel, "
                          "updated_at = :updated WHERE id = :id AND state = 'running'",
                          {{"progress", operation.progress},
                           {"stage", operation.stage},
                           {"may_cancel", operation.may_cancel},
                           {"updated", operation.updated_at},
                           {"id", operation.id}}));
}

Result<bool> update_handle(store::Transaction& transaction, const Operation& operation) {
  return changed_one(transaction.execute(
      "UPDATE operations SET handle = :handle, updated_at = :updated WHERE id = :id AND state = 'running'",
      {{"handle", operation.handle}, {"updated", operation.updated_at}, {"id", operation.id}}));
}

Result<bool> request_cancel(store::Transaction& transaction, const OperationId& id, Timestamp now) {
  return changed_one(transaction.execute(
      "UPDATE operations SET cancel_requested = 1, updated_at = :updated WHERE id = :id AND state = 'running'",
      {{"updated", now}, {"id", id}}));
}

Result<bool> finish(store::Transaction& transaction, const Operation& operation) {
  std::optional<std::string> code;
  if (operation.failure) code = std::string(berth::name(operation.failure->code));
  std::optional<std::string> zh;
  std::optional<std::string> en;
  if (operation.failure) {
    zh = operation.failure->message.zh;
    en = operation.failure->message.en;
  }
  return changed_one(transaction.execute(
      "UPDATE operations SET state = :state, progress = :progress, stage = :stage, may_cancel = 0, "
      "result = :result, failure_code = :code, failure_reason = :reason, failure_zh = :zh, failure_en = :en, "
      "updated_at = :updated, finished_at = :finished WHERE id = :id AND state = 'running'",
      {{"state", name(operation.state)},
       {"progress", operation.progress},
       {"stage", operation.stage},
       {"result", operation.result},
       {"code", code},
       {"reason", failure_part(operation, &Failure::reason)},
       {"zh", zh},
       {"en", en},
       {"updated", operation.updated_at},
       {"finished", operation.finished_at},
       {"id", operation.id}}));
}

Result<std::optional<Operation>> find(store::Transaction& transaction, const OperationId& id) {
  static const std::string sql = std::string(kSelect) + " WHERE id = :id";
  const auto rows = BERTH_TRY(transaction.query(sql, {{"id", id}}));
  if (rows.empty()) return std::optional<Operation>();
  return std::optional(read(rows.front()));
}

Result<std::vector<Operation>> open(store::Transaction& transaction, std::int64_t limit) {
  static const std::string sql = std::string(kSelect) + " WHERE state = 'running' ORDER BY created_at LIMIT :limit";
  return read_all(BERTH_TRY(transaction.query(sql, {{"limit", limit}})));
}

Result<std::int64_t> count_open(store::Transaction& transaction) {
  const auto rows = BERTH_TRY(transaction.query("SELECT count(*) AS open FROM operations WHERE state = 'running'"));
  return rows.front().integer("open");
}

Result<std::int64_t> forget_ended(store::Transaction& transaction, Timestamp before, std::int64_t limit) {
  return transaction.execute(
      "DELETE FROM operations WHERE id IN (SELECT id FROM operations "
      "WHERE created_at < :before AND state <> 'running' ORDER BY created_at LIMIT :limit)",
      {{"before", before}, {"limit", limit}});
}

Result<Page> list(store::Transaction& transaction, const Filter& filter) {
  Conditions conditions = conditions_of(filter);
  Page page;
  const auto count =
      BERTH_TRY(transaction.query("SELECT count(*) AS total FROM operations" + conditions.sql, conditions.parameters));
  page.total = count.front().integer("total");
  conditions.parameters.emplace_back("limit", std::clamp<std::int64_t>(filter.limit, 1, 1000));
  conditions.parameters.emplace_back("offset", std::max<std::int64_t>(filter.offset, 0));
  page.operations = read_all(BERTH_TRY(transaction.query(
      std::string(kSelect) + conditions.sql + " ORDER BY created_at DESC, id DESC LIMIT :limit OFFSET :offset",
      conditions.parameters)));
  return page;
}

}  // namespace berth::operations::record
