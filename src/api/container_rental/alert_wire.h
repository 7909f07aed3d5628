#pragma once

#include <boost/describe/class.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "json/fields.h"
#include "json/write.h"

// What container-rental.md puts on the wire for alerts, and what Berth adds in its style.
namespace berth::api::container_rental {

inline const std::vector<std::string>& alert_type_words() {
  static const std::vector<std::string> words = {"traffic", "cpu", "memory", "disk", "server_down", "rental_expiry"};
  return words;
}

struct AlertRequest {
  std::string alert_type;
  double threshold = 0;
  std::string message;
  std::optional<std::string> subject;
  std::optional<std::int64_t> duration;
  std::optional<double> hysteresis;
  std::optional<std::string> severity;
  std::optional<bool> enabled;
  std::optional<std::vector<std::string>> recipients;
};
BOOST_DESCRIBE_STRUCT(AlertRequest, (),
                      (alert_type, threshold, message, subject, duration, hysteresis, severity, enabled, recipients))
inline void describe_fields(json::Fields<AlertRequest>& fields) {
  fields("alert_type").one_of(alert_type_words()).example("traffic");
  fields("threshold")
      .example("10000")
      .doc({"traffic：字节/秒，收发合计；cpu、memory、disk：百分比；server_down：无应答秒数；rental_expiry：剩余天数",
            "traffic: bytes per second, both directions together; cpu, memory, disk: percent; server_down: seconds "
            "without "
            "an answer; rental_expiry: days left"});
  fields("message").length(1, 500).example("Traffic limit exceeded");
  fields("subject").length(1, 128).doc({"容器或服务器名称，缺省为任意", "A container or server; left out: any"});
  fields("duration").range(0, 86400).doc({"须持续的秒数", "Seconds that it must hold"});
  fields("hysteresis").range(0.5L, 1).doc({"低于阈值的该倍数才恢复", "Resolved below the threshold times this"});
  fields("severity").one_of({"info", "warning", "critical"});
  fields("recipients")
      .items(0, 20)
      .length(3, 254)
      .pattern_name("email")
      .doc({"缺省为创建者的邮箱", "Left out: whoever makes it"});
}

struct AlertAdded {
  std::string message;
  std::int64_t alert_id = 0;
};
BOOST_DESCRIBE_STRUCT(AlertAdded, (), (message, alert_id))

struct AlertPath {
  std::int64_t alert_id = 0;
};
BOOST_DESCRIBE_STRUCT(AlertPath, (), (alert_id))
inline void describe_fields(json::Fields<AlertPath>& fields) {
  fields("alert_id").range(1, 9007199254740991LL);
}

/// What is absent stays; a subject of null is any.
struct AlertChangeRequest {
  std::optional<std::string> alert_type;
  std::optional<double> threshold;
  std::optional<std::string> message;
  std::optional<std::optional<std::string>> subject;
  std::optional<std::int64_t> duration;
  std::optional<double> hysteresis;
  std::optional<std::string> severity;
  std::optional<bool> enabled;
  std::optional<std::vector<std::string>> recipients;
};
BOOST_DESCRIBE_STRUCT(AlertChangeRequest, (),
                      (alert_type, threshold, message, subject, duration, hysteresis, severity, enabled, recipients))
inline void describe_fields(json::Fields<AlertChangeRequest>& fields) {
  fields("alert_type").one_of(alert_type_words());
  fields("message").length(1, 500);
  fields("subject").length(1, 128);
  fields("duration").range(0, 86400);
  fields("hysteresis").range(0.5L, 1);
  fields("severity").one_of({"info", "warning", "critical"});
  fields("recipients").items(0, 20).length(3, 254).pattern_name("email");
}

/// One of the two.
struct SilenceRequest {
  std::optional<std::string> until;
  std::optional<std::int64_t> minutes;
};
BOOST_DESCRIBE_STRUCT(SilenceRequest, (), (until, minutes))
inline void describe_fields(json::Fields<SilenceRequest>& fields) {
  fields("until").pattern_name("date-time");
  fields("minutes").range(1, 527040);
}

/// `state` is ok, raised or disabled; `raised` are the subjects with which something is wrong now.
struct AlertInfo {
  std::int64_t alert_id = 0;
  std::string alert_type;
  double threshold = 0;
  std::string message;
  std::optional<std::string> subject;
  std::int64_t duration = 0;
  double hysteresis = 0;
  std::string severity;
  bool enabled = true;
  std::optional<std::string> silenced_until;
  std::vector<std::string> recipients;
  std::string state;
  std::vector<std::string> raised;
  std::string created_at;
  std::string updated_at;
};
BOOST_DESCRIBE_STRUCT(AlertInfo, (),
                      (alert_id, alert_type, threshold, message, subject, duration, hysteresis, severity, enabled,
                       silenced_until, recipients, state, raised, created_at, updated_at))

struct AlertList {
  std::vector<AlertInfo> alerts;
};
BOOST_DESCRIBE_STRUCT(AlertList, (), (alerts))

struct EpisodeQuery {
  std::optional<std::int64_t> alert_id;
  std::optional<std::string> alert_type;
  std::optional<std::string> subject;
  std::optional<std::string> state;
  std::optional<std::string> from;
  std::optional<std::string> until;
  std::int64_t limit = 50;
  std::int64_t offset = 0;
};
BOOST_DESCRIBE_STRUCT(EpisodeQuery, (), (alert_id, alert_type, subject, state, from, until, limit, offset))
inline void describe_fields(json::Fields<EpisodeQuery>& fields) {
  fields("alert_id").range(1, 9007199254740991LL);
  fields("alert_type").one_of(alert_type_words());
  fields("subject").length(1, 128);
  fields("state").one_of({"raised", "resolved"});
  fields("from").pattern_name("date-time");
  fields("until").pattern_name("date-time");
  fields("limit").has_default().range(1, 1000);
  fields("offset").has_default().range(0, 1e12L);
}

struct EpisodeInfo {
  std::int64_t episode_id = 0;
  std::int64_t alert_id = 0;
  std::string alert_type;
  std::string subject_kind;
  std::string subject;
  std::string severity;
  std::string message;
  double threshold = 0;
  double value = 0;
  double peak = 0;
  std::string state;
  std::string raised_at;
  std::optional<std::string> notified_at;
  std::optional<std::string> resolved_at;
  std::optional<std::string> resolution;
};
BOOST_DESCRIBE_STRUCT(EpisodeInfo, (),
                      (episode_id, alert_id, alert_type, subject_kind, subject, severity, message, threshold, value,
                       peak, state, raised_at, notified_at, resolved_at, resolution))

struct EpisodeList {
  std::vector<EpisodeInfo> history;
  std::int64_t total = 0;
};
BOOST_DESCRIBE_STRUCT(EpisodeList, (), (history, total))

}  // namespace berth::api::container_rental
