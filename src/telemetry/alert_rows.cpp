#include "telemetry/alert_rows.h"

#include <string>
#include <utility>

#include "json/read.h"
#include "json/write.h"

namespace berth::telemetry::alert_rows {
namespace {

AlertRule read_rule(const store::Row& row) {
  AlertRule rule;
  rule.id = AlertRuleId(row.integer("id"));
  rule.type = parse_alert_type(row.text("type")).value_or(AlertType::traffic);
  rule.threshold = row.real("threshold");
  rule.message = row.text("message");
  rule.subject = row.optional_text("subject");
  rule.duration = std::chrono::seconds(row.integer("duration"));
  rule.hysteresis = row.real("hysteresis");
  rule.severity = parse_severity(row.text("severity")).value_or(Severity::warning);
  rule.enabled = row.flag("enabled");
  rule.silenced_until = row.optional_time("silenced_until");
  if (auto recipients = json::from_json<std::vector<std::string>>(row.text("recipients"))) {
    rule.recipients = *std::move(recipients);
  }
  rule.created_by = row.integer("created_by");
  rule.created_at = row.time("created_at");
  rule.updated_at = row.time("updated_at");
  return rule;
}

AlertEpisode read_episode(const store::Row& row) {
  AlertEpisode episode;
  episode.id = AlertEpisodeId(row.integer("id"));
  episode.rule = AlertRuleId(row.integer("rule_id"));
  episode.type = parse_alert_type(row.text("type")).value_or(AlertType::traffic);
  episode.subject_kind = parse_subject_kind(row.text("subject_kind")).value_or(SubjectKind::container);
  episode.subject = row.text("subject");
  episode.severity = parse_severity(row.text("severity")).value_or(Severity::warning);
  episode.message = row.text("message");
  episode.threshold = row.real("threshold");
  episode.value = row.real("value");
  episode.peak = row.real("peak");
  episode.raised_at = row.time("raised_at");
  episode.notified_at = row.optional_time("notified_at");
  episode.resolved_at = row.optional_time("resolved_at");
  if (const auto word = row.optional_text("resolution")) episode.resolution = parse_resolution(*word);
  return episode;
}

store::Parameters parameters_of(const AlertRule& rule) {
  return {{"type", name(rule.type)},
          {"threshold", rule.threshold},
          {"message", rule.message},
          {"subject", rule.subject},
          {"duration", std::int64_t{rule.duration.count()}},
          {"hysteresis", rule.hysteresis},
          {"severity", name(rule.severity)},
          {"enabled", rule.enabled},
          {"silenced", rule.silenced_until},
          {"recipients", json::to_json(rule.recipients)},
          {"updated", rule.updated_at}};
}

std::vector<AlertEpisode> read_all(const store::Rows& rows) {
  std::vector<AlertEpisode> episodes;
  episodes.reserve(rows.size());
  for (const auto& row : rows) episodes.push_back(read_episode(row));
  return episodes;
}

}  // namespace

Result<std::vector<AlertRule>> rules(store::Transaction& transaction) {
  std::vector<AlertRule> found;
  const auto rows = BERTH_TRY(transaction.query("SELECT * FROM alert_rules ORDER BY id"));
  for (const auto& row : rows) found.push_back(read_rule(row));
  return found;
}

Result<AlertRuleId> insert(store::Transaction& transaction, const AlertRule& rule) {
  auto parameters = parameters_of(rule);
  parameters.emplace_back("by", rule.created_by);
  parameters.emplace_back("created", rule.created_at);
  return AlertRuleId(BERTH_TRY(transaction.insert(
      "INSERT INTO alert_rules (type, threshold, message, subject, duration, hysteresis, severity, enabled, "
      "silenced_until, recipients, created_by, created_at, updated_at) VALUES (:type, :threshold, :message, :subject, "
      ":duration, :hysteresis, :severity, :enabled, :silenced, :recipients, :by, :created, :updated)",
      parameters)));
}

Result<void> update(store::Transaction& transaction, const AlertRule& rule) {
  auto parameters = parameters_of(rule);
  parameters.emplace_back("id", rule.id);
  BERTH_CHECK(transaction.execute(
      "UPDATE alert_rules SET type = :type, threshold = :threshold, message = :message, subject = :subject, duration = "
      ":duration, hysteresis = :hysteresis, severity = :severity, enabled = :enabled, silenced_until = :silenced, "
      "recipients = :recipients, updated_at = :updated WHERE id = :id",
      parameters));
  return {};
}

Result<void> remove(store::Transaction& transaction, AlertRuleId id) {
  BERTH_CHECK(transaction.execute("DELETE FROM alert_rules WHERE id = :id", {{"id", id}}));
  return {};
}

Result<std::vector<AlertEpisode>> open_episodes(store::Transaction& transaction) {
  return read_all(BERTH_TRY(transaction.query("SELECT * FROM alert_episodes WHERE resolved_at IS NULL ORDER BY id")));
}

Result<std::optional<AlertEpisodeId>> insert(store::Transaction& transaction, const AlertEpisode& episode) {
  const auto added = BERTH_TRY(transaction.execute(
      "INSERT INTO alert_episodes (rule_id, type, subject_kind, subject, severity, message, threshold, value, peak, "
      "raised_at, notified_at) VALUES (:rule, :type, :kind, :subject, :severity, :message, :threshold, :value, :peak, "
      ":raised, :notified) ON CONFLICT DO NOTHING",
      {{"rule", episode.rule},
       {"type", name(episode.type)},
       {"kind", name(episode.subject_kind)},
       {"subject", episode.subject},
       {"severity", name(episode.severity)},
       {"message", episode.message},
       {"threshold", episode.threshold},
       {"value", episode.value},
       {"peak", episode.peak},
       {"raised", episode.raised_at},
       {"notified", episode.notified_at}}));
  if (added == 0) return std::optional<AlertEpisodeId>();
  const auto rows = BERTH_TRY(transaction.query(
      "SELECT id FROM alert_episodes WHERE rule_id = :rule AND subject_kind = :kind AND subject = :subject AND "
      "resolved_at IS NULL",
      {{"rule", episode.rule}, {"kind", name(episode.subject_kind)}, {"subject", episode.subject}}));
  return std::optional(AlertEpisodeId(rows.front().integer("id")));
}

Result<void> update(store::Transaction& transaction, const AlertEpisode& episode) {
  std::optional<std::string> resolution;
  if (episode.resolution) resolution = name(*episode.resolution);
  BERTH_CHECK(
      transaction.execute("UPDATE alert_episodes SET peak = :peak, notified_at = :notified, resolved_at = "
                          ":resolved, resolution = :resolution WHERE id = :id",
                          {{"peak", episode.peak},
                           {"notified", episode.notified_at},
                           {"resolved", episode.resolved_at},
                           {"resolution", resolution},
                           {"id", episode.id}}));
  return {};
}

Result<void> end_episodes(store::Transaction& transaction, AlertRuleId rule, Resolution why, Timestamp now) {
  BERTH_CHECK(
      transaction.execute("UPDATE alert_episodes SET resolved_at = :now, resolution = :why WHERE rule_id = "
                          ":rule AND resolved_at IS NULL",
                          {{"now", now}, {"why", name(why)}, {"rule", rule}}));
  return {};
}

Result<EpisodePage> list(store::Transaction& transaction, const EpisodeFilter& filter) {
  std::string where;
  store::Parameters parameters;
  const auto add = [&](std::string_view condition, std::string parameter, store::Value value) {
    where += where.empty() ? " WHERE " : " AND ";
    where += condition;
    if (!parameter.empty()) parameters.emplace_back(std::move(parameter), std::move(value));
  };
  if (filter.rule) add("rule_id = :rule", "rule", *filter.rule);
  if (filter.subject) add("subject = :subject", "subject", *filter.subject);
  if (filter.type) add("type = :type", "type", name(*filter.type));
  if (filter.open) add(*filter.open ? "resolved_at IS NULL" : "resolved_at IS NOT NULL", "", nullptr);
  if (filter.from) add("raised_at >= :begin", "begin", *filter.from);
  if (filter.until) add("raised_at < :end", "end", *filter.until);
  EpisodePage page;
  page.total =
      BERTH_TRY(transaction.query("SELECT count(*) AS n FROM alert_episodes" + where, parameters)).front().integer("n");
  parameters.emplace_back("limit", filter.limit);
  parameters.emplace_back("offset", filter.offset);
  page.episodes = read_all(BERTH_TRY(transaction.query(
      "SELECT * FROM alert_episodes" + where + " ORDER BY raised_at DESC, id DESC LIMIT :limit OFFSET :offset",
      parameters)));
  return page;
}

Result<std::int64_t> forget(store::Transaction& transaction, Timestamp before, std::int64_t most) {
  return transaction.execute(
      "DELETE FROM alert_episodes WHERE id IN (SELECT id FROM alert_episodes WHERE raised_at < "
      ":before AND resolved_at IS NOT NULL ORDER BY raised_at LIMIT :most)",
      {{"before", before}, {"most", most}});
}

}  // namespace berth::telemetry::alert_rows
