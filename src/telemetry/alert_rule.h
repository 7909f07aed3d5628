#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/result.h"

namespace berth::telemetry {

using AlertRuleId = Id<struct AlertRuleTag, std::int64_t>;
using AlertEpisodeId = Id<struct AlertEpisodeTag, std::int64_t>;

/// What a rule watches, and the unit of its threshold. A value that reaches the threshold is too much, except for
/// rental_expiry, where what has sunk to it is too little.
enum class AlertType {
  traffic,        ///< bytes per second, both directions together
  cpu,            ///< percent of the subject's own allotment
  memory,         ///< percent of its limit
  disk,           ///< percent of its limit or of the server's storage
  server_down,    ///< seconds that a server has not answered; 0 and 1 mean at once
  rental_expiry,  ///< days until a rental ends; below 0 it has ended
};
enum class Severity { info, warning, critical };
enum class SubjectKind { container, server };

std::string_view name(AlertType type);
std::string_view name(Severity severity);
std::string_view name(SubjectKind kind);
std::optional<AlertType> parse_alert_type(std::string_view word);
std::optional<Severity> parse_severity(std::string_view word);
std::optional<SubjectKind> parse_subject_kind(std::string_view word);
/// Every type, in the order of the enum.
const std::vector<AlertType>& alert_types();

/// What somebody wants to be told of.
struct AlertRule {
  AlertRuleId id;
  AlertType type = AlertType::traffic;
  double threshold = 0;
  std::string message;                                ///< in the words of whoever made it
  std::optional<std::string> subject = std::nullopt;  ///< name of a container or server; nothing: each of them
  std::chrono::seconds duration{0};                   ///< how long it must hold before it is raised
  double hysteresis = 0.9;                            ///< resolved below threshold × this; 0.5 to 1
  Severity severity = Severity::warning;
  bool enabled = true;
  std::optional<Timestamp> silenced_until = std::nullopt;  ///< until then nobody is told
  std::vector<std::string> recipients = {};                ///< mail addresses told beside the operators
  std::int64_t created_by = 0;                             ///< a user, 0 for nobody signed in
  Timestamp created_at{};
  Timestamp updated_at{};

  bool silenced(Timestamp now) const { return silenced_until && now < *silenced_until; }
};

/// What is absent stays.
struct AlertRuleChange {
  std::optional<AlertType> type;
  std::optional<double> threshold;
  std::optional<std::string> message;
  std::optional<std::optional<std::string>> subject;
  std::optional<std::chrono::seconds> duration;
  std::optional<double> hysteresis;
  std::optional<Severity> severity;
  std::optional<bool> enabled;
  std::optional<std::vector<std::string>> recipients;
};

/// Everything within its range: the threshold above 0 (percentages up to 100; days and seconds from 0), the message 1
/// to 500 characters, the subject 1 to 128, the duration up to a day, at most 20 recipients. Errors: invalid_argument
/// "alert.invalid"; each bad field is named ("threshold", "message", "subject", "duration", "hysteresis",
/// "recipients").
Result<void> check_alert_rule(const AlertRule& rule);

/// Whether a value is as bad as the rule says, and whether it is good enough again to resolve what was raised.
bool breaches(const AlertRule& rule, double value);
bool clears(const AlertRule& rule, double value);
/// Of two values the worse.
double worse(AlertType type, double a, double b);

/// Why an episode ended.
enum class Resolution {
  recovered,      ///< the value is good again
  subject_gone,   ///< there is no such container or server any more
  rule_changed,   ///< the rule watches something else now
  rule_disabled,  ///< it was switched off
  rule_deleted,
};
std::string_view name(Resolution resolution);
std::optional<Resolution> parse_resolution(std::string_view word);

/// One time that something was wrong, from raised to resolved. Says what its rule said then.
struct AlertEpisode {
  AlertEpisodeId id;
  AlertRuleId rule;
  AlertType type = AlertType::traffic;
  SubjectKind subject_kind = SubjectKind::container;
  std::string subject;
  Severity severity = Severity::warning;
  std::string message;
  double threshold = 0;
  double value = 0;  ///< when it was raised
  double peak = 0;   ///< the worst since
  Timestamp raised_at;
  std::optional<Timestamp> notified_at;
  std::optional<Timestamp> resolved_at;
  std::optional<Resolution> resolution;
};

}  // namespace berth::telemetry
