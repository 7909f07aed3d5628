#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "audit/audit_log.h"
#include "base/clock.h"
#include "base/result.h"
#include "metrics/registry.h"
#include "store/database.h"
#include "telemetry/alert_board.h"
#include "telemetry/alert_rows.h"
#include "telemetry/alert_rule.h"

namespace berth::telemetry {

/// Where the engine gets its values from. Answers from memory; thread-safe.
class MetricSource {
 public:
  virtual ~MetricSource() = default;
  /// Everything that a rule of this type can be about, each subject once. What is absent no longer exists, and its
  /// episodes end; so nothing at all is to be returned as long as not everything is known (at the start). Several
  /// kinds may share a name.
  virtual std::optional<std::vector<Measurement>> measure(AlertType type) const = 0;
};

/// Who is told of episodes. Called within the transaction that records them, so that what it queues there is told if
/// and only if the episode is; called once for raised and at most once for resolved, by one thread at a time.
class AlertListener {
 public:
  virtual ~AlertListener() = default;
  /// False: there is no room to tell it now; asked again at the next tick.
  virtual Result<bool> raised(store::Transaction& transaction, const AlertRule& rule, const AlertEpisode& episode) = 0;
  /// Only of episodes that were told of as raised, and only if they ended by themselves.
  virtual Result<bool> resolved(store::Transaction& transaction, const AlertRule& rule,
                                const AlertEpisode& episode) = 0;
};

/// The alert engine of all contracts: rules, evaluated at every tick against the newest values. Per rule and subject
/// an episode is raised once, told once and resolved once, also over a restart: what was open then is taken up again,
/// while what was not yet breached long enough begins anew. Thread-safe; everything but `list`, `find` and `open` may
/// wait for the store.
class AlertEngine {
 public:
  struct Settings {
    std::chrono::milliseconds interval{5000};
    std::size_t rule_limit = 1000;
    std::size_t storm_limit = 500;  ///< changes stored per tick and rule; the rest waits for the next
    std::chrono::hours keep{400 * 24};
  };
  struct Parts {
    store::Database& database;
    audit::AuditLog& audit;
    metrics::Registry& metrics;
    const Clock& clock;
    const MetricSource& source;
    AlertListener* listener = nullptr;  ///< may be null: nobody is told
  };

  /// Loads rules and open episodes. Everything in `parts` outlives the engine.
  static Result<std::unique_ptr<AlertEngine>> create(Settings settings, const Parts& parts);
  AlertEngine(const AlertEngine&) = delete;
  AlertEngine& operator=(const AlertEngine&) = delete;
  ~AlertEngine();

  /// Begins and ends ticking. Idempotent.
  void start();
  void stop();
  /// Evaluates every rule once, on the caller's thread. A rule whose outcome could not be stored is as it was before.
  void tick();

  /// `id`, `created_by` and the times are the engine's to set. Errors: invalid_argument "alert.invalid" with fields;
  /// conflict "alert.limit".
  Result<AlertRule> add(AlertRule rule, const audit::Origin& origin);
  /// A rule that comes to watch something else, or is switched off, ends its episodes. not_found "alert.not_found".
  Result<AlertRule> update(AlertRuleId id, const AlertRuleChange& change, const audit::Origin& origin);
  /// Its episodes end; their history stays.
  Result<void> remove(AlertRuleId id, const audit::Origin& origin);
  /// Tells nobody until then; who was not told of an episode that is still open then is told. Nothing: tells again.
  /// Errors: not_found; invalid_argument "alert.invalid" with the field "until" (past, or more than a year away).
  Result<AlertRule> silence(AlertRuleId id, std::optional<Timestamp> until, const audit::Origin& origin);

  /// By id.
  std::vector<AlertRule> list() const;
  Result<AlertRule> find(AlertRuleId id) const;
  /// What is wrong now.
  std::vector<AlertEpisode> open() const;
  Result<EpisodePage> history(const EpisodeFilter& filter);
  /// Forgets old episodes.
  Result<std::int64_t> sweep();

 private:
  struct Meters;
  /// Where the store's listener leaves word; outlives the engine with it.
  struct Mailbox {
    std::mutex mutex;
    std::condition_variable changed;
    bool stale = false;  ///< another node changed rules
    bool stopping = false;
  };

  AlertEngine(Settings settings, const Parts& parts);

  Result<void> reload();
  /// The same; what cannot be read now is read at the next tick.
  void refresh();
  void tick_type(AlertType type, const std::vector<AlertRule>& rules);
  void settle(const AlertRule& rule, std::vector<AlertTransition> transitions);
  Result<bool> store(store::Transaction& transaction, AlertTransition& transition, Timestamp now);
  Result<AlertRule> change(AlertRuleId id, std::string_view action, const audit::Origin& origin,
                           const std::function<Result<void>(store::Transaction&, AlertRule&)>& edit);
  Result<void> announce(store::Transaction& transaction);
  void run();

  const Settings settings_;
  Parts parts_;
  std::unique_ptr<Meters> meters_;
  std::shared_ptr<Mailbox> mailbox_;

  std::mutex working_;            // held by whoever ticks or changes rules
  mutable std::mutex published_;  // guards the two below; never held while the store is waited for
  std::vector<AlertRule> rules_;
  AlertBoard board_;

  std::mutex thread_mutex_;
  std::thread thread_;
};

}  // namespace berth::telemetry
