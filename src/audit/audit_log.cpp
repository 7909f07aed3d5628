#include "audit/audit_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "audit/chain.h"
#include "base/encoding.h"

namespace berth::audit {

namespace {

constexpr std::string_view kColumns =
    "sequence, id, at, user_id, actor, address, contract, request_id, action, resource_type, "
    "resource_id, "
    "outcome, details, hash";
constexpr std::int64_t kMaxPage = 1000;
constexpr std::int64_t kBatch = 1000;

std::string_view word(Outcome outcome) {
  return outcome == Outcome::success ? "success" : "failure";
}

Record record_of(const store::Row& row) {
  return {.sequence = row.integer("sequence"),
          .id = row.text("id"),
          .at = row.time("at"),
          .origin = {.user_id = UserId(row.integer("user_id")),
                     .actor = row.text("actor"),
                     .address = row.text("address"),
                     .contract = row.text("contract"),
                     .request_id = RequestId(row.text("request_id"))},
          .entry = {.action = row.text("action"),
                    .resource_type = row.text("resource_type"),
                    .resource_id = row.text("resource_id"),
                    .outcome = row.text("outcome") == word(Outcome::success) ? Outcome::success : Outcome::failure,
                    .details = row.text("details")},
          .hash = row.text("hash")};
}

struct Head {
  std::int64_t sequence = 0;
  std::string hash;
  std::string seal;
};

Result<Head> read_head(store::Transaction& transaction, std::string_view lock) {
  const auto rows =
      BERTH_TRY(transaction.query(fmt::format("SELECT sequence, hash, seal FROM audit_head WHERE id = 1{}", lock)));
  if (rows.empty()) return internal_error("the head of the audit log is missing");
  const store::Row& row = rows.front();
  return Head{row.integer("sequence"), row.text("hash"), row.text("seal")};
}

// The WHERE clause of a filter. Its text has no values in it, so there are few different ones.
struct Condition {
  std::string sql = " WHERE 1 = 1";
  store::Parameters parameters;

  void add(std::string_view clause, std::string name, store::Value value) {
    sql += " AND ";
    sql += clause;
    parameters.emplace_back(std::move(name), std::move(value));
  }
};

Condition condition_of(const Filter& filter) {
  Condition condition;
  if (filter.user_id) condition.add("user_id = :user_id", "user_id", *filter.user_id);
  if (filter.action_prefix) {
    // A range, because LIKE differs between the engines and takes '%' and '_' of a prefix for
    // patterns. The last code point ends it: no action contains that.
    condition.add("action >= :action_from", "action_from", *filter.action_prefix);
    condition.add("action < :action_until", "action_until", *filter.action_prefix + "\U0010FFFF");
  }
  if (filter.resource_type) condition.add("resource_type = :resource_type", "resource_type", *filter.resource_type);
  if (filter.resource_id) condition.add("resource_id = :resource_id", "resource_id", *filter.resource_id);
  if (filter.from) condition.add("at >= :from_time", "from_time", *filter.from);
  if (filter.until) condition.add("at < :until_time", "until_time", *filter.until);
  return condition;
}

Result<void> check_page(const Filter& filter) {
  if (filter.limit < 1 || filter.limit > kMaxPage) {
    return Error(ErrorCode::invalid_argument, "audit.page", {"分页参数无效", "The page asked for is not valid"})
        .with_field("limit", {"必须在 1 到 1000 之间", "must be from 1 to 1000"});
  }
  if (filter.offset < 0) {
    return Error(ErrorCode::invalid_argument, "audit.page", {"分页参数无效", "The page asked for is not valid"})
        .with_field("offset", {"不能为负数", "must not be negative"});
  }
  return {};
}

}  // namespace

AuditLog::AuditLog(store::Database& database, Secret key, const Clock& clock)
    : database_(database), key_(std::move(key)), clock_(clock) {}

std::string AuditLog::hash_of(const Record& record, const std::string& previous) const {
  return entry_hash(key_, previous, record);
}

Result<void> AuditLog::append(store::Transaction& transaction, const Origin& origin, const Entry& entry) {
  // On PostgreSQL the row stays locked until the commit, so that the chain never forks whoever else
  // writes.
  const bool lock = transaction.dialect() == store::Dialect::postgresql;
  const Head head = BERTH_TRY(read_head(transaction, lock ? " FOR UPDATE" : ""));
  Record record{.sequence = head.sequence + 1,
                .id = random_uuid(),
                .at = clock_.now(),
                .origin = origin,
                .entry = entry,
                .hash = ""};
  record.hash = hash_of(record, head.hash);
  BERTH_CHECK(
      transaction.execute("INSERT INTO audit_log (sequence, id, at, user_id, actor, address, "
                          "contract, request_id, action, "
                          "resource_type, resource_id, outcome, details, hash) VALUES (:sequence, "
                          ":id, :at, :user_id, :actor, "
                          ":address, :contract, :request_id, :action, :resource_type, "
                          ":resource_id, :outcome, :details, :hash)",
                          {{"sequence", record.sequence},
                           {"id", record.id},
                           {"at", record.at},
                           {"user_id", origin.user_id},
                           {"actor", origin.actor},
                           {"address", origin.address},
                           {"contract", origin.contract},
                           {"request_id", origin.request_id},
                           {"action", entry.action},
                           {"resource_type", entry.resource_type},
                           {"resource_id", entry.resource_id},
                           {"outcome", word(entry.outcome)},
                           {"details", entry.details},
                           {"hash", record.hash}}));
  BERTH_CHECK(transaction.execute(
      "UPDATE audit_head SET sequence = :sequence, hash = :hash, seal = :seal WHERE id = 1",
      {{"sequence", record.sequence}, {"hash", record.hash}, {"seal", head_seal(key_, record.sequence, record.hash)}}));
  return {};
}

Result<void> AuditLog::append(const Origin& origin, const Entry& entry) {
  return database_.write([&](store::Transaction& transaction) { return append(transaction, origin, entry); });
}

Result<Page> AuditLog::list(const Filter& filter) {
  BERTH_CHECK(check_page(filter));
  const Condition condition = condition_of(filter);
  return database_.read([&](store::Transaction& transaction) -> Result<Page> {
    Page page;
    page.total =
        BERTH_TRY(transaction.query("SELECT count(*) AS n FROM audit_log" + condition.sql, condition.parameters))
            .front()
            .integer("n");
    store::Parameters parameters = condition.parameters;
    parameters.emplace_back("limit", filter.limit);
    parameters.emplace_back("offset", filter.offset);
    const auto rows = BERTH_TRY(
        transaction.query(fmt::format("SELECT {} FROM audit_log{} ORDER BY sequence DESC LIMIT :limit OFFSET :offset",
                                      kColumns, condition.sql),
                          parameters));
    for (const store::Row& row : rows) page.records.push_back(record_of(row));
    return page;
  });
}

Result<Verification> AuditLog::verify() {
  Verification found;
  std::string previous;
  for (bool more = true; more && found.intact;) {
    // Each batch is one transaction, so a long log does not keep an old state of the store alive.
    // Only the last batch's head counts, which was read together with the end of the log.
    more = BERTH_TRY(database_.read(
        [&](store::Transaction& transaction) -> Result<bool> { return verify_batch(transaction, previous, found); }));
  }
  return found;
}

Result<bool> AuditLog::verify_batch(store::Transaction& transaction, std::string& previous, Verification& found) const {
  const auto broken = [&](std::int64_t sequence, std::string problem) {
    found.intact = false;
    found.first_broken = sequence;
    found.problem = std::move(problem);
    return false;
  };
  // A read may be run again after a lost connection, so the progress is kept aside until it is
  // done.
  std::int64_t checked = found.checked;
  std::string hash = previous;
  const Head head = BERTH_TRY(read_head(transaction, ""));
  const auto rows = BERTH_TRY(transaction.query(
      fmt::format("SELECT {} FROM audit_log WHERE sequence > :after ORDER BY sequence LIMIT {}", kColumns, kBatch),
      // An entry could also be inserted before the first.
      {{"after", checked == 0 ? std::numeric_limits<std::int64_t>::min() : checked}}));
  for (const store::Row& row : rows) {
    const Record record = record_of(row);
    const std::int64_t expected = checked + 1;
    if (record.sequence > expected) return broken(expected, fmt::format("entry {} is missing", expected));
    if (record.sequence < expected) {
      return broken(expected, fmt::format("entry {} was inserted", record.sequence));
    }
    const bool known = row.text("outcome") == word(record.entry.outcome);
    if (!known || record.hash != hash_of(record, hash)) {
      return broken(expected,
                    fmt::format("entry {} was changed, inserted or moved: it does not match its hash", expected));
    }
    hash = record.hash;
    checked = expected;
  }
  found.checked = checked;
  previous = hash;
  if (std::ssize(rows) == kBatch) return true;
  if (head.sequence > checked) {
    return broken(checked + 1,
                  fmt::format("the log was cut off: it ends at entry {} and had {}", checked, head.sequence));
  }
  const bool untouched = head.sequence == 0 && head.hash.empty() && head.seal.empty();
  const bool sealed = head.seal == head_seal(key_, head.sequence, head.hash);
  if (head.sequence != checked || head.hash != hash || !(sealed || untouched)) {
    return broken(std::max<std::int64_t>(checked, 1), "the record of where the log ends was changed");
  }
  return false;
}

}  // namespace berth::audit
