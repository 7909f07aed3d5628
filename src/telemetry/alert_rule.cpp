#include "telemetry/alert_rule.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/encoding.h"

namespace berth::telemetry {
namespace {

constexpr double kMostTraffic = 1e15;
constexpr double kMostDays = 3650;
constexpr double kMostSeconds = 86'400;
constexpr double kLeastHysteresis = 0.5;
constexpr std::size_t kLongestMessage = 500;
constexpr std::size_t kLongestSubject = 128;
constexpr std::size_t kLongestAddress = 254;
constexpr std::size_t kMostRecipients = 20;

template <class Value, std::size_t Count>
using Words = std::array<std::pair<Value, std::string_view>, Count>;

constexpr Words<AlertType, 6> kTypes = {{{AlertType::traffic, "traffic"},
                                         {AlertType::cpu, "cpu"},
                                         {AlertType::memory, "memory"},
                                         {AlertType::disk, "disk"},
                                         {AlertType::server_down, "server_down"},
                                         {AlertType::rental_expiry, "rental_expiry"}}};
constexpr Words<Severity, 3> kSeverities = {
    {{Severity::info, "info"}, {Severity::warning, "warning"}, {Severity::critical, "critical"}}};
constexpr Words<SubjectKind, 2> kKinds = {{{SubjectKind::container, "container"}, {SubjectKind::server, "server"}}};
constexpr Words<Resolution, 5> kResolutions = {{{Resolution::recovered, "recovered"},
                                                {Resolution::subject_gone, "subject_gone"},
                                                {Resolution::rule_changed, "rule_changed"},
                                                {Resolution::rule_disabled, "rule_disabled"},
                                                {Resolution::rule_deleted, "rule_deleted"}}};

template <class Value, std::size_t Count>
std::string_view word_of(const Words<Value, Count>& words, Value value) {
  for (const auto& [known, word] : words) {
    if (known == value) return word;
  }
  return "";
}

template <class Value, std::size_t Count>
std::optional<Value> value_of(const Words<Value, Count>& words, std::string_view text) {
  for (const auto& [known, word] : words) {
    if (word == text) return known;
  }
  return std::nullopt;
}

struct Bounds {
  double least;
  double most;
};

/// 0 is too little for what is raised by reaching it.
Bounds threshold_bounds(AlertType type) {
  switch (type) {
    case AlertType::traffic:
      return {1, kMostTraffic};
    case AlertType::cpu:
    case AlertType::memory:
    case AlertType::disk:
      return {0.1, 100};
    case AlertType::server_down:
      return {0, kMostSeconds};
    case AlertType::rental_expiry:
      return {0, kMostDays};
  }
  return {0, 0};
}

bool fits(std::string_view text, std::size_t most) {
  const auto characters = static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
  return characters >= 1 && characters <= most && is_utf8(text) &&
         std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

/// What exactly an address may be is decided by whoever sends to it.
bool looks_like_address(std::string_view text) {
  const std::size_t at = text.find('@');
  return text.size() <= kLongestAddress && at != std::string_view::npos && at > 0 && at + 1 < text.size() &&
         std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

std::string_view name(AlertType type) {
  return word_of(kTypes, type);
}
std::string_view name(Severity severity) {
  return word_of(kSeverities, severity);
}
std::string_view name(SubjectKind kind) {
  return word_of(kKinds, kind);
}
std::string_view name(Resolution resolution) {
  return word_of(kResolutions, resolution);
}
std::optional<AlertType> parse_alert_type(std::string_view word) {
  return value_of(kTypes, word);
}
std::optional<Severity> parse_severity(std::string_view word) {
  return value_of(kSeverities, word);
}
std::optional<SubjectKind> parse_subject_kind(std::string_view word) {
  return value_of(kKinds, word);
}
std::optional<Resolution> parse_resolution(std::string_view word) {
  return value_of(kResolutions, word);
}

const std::vector<AlertType>& alert_types() {
  static const std::vector<AlertType> types = [] {
    std::vector<AlertType> all;
    for (const auto& [type, word] : kTypes) all.push_back(type);
    return all;
  }();
  return types;
}

Result<void> check_alert_rule(const AlertRule& rule) {
  std::vector<FieldError> refused;
  const Bounds bounds = threshold_bounds(rule.type);
  if (!std::isfinite(rule.threshold) || rule.threshold < bounds.least || rule.threshold > bounds.most) {
    refused.push_back({"threshold", {"超出该类型的范围", "This is out of range for the type"}});
  }
  if (!fits(rule.message, kLongestMessage)) {
    refused.push_back({"message", {"应为 1 到 500 个字符，不含换行", "This must be 1 to 500 characters on one line"}});
  }
  if (rule.subject && !fits(*rule.subject, kLongestSubject)) {
    refused.push_back({"subject", {"应为容器或服务器的名称", "This must be the name of a container or a server"}});
  }
  if (rule.duration < std::chrono::seconds(0) || rule.duration > std::chrono::hours(24)) {
    refused.push_back({"duration", {"应为 0 到 86400 秒", "This must be 0 to 86400 seconds"}});
  }
  if (!std::isfinite(rule.hysteresis) || rule.hysteresis < kLeastHysteresis || rule.hysteresis > 1) {
    refused.push_back({"hysteresis", {"应为 0.5 到 1", "This must be 0.5 to 1"}});
  }
  if (rule.recipients.size() > kMostRecipients || !std::ranges::all_of(rule.recipients, looks_like_address)) {
    refused.push_back({"recipients", {"应为最多 20 个邮件地址", "This must be at most 20 mail addresses"}});
  }
  if (refused.empty()) return {};
  return Error(ErrorCode::invalid_argument, "alert.invalid", {"告警规则无效", "The alert is invalid"})
      .with_fields(std::move(refused));
}

bool breaches(const AlertRule& rule, double value) {
  if (rule.type == AlertType::rental_expiry) return value <= rule.threshold;
  // A server that answers is never down, whatever the threshold.
  if (rule.type == AlertType::server_down) return value > 0 && value >= rule.threshold;
  return value >= rule.threshold;
}

bool clears(const AlertRule& rule, double value) {
  // These do not waver: a rental was renewed or not, a server answers or not.
  if (rule.type == AlertType::rental_expiry) return value > rule.threshold;
  if (rule.type == AlertType::server_down) return value <= 0;
  return value < rule.threshold * rule.hysteresis;
}

double worse(AlertType type, double a, double b) {
  return type == AlertType::rental_expiry ? std::min(a, b) : std::max(a, b);
}

}  // namespace berth::telemetry
