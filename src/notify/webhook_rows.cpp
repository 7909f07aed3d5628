#include "notify/webhook_rows.h"

#include <utility>

#include "json/read.h"
#include "json/write.h"
#include "notify/notifier.h"

namespace berth::notify {
namespace webhook_rows {
namespace {

StoredWebhook read(const store::Row& row) {
  StoredWebhook stored;
  Webhook& webhook = stored.webhook;
  webhook.id = WebhookId(row.integer("id"));
  webhook.uuid = row.text("uuid");
  webhook.name = row.text("name");
  webhook.url = row.text("url");
  const auto words = json::from_json<std::vector<std::string>>(row.text("notices"));
  for (const auto& word : words ? *words : std::vector<std::string>()) {
    if (const auto kind = parse_notice_kind(word)) webhook.notices.push_back(*kind);
  }
  webhook.language = row.text("language") == "zh" ? Language::zh : Language::en;
  webhook.created_at = row.time("created_at");
  stored.sealed_secret = row.text("secret");
  return stored;
}

}  // namespace

std::string sealing_context(std::string_view uuid) {
  return "webhook:" + std::string(uuid);
}

Result<std::vector<StoredWebhook>> list(store::Transaction& transaction) {
  std::vector<StoredWebhook> webhooks;
  const auto rows = BERTH_TRY(transaction.query("SELECT * FROM webhooks ORDER BY name"));
  for (const auto& row : rows) webhooks.push_back(read(row));
  return webhooks;
}

Result<std::optional<StoredWebhook>> find(store::Transaction& transaction, WebhookId id) {
  const auto rows = BERTH_TRY(transaction.query("SELECT * FROM webhooks WHERE id = :id", {{"id", id}}));
  if (rows.empty()) return std::optional<StoredWebhook>();
  return std::optional(read(rows.front()));
}

Result<WebhookId> insert(store::Transaction& transaction, const StoredWebhook& stored) {
  std::vector<std::string_view> words;
  for (const NoticeKind kind : stored.webhook.notices) words.push_back(name(kind));
  return WebhookId(BERTH_TRY(transaction.insert(
      "INSERT INTO webhooks (uuid, name, url, secret, notices, language, created_at) VALUES (:uuid, :name, :url, "
      ":secret, :notices, :language, :created)",
      {{"uuid", stored.webhook.uuid},
       {"name", stored.webhook.name},
       {"url", stored.webhook.url},
       {"secret", stored.sealed_secret},
       {"notices", json::to_json(words)},
       {"language", stored.webhook.language == Language::zh ? "zh" : "en"},
       {"created", stored.webhook.created_at}})));
}

Result<void> remove(store::Transaction& transaction, WebhookId id) {
  BERTH_CHECK(transaction.execute("DELETE FROM webhooks WHERE id = :id", {{"id", id}}));
  return {};
}

}  // namespace webhook_rows

Result<std::int64_t> reseal_webhooks(store::Transaction& transaction, const identity::Sealing& sealing) {
  std::int64_t resealed = 0;
  for (const auto& stored : BERTH_TRY(webhook_rows::list(transaction))) {
    if (!sealing.outdated(stored.sealed_secret)) continue;
    const std::string context = webhook_rows::sealing_context(stored.webhook.uuid);
    const Secret plain = BERTH_TRY(sealing.open(stored.sealed_secret, context));
    resealed +=
        BERTH_TRY(transaction.execute("UPDATE webhooks SET secret = :fresh WHERE id = :id",
                                      {{"fresh", sealing.seal(plain.reveal(), context)}, {"id", stored.webhook.id}}));
  }
  return resealed;
}

}  // namespace berth::notify
