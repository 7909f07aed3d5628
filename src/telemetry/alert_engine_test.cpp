#include "telemetry/alert_engine.h"

#include <fmt/format.h>

#include <atomic>
#include <map>

#include "eventually.h"
#include "operations/flaky_database.h"
#include "telemetry/telemetry_fixture.h"

namespace berth::telemetry {
namespace {

using namespace std::chrono_literals;

/// Values as the test sets them.
class Values final : public MetricSource {
 public:
  std::optional<std::vector<Measurement>> measure(AlertType type) const override {
    const std::lock_guard lock(mutex_);
    if (!known_) return std::nullopt;
    std::vector<Measurement> measured;
    for (const auto& [key, value] : values_) {
      if (key.first == type) measured.push_back({SubjectKind::container, key.second, value});
    }
    return measured;
  }
  void set(AlertType type, const std::string& subject, std::optional<double> value) {
    const std::lock_guard lock(mutex_);
    values_[{type, subject}] = value;
  }
  void remove(AlertType type, const std::string& subject) {
    const std::lock_guard lock(mutex_);
    values_.erase({type, subject});
  }
  void know(bool known) {
    const std::lock_guard lock(mutex_);
    known_ = known;
  }

 private:
  mutable std::mutex mutex_;
  bool known_ = true;
  std::map<std::pair<AlertType, std::string>, std::optional<double>> values_;
};

/// Writes down what it is told.
class Listener final : public AlertListener {
 public:
  Result<bool> raised(store::Transaction&, const AlertRule&, const AlertEpisode& episode) override {
    if (!room_) return false;
    said_ += "+" + episode.subject + " ";
    return true;
  }
  Result<bool> resolved(store::Transaction&, const AlertRule&, const AlertEpisode& episode) override {
    said_ += "-" + episode.subject + " ";
    return true;
  }
  std::string said() { return std::exchange(said_, ""); }
  void make_room(bool room) { room_ = room; }

 private:
  std::string said_;
  bool room_ = true;
};

class AlertEngineTest : public TelemetryFixture {
 protected:
  AlertEngineTest() { restart(); }
  void restart() {
    engine_.reset();
    engine_ = another();
  }
  std::unique_ptr<AlertEngine> another(AlertEngine::Settings settings = {}) {
    return must(AlertEngine::create(settings, {*database_, *audit_, place_.metrics(), clock_, values_, &listener_}));
  }
  static AlertRule rule(AlertType type = AlertType::traffic, double threshold = 10000) {
    AlertRule rule;
    rule.type = type;
    rule.threshold = threshold;
    rule.message = "Traffic limit exceeded";
    return rule;
  }
  void traffic(const std::string& subject, std::optional<double> value) {
    values_.set(AlertType::traffic, subject, value);
    engine_->tick();
  }
  std::vector<AlertEpisode> history(const EpisodeFilter& filter = {}) {
    return must(engine_->history(filter)).episodes;
  }

  Values values_;
  Listener listener_;
  std::unique_ptr<AlertEngine> engine_;
};

INSTANTIATE_TEST_SUITE_P(Engines, AlertEngineTest,
                         ::testing::Values(store::Dialect::sqlite, store::Dialect::postgresql), store::engine_name);

TEST_P(AlertEngineTest, RaisesTellsAndResolvesAnEpisodeOnce) {
  const auto made = must(engine_->add(rule(), origin()));
  traffic("web-1", 9999);
  EXPECT_EQ(listener_.said(), "");
  traffic("web-1", 10000);
  pass(5s);
  traffic("web-1", 50000);
  EXPECT_EQ(listener_.said(), "+web-1 ");
  ASSERT_EQ(engine_->open().size(), 1U);
  EXPECT_EQ(history().front().peak, 50000) << "also while it is open";
  pass(5s);
  traffic("web-1", 100);
  traffic("web-1", 100);
  EXPECT_EQ(listener_.said(), "-web-1 ");
  const auto episodes = history();
  ASSERT_EQ(episodes.size(), 1U);
  EXPECT_EQ(episodes[0].rule, made.id);
  EXPECT_EQ(episodes[0].value, 10000);
  EXPECT_EQ(episodes[0].peak, 50000);
  EXPECT_EQ(episodes[0].threshold, 10000);
  EXPECT_EQ(episodes[0].message, "Traffic limit exceeded");
  EXPECT_EQ(episodes[0].resolution, Resolution::recovered);
  EXPECT_EQ(*episodes[0].resolved_at - episodes[0].raised_at, 10s);
}

TEST_P(AlertEngineTest, DoesNotRaiseAgainAfterARestartWhatIsStillOpen) {
  must(engine_->add(rule(), origin()));
  traffic("web-1", 20000);
  listener_.said();
  restart();
  ASSERT_EQ(engine_->open().size(), 1U);
  values_.know(false);
  engine_->tick();
  EXPECT_EQ(engine_->open().size(), 1U) << "at the start nothing is known, which is not the same as gone";
  values_.know(true);
  traffic("web-1", 20000);
  EXPECT_EQ(listener_.said(), "");
  traffic("web-1", 0);
  EXPECT_EQ(listener_.said(), "-web-1 ");
  EXPECT_EQ(history().size(), 1U);
}

TEST_P(AlertEngineTest, EndsTheEpisodeOfASubjectThatDisappears) {
  must(engine_->add(rule(), origin()));
  traffic("web-1", 20000);
  values_.remove(AlertType::traffic, "web-1");
  engine_->tick();
  EXPECT_EQ(listener_.said(), "+web-1 -web-1 ");
  EXPECT_EQ(history().front().resolution, Resolution::subject_gone);
}

TEST_P(AlertEngineTest, WatchesOneSubjectIfTheRuleNamesIt) {
  auto only = rule();
  only.subject = "web-2";
  must(engine_->add(only, origin()));
  traffic("web-1", 20000);
  traffic("web-2", 20000);
  EXPECT_EQ(listener_.said(), "+web-2 ");
}

TEST_P(AlertEngineTest, TellsNobodyWhileItIsSilencedAndOnceAfterwards) {
  const auto made = must(engine_->add(rule(), origin()));
  EXPECT_EQ(reason_of(engine_->silence(made.id, clock_.now(), origin())), "alert.invalid");
  EXPECT_EQ(reason_of(engine_->silence(made.id, clock_.now() + 367 * 24h, origin())), "alert.invalid");
  must(engine_->silence(made.id, clock_.now() + 60s, origin()));
  traffic("web-1", 20000);
  traffic("web-2", 20000);
  EXPECT_EQ(history().size(), 2U);
  traffic("web-2", 0);
  EXPECT_EQ(listener_.said(), "") << "nor is anybody told that it is over";
  pass(60s);
  traffic("web-1", 20000);
  traffic("web-1", 20000);
  EXPECT_EQ(listener_.said(), "+web-1 ");
  must(engine_->silence(made.id, std::nullopt, origin()));
  EXPECT_FALSE(must(engine_->find(made.id)).silenced_until);
}

TEST_P(AlertEngineTest, TellsLaterWhereThereIsNoRoomToTellItNow) {
  must(engine_->add(rule(), origin()));
  listener_.make_room(false);
  traffic("web-1", 20000);
  EXPECT_EQ(history().size(), 1U);
  EXPECT_FALSE(history().front().notified_at);
  restart();
  listener_.make_room(true);
  traffic("web-1", 20000);
  traffic("web-1", 20000);
  EXPECT_EQ(listener_.said(), "+web-1 ");
}

TEST_P(AlertEngineTest, EndsEpisodesOfRulesThatChangeTheirMeaningWithoutTelling) {
  const auto made = must(engine_->add(rule(), origin()));
  const auto raise = [&] {
    traffic("web-1", 20000);
    EXPECT_EQ(listener_.said(), "+web-1 ");
  };
  raise();
  AlertRuleChange louder;
  louder.threshold = 15000;
  louder.message = "Louder";
  must(engine_->update(made.id, louder, origin()));
  traffic("web-1", 20000);
  EXPECT_EQ(engine_->open().size(), 1U) << "another threshold is still the same watch";
  AlertRuleChange elsewhere;
  elsewhere.subject = std::optional<std::string>("web-2");
  must(engine_->update(made.id, elsewhere, origin()));
  EXPECT_EQ(history().front().resolution, Resolution::rule_changed);
  elsewhere.subject = std::optional<std::string>();
  must(engine_->update(made.id, elsewhere, origin()));
  raise();
  AlertRuleChange off;
  off.enabled = false;
  must(engine_->update(made.id, off, origin()));
  EXPECT_EQ(history().front().resolution, Resolution::rule_disabled);
  traffic("web-1", 20000);
  off.enabled = true;
  must(engine_->update(made.id, off, origin()));
  raise();
  must(engine_->remove(made.id, origin()));
  EXPECT_EQ(history().front().resolution, Resolution::rule_deleted);
  EXPECT_TRUE(engine_->open().empty());
  EXPECT_TRUE(engine_->list().empty());
  EXPECT_EQ(listener_.said(), "");
  EXPECT_EQ(history().size(), 3U) << "history outlives its rule";
}

TEST_P(AlertEngineTest, KeepsRulesAndAuditsTheirChanges) {
  auto full = rule(AlertType::memory, 90);
  full.subject = "数据库-1";
  full.duration = 300s;
  full.hysteresis = 0.8;
  full.severity = Severity::critical;
  full.recipients = {"ops@example.com"};
  const auto made = must(engine_->add(full, origin()));
  restart();
  const auto kept = must(engine_->find(made.id));
  EXPECT_EQ(kept.type, AlertType::memory);
  EXPECT_EQ(kept.subject, "数据库-1");
  EXPECT_EQ(kept.duration, 300s);
  EXPECT_EQ(kept.hysteresis, 0.8);
  EXPECT_EQ(kept.severity, Severity::critical);
  EXPECT_EQ(kept.recipients, full.recipients);
  EXPECT_EQ(kept.created_by, 7);
  EXPECT_EQ(kept.created_at, clock_.now());
  must(engine_->silence(made.id, clock_.now() + 60s, origin()));
  must(engine_->update(made.id,
                       {.type = {},
                        .threshold = 95,
                        .message = {},
                        .subject = {},
                        .duration = {},
                        .hysteresis = {},
                        .severity = {},
                        .enabled = {},
                        .recipients = {}},
                       origin()));
  must(engine_->remove(made.id, origin()));
  for (const auto* action : {"alert.create", "alert.silence", "alert.update", "alert.delete"}) {
    EXPECT_EQ(audited(action), 1) << action;
  }
  EXPECT_EQ(reason_of(engine_->remove(made.id, origin())), "alert.not_found");
  EXPECT_EQ(reason_of(engine_->update(made.id, {}, origin())), "alert.not_found");
  EXPECT_EQ(reason_of(engine_->silence(made.id, std::nullopt, origin())), "alert.not_found");
  EXPECT_EQ(reason_of(engine_->find(made.id)), "alert.not_found");
}

TEST_P(AlertEngineTest, RefusesWhatCannotBeARule) {
  auto bad = rule(AlertType::cpu, 101);
  EXPECT_EQ(reason_of(engine_->add(bad, origin())), "alert.invalid");
  const auto made = must(engine_->add(rule(AlertType::cpu, 50), origin()));
  AlertRuleChange change;
  change.threshold = 101;
  EXPECT_EQ(reason_of(engine_->update(made.id, change, origin())), "alert.invalid");
  EXPECT_EQ(must(engine_->find(made.id)).threshold, 50);
  auto settings = AlertEngine::Settings();
  settings.rule_limit = 1;
  EXPECT_EQ(reason_of(another(settings)->add(rule(), origin())), "alert.limit");
}

TEST_P(AlertEngineTest, SeesRulesThatAnotherNodeMade) {
  const auto second = another();
  must(engine_->add(rule(), origin()));
  values_.set(AlertType::traffic, "web-1", 20000);
  EXPECT_TRUE(testing::eventually([&] {
    second->tick();
    return second->list().size() == 1 && second->open().size() == 1;
  }));
  engine_->tick();
  engine_->tick();
  EXPECT_EQ(listener_.said(), "+web-1 ") << "once among all nodes";
  EXPECT_EQ(engine_->open().size(), 1U);
}

TEST_P(AlertEngineTest, ListsHistoryAsAsked) {
  must(engine_->add(rule(), origin()));
  const auto second = must(engine_->add(rule(AlertType::cpu, 50), origin()));
  for (int i = 0; i < 5; ++i) {
    traffic("web-1", 20000);
    pass(10s);
    traffic("web-1", 0);
  }
  values_.set(AlertType::cpu, "web-1", 99);
  values_.set(AlertType::cpu, "web-2", 99);
  engine_->tick();
  EXPECT_EQ(must(engine_->history({})).total, 7);
  EpisodeFilter filter;
  filter.open = true;
  EXPECT_EQ(must(engine_->history(filter)).total, 2);
  filter.subject = "web-2";
  filter.rule = second.id;
  filter.type = AlertType::cpu;
  EXPECT_EQ(must(engine_->history(filter)).total, 1);
  EpisodeFilter page;
  page.open = false;
  page.until = clock_.now();
  page.limit = 2;
  page.offset = 1;
  const auto found = must(engine_->history(page));
  EXPECT_EQ(found.total, 5);
  ASSERT_EQ(found.episodes.size(), 2U);
  EXPECT_EQ(found.episodes[0].raised_at, clock_.now() - 20s);
}

TEST_P(AlertEngineTest, ForgetsOldHistoryButNothingThatIsOpen) {
  must(engine_->add(rule(), origin()));
  traffic("web-1", 20000);
  traffic("web-1", 0);
  traffic("web-2", 20000);
  pass(401 * 24h);
  EXPECT_EQ(must(engine_->sweep()), 1);
  EXPECT_EQ(history().size(), 1U);
}

TEST_P(AlertEngineTest, RaisesOnceWhatTheStoreDidNotTakeAtFirst) {
  operations::FlakyDatabase flaky(*database_);
  const auto engine = must(AlertEngine::create({}, {flaky, *audit_, place_.metrics(), clock_, values_, &listener_}));
  must(engine->add(rule(), origin()));
  values_.set(AlertType::traffic, "web-1", 20000);
  flaky.writes_fail = true;
  engine->tick();
  engine->tick();
  EXPECT_TRUE(engine->open().empty());
  EXPECT_EQ(reason_of(engine->add(rule(), origin())), "store.unavailable");
  flaky.writes_fail = false;
  engine->tick();
  engine->tick();
  EXPECT_EQ(listener_.said(), "+web-1 ");
  flaky.writes_fail = true;
  values_.set(AlertType::traffic, "web-1", 0);
  engine->tick();
  EXPECT_EQ(engine->open().size(), 1U);
  flaky.writes_fail = false;
  engine->tick();
  EXPECT_EQ(listener_.said(), "-web-1 ");
  flaky.reads_fail = true;
  EXPECT_EQ(reason_of(engine->add(rule(AlertType::cpu, 50), origin())), "ok") << "what is committed is done";
  flaky.reads_fail = false;
  engine->tick();
  EXPECT_EQ(engine->list().size(), 2U);
}

TEST_P(AlertEngineTest, BearsAStorm) {
  must(engine_->add(rule(), origin()));
  for (int i = 0; i < 1200; ++i) values_.set(AlertType::traffic, fmt::format("web-{}", i), 20000);
  engine_->tick();
  EXPECT_EQ(engine_->open().size(), 500U);
  engine_->tick();
  engine_->tick();
  EXPECT_EQ(engine_->open().size(), 1200U);
  EXPECT_EQ(count("SELECT count(*) AS n FROM alert_episodes"), 1200);
}

TEST_P(AlertEngineTest, TicksByItself) {
  auto settings = AlertEngine::Settings();
  settings.interval = 2ms;
  const auto ticking = another(settings);
  must(ticking->add(rule(), origin()));
  values_.set(AlertType::traffic, "web-1", 20000);
  ticking->start();
  EXPECT_TRUE(testing::eventually([&] { return ticking->open().size() == 1; }));
  ticking->stop();
  ticking->stop();
}

}  // namespace
}  // namespace berth::telemetry
