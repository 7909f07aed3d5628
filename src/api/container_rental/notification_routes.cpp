#include "api/container_rental/notification_routes.h"

#include <algorithm>

#include "api/container_rental/notification_wire.h"
#include "api/container_rental/wire.h"

namespace berth::api::container_rental {
namespace {

using http::Method;
using identity::permissions::kNotificationsManage;
using notify::Delivery;
using notify::DeliveryId;
using notify::DeliveryState;
using notify::WebhookId;

/// How long a test waits for its outcome.
constexpr std::chrono::seconds kTestTime{15};

WebhookInfo info_of(const notify::Webhook& webhook) {
  WebhookInfo info;
  info.webhook_id = webhook.id.value();
  info.name = webhook.name;
  info.url = webhook.url;
  for (const auto kind : webhook.notices) info.events.emplace_back(name(kind));
  info.language = webhook.language == Language::zh ? "zh" : "en";
  info.created_at = format_utc(webhook.created_at);
  return info;
}

DeliveryInfo info_of(const Delivery& delivery) {
  DeliveryInfo info;
  info.delivery_id = delivery.id.value();
  info.id = delivery.uuid;
  info.channel = name(delivery.channel);
  info.recipient = delivery.recipient;
  info.event = name(delivery.notice);
  info.subject = delivery.subject;
  info.state = name(delivery.state);
  info.attempts = delivery.attempts;
  const bool waits = delivery.state == DeliveryState::pending || delivery.state == DeliveryState::failed;
  if (waits) info.next_attempt_at = format_utc(delivery.next_attempt_at);
  if (!delivery.last_error.empty()) info.last_error = delivery.last_error;
  info.perhaps_twice = delivery.perhaps_twice;
  info.created_at = format_utc(delivery.created_at);
  if (delivery.sent_at) info.sent_at = format_utc(*delivery.sent_at);
  return info;
}

notify::NewWebhook webhook_of(WebhookRequest request) {
  notify::NewWebhook webhook;
  webhook.name = std::move(request.name);
  webhook.url = std::move(request.url);
  if (request.secret) webhook.secret = Secret(std::move(*request.secret));
  for (const auto& word : request.events) {
    if (const auto kind = notify::parse_notice_kind(word)) webhook.notices.push_back(*kind);
  }
  webhook.language = request.language == "zh" ? Language::zh : Language::en;
  return webhook;
}

void add_webhook_routes(Contract& contract, const NotificationRouteParts& parts) {
  contract.add<Nothing, Nothing, Nothing>({Method::get,
                                           "/api/notifications/webhooks",
                                           kNotificationsManage,
                                           {"Webhook 列表", "Webhooks"},
                                           "notifications",
                                           &parts.reads},
                                          [parts](const Call&, Nothing, Nothing, Nothing) -> Result<WebhookList> {
                                            WebhookList answer;
                                            for (const auto& webhook : BERTH_TRY(parts.notifier.list_webhooks())) {
                                              answer.webhooks.push_back(info_of(webhook));
                                            }
                                            return answer;
                                          });
  contract.add<Nothing, Nothing, WebhookRequest>(
      {Method::post,
       "/api/notifications/webhooks",
       kNotificationsManage,
       {"添加 Webhook；签名密钥只显示这一次", "Add a webhook; its secret is shown this once"},
       "notifications",
       &parts.reads},
      [parts](const Call& call, Nothing, Nothing, WebhookRequest body) -> Result<WebhookCreated> {
        const auto created = BERTH_TRY(parts.notifier.add_webhook(webhook_of(std::move(body)), call.origin()));
        const Text done{"Webhook 添加成功", "Webhook added successfully"};
        return WebhookCreated{done.in(call.language), created.webhook.id.value(), std::string(created.secret.reveal())};
      });
  contract.add<WebhookPath, Nothing, Nothing>(
      {Method::delete_,
       "/api/notifications/webhooks/{webhook_id}",
       kNotificationsManage,
       {"删除 Webhook", "Delete a webhook"},
       "notifications",
       &parts.reads},
      [parts](const Call& call, WebhookPath path, Nothing, Nothing) -> Result<Done> {
        BERTH_CHECK(parts.notifier.remove_webhook(WebhookId(path.webhook_id), call.origin()));
        const Text done{"Webhook 删除成功", "Webhook deleted successfully"};
        return Done{done.in(call.language)};
      });
}

void add_delivery_routes(Contract& contract, const NotificationRouteParts& parts) {
  contract.add<Nothing, DeliveryQuery, Nothing>(
      {Method::get,
       "/api/notifications/deliveries",
       kNotificationsManage,
       {"通知记录", "What was sent to whom"},
       "notifications",
       &parts.reads},
      [parts](const Call&, Nothing, DeliveryQuery query, Nothing) -> Result<DeliveryList> {
        notify::DeliveryFilter filter;
        if (query.state) filter.state = notify::parse_delivery_state(*query.state);
        if (query.channel) filter.channel = notify::parse_channel(*query.channel);
        if (query.event) filter.notice = notify::parse_notice_kind(*query.event);
        filter.limit = query.limit;
        filter.offset = query.offset;
        const auto page = BERTH_TRY(parts.notifier.list(filter));
        DeliveryList answer;
        answer.total = page.total;
        for (const auto& delivery : page.deliveries) answer.deliveries.push_back(info_of(delivery));
        return answer;
      });
  contract.add<DeliveryPath, Nothing, Nothing>(
      {Method::post,
       "/api/notifications/deliveries/{delivery_id}/resend",
       kNotificationsManage,
       {"重发失败的通知", "Send one that failed again"},
       "notifications",
       &parts.reads},
      [parts](const Call& call, DeliveryPath path, Nothing, Nothing) -> Result<Done> {
        BERTH_CHECK(parts.notifier.resend(DeliveryId(path.delivery_id), call.origin()));
        const Text done{"通知将重发", "Notification is sent again"};
        return Done{done.in(call.language)};
      });
  contract.add<Nothing, Nothing, TestRequest>(
      {Method::post,
       "/api/notifications/test",
       kNotificationsManage,
       {"发送测试通知；缺省发给全部", "Send a test; to all unless one is named"},
       "notifications",
       &parts.changes},
      [parts](const Call& call, Nothing, Nothing, TestRequest body) -> Result<TestOutcome> {
        notify::Notifier::TestTarget target;
        if (body.webhook_id) target.webhook = WebhookId(*body.webhook_id);
        target.address = body.email;
        const auto queued = BERTH_TRY(parts.notifier.test(target, call.language, call.origin()));
        const auto deliveries = BERTH_TRY(parts.notifier.wait(queued, Deadline::after(kTestTime)));
        const bool sent = std::ranges::all_of(
            deliveries, [](const Delivery& delivery) { return delivery.state == DeliveryState::sent; });
        const Text done = sent ? Text{"测试通知已发送", "Test notification sent"}
                               : Text{"测试通知未能送达", "Test notification could not be delivered"};
        TestOutcome answer{done.in(call.language), {}};
        for (const auto& delivery : deliveries) answer.deliveries.push_back(info_of(delivery));
        return answer;
      });
}

}  // namespace

void add_notification_routes(Contract& contract, const NotificationRouteParts& parts) {
  add_webhook_routes(contract, parts);
  add_delivery_routes(contract, parts);
}

}  // namespace berth::api::container_rental
