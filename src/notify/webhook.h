#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/result.h"
#include "base/secret.h"
#include "base/text.h"
#include "http/client.h"
#include "notify/notice.h"

namespace berth::notify {

using WebhookId = Id<struct WebhookTag, std::int64_t>;

/// A program elsewhere that is told by HTTP.
struct Webhook {
  WebhookId id;
  std::string uuid;
  std::string name;  ///< unique
  std::string url;
  std::vector<NoticeKind> notices;  ///< those it is told; none: all
  Language language = Language::en;
  Timestamp created_at;

  bool takes(NoticeKind kind) const;
};

struct NewWebhook {
  std::string name;  ///< 1 to 64 characters
  std::string url;
  Secret secret;  ///< 16 to 256 bytes; empty: a random one
  std::vector<NoticeKind> notices;
  Language language = Language::en;
};

/// The parts of "http://host[:port]/path?query" or https. Errors: invalid_argument "webhook.url" with the field "url":
/// another scheme, credentials or a fragment in it, longer than 2048 bytes, a character that belongs encoded.
struct WebhookUrl {
  std::string base;    ///< "https://host:8443"
  std::string target;  ///< "/path?query"
  static Result<WebhookUrl> parse(std::string_view text);
};

/// The header X-Berth-Signature: "t=<seconds since the epoch>,v1=<hex of HMAC-SHA256>", over "<seconds>.<body>" under
/// the webhook's secret. The time keeps an old message from being sent again by somebody who recorded it.
std::string sign(const Secret& secret, std::string_view body, Timestamp at);

/// One message for one webhook.
struct WebhookMessage {
  std::string url;
  Secret secret;
  std::string notice;    ///< told as X-Berth-Event
  std::string delivery;  ///< a UUID, the same at every attempt: who has seen it may drop it
  std::string body;      ///< JSON
};

/// Posts messages. Any 2xx is success; a redirect is a failure, for the body was meant for this receiver alone.
/// Thread-safe. Errors: unavailable "webhook.unreachable", "webhook.refused" (another status), deadline_exceeded
/// "webhook.uncertain" (no answer: it may have arrived), invalid_argument "webhook.gone" (410), "webhook.url",
/// cancelled "webhook.stopped".
class WebhookClient {
 public:
  Result<void> send(const WebhookMessage& message, Timestamp now, Deadline deadline);
  /// Ends running calls and refuses later ones.
  void stop();

 private:
  std::mutex mutex_;
  bool stopping_ = false;
  std::vector<std::shared_ptr<http::Client>> running_;
};

}  // namespace berth::notify
