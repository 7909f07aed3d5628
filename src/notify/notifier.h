#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "audit/audit_log.h"
#include "base/clock.h"
#include "base/result.h"
#include "identity/sealing.h"
#include "metrics/registry.h"
#include "notify/delivery.h"
#include "notify/notice.h"
#include "notify/smtp.h"
#include "notify/webhook.h"
#include "store/database.h"

namespace berth::notify {

/// The channel on which nodes tell each other that there is something to send.
inline constexpr std::string_view kQueueChannel = "notify.queue";

/// Somebody who is told by mail.
struct Recipient {
  std::string address;
  std::optional<Language> language = std::nullopt;  ///< nothing: Settings::language
};

/// Something to tell.
struct Notice {
  NoticeKind kind = NoticeKind::test;
  /// Told once to each receiver, however often it is handed in: "rental:12:2026-12-30", "alert:7:raised".
  std::string dedup_key;
  NoticeValues values;
  std::vector<Recipient> mail_to;  ///< addresses that are not valid are left out
  bool operators = false;          ///< also to Settings::operators
  bool webhooks = true;            ///< also to every webhook that takes the kind
};

/// Tells people and programs, by mail and by webhook. What is to be told is a row in the store before anything is
/// sent, so nothing that was taken is lost; it is sent at least once, by one thread, with growing pauses after
/// failures. A message may arrive twice only where the receiver took it and its answer was lost: both then carry the
/// same Message-ID or X-Berth-Delivery, and the row says `perhaps_twice`. Thread-safe; every call may wait for the
/// store.
class Notifier {
 public:
  struct Settings {
    std::optional<SmtpSettings> smtp;    ///< nothing: no mail is sent, and none is queued
    std::vector<std::string> operators;  ///< addresses told of alerts
    Language language = Language::zh;    ///< of mails to those whose language is not known
    std::chrono::milliseconds webhook_time{10'000};
    std::chrono::seconds first_pause{30};  ///< after the first failure; doubles, a quarter more or less
    std::chrono::seconds longest_pause{3600};
    int attempts = 16;                  ///< then it is dead; about ten hours
    std::int64_t queue_limit = 10'000;  ///< messages that wait
    std::size_t webhook_limit = 50;
    std::chrono::hours keep{90 * 24};  ///< what ended is forgotten then
  };
  struct Parts {
    store::Database& database;
    audit::AuditLog& audit;
    const identity::Sealing& sealing;
    metrics::Registry& metrics;
    const Clock& clock;
  };

  /// Errors: invalid_argument "mail.settings", and those of the store. Everything in `parts` outlives the notifier.
  static Result<std::unique_ptr<Notifier>> create(Settings settings, const Parts& parts);
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;
  ~Notifier();

  /// Begins to send; `stop` breaks off what is being sent and ends the thread. Idempotent.
  void start();
  void stop();

  /// Queues a notice within the caller's transaction, so that it is told if and only if that commits. Yields the new
  /// deliveries: none if it was told before or there is nobody to tell. Errors: exhausted "notify.queue_full"; the
  /// transaction can go on then.
  Result<std::vector<DeliveryId>> enqueue(store::Transaction& transaction, const Notice& notice);
  Result<std::vector<DeliveryId>> enqueue(const Notice& notice);
  /// Whether mail can be sent at all.
  bool has_mail() const { return smtp_ != nullptr; }

  Result<DeliveryPage> list(const DeliveryFilter& filter);
  /// not_found "delivery.not_found".
  Result<Delivery> find(DeliveryId id);
  /// Tries a failed or dead one again, now. Errors: not_found, conflict "delivery.sent" (or not tried yet).
  Result<void> resend(DeliveryId id, const audit::Origin& origin);
  /// Waits until none of these is pending, or the deadline; yields how they are then.
  Result<std::vector<Delivery>> wait(const std::vector<DeliveryId>& ids, Deadline deadline);

  struct Created {
    Webhook webhook;
    Secret secret;  ///< shown once; rests sealed
  };
  /// Errors: invalid_argument "webhook.invalid" with fields, "webhook.url"; already_exists "webhook.exists";
  /// conflict "webhook.limit".
  Result<Created> add_webhook(const NewWebhook& webhook, const audit::Origin& origin);
  Result<std::vector<Webhook>> list_webhooks();
  /// What still waits for it is given up. not_found "webhook.not_found".
  Result<void> remove_webhook(WebhookId id, const audit::Origin& origin);

  /// Queues a test message to one webhook, to one address, or to all webhooks and operators. Errors: not_found,
  /// conflict "notify.no_mail" or "notify.nobody".
  struct TestTarget {
    std::optional<WebhookId> webhook;
    std::optional<std::string> address;
  };
  Result<std::vector<DeliveryId>> test(const TestTarget& target, Language language, const audit::Origin& origin);

  /// Sends everything that is due, on the caller's thread; yields how many attempts that took. What the thread does.
  Result<std::size_t> deliver_due();
  /// Forgets old deliveries.
  Result<std::int64_t> sweep();

 private:
  struct Meters;
  /// Where the store's listener leaves word; outlives the notifier with it.
  struct Mailbox {
    std::mutex mutex;
    std::condition_variable changed;
    bool woken = false;
    bool stopping = false;
    std::uint64_t settled = 0;  ///< attempts that ended
  };
  Notifier(Settings settings, const Parts& parts);

  Result<std::optional<DeliveryId>> queue_mail(store::Transaction& transaction, const Notice& notice,
                                               const Recipient& recipient, Timestamp now);
  Result<std::optional<DeliveryId>> queue_webhook(store::Transaction& transaction, const Notice& notice,
                                                  const Webhook& webhook, Timestamp now);
  Result<void> check_room(store::Transaction& transaction);
  void run();
  void send(Delivery& delivery);
  Result<void> transmit(const Delivery& delivery);
  Result<void> transmit_mail(const Delivery& delivery);
  Result<void> transmit_webhook(const Delivery& delivery);
  void judge(Delivery& delivery, const Result<void>& outcome);
  void record(const Delivery& delivery);
  std::chrono::microseconds pause_after(int attempts) const;
  bool stopping() const;

  const Settings settings_;
  Parts parts_;
  std::unique_ptr<SmtpClient> smtp_;
  WebhookClient webhook_client_;
  std::unique_ptr<Meters> meters_;
  std::shared_ptr<Mailbox> mailbox_;
  /// Messages that may be queued before the queue is counted again.
  std::atomic<std::int64_t> granted_{0};
  std::mutex sending_;  // one sender at a time
  std::mutex thread_mutex_;
  std::thread thread_;
};

/// Seals what rests under an older key anew; for identity::reseal. Yields how many.
Result<std::int64_t> reseal_webhooks(store::Transaction& transaction, const identity::Sealing& sealing);

}  // namespace berth::notify
