#include "app/alert_teller.h"

#include <fmt/format.h>

namespace berth::app {

using notify::NoticeKind;

Result<bool> AlertTeller::raised(store::Transaction& transaction, const telemetry::AlertRule& rule,
                                 const telemetry::AlertEpisode& episode) {
  return tell(transaction, NoticeKind::alert_raised, rule, episode);
}

Result<bool> AlertTeller::resolved(store::Transaction& transaction, const telemetry::AlertRule& rule,
                                   const telemetry::AlertEpisode& episode) {
  return tell(transaction, NoticeKind::alert_resolved, rule, episode);
}

Result<bool> AlertTeller::tell(store::Transaction& transaction, NoticeKind kind, const telemetry::AlertRule& rule,
                               const telemetry::AlertEpisode& episode) {
  notify::Notice notice;
  notice.kind = kind;
  notice.operators = true;
  for (const auto& address : rule.recipients) notice.mail_to.push_back({address});
  const auto word = kind == NoticeKind::alert_raised ? "raised" : "resolved";
  notice.dedup_key = fmt::format("alert:{}:{}", episode.id.value(), word);
  notice.values = {{"severity", std::string(telemetry::name(episode.severity))},
                   {"message", episode.message},
                   {"subject", episode.subject},
                   {"type", std::string(telemetry::name(episode.type))},
                   {"value", fmt::format("{:.6g}", episode.value)},
                   {"peak", fmt::format("{:.6g}", episode.peak)},
                   {"threshold", fmt::format("{:.6g}", episode.threshold)},
                   {"raised_at", format_utc(episode.raised_at)},
                   {"resolved_at", episode.resolved_at ? format_utc(*episode.resolved_at) : ""},
                   {"episode_id", std::to_string(episode.id.value())}};
  const auto queued = notifier_.enqueue(transaction, notice);
  if (queued) return true;
  if (queued.error().reason() == "notify.queue_full") return false;
  return queued.error();
}

}  // namespace berth::app
