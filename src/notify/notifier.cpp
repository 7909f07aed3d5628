#include "notify/notifier.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <boost/describe/class.hpp>
#include <random>
#include <set>
#include <utility>

#include "base/encoding.h"
#include "base/log.h"
#include "identity/account_rules.h"
#include "json/write.h"
#include "notify/webhook_rows.h"

namespace berth::notify {
namespace {

/// What a webhook is told. `subject` and `text` are for people, `data` for programs.
struct Payload {
  std::string id;
  std::string type;
  std::string created_at;
  std::string subject;
  std::string text;
  std::map<std::string, std::string> data;
};
BOOST_DESCRIBE_STRUCT(Payload, (), (id, type, created_at, subject, text, data))

constexpr std::int64_t kGrant = 256;
constexpr std::chrono::seconds kLongestRest{30};
constexpr std::chrono::hours kSweepInterval{1};
constexpr std::int64_t kSweepBatch = 1000;
constexpr std::chrono::seconds kLeaseMargin{60};
constexpr std::size_t kLongestReason = 500;
constexpr int kRecordAttempts = 5;
constexpr std::chrono::milliseconds kRecordPause{200};

/// What an operator is told of a failure. A server's own words may hold anything.
std::string reason_of(const Error& error) {
  std::string text = error.message().en;
  const bool ours = error.reason().starts_with("mail.") || error.reason().starts_with("webhook.");
  if (ours && !error.detail().empty() && error.reason() != "webhook.refused") text += ": " + error.detail();
  text.resize(std::min(text.size(), kLongestReason));
  std::ranges::replace_if(
      text, [](char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text;
}

bool is_final(const Error& error) {
  return error.reason() == "mail.rejected" || error.reason() == "webhook.gone" || error.reason() == "webhook.removed";
}

bool is_uncertain(const Error& error) {
  return error.code() == ErrorCode::cancelled || error.reason().ends_with(".uncertain");
}

}  // namespace

struct Notifier::Meters {
  explicit Meters(metrics::Registry& metrics)
      : waiting(metrics.gauge("berth_notify_waiting", "Messages that wait to be sent")),
        duration(metrics.histogram("berth_notify_attempt_seconds", "Time of one attempt to send")) {
    for (const Channel channel : {Channel::mail, Channel::webhook}) {
      for (const DeliveryState state : {DeliveryState::sent, DeliveryState::failed, DeliveryState::dead}) {
        outcomes[{channel, state}] =
            &metrics.counter("berth_notify_attempts_total", "Attempts to send, by how they ended",
                             {{"channel", std::string(name(channel))}, {"outcome", std::string(name(state))}});
      }
    }
  }

  metrics::Gauge& waiting;
  metrics::Histogram& duration;
  std::map<std::pair<Channel, DeliveryState>, metrics::Counter*> outcomes;
};

Notifier::Notifier(Settings settings, const Parts& parts)
    : settings_(std::move(settings)),
      parts_(parts),
      meters_(std::make_unique<Meters>(parts.metrics)),
      mailbox_(std::make_shared<Mailbox>()) {
  if (settings_.smtp) smtp_ = std::make_unique<SmtpClient>(*settings_.smtp);
}

Result<std::unique_ptr<Notifier>> Notifier::create(Settings settings, const Parts& parts) {
  if (settings.smtp) BERTH_CHECK(check_smtp_settings(*settings.smtp));
  std::unique_ptr<Notifier> notifier(new Notifier(std::move(settings), parts));
  // SQLite has one user, so whoever claimed something is gone. On PostgreSQL it may be another node, whose claims end
  // by time.
  if (parts.database.dialect() == store::Dialect::sqlite) {
    BERTH_CHECK(parts.database.write(
        [](store::Transaction& transaction) { return delivery_rows::release_claims(transaction); }));
  }
  parts.database.listen([mailbox = notifier->mailbox_](std::string_view channel, std::string_view) {
    if (channel != kQueueChannel && channel != store::Database::kMissedChannel) return;
    const std::lock_guard lock(mailbox->mutex);
    mailbox->woken = true;
    mailbox->changed.notify_all();
  });
  return notifier;
}

Notifier::~Notifier() {
  stop();
}

// Taking

Result<std::vector<DeliveryId>> Notifier::enqueue(const Notice& notice) {
  return parts_.database.write([&](store::Transaction& transaction) { return enqueue(transaction, notice); });
}

Result<std::vector<DeliveryId>> Notifier::enqueue(store::Transaction& transaction, const Notice& notice) {
  const Timestamp now = parts_.clock.now();
  BERTH_CHECK(check_room(transaction));
  std::vector<Recipient> people = notice.mail_to;
  if (notice.operators) {
    for (const auto& address : settings_.operators) people.push_back({address});
  }
  std::vector<DeliveryId> queued;
  const auto keep = [&](const std::optional<DeliveryId>& id) {
    if (id) queued.push_back(*id);
  };
  if (smtp_) {
    for (const auto& recipient : people) {
      if (identity::valid_email(recipient.address)) keep(BERTH_TRY(queue_mail(transaction, notice, recipient, now)));
    }
  }
  if (notice.webhooks) {
    for (const auto& stored : BERTH_TRY(webhook_rows::list(transaction))) {
      if (stored.webhook.takes(notice.kind)) {
        keep(BERTH_TRY(queue_webhook(transaction, notice, stored.webhook, now)));
      }
    }
  }
  if (!queued.empty()) BERTH_CHECK(parts_.database.notify(transaction, kQueueChannel, ""));
  return queued;
}

Result<void> Notifier::check_room(store::Transaction& transaction) {
  if (granted_.fetch_sub(1) > 0) return {};
  const auto waiting = BERTH_TRY(delivery_rows::count_open(transaction, settings_.queue_limit));
  if (waiting >= settings_.queue_limit) {
    return Error(ErrorCode::exhausted, "notify.queue_full",
                 {"等待发送的通知过多", "Too many notifications are waiting to be sent"});
  }
  granted_ = std::min(kGrant, settings_.queue_limit - waiting) - 1;
  return {};
}

Result<std::optional<DeliveryId>> Notifier::queue_mail(store::Transaction& transaction, const Notice& notice,
                                                       const Recipient& recipient, Timestamp now) {
  const Language language = recipient.language.value_or(settings_.language);
  const Template& words = template_of(notice.kind);
  Delivery delivery;
  delivery.uuid = random_uuid();
  delivery.dedup_key = fmt::format("{} mail:{}", notice.dedup_key, identity::without_case(recipient.address));
  delivery.channel = Channel::mail;
  delivery.recipient = recipient.address;
  delivery.notice = notice.kind;
  delivery.subject = fill(words.subject.in(language), notice.values);
  delivery.body = fill(words.body.in(language), notice.values);
  delivery.created_at = now;
  return delivery_rows::insert(transaction, delivery);
}

Result<std::optional<DeliveryId>> Notifier::queue_webhook(store::Transaction& transaction, const Notice& notice,
                                                          const Webhook& webhook, Timestamp now) {
  const Template& words = template_of(notice.kind);
  Delivery delivery;
  delivery.uuid = random_uuid();
  delivery.dedup_key = fmt::format("{} webhook:{}", notice.dedup_key, webhook.uuid);
  delivery.channel = Channel::webhook;
  delivery.recipient = webhook.name;
  delivery.webhook = webhook.id;
  delivery.notice = notice.kind;
  delivery.subject = fill(words.subject.in(webhook.language), notice.values);
  delivery.body =
      json::to_json(Payload{delivery.uuid, std::string(name(notice.kind)), format_utc(now), delivery.subject,
                            fill(words.body.in(webhook.language), notice.values), notice.values});
  delivery.created_at = now;
  return delivery_rows::insert(transaction, delivery);
}

// Sending

void Notifier::start() {
  const std::lock_guard lock(thread_mutex_);
  if (thread_.joinable() || stopping()) return;
  thread_ = std::thread([this] { run(); });
}

void Notifier::stop() {
  {
    const std::lock_guard lock(mailbox_->mutex);
    mailbox_->stopping = true;
  }
  mailbox_->changed.notify_all();
  if (smtp_) smtp_->stop();
  webhook_client_.stop();
  const std::lock_guard lock(thread_mutex_);
  if (thread_.joinable()) thread_.join();
}

bool Notifier::stopping() const {
  const std::lock_guard lock(mailbox_->mutex);
  return mailbox_->stopping;
}

void Notifier::run() {
  pthread_setname_np(pthread_self(), "notify");
  Instant next_sweep = parts_.clock.instant();
  while (true) {
    std::chrono::microseconds rest = kLongestRest;
    if (const auto sent = deliver_due(); !sent) {
      log::warning("notify", "cannot send what is due: {}", sent.error().describe());
    } else if (const auto due = parts_.database.read(delivery_rows::next_due); due && *due) {
      // Never at once: what is still due now is claimed by another node.
      rest =
          std::clamp(std::chrono::microseconds(**due - parts_.clock.now()), std::chrono::microseconds(1'000'000), rest);
    }
    if (const auto waiting = parts_.database.read([this](store::Transaction& transaction) {
          return delivery_rows::count_open(transaction, settings_.queue_limit);
        })) {
      meters_->waiting.set(static_cast<double>(*waiting));
    }
    if (parts_.clock.instant() >= next_sweep) {
      if (const auto swept = sweep(); !swept) {
        log::warning("notify", "cannot forget old deliveries: {}", swept.error().describe());
      }
      next_sweep = parts_.clock.instant() + kSweepInterval;
    }
    std::unique_lock lock(mailbox_->mutex);
    mailbox_->changed.wait_for(lock, rest, [this] { return mailbox_->woken || mailbox_->stopping; });
    mailbox_->woken = false;
    if (mailbox_->stopping) return;
  }
}

Result<std::size_t> Notifier::deliver_due() {
  const std::lock_guard one_sender(sending_);
  const auto longest =
      std::max(settings_.webhook_time, settings_.smtp ? settings_.smtp->time_limit : std::chrono::milliseconds(0));
  std::size_t attempts = 0;
  while (!stopping()) {
    const Timestamp now = parts_.clock.now();
    const Timestamp lease_end = now + longest + kLeaseMargin;
    const Timestamp horizon = std::max(lease_end, now + settings_.longest_pause * 2) + kLeaseMargin;
    auto claimed = BERTH_TRY(parts_.database.write(
        [&](store::Transaction& transaction) { return delivery_rows::claim(transaction, now, lease_end, horizon); }));
    if (!claimed) break;
    send(*claimed);
    ++attempts;
  }
  return attempts;
}

void Notifier::send(Delivery& delivery) {
  const Instant begun = std::chrono::steady_clock::now();
  const auto outcome = transmit(delivery);
  meters_->duration.observe(std::chrono::steady_clock::now() - begun);
  judge(delivery, outcome);
  meters_->outcomes.at({delivery.channel, delivery.state})->add();
  record(delivery);
  {
    const std::lock_guard lock(mailbox_->mutex);
    ++mailbox_->settled;
  }
  mailbox_->changed.notify_all();
}

Result<void> Notifier::transmit(const Delivery& delivery) {
  return delivery.channel == Channel::mail ? transmit_mail(delivery) : transmit_webhook(delivery);
}

Result<void> Notifier::transmit_mail(const Delivery& delivery) {
  if (!smtp_) {
    return Error(ErrorCode::unavailable, "mail.unconfigured", {"未配置邮件服务器", "No mail server is configured"});
  }
  return smtp_->send({.to = delivery.recipient,
                      .subject = delivery.subject,
                      .body = delivery.body,
                      .message_id = delivery.uuid + "@" + smtp_->domain(),
                      .delivery = delivery.uuid,
                      .date = delivery.created_at},
                     Deadline::after(settings_.smtp->time_limit));
}

Result<void> Notifier::transmit_webhook(const Delivery& delivery) {
  const auto found = BERTH_TRY(parts_.database.read([&](store::Transaction& transaction) {
    return webhook_rows::find(transaction, delivery.webhook.value_or(WebhookId()));
  }));
  if (!found) {
    return Error(ErrorCode::not_found, "webhook.removed", {"Webhook 已删除", "The webhook was removed"});
  }
  const Secret secret =
      BERTH_TRY(parts_.sealing.open(found->sealed_secret, webhook_rows::sealing_context(found->webhook.uuid)));
  return webhook_client_.send(
      {found->webhook.url, secret, std::string(name(delivery.notice)), delivery.uuid, delivery.body},
      parts_.clock.now(), Deadline::after(settings_.webhook_time));
}

void Notifier::judge(Delivery& delivery, const Result<void>& outcome) {
  const Timestamp now = parts_.clock.now();
  delivery.updated_at = now;
  delivery.next_attempt_at = now;
  if (outcome) {
    delivery.state = DeliveryState::sent;
    delivery.sent_at = now;
    delivery.last_error.clear();
    return;
  }
  const Error& error = outcome.error();
  delivery.last_error = reason_of(error);
  delivery.perhaps_twice = delivery.perhaps_twice || is_uncertain(error);
  delivery.state = DeliveryState::failed;
  if (error.code() == ErrorCode::cancelled) {
    --delivery.attempts;  // we are shutting down: no fault of the receiver's
  } else if (is_final(error) || delivery.attempts >= settings_.attempts) {
    delivery.state = DeliveryState::dead;
    log::warning("notify", "gave up {} {} to {}: {}", name(delivery.notice), delivery.uuid, delivery.recipient,
                 error.describe());
  } else {
    delivery.next_attempt_at = now + pause_after(delivery.attempts);
    log::info("notify", "attempt {} of {} to {} failed: {}", delivery.attempts, delivery.uuid, delivery.recipient,
              error.describe());
  }
}

void Notifier::record(const Delivery& delivery) {
  for (int attempt = 1;; ++attempt) {
    const auto settled = parts_.database.write(
        [&](store::Transaction& transaction) { return delivery_rows::settle(transaction, delivery); });
    if (settled) return;
    if (attempt == kRecordAttempts) {
      // Its claim ends by time, and then it is known that its outcome is not.
      log::error("notify", "the outcome of {} is not stored: {}", delivery.uuid, settled.error().describe());
      return;
    }
    std::unique_lock lock(mailbox_->mutex);
    mailbox_->changed.wait_for(lock, kRecordPause * attempt, [this] { return mailbox_->stopping; });
  }
}

std::chrono::microseconds Notifier::pause_after(int attempts) const {
  const auto doublings = std::clamp(attempts - 1, 0, 20);
  const auto pause =
      std::min<std::chrono::microseconds>(settings_.first_pause * (1LL << doublings), settings_.longest_pause);
  // Those that failed together do not come back together.
  static thread_local std::minstd_rand random{std::random_device{}()};
  return std::chrono::microseconds(
      std::uniform_int_distribution<std::int64_t>(pause.count() * 3 / 4, pause.count() * 5 / 4)(random));
}

// Looking

Result<DeliveryPage> Notifier::list(const DeliveryFilter& filter) {
  return parts_.database.read(
      [&](store::Transaction& transaction) { return delivery_rows::list(transaction, filter); });
}

Result<Delivery> Notifier::find(DeliveryId id) {
  auto found = BERTH_TRY(
      parts_.database.read([&](store::Transaction& transaction) { return delivery_rows::find(transaction, id); }));
  if (!found) {
    return Error(ErrorCode::not_found, "delivery.not_found", {"通知记录不存在", "Notification not found"});
  }
  return *std::move(found);
}

Result<void> Notifier::resend(DeliveryId id, const audit::Origin& origin) {
  return parts_.database.write([&](store::Transaction& transaction) -> Result<void> {
    const auto found = BERTH_TRY(delivery_rows::find(transaction, id));
    if (!found) return Error(ErrorCode::not_found, "delivery.not_found", {"通知记录不存在", "Notification not found"});
    if (found->state != DeliveryState::failed && found->state != DeliveryState::dead) {
      return Error(ErrorCode::conflict, "delivery.sent",
                   {"只能重发失败的通知", "Only a notification that failed can be sent again"});
    }
    BERTH_CHECK(delivery_rows::restart(transaction, id, parts_.clock.now()));
    BERTH_CHECK(parts_.audit.append(
        transaction, origin,
        {.action = "notification.resend", .resource_type = "notification", .resource_id = std::to_string(id.value())}));
    return parts_.database.notify(transaction, kQueueChannel, "");
  });
}

Result<std::vector<Delivery>> Notifier::wait(const std::vector<DeliveryId>& ids, Deadline deadline) {
  while (true) {
    std::uint64_t seen = 0;
    {
      const std::lock_guard lock(mailbox_->mutex);
      seen = mailbox_->settled;
    }
    std::vector<Delivery> deliveries;
    for (const DeliveryId id : ids) deliveries.push_back(BERTH_TRY(find(id)));
    const bool settled = std::ranges::none_of(
        deliveries, [](const Delivery& delivery) { return delivery.state == DeliveryState::pending; });
    if (settled || deadline.expired() || stopping()) return deliveries;
    std::unique_lock lock(mailbox_->mutex);
    // Another node may be the one that sends.
    mailbox_->changed.wait_for(lock, deadline.sooner(std::chrono::milliseconds(500)).remaining(),
                               [&] { return mailbox_->settled != seen || mailbox_->stopping; });
  }
}

Result<std::int64_t> Notifier::sweep() {
  const Timestamp before = parts_.clock.now() - settings_.keep;
  std::int64_t forgotten = 0;
  while (!stopping()) {
    const auto some = BERTH_TRY(parts_.database.write(
        [&](store::Transaction& transaction) { return delivery_rows::forget(transaction, before, kSweepBatch); }));
    forgotten += some;
    if (some < kSweepBatch) break;
  }
  return forgotten;
}

}  // namespace berth::notify
