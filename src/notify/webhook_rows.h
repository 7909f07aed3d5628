#pragma once

#include <optional>
#include <string>
#include <vector>

#include "notify/webhook.h"
#include "store/database.h"

namespace berth::notify {

/// A webhook with what only this folder may see.
struct StoredWebhook {
  Webhook webhook;
  std::string sealed_secret;
};

/// How webhooks rest in the store.
namespace webhook_rows {

/// The context under which a webhook's secret is sealed.
std::string sealing_context(std::string_view uuid);
/// By name.
Result<std::vector<StoredWebhook>> list(store::Transaction& transaction);
Result<std::optional<StoredWebhook>> find(store::Transaction& transaction, WebhookId id);
Result<WebhookId> insert(store::Transaction& transaction, const StoredWebhook& webhook);
Result<void> remove(store::Transaction& transaction, WebhookId id);

}  // namespace webhook_rows
}  // namespace berth::notify
