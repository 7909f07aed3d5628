#pragma once

#include <optional>
#include <vector>

#include "base/result.h"
#include "store/database.h"
#include "telemetry/alert_rule.h"

namespace berth::telemetry {

struct EpisodeFilter {
  std::optional<AlertRuleId> rule;
  std::optional<std::string> subject;
  std::optional<AlertType> type;
  std::optional<bool> open;
  std::optional<Timestamp> from;   ///< raised at or after
  std::optional<Timestamp> until;  ///< raised before
  std::int64_t limit = 50;         ///< 1 to 1000
  std::int64_t offset = 0;
};

struct EpisodePage {
  std::vector<AlertEpisode> episodes;  ///< newest first
  std::int64_t total = 0;
};

/// How rules and episodes rest in the store.
namespace alert_rows {

Result<std::vector<AlertRule>> rules(store::Transaction& transaction);
Result<AlertRuleId> insert(store::Transaction& transaction, const AlertRule& rule);
Result<void> update(store::Transaction& transaction, const AlertRule& rule);
Result<void> remove(store::Transaction& transaction, AlertRuleId id);

Result<std::vector<AlertEpisode>> open_episodes(store::Transaction& transaction);
/// Nothing if there is an open one of that rule and subject already.
Result<std::optional<AlertEpisodeId>> insert(store::Transaction& transaction, const AlertEpisode& episode);
/// Writes peak, notified_at, resolved_at and resolution.
Result<void> update(store::Transaction& transaction, const AlertEpisode& episode);
/// Ends every open episode of a rule.
Result<void> end_episodes(store::Transaction& transaction, AlertRuleId rule, Resolution why, Timestamp now);
Result<EpisodePage> list(store::Transaction& transaction, const EpisodeFilter& filter);
/// Forgets at most `most` that were resolved before `before`.
Result<std::int64_t> forget(store::Transaction& transaction, Timestamp before, std::int64_t most);

}  // namespace alert_rows
}  // namespace berth::telemetry
