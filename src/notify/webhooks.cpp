// How the notifier keeps webhooks, and how each way is tried out.
#include <algorithm>
#include <boost/describe/class.hpp>
#include <utility>

#include "base/encoding.h"
#include "identity/account_rules.h"
#include "json/write.h"
#include "notify/notifier.h"
#include "notify/webhook_rows.h"

namespace berth::notify {
namespace {

constexpr std::size_t kLongestName = 64;
constexpr std::size_t kShortestSecret = 16;
constexpr std::size_t kLongestSecret = 256;
constexpr std::size_t kSecretBytes = 32;

struct WebhookDetails {
  std::string name;
  std::string url;
};
BOOST_DESCRIBE_STRUCT(WebhookDetails, (), (name, url))

Error webhook_not_found() {
  return Error(ErrorCode::not_found, "webhook.not_found", {"Webhook 不存在", "Webhook not found"});
}

Result<void> check(const NewWebhook& webhook) {
  std::vector<FieldError> refused;
  const bool unreadable = !is_utf8(webhook.name) || std::ranges::any_of(webhook.name, [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (webhook.name.empty() || webhook.name.size() > kLongestName || unreadable) {
    refused.push_back({"name", {"应为 1 到 64 个字节，不含控制字符", "This must have 1 to 64 bytes on one line"}});
  }
  if (const auto url = WebhookUrl::parse(webhook.url); !url) refused.push_back(url.error().fields().front());
  const std::size_t length = webhook.secret.reveal().size();
  if (length != 0 && (length < kShortestSecret || length > kLongestSecret)) {
    refused.push_back({"secret", {"应为 16 到 256 个字节", "This must have 16 to 256 bytes"}});
  }
  if (refused.empty()) return {};
  return Error(ErrorCode::invalid_argument, "webhook.invalid", {"Webhook 无效", "The webhook is invalid"})
      .with_fields(std::move(refused));
}

Secret make_secret() {
  std::string text = to_hex(random_bytes(kSecretBytes));
  Secret secret(text);
  wipe(text);
  return secret;
}

audit::Entry entry_of(std::string action, const Webhook& webhook) {
  return {.action = std::move(action),
          .resource_type = "webhook",
          .resource_id = webhook.name,
          .details = json::to_json(WebhookDetails{webhook.name, webhook.url})};
}

}  // namespace

Result<Notifier::Created> Notifier::add_webhook(const NewWebhook& webhook, const audit::Origin& origin) {
  BERTH_CHECK(check(webhook));
  Created created;
  created.secret = webhook.secret.empty() ? make_secret() : webhook.secret;
  created.webhook = {.id = {},
                     .uuid = random_uuid(),
                     .name = webhook.name,
                     .url = webhook.url,
                     .notices = webhook.notices,
                     .language = webhook.language,
                     .created_at = parts_.clock.now()};
  StoredWebhook stored{created.webhook, parts_.sealing.seal(created.secret.reveal(),
                                                            webhook_rows::sealing_context(created.webhook.uuid))};
  created.webhook.id = BERTH_TRY(parts_.database.write([&](store::Transaction& transaction) -> Result<WebhookId> {
    const auto present = BERTH_TRY(webhook_rows::list(transaction));
    for (const auto& other : present) {
      if (other.webhook.name != webhook.name) continue;
      const Text taken{"名称已存在", "The name is taken"};
      return Error(ErrorCode::already_exists, "webhook.exists", taken).with_field("name", taken);
    }
    if (present.size() >= settings_.webhook_limit) {
      return Error(ErrorCode::conflict, "webhook.limit",
                   {"Webhook 数量已达上限", "There are too many webhooks already"});
    }
    BERTH_CHECK(parts_.audit.append(transaction, origin, entry_of("webhook.create", stored.webhook)));
    return webhook_rows::insert(transaction, stored);
  }));
  return created;
}

Result<std::vector<Webhook>> Notifier::list_webhooks() {
  return parts_.database.read([&](store::Transaction& transaction) -> Result<std::vector<Webhook>> {
    std::vector<Webhook> webhooks;
    auto stored = BERTH_TRY(webhook_rows::list(transaction));
    for (auto& one : stored) webhooks.push_back(std::move(one.webhook));
    return webhooks;
  });
}

Result<void> Notifier::remove_webhook(WebhookId id, const audit::Origin& origin) {
  return parts_.database.write([&](store::Transaction& transaction) -> Result<void> {
    const auto found = BERTH_TRY(webhook_rows::find(transaction, id));
    if (!found) return webhook_not_found();
    BERTH_CHECK(delivery_rows::give_up(transaction, id, "The webhook was removed", parts_.clock.now()));
    BERTH_CHECK(webhook_rows::remove(transaction, id));
    return parts_.audit.append(transaction, origin, entry_of("webhook.delete", found->webhook));
  });
}

Result<std::vector<DeliveryId>> Notifier::test(const TestTarget& target, Language language,
                                               const audit::Origin& origin) {
  if (target.address && !has_mail()) {
    return Error(ErrorCode::conflict, "notify.no_mail", {"未配置邮件服务器", "No mail server is configured"});
  }
  if (target.address && !identity::valid_email(*target.address)) {
    const Text message{"不是邮件地址", "This is no mail address"};
    return Error(ErrorCode::invalid_argument, "notify.address", message).with_field("email", message);
  }
  const Timestamp now = parts_.clock.now();
  Notice notice;
  notice.kind = NoticeKind::test;
  notice.dedup_key = "test:" + random_uuid();
  notice.values = {{"actor", origin.actor}, {"at", format_utc(now)}};
  const bool everybody = !target.webhook && !target.address;
  notice.webhooks = everybody;
  notice.operators = everybody;
  if (target.address) notice.mail_to.push_back({*target.address, language});
  return parts_.database.write([&](store::Transaction& transaction) -> Result<std::vector<DeliveryId>> {
    auto queued = BERTH_TRY(enqueue(transaction, notice));
    if (target.webhook) {
      const auto found = BERTH_TRY(webhook_rows::find(transaction, *target.webhook));
      if (!found) return webhook_not_found();
      if (const auto id = BERTH_TRY(queue_webhook(transaction, notice, found->webhook, now))) queued.push_back(*id);
      BERTH_CHECK(parts_.database.notify(transaction, kQueueChannel, ""));
    }
    if (queued.empty()) {
      return Error(ErrorCode::conflict, "notify.nobody",
                   {"没有可通知的对象：未配置邮件收件人或 Webhook",
                    "There is nobody to tell: neither recipients of mail nor webhooks are configured"});
    }
    BERTH_CHECK(parts_.audit.append(
        transaction, origin, {.action = "notification.test", .resource_type = "notification", .resource_id = "test"}));
    return queued;
  });
}

}  // namespace berth::notify
