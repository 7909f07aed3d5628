#include "telemetry/alert_engine.h"

#include <pthread.h>

#include <algorithm>
#include <boost/describe/class.hpp>
#include <functional>
#include <unordered_map>
#include <utility>

#include "base/log.h"
#include "json/write.h"

namespace berth::telemetry {
namespace {

constexpr std::string_view kChannel = "alerts";
constexpr std::chrono::hours kLongestSilence{366 * 24};
constexpr std::chrono::hours kSweepInterval{1};
constexpr std::int64_t kSweepBatch = 1000;

struct RuleDetails {
  std::string type;
  double threshold = 0;
  std::optional<std::string> subject;
  bool enabled = true;
  std::optional<std::string> silenced_until;
};
BOOST_DESCRIBE_STRUCT(RuleDetails, (), (type, threshold, subject, enabled, silenced_until))

audit::Entry entry_of(std::string_view action, const AlertRule& rule) {
  RuleDetails details{std::string(name(rule.type)), rule.threshold, rule.subject, rule.enabled, {}};
  if (rule.silenced_until) details.silenced_until = format_utc(*rule.silenced_until);
  return {.action = std::string(action),
          .resource_type = "alert",
          .resource_id = std::to_string(rule.id.value()),
          .details = json::to_json(details)};
}

Error not_found() {
  return Error(ErrorCode::not_found, "alert.not_found", {"告警不存在", "Alert not found"});
}

AlertRule changed(AlertRule rule, const AlertRuleChange& change) {
  rule.type = change.type.value_or(rule.type);
  rule.threshold = change.threshold.value_or(rule.threshold);
  rule.message = change.message.value_or(rule.message);
  if (change.subject) rule.subject = *change.subject;
  rule.duration = change.duration.value_or(rule.duration);
  rule.hysteresis = change.hysteresis.value_or(rule.hysteresis);
  rule.severity = change.severity.value_or(rule.severity);
  rule.enabled = change.enabled.value_or(rule.enabled);
  rule.recipients = change.recipients.value_or(rule.recipients);
  return rule;
}

}  // namespace

struct AlertEngine::Meters {
  explicit Meters(metrics::Registry& metrics)
      : open(metrics.gauge("berth_alerts_open", "Episodes that are raised now")),
        tick(metrics.histogram("berth_alerts_tick_seconds", "Time of evaluating every rule once")),
        unstored(metrics.counter("berth_alerts_unstored_total", "Rules whose outcome the store did not take")) {
    for (const AlertType type : alert_types()) {
      raised[type] =
          &metrics.counter("berth_alerts_raised_total", "Episodes raised", {{"type", std::string(name(type))}});
    }
  }

  metrics::Gauge& open;
  metrics::Histogram& tick;
  metrics::Counter& unstored;
  std::map<AlertType, metrics::Counter*> raised;
};

AlertEngine::AlertEngine(Settings settings, const Parts& parts)
    : settings_(settings),
      parts_(parts),
      meters_(std::make_unique<Meters>(parts.metrics)),
      mailbox_(std::make_shared<Mailbox>()) {}

Result<std::unique_ptr<AlertEngine>> AlertEngine::create(Settings settings, const Parts& parts) {
  std::unique_ptr<AlertEngine> engine(new AlertEngine(settings, parts));
  parts.database.listen([mailbox = engine->mailbox_](std::string_view channel, std::string_view) {
    if (channel != kChannel && channel != store::Database::kMissedChannel) return;
    const std::lock_guard lock(mailbox->mutex);
    mailbox->stale = true;
  });
  BERTH_CHECK(engine->reload());
  return engine;
}

AlertEngine::~AlertEngine() {
  stop();
}

void AlertEngine::start() {
  const std::lock_guard lock(thread_mutex_);
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
}

void AlertEngine::stop() {
  {
    const std::lock_guard lock(mailbox_->mutex);
    mailbox_->stopping = true;
  }
  mailbox_->changed.notify_all();
  const std::lock_guard lock(thread_mutex_);
  if (thread_.joinable()) thread_.join();
}

void AlertEngine::run() {
  pthread_setname_np(pthread_self(), "alerts");
  Instant next_sweep = parts_.clock.instant();
  std::unique_lock lock(mailbox_->mutex);
  while (!mailbox_->changed.wait_for(lock, settings_.interval, [this] { return mailbox_->stopping; })) {
    lock.unlock();
    tick();
    if (parts_.clock.instant() >= next_sweep) {
      if (const auto swept = sweep(); !swept) {
        log::warning("telemetry", "cannot forget old alerts: {}", swept.error().describe());
      }
      next_sweep = parts_.clock.instant() + kSweepInterval;
    }
    lock.lock();
  }
}

Result<void> AlertEngine::reload() {
  {
    const std::lock_guard lock(mailbox_->mutex);
    mailbox_->stale = false;
  }
  struct Found {
    std::vector<AlertRule> rules;
    std::vector<AlertEpisode> open;
  };
  auto found = BERTH_TRY(parts_.database.read([](store::Transaction& transaction) -> Result<Found> {
    return Found{BERTH_TRY(alert_rows::rules(transaction)), BERTH_TRY(alert_rows::open_episodes(transaction))};
  }));
  const std::lock_guard lock(published_);
  rules_ = std::move(found.rules);
  board_.restore(found.open);
  board_.keep_only(rules_);
  meters_->open.set(static_cast<double>(board_.open_count()));
  return {};
}

void AlertEngine::refresh() {
  const auto reloaded = reload();
  if (reloaded) return;
  log::warning("telemetry", "cannot read the alerts anew: {}", reloaded.error().describe());
  const std::lock_guard lock(mailbox_->mutex);
  mailbox_->stale = true;  // the next tick tries again
}

// Evaluating

void AlertEngine::tick() {
  const std::lock_guard working(working_);
  const Instant begun = std::chrono::steady_clock::now();
  bool stale = false;
  {
    const std::lock_guard lock(mailbox_->mutex);
    stale = mailbox_->stale;
  }
  if (stale) refresh();
  std::map<AlertType, std::vector<AlertRule>> by_type;
  for (auto& rule : list()) {
    if (rule.enabled) by_type[rule.type].push_back(std::move(rule));
  }
  for (const auto& [type, rules] : by_type) tick_type(type, rules);
  {
    const std::lock_guard lock(published_);
    meters_->open.set(static_cast<double>(board_.open_count()));
  }
  meters_->tick.observe(std::chrono::steady_clock::now() - begun);
}

void AlertEngine::tick_type(AlertType type, const std::vector<AlertRule>& rules) {
  const auto measured = parts_.source.measure(type);
  if (!measured) return;
  std::vector<const Measurement*> all;
  std::unordered_map<std::string_view, std::vector<const Measurement*>> by_name;
  for (const Measurement& measurement : *measured) {
    all.push_back(&measurement);
    by_name[measurement.subject].push_back(&measurement);
  }
  for (const AlertRule& rule : rules) {
    std::vector<AlertTransition> transitions;
    {
      const std::lock_guard lock(published_);
      transitions =
          board_.judge(rule, rule.subject ? by_name[*rule.subject] : all, parts_.clock.now(), parts_.clock.instant());
    }
    if (transitions.size() > settings_.storm_limit) transitions.resize(settings_.storm_limit);
    if (!transitions.empty()) settle(rule, std::move(transitions));
  }
}

void AlertEngine::settle(const AlertRule& rule, std::vector<AlertTransition> transitions) {
  const Timestamp now = parts_.clock.now();
  auto stored = parts_.database.write([&](store::Transaction& transaction) -> Result<std::vector<AlertTransition>> {
    std::vector<AlertTransition> done;
    for (AlertTransition transition : transitions) {
      if (BERTH_TRY(store(transaction, transition, now))) done.push_back(std::move(transition));
    }
    return done;
  });
  if (!stored) {
    meters_->unstored.add();
    log::warning("telemetry", "alert {} is not stored: {}", rule.id.value(), stored.error().describe());
    return;
  }
  const std::lock_guard lock(published_);
  for (const AlertTransition& transition : *stored) {
    board_.apply(transition);
    if (transition.kind == AlertTransition::Kind::raise) meters_->raised.at(rule.type)->add();
  }
}

/// False if another node was first.
Result<bool> AlertEngine::store(store::Transaction& transaction, AlertTransition& transition, Timestamp now) {
  AlertEpisode& episode = transition.episode;
  if (transition.kind == AlertTransition::Kind::raise) {
    const auto id = BERTH_TRY(alert_rows::insert(transaction, episode));
    if (!id) {
      const std::lock_guard lock(mailbox_->mutex);
      mailbox_->stale = true;
      return false;
    }
    episode.id = *id;
  }
  bool told = true;
  if (transition.kind == AlertTransition::Kind::resolve) {
    const bool by_itself =
        episode.resolution == Resolution::recovered || episode.resolution == Resolution::subject_gone;
    if (parts_.listener != nullptr && episode.notified_at && by_itself) {
      told = BERTH_TRY(parts_.listener->resolved(transaction, transition.rule, episode));
      if (!told) log::warning("telemetry", "nobody is told that alert episode {} is over", episode.id.value());
    }
  } else if (!transition.rule.silenced(now)) {
    if (parts_.listener != nullptr) {
      told = BERTH_TRY(parts_.listener->raised(transaction, transition.rule, episode));
    }
    if (told) episode.notified_at = now;
  }
  // A new one that nobody was told of is in the store as it is.
  if (transition.kind != AlertTransition::Kind::raise || episode.notified_at) {
    BERTH_CHECK(alert_rows::update(transaction, episode));
  }
  return true;
}

// Rules

Result<AlertRule> AlertEngine::add(AlertRule rule, const audit::Origin& origin) {
  rule.created_by = origin.user_id.value();
  rule.created_at = rule.updated_at = parts_.clock.now();
  rule.silenced_until.reset();
  BERTH_CHECK(check_alert_rule(rule));
  const std::lock_guard working(working_);
  rule.id = BERTH_TRY(parts_.database.write([&](store::Transaction& transaction) -> Result<AlertRuleId> {
    if (BERTH_TRY(alert_rows::rules(transaction)).size() >= settings_.rule_limit) {
      return Error(ErrorCode::conflict, "alert.limit", {"告警数量已达上限", "There are too many alerts already"});
    }
    AlertRule made = rule;
    made.id = BERTH_TRY(alert_rows::insert(transaction, rule));
    BERTH_CHECK(parts_.audit.append(transaction, origin, entry_of("alert.create", made)));
    BERTH_CHECK(announce(transaction));
    return made.id;
  }));
  refresh();
  return rule;
}

Result<AlertRule> AlertEngine::change(AlertRuleId id, std::string_view action, const audit::Origin& origin,
                                      const std::function<Result<void>(store::Transaction&, AlertRule&)>& edit) {
  const std::lock_guard working(working_);
  auto rule = BERTH_TRY(parts_.database.write([&](store::Transaction& transaction) -> Result<AlertRule> {
    const auto all = BERTH_TRY(alert_rows::rules(transaction));
    const auto found = std::ranges::find(all, id, &AlertRule::id);
    if (found == all.end()) return not_found();
    AlertRule edited = *found;
    BERTH_CHECK(edit(transaction, edited));
    BERTH_CHECK(parts_.audit.append(transaction, origin, entry_of(action, edited)));
    BERTH_CHECK(announce(transaction));
    return edited;
  }));
  refresh();
  return rule;
}

Result<AlertRule> AlertEngine::update(AlertRuleId id, const AlertRuleChange& change_wish, const audit::Origin& origin) {
  return change(id, "alert.update", origin, [&](store::Transaction& transaction, AlertRule& rule) -> Result<void> {
    const AlertRule before = std::exchange(rule, changed(rule, change_wish));
    BERTH_CHECK(check_alert_rule(rule));
    const Timestamp now = parts_.clock.now();
    rule.updated_at = now;
    if (!rule.enabled) {
      BERTH_CHECK(alert_rows::end_episodes(transaction, id, Resolution::rule_disabled, now));
    } else if (rule.type != before.type || rule.subject != before.subject) {
      BERTH_CHECK(alert_rows::end_episodes(transaction, id, Resolution::rule_changed, now));
    }
    return alert_rows::update(transaction, rule);
  });
}

Result<void> AlertEngine::remove(AlertRuleId id, const audit::Origin& origin) {
  BERTH_TRY(change(id, "alert.delete", origin, [&](store::Transaction& transaction, AlertRule&) -> Result<void> {
    BERTH_CHECK(alert_rows::end_episodes(transaction, id, Resolution::rule_deleted, parts_.clock.now()));
    return alert_rows::remove(transaction, id);
  }));
  return {};
}

Result<AlertRule> AlertEngine::silence(AlertRuleId id, std::optional<Timestamp> until, const audit::Origin& origin) {
  const Timestamp now = parts_.clock.now();
  if (until && (*until <= now || *until > now + kLongestSilence)) {
    const Text message{"应在将来，且不超过一年", "This must be in the future and at most a year away"};
    return Error(ErrorCode::invalid_argument, "alert.invalid", message).with_field("until", message);
  }
  return change(id, until ? "alert.silence" : "alert.unsilence", origin,
                [&](store::Transaction& transaction, AlertRule& rule) -> Result<void> {
                  rule.silenced_until = until;
                  rule.updated_at = now;
                  return alert_rows::update(transaction, rule);
                });
}

Result<void> AlertEngine::announce(store::Transaction& transaction) {
  return parts_.database.notify(transaction, kChannel, "");
}

// Looking

std::vector<AlertRule> AlertEngine::list() const {
  const std::lock_guard lock(published_);
  return rules_;
}

Result<AlertRule> AlertEngine::find(AlertRuleId id) const {
  const std::lock_guard lock(published_);
  const auto found = std::ranges::find(rules_, id, &AlertRule::id);
  if (found == rules_.end()) return not_found();
  return *found;
}

std::vector<AlertEpisode> AlertEngine::open() const {
  const std::lock_guard lock(published_);
  return board_.open();
}

Result<EpisodePage> AlertEngine::history(const EpisodeFilter& filter) {
  auto page = BERTH_TRY(
      parts_.database.read([&](store::Transaction& transaction) { return alert_rows::list(transaction, filter); }));
  // The worst value of what is still open is stored only when it ends.
  std::map<AlertEpisodeId, double> peaks;
  for (const auto& episode : open()) peaks[episode.id] = episode.peak;
  for (auto& episode : page.episodes) {
    const auto peak = peaks.find(episode.id);
    if (!episode.resolved_at && peak != peaks.end()) episode.peak = worse(episode.type, episode.peak, peak->second);
  }
  return page;
}

Result<std::int64_t> AlertEngine::sweep() {
  const Timestamp before = parts_.clock.now() - settings_.keep;
  std::int64_t forgotten = 0;
  while (true) {
    const auto some = BERTH_TRY(parts_.database.write(
        [&](store::Transaction& transaction) { return alert_rows::forget(transaction, before, kSweepBatch); }));
    forgotten += some;
    if (some < kSweepBatch) return forgotten;
  }
}

}  // namespace berth::telemetry
