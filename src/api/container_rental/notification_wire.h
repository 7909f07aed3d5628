#pragma once

#include <boost/describe/class.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "json/fields.h"
#include "json/write.h"

// What is on the wire for notifications, which container-rental.md leaves out.
namespace berth::api::container_rental {

struct WebhookRequest {
  std::string name;
  std::string url;
  std::optional<std::string> secret;
  std::vector<std::string> events;
  std::string language = "en";
};
BOOST_DESCRIBE_STRUCT(WebhookRequest, (), (name, url, secret, events, language))
inline void describe_fields(json::Fields<WebhookRequest>& fields) {
  fields("name").length(1, 64);
  fields("url").length(8, 2048).example("https://hooks.example.com/berth");
  fields("secret").length(16, 256).secret().doc({"签名密钥，缺省随机生成", "Signs messages; left out: a random one"});
  fields("events")
      .has_default()
      .items(0, 8)
      .one_of({"rental.expiry", "alert.raised", "alert.resolved"})
      .doc({"缺省为全部", "Left out: all"});
  fields("language").has_default().one_of({"zh", "en"});
}

/// The secret is shown this once.
struct WebhookCreated {
  std::string message;
  std::int64_t webhook_id = 0;
  std::string secret;
};
BOOST_DESCRIBE_STRUCT(WebhookCreated, (), (message, webhook_id, secret))

struct WebhookInfo {
  std::int64_t webhook_id = 0;
  std::string name;
  std::string url;
  std::vector<std::string> events;
  std::string language;
  std::string created_at;
};
BOOST_DESCRIBE_STRUCT(WebhookInfo, (), (webhook_id, name, url, events, language, created_at))

struct WebhookList {
  std::vector<WebhookInfo> webhooks;
};
BOOST_DESCRIBE_STRUCT(WebhookList, (), (webhooks))

struct WebhookPath {
  std::int64_t webhook_id = 0;
};
BOOST_DESCRIBE_STRUCT(WebhookPath, (), (webhook_id))
inline void describe_fields(json::Fields<WebhookPath>& fields) {
  fields("webhook_id").range(1, 9007199254740991LL);
}

struct DeliveryQuery {
  std::optional<std::string> state;
  std::optional<std::string> channel;
  std::optional<std::string> event;
  std::int64_t limit = 50;
  std::int64_t offset = 0;
};
BOOST_DESCRIBE_STRUCT(DeliveryQuery, (), (state, channel, event, limit, offset))
inline void describe_fields(json::Fields<DeliveryQuery>& fields) {
  fields("state").one_of({"pending", "sent", "failed", "dead"});
  fields("channel").one_of({"mail", "webhook"});
  fields("event").one_of({"rental.expiry", "alert.raised", "alert.resolved", "test"});
  fields("limit").has_default().range(1, 1000);
  fields("offset").has_default().range(0, 1e12L);
}

struct DeliveryPath {
  std::int64_t delivery_id = 0;
};
BOOST_DESCRIBE_STRUCT(DeliveryPath, (), (delivery_id))
inline void describe_fields(json::Fields<DeliveryPath>& fields) {
  fields("delivery_id").range(1, 9007199254740991LL);
}

/// `perhaps_twice`: an attempt ended without an answer, so the receiver may have it more than once, each time under
/// the same `id`.
struct DeliveryInfo {
  std::int64_t delivery_id = 0;
  std::string id;
  std::string channel;
  std::string recipient;
  std::string event;
  std::string subject;
  std::string state;
  std::int64_t attempts = 0;
  std::optional<std::string> next_attempt_at;
  std::optional<std::string> last_error;
  bool perhaps_twice = false;
  std::string created_at;
  std::optional<std::string> sent_at;
};
BOOST_DESCRIBE_STRUCT(DeliveryInfo, (),
                      (delivery_id, id, channel, recipient, event, subject, state, attempts, next_attempt_at,
                       last_error, perhaps_twice, created_at, sent_at))

struct DeliveryList {
  std::vector<DeliveryInfo> deliveries;
  std::int64_t total = 0;
};
BOOST_DESCRIBE_STRUCT(DeliveryList, (), (deliveries, total))

struct TestRequest {
  std::optional<std::int64_t> webhook_id;
  std::optional<std::string> email;
};
BOOST_DESCRIBE_STRUCT(TestRequest, (), (webhook_id, email))
inline void describe_fields(json::Fields<TestRequest>& fields) {
  fields("webhook_id").range(1, 9007199254740991LL);
  fields("email").length(3, 254).pattern_name("email");
}

struct TestOutcome {
  std::string message;
  std::vector<DeliveryInfo> deliveries;
};
BOOST_DESCRIBE_STRUCT(TestOutcome, (), (message, deliveries))

}  // namespace berth::api::container_rental
