#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/result.h"
#include "notify/notice.h"
#include "notify/webhook.h"
#include "store/database.h"

namespace berth::notify {

using DeliveryId = Id<struct DeliveryTag, std::int64_t>;

enum class Channel { mail, webhook };
enum class DeliveryState {
  pending,  ///< not tried yet
  sent,     ///< the mail server or the receiver took it
  failed,   ///< tried in vain; it is tried again
  dead,     ///< given up: refused for good, or too many attempts
};

std::string_view name(Channel channel);
std::string_view name(DeliveryState state);
std::optional<Channel> parse_channel(std::string_view word);
std::optional<DeliveryState> parse_delivery_state(std::string_view word);

/// One message to one receiver, and what became of it.
struct Delivery {
  DeliveryId id;
  std::string uuid;  ///< in Message-ID or X-Berth-Delivery at every attempt
  std::string dedup_key;
  Channel channel = Channel::mail;
  std::string recipient;  ///< an address, or a webhook's name
  std::optional<WebhookId> webhook;
  NoticeKind notice = NoticeKind::test;
  std::string subject;
  std::string body;  ///< text of the mail, or JSON
  DeliveryState state = DeliveryState::pending;
  int attempts = 0;
  Timestamp next_attempt_at;
  bool perhaps_twice = false;  ///< an attempt ended without an answer, so the receiver may have it more than once
  std::string last_error;      ///< in words for an operator
  Timestamp created_at;
  Timestamp updated_at;
  std::optional<Timestamp> sent_at;
};

struct DeliveryFilter {
  std::optional<DeliveryState> state;
  std::optional<Channel> channel;
  std::optional<NoticeKind> notice;
  std::int64_t limit = 50;  ///< 1 to 1000
  std::int64_t offset = 0;
};

struct DeliveryPage {
  std::vector<Delivery> deliveries;  ///< newest first
  std::int64_t total = 0;
};

/// How deliveries rest in the store. Each function is one or two statements of the caller's transaction.
namespace delivery_rows {

/// Nothing if a delivery of that key is there already.
Result<std::optional<DeliveryId>> insert(store::Transaction& transaction, const Delivery& delivery);
/// Deliveries that wait to be sent, counted up to `most`.
Result<std::int64_t> count_open(store::Transaction& transaction, std::int64_t most);
/// Takes the next one that is due until `lease_end` and counts the attempt. One whose sender died in the middle comes
/// back with `perhaps_twice`. Times further away than `horizon` are a clock's mistake and count as due.
Result<std::optional<Delivery>> claim(store::Transaction& transaction, Timestamp now, Timestamp lease_end,
                                      Timestamp horizon);
/// Records how an attempt went: state, next_attempt_at, perhaps_twice, last_error, sent_at. Ends the claim.
Result<void> settle(store::Transaction& transaction, const Delivery& delivery);
/// Ends the claims of a run that is over.
Result<std::int64_t> release_claims(store::Transaction& transaction);
Result<std::optional<Timestamp>> next_due(store::Transaction& transaction);
Result<std::optional<Delivery>> find(store::Transaction& transaction, DeliveryId id);
Result<DeliveryPage> list(store::Transaction& transaction, const DeliveryFilter& filter);
/// Makes a failed or dead one due now, with all its attempts before it.
Result<void> restart(store::Transaction& transaction, DeliveryId id, Timestamp now);
/// Gives up everything that waits for a webhook.
Result<std::int64_t> give_up(store::Transaction& transaction, WebhookId webhook, std::string_view why, Timestamp now);
/// Forgets at most `most` that ended before `before`.
Result<std::int64_t> forget(store::Transaction& transaction, Timestamp before, std::int64_t most);

}  // namespace delivery_rows
}  // namespace berth::notify
