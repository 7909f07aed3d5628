#include "telemetry/alert_board.h"

#include <algorithm>
#include <utility>

namespace berth::telemetry {

void AlertBoard::restore(const std::vector<AlertEpisode>& open) {
  std::map<AlertEpisodeId, double> peaks;
  for (auto& [rule, watches] : watches_) {
    std::erase_if(watches, [&](const auto& entry) {
      if (entry.second.episode) peaks[entry.second.episode->id] = entry.second.episode->peak;
      return entry.second.episode.has_value();
    });
  }
  for (AlertEpisode episode : open) {
    if (const auto peak = peaks.find(episode.id); peak != peaks.end()) {
      episode.peak = worse(episode.type, episode.peak, peak->second);
    }
    watches_[episode.rule][{episode.subject_kind, episode.subject}].episode = episode;
  }
}

void AlertBoard::keep_only(const std::vector<AlertRule>& rules) {
  std::erase_if(watches_, [&](const auto& entry) {
    return std::ranges::none_of(rules, [&](const AlertRule& rule) { return rule.enabled && rule.id == entry.first; });
  });
}

AlertEpisode AlertBoard::episode_of(const AlertRule& rule, const Key& key, double value, Timestamp now) {
  AlertEpisode episode;
  episode.rule = rule.id;
  episode.type = rule.type;
  episode.subject_kind = key.kind;
  episode.subject = key.subject;
  episode.severity = rule.severity;
  episode.message = rule.message;
  episode.threshold = rule.threshold;
  episode.value = value;
  episode.peak = value;
  episode.raised_at = now;
  return episode;
}

std::vector<AlertTransition> AlertBoard::judge(const AlertRule& rule, const std::vector<const Measurement*>& measured,
                                               Timestamp now, Instant instant) {
  std::vector<AlertTransition> transitions;
  Watches& watches = watches_[rule.id];
  ++round_;
  for (const Measurement* measurement : measured) {
    const bool breached = measurement->value && breaches(rule, *measurement->value);
    if (!breached && watches.empty()) continue;
    const Key key{measurement->kind, measurement->subject};
    auto found = watches.find(key);
    if (found == watches.end()) {
      if (!breached) continue;
      found = watches.emplace(key, Watch{.since = instant, .episode = {}, .round = 0}).first;
    }
    Watch& watch = found->second;
    watch.round = round_;
    if (!measurement->value) continue;
    if (!watch.episode) {
      if (!breached) {
        watches.erase(found);
      } else if (instant - watch.since >= rule.duration) {
        transitions.push_back({AlertTransition::Kind::raise, rule, episode_of(rule, key, *measurement->value, now)});
      }
      continue;
    }
    AlertEpisode& episode = *watch.episode;
    episode.peak = worse(rule.type, episode.peak, *measurement->value);
    if (clears(rule, *measurement->value)) {
      transitions.push_back({AlertTransition::Kind::resolve, rule, episode});
      transitions.back().episode.resolved_at = now;
      transitions.back().episode.resolution = Resolution::recovered;
    } else if (!episode.notified_at && !rule.silenced(now)) {
      transitions.push_back({AlertTransition::Kind::notify, rule, episode});
    }
  }
  for (auto entry = watches.begin(); entry != watches.end();) {
    if (entry->second.round == round_) {
      ++entry;
    } else if (!entry->second.episode) {
      entry = watches.erase(entry);
    } else {
      transitions.push_back({AlertTransition::Kind::resolve, rule, *entry->second.episode});
      transitions.back().episode.resolved_at = now;
      transitions.back().episode.resolution = Resolution::subject_gone;
      ++entry;
    }
  }
  return transitions;
}

void AlertBoard::apply(const AlertTransition& transition) {
  Watches& watches = watches_[transition.rule.id];
  const Key key{transition.episode.subject_kind, transition.episode.subject};
  if (transition.kind == AlertTransition::Kind::resolve) {
    watches.erase(key);
  } else {
    watches[key].episode = transition.episode;
  }
}

std::vector<AlertEpisode> AlertBoard::open() const {
  std::vector<AlertEpisode> episodes;
  for (const auto& [rule, watches] : watches_) {
    for (const auto& [key, watch] : watches) {
      if (watch.episode) episodes.push_back(*watch.episode);
    }
  }
  return episodes;
}

std::size_t AlertBoard::open_count() const {
  std::size_t count = 0;
  for (const auto& [rule, watches] : watches_) {
    count += static_cast<std::size_t>(
        std::ranges::count_if(watches, [](const auto& entry) { return entry.second.episode.has_value(); }));
  }
  return count;
}

}  // namespace berth::telemetry
