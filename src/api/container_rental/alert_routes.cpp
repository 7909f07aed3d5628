#include "api/container_rental/alert_routes.h"

#include <map>

#include "api/container_rental/alert_wire.h"
#include "api/container_rental/container_rental.h"
#include "api/container_rental/notification_routes.h"
#include "api/container_rental/wire.h"

namespace berth::api::container_rental {
namespace {

using http::Method;
using identity::permissions::kAlertsManage;
using identity::permissions::kAlertsRead;
using telemetry::AlertEpisode;
using telemetry::AlertRule;
using telemetry::AlertRuleId;
using telemetry::AlertType;
using telemetry::Severity;

/// The words are checked by the request's rules.
AlertType type_of(const std::string& word) {
  return telemetry::parse_alert_type(word).value_or(AlertType::traffic);
}
Severity severity_of(const std::string& word) {
  return telemetry::parse_severity(word).value_or(Severity::warning);
}

std::optional<std::string> moment_of(const std::optional<Timestamp>& time) {
  if (!time) return std::nullopt;
  return format_utc(*time);
}
Result<std::optional<Timestamp>> moment(const std::optional<std::string>& text) {
  if (!text) return std::optional<Timestamp>();
  return std::optional(BERTH_TRY(parse_timestamp(*text)));
}

using RaisedSubjects = std::map<AlertRuleId, std::vector<std::string>>;

RaisedSubjects raised_by_rule(const telemetry::AlertEngine& alerts) {
  RaisedSubjects raised;
  for (const auto& episode : alerts.open()) raised[episode.rule].push_back(episode.subject);
  return raised;
}

AlertInfo info_of(const AlertRule& rule, const RaisedSubjects& raised) {
  AlertInfo info;
  info.alert_id = rule.id.value();
  info.alert_type = name(rule.type);
  info.threshold = rule.threshold;
  info.message = rule.message;
  info.subject = rule.subject;
  info.duration = rule.duration.count();
  info.hysteresis = rule.hysteresis;
  info.severity = name(rule.severity);
  info.enabled = rule.enabled;
  info.silenced_until = moment_of(rule.silenced_until);
  info.recipients = rule.recipients;
  if (const auto found = raised.find(rule.id); found != raised.end()) info.raised = found->second;
  info.state = !rule.enabled ? "disabled" : info.raised.empty() ? "ok" : "raised";
  info.created_at = format_utc(rule.created_at);
  info.updated_at = format_utc(rule.updated_at);
  return info;
}

EpisodeInfo info_of(const AlertEpisode& episode) {
  EpisodeInfo info;
  info.episode_id = episode.id.value();
  info.alert_id = episode.rule.value();
  info.alert_type = name(episode.type);
  info.subject_kind = name(episode.subject_kind);
  info.subject = episode.subject;
  info.severity = name(episode.severity);
  info.message = episode.message;
  info.threshold = episode.threshold;
  info.value = episode.value;
  info.peak = episode.peak;
  info.state = episode.resolved_at ? "resolved" : "raised";
  info.raised_at = format_utc(episode.raised_at);
  info.notified_at = moment_of(episode.notified_at);
  info.resolved_at = moment_of(episode.resolved_at);
  if (episode.resolution) info.resolution = name(*episode.resolution);
  return info;
}

/// Whoever makes a rule is told, unless the request says who is.
std::vector<std::string> creator_of(const AlertRouteParts& parts, const Call& call) {
  if (call.principal->user_id == UserId()) return {};
  const auto user = parts.identity.find_user(call.principal->user_id);
  if (!user || user->email.empty()) return {};
  return {user->email};
}

AlertRule rule_of(const AlertRequest& request) {
  AlertRule rule;
  rule.type = type_of(request.alert_type);
  rule.threshold = request.threshold;
  rule.message = request.message;
  rule.subject = request.subject;
  rule.duration = std::chrono::seconds(request.duration.value_or(0));
  rule.hysteresis = request.hysteresis.value_or(rule.hysteresis);
  if (request.severity) rule.severity = severity_of(*request.severity);
  rule.enabled = request.enabled.value_or(true);
  return rule;
}

telemetry::AlertRuleChange change_of(const AlertChangeRequest& request) {
  telemetry::AlertRuleChange change;
  if (request.alert_type) change.type = type_of(*request.alert_type);
  change.threshold = request.threshold;
  change.message = request.message;
  change.subject = request.subject;
  if (request.duration) change.duration = std::chrono::seconds(*request.duration);
  change.hysteresis = request.hysteresis;
  if (request.severity) change.severity = severity_of(*request.severity);
  change.enabled = request.enabled;
  change.recipients = request.recipients;
  return change;
}

Result<Timestamp> silence_end(const SilenceRequest& request, Timestamp now) {
  if (request.until.has_value() == request.minutes.has_value()) {
    const Text message{"until 与 minutes 应给出其一", "Give either until or minutes"};
    return Error(ErrorCode::invalid_argument, "alert.invalid", message).with_field("until", message);
  }
  if (request.until) return parse_timestamp(*request.until);
  return now + std::chrono::minutes(*request.minutes);
}

void add_reading_routes(Contract& contract, const AlertRouteParts& parts) {
  contract.add<Nothing, Nothing, Nothing>(
      {Method::get, "/api/alerts/list", kAlertsRead, {"告警列表", "Alerts"}, "alerts"},
      [parts](const Call&, Nothing, Nothing, Nothing) -> Result<AlertList> {
        const RaisedSubjects raised = raised_by_rule(parts.alerts);
        AlertList answer;
        for (const auto& rule : parts.alerts.list()) answer.alerts.push_back(info_of(rule, raised));
        return answer;
      });
  contract.add<AlertPath, Nothing, Nothing>(
      {Method::get, "/api/alerts/{alert_id}", kAlertsRead, {"告警详情", "One alert"}, "alerts"},
      [parts](const Call&, AlertPath path, Nothing, Nothing) -> Result<AlertInfo> {
        return info_of(BERTH_TRY(parts.alerts.find(AlertRuleId(path.alert_id))), raised_by_rule(parts.alerts));
      });
  contract.add<Nothing, EpisodeQuery, Nothing>(
      {Method::get, "/api/alerts/history", kAlertsRead, {"告警历史", "What was raised"}, "alerts", &parts.reads},
      [parts](const Call&, Nothing, EpisodeQuery query, Nothing) -> Result<EpisodeList> {
        telemetry::EpisodeFilter filter;
        if (query.alert_id) filter.rule = AlertRuleId(*query.alert_id);
        if (query.alert_type) filter.type = type_of(*query.alert_type);
        filter.subject = query.subject;
        if (query.state) filter.open = *query.state == "raised";
        filter.from = BERTH_TRY(moment(query.from));
        filter.until = BERTH_TRY(moment(query.until));
        filter.limit = query.limit;
        filter.offset = query.offset;
        const auto page = BERTH_TRY(parts.alerts.history(filter));
        EpisodeList answer;
        answer.total = page.total;
        for (const auto& episode : page.episodes) answer.history.push_back(info_of(episode));
        return answer;
      });
}

void add_changing_routes(Contract& contract, const AlertRouteParts& parts) {
  contract.add<Nothing, Nothing, AlertRequest>(
      {Method::post, "/api/alerts/add", kAlertsManage, {"添加告警", "Add an alert"}, "alerts", &parts.reads},
      [parts](const Call& call, Nothing, Nothing, AlertRequest body) -> Result<AlertAdded> {
        AlertRule rule = rule_of(body);
        rule.recipients = body.recipients ? std::move(*body.recipients) : creator_of(parts, call);
        const auto added = BERTH_TRY(parts.alerts.add(std::move(rule), call.origin()));
        const Text done{"告警添加成功", "Alert added successfully"};
        return AlertAdded{done.in(call.language), added.id.value()};
      });
  contract.add<AlertPath, Nothing, AlertChangeRequest>(
      {Method::put, "/api/alerts/{alert_id}", kAlertsManage, {"更新告警", "Change an alert"}, "alerts", &parts.reads},
      [parts](const Call& call, AlertPath path, Nothing, AlertChangeRequest body) -> Result<Done> {
        BERTH_TRY(parts.alerts.update(AlertRuleId(path.alert_id), change_of(body), call.origin()));
        const Text done{"告警更新成功", "Alert updated successfully"};
        return Done{done.in(call.language)};
      });
  contract.add<AlertPath, Nothing, Nothing>(
      {Method::delete_,
       "/api/alerts/{alert_id}",
       kAlertsManage,
       {"删除告警", "Delete an alert"},
       "alerts",
       &parts.reads},
      [parts](const Call& call, AlertPath path, Nothing, Nothing) -> Result<Done> {
        BERTH_CHECK(parts.alerts.remove(AlertRuleId(path.alert_id), call.origin()));
        const Text done{"告警删除成功", "Alert deleted successfully"};
        return Done{done.in(call.language)};
      });
  contract.add<AlertPath, Nothing, SilenceRequest>(
      {Method::post,
       "/api/alerts/{alert_id}/silence",
       kAlertsManage,
       {"静默告警", "Tell nobody of an alert for a while"},
       "alerts",
       &parts.reads},
      [parts](const Call& call, AlertPath path, Nothing, SilenceRequest body) -> Result<Done> {
        const Timestamp until = BERTH_TRY(silence_end(body, parts.clock.now()));
        BERTH_TRY(parts.alerts.silence(AlertRuleId(path.alert_id), until, call.origin()));
        const Text done{"告警已静默", "Alert silenced successfully"};
        return Done{done.in(call.language)};
      });
  contract.add<AlertPath, Nothing, Nothing>(
      {Method::delete_,
       "/api/alerts/{alert_id}/silence",
       kAlertsManage,
       {"取消静默", "Tell of an alert again"},
       "alerts",
       &parts.reads},
      [parts](const Call& call, AlertPath path, Nothing, Nothing) -> Result<Done> {
        BERTH_TRY(parts.alerts.silence(AlertRuleId(path.alert_id), std::nullopt, call.origin()));
        const Text done{"已取消静默", "Alert no longer silenced"};
        return Done{done.in(call.language)};
      });
}

}  // namespace

void add_alert_routes(Contract& contract, const AlertRouteParts& parts) {
  add_reading_routes(contract, parts);
  add_changing_routes(contract, parts);
}

void ContainerRental::add_alert_routes() {
  container_rental::add_alert_routes(*contract_, {parts_.alerts, parts_.identity, parts_.clock, parts_.reads});
  add_notification_routes(*contract_, {parts_.notifier, parts_.changes, parts_.reads});
}

}  // namespace berth::api::container_rental
