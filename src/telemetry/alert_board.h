#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "telemetry/alert_rule.h"

namespace berth::telemetry {

/// The newest value of one thing that a rule can be about.
struct Measurement {
  SubjectKind kind = SubjectKind::container;
  std::string subject;
  std::optional<double> value;  ///< nothing: it is there, but cannot be measured now
};

/// What is to become of an episode.
struct AlertTransition {
  enum class Kind {
    raise,    ///< a new one
    notify,   ///< raised before, and now somebody may be told
    resolve,  ///< over
  } kind = Kind::raise;
  AlertRule rule;
  AlertEpisode episode;  ///< as it is to be stored; a new one has no id yet
};

/// Which rule stands how with which subject: quiet, breached but not yet long enough, or raised. Pure: knows neither
/// store nor clock. Not thread-safe.
class AlertBoard {
 public:
  /// Takes what is open in the store for what is raised; what is not yet raised stays as it is.
  void restore(const std::vector<AlertEpisode>& open);
  /// Drops what rules that are not among these (or are switched off) had begun.
  void keep_only(const std::vector<AlertRule>& rules);

  /// What follows from the newest values of everything that the rule is about. Nothing is raised or resolved here
  /// until `apply` says that the store knows of it.
  std::vector<AlertTransition> judge(const AlertRule& rule, const std::vector<const Measurement*>& measured,
                                     Timestamp now, Instant instant);
  void apply(const AlertTransition& transition);

  /// With their worst value so far.
  std::vector<AlertEpisode> open() const;
  std::size_t open_count() const;

 private:
  struct Key {
    SubjectKind kind;
    std::string subject;
    auto operator<=>(const Key&) const = default;
  };
  struct Watch {
    Instant since{};                      ///< when it was breached first
    std::optional<AlertEpisode> episode;  ///< once raised
    std::uint64_t round = 0;              ///< when it was measured last
  };
  using Watches = std::map<Key, Watch>;

  static AlertEpisode episode_of(const AlertRule& rule, const Key& key, double value, Timestamp now);

  std::map<AlertRuleId, Watches> watches_;
  std::uint64_t round_ = 0;
};

}  // namespace berth::telemetry
