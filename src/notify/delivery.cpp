#include "notify/delivery.h"

#include <array>
#include <utility>

namespace berth::notify {
namespace {

constexpr std::array<std::pair<Channel, std::string_view>, 2> kChannels = {
    {{Channel::mail, "mail"}, {Channel::webhook, "webhook"}}};
constexpr std::array<std::pair<DeliveryState, std::string_view>, 4> kStates = {{{DeliveryState::pending, "pending"},
                                                                                {DeliveryState::sent, "sent"},
                                                                                {DeliveryState::failed, "failed"},
                                                                                {DeliveryState::dead, "dead"}}};

template <class Table, class Value>
std::string_view word_of(const Table& table, Value value) {
  for (const auto& [known, word] : table) {
    if (known == value) return word;
  }
  return "";
}

template <class Value, std::size_t Count>
std::optional<Value> value_of(const std::array<std::pair<Value, std::string_view>, Count>& table,
                              std::string_view text) {
  for (const auto& [value, word] : table) {
    if (word == text) return value;
  }
  return std::nullopt;
}

Delivery read(const store::Row& row) {
  Delivery delivery;
  delivery.id = DeliveryId(row.integer("id"));
  delivery.uuid = row.text("uuid");
  delivery.dedup_key = row.text("dedup_key");
  delivery.channel = parse_channel(row.text("channel")).value_or(Channel::mail);
  delivery.recipient = row.text("recipient");
  if (const auto webhook = row.optional_integer("webhook_id")) delivery.webhook = WebhookId(*webhook);
  delivery.notice = parse_notice_kind(row.text("notice")).value_or(NoticeKind::test);
  delivery.subject = row.text("subject");
  delivery.body = row.text("body");
  delivery.state = parse_delivery_state(row.text("state")).value_or(DeliveryState::dead);
  delivery.attempts = static_cast<int>(row.integer("attempts"));
  delivery.next_attempt_at = row.time("next_attempt_at");
  delivery.perhaps_twice = row.flag("perhaps_twice");
  delivery.last_error = row.text("last_error");
  delivery.created_at = row.time("created_at");
  delivery.updated_at = row.time("updated_at");
  delivery.sent_at = row.optional_time("sent_at");
  return delivery;
}

}  // namespace

std::string_view name(Channel channel) {
  return word_of(kChannels, channel);
}
std::string_view name(DeliveryState state) {
  return word_of(kStates, state);
}
std::optional<Channel> parse_channel(std::string_view word) {
  return value_of(kChannels, word);
}
std::optional<DeliveryState> parse_delivery_state(std::string_view word) {
  return value_of(kStates, word);
}

namespace delivery_rows {
namespace {

constexpr std::string_view kOpen = "state IN ('pending', 'failed')";
constexpr std::string_view kUnknownOutcome = "The daemon ended while it was sending; whether it arrived is not known";

std::string sql(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const std::string_view part : parts) text += part;
  return text;
}

}  // namespace

Result<std::optional<DeliveryId>> insert(store::Transaction& transaction, const Delivery& delivery) {
  const auto added = BERTH_TRY(transaction.execute(
      "INSERT INTO deliveries (uuid, dedup_key, channel, recipient, webhook_id, notice, subject, body, state, "
      "next_attempt_at, created_at, updated_at) VALUES (:uuid, :key, :channel, :recipient, :webhook, :notice, "
      ":subject, :body, 'pending', :now, :now2, :now3) ON CONFLICT (dedup_key) DO NOTHING",
      {{"uuid", delivery.uuid},
       {"key", delivery.dedup_key},
       {"channel", name(delivery.channel)},
       {"recipient", delivery.recipient},
       {"webhook", delivery.webhook},
       {"notice", name(delivery.notice)},
       {"subject", delivery.subject},
       {"body", delivery.body},
       {"now", delivery.created_at},
       {"now2", delivery.created_at},
       {"now3", delivery.created_at}}));
  if (added == 0) return std::optional<DeliveryId>();
  const auto rows =
      BERTH_TRY(transaction.query("SELECT id FROM deliveries WHERE uuid = :uuid", {{"uuid", delivery.uuid}}));
  return std::optional(DeliveryId(rows.front().integer("id")));
}

Result<std::int64_t> count_open(store::Transaction& transaction, std::int64_t most) {
  const auto rows = BERTH_TRY(transaction.query(
      sql({"SELECT count(*) AS n FROM (SELECT 1 AS one FROM deliveries WHERE ", kOpen, " LIMIT :most) AS open_ones"}),
      {{"most", most}}));
  return rows.front().integer("n");
}

Result<std::optional<Delivery>> claim(store::Transaction& transaction, Timestamp now, Timestamp lease_end,
                                      Timestamp horizon) {
  const auto rows = BERTH_TRY(
      transaction.query(sql({"SELECT * FROM deliveries WHERE ", kOpen,
                             " AND (next_attempt_at <= :now OR next_attempt_at > :horizon)"
                             " AND (claimed_until IS NULL OR claimed_until <= :now2 OR claimed_until > :horizon2)"
                             " ORDER BY next_attempt_at, id LIMIT 1"}),
                        {{"now", now}, {"horizon", horizon}, {"now2", now}, {"horizon2", horizon}}));
  if (rows.empty()) return std::optional<Delivery>();
  Delivery delivery = read(rows.front());
  ++delivery.attempts;
  if (!rows.front().is_null("claimed_until")) {
    delivery.perhaps_twice = true;
    delivery.last_error = kUnknownOutcome;
  }
  BERTH_CHECK(
      transaction.execute("UPDATE deliveries SET claimed_until = :until, attempts = :attempts, perhaps_twice = "
                          ":twice, last_error = :error, updated_at = :now WHERE id = :id",
                          {{"until", lease_end},
                           {"attempts", delivery.attempts},
                           {"twice", delivery.perhaps_twice},
                           {"error", delivery.last_error},
                           {"now", now},
                           {"id", delivery.id}}));
  return std::optional(std::move(delivery));
}

Result<void> settle(store::Transaction& transaction, const Delivery& delivery) {
  BERTH_CHECK(transaction.execute(
      "UPDATE deliveries SET state = :state, next_attempt_at = :next, perhaps_twice = :twice, last_error = :error, "
      "sent_at = :sent, updated_at = :updated, attempts = :attempts, claimed_until = NULL WHERE id = :id",
      {{"state", name(delivery.state)},
       {"next", delivery.next_attempt_at},
       {"twice", delivery.perhaps_twice},
       {"error", delivery.last_error},
       {"sent", delivery.sent_at},
       {"updated", delivery.updated_at},
       {"attempts", delivery.attempts},
       {"id", delivery.id}}));
  return {};
}

Result<std::int64_t> release_claims(store::Transaction& transaction) {
  return transaction.execute(
      sql({"UPDATE deliveries SET claimed_until = 0 WHERE claimed_until IS NOT NULL AND ", kOpen}));
}

Result<std::optional<Timestamp>> next_due(store::Transaction& transaction) {
  const auto rows = BERTH_TRY(transaction.query(
      sql({"SELECT next_attempt_at FROM deliveries WHERE ", kOpen, " ORDER BY next_attempt_at LIMIT 1"})));
  if (rows.empty()) return std::optional<Timestamp>();
  return std::optional(rows.front().time("next_attempt_at"));
}

Result<std::optional<Delivery>> find(store::Transaction& transaction, DeliveryId id) {
  const auto rows = BERTH_TRY(transaction.query("SELECT * FROM deliveries WHERE id = :id", {{"id", id}}));
  if (rows.empty()) return std::optional<Delivery>();
  return std::optional(read(rows.front()));
}

Result<DeliveryPage> list(store::Transaction& transaction, const DeliveryFilter& filter) {
  std::string where;
  store::Parameters parameters;
  const auto add = [&](std::string_view column, std::string_view value) {
    where += sql({where.empty() ? " WHERE " : " AND ", column, " = :", column});
    parameters.emplace_back(std::string(column), value);
  };
  if (filter.state) add("state", name(*filter.state));
  if (filter.channel) add("channel", name(*filter.channel));
  if (filter.notice) add("notice", name(*filter.notice));
  DeliveryPage page;
  page.total = BERTH_TRY(transaction.query(sql({"SELECT count(*) AS n FROM deliveries", where}), parameters))
                   .front()
                   .integer("n");
  parameters.emplace_back("limit", filter.limit);
  parameters.emplace_back("offset", filter.offset);
  const auto rows = BERTH_TRY(transaction.query(
      sql({"SELECT * FROM deliveries", where, " ORDER BY id DESC LIMIT :limit OFFSET :offset"}), parameters));
  for (const auto& row : rows) page.deliveries.push_back(read(row));
  return page;
}

Result<void> restart(store::Transaction& transaction, DeliveryId id, Timestamp now) {
  BERTH_CHECK(
      transaction.execute("UPDATE deliveries SET state = 'failed', attempts = 0, next_attempt_at = :now, "
                          "updated_at = :now2 WHERE id = :id",
                          {{"now", now}, {"now2", now}, {"id", id}}));
  return {};
}

Result<std::int64_t> give_up(store::Transaction& transaction, WebhookId webhook, std::string_view why, Timestamp now) {
  return transaction.execute(sql({"UPDATE deliveries SET state = 'dead', last_error = :why, updated_at = :now WHERE "
                                  "webhook_id = :webhook AND ",
                                  kOpen}),
                             {{"why", why}, {"now", now}, {"webhook", webhook}});
}

Result<std::int64_t> forget(store::Transaction& transaction, Timestamp before, std::int64_t most) {
  return transaction.execute(
      "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE updated_at < :before "
      "AND state IN ('sent', 'dead') ORDER BY updated_at LIMIT :most)",
      {{"before", before}, {"most", most}});
}

}  // namespace delivery_rows
}  // namespace berth::notify
