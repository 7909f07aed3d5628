#include "telemetry/alert_board.h"

#include <gtest/gtest.h>

#include <limits>

namespace berth::telemetry {
namespace {

using namespace std::chrono_literals;
using Kind = AlertTransition::Kind;

constexpr Timestamp kStart{std::chrono::seconds(1'800'000'000)};

AlertRule rule(AlertType type = AlertType::cpu, double threshold = 80) {
  AlertRule rule;
  rule.id = AlertRuleId(1);
  rule.type = type;
  rule.threshold = threshold;
  rule.message = "too much";
  return rule;
}

/// A board that is told values at moments.
class AlertBoardTest : public ::testing::Test {
 protected:
  /// The transitions of one judgement, as "raise web-1", applied at once.
  std::string judge(const AlertRule& rule, std::vector<Measurement> values, bool apply = true) {
    std::vector<const Measurement*> measured;
    for (const auto& value : values) measured.push_back(&value);
    std::string said;
    for (auto& transition : board_.judge(rule, measured, now_, instant_)) {
      static constexpr const char* kWords[] = {"raise ", "notify ", "resolve "};
      said += (said.empty() ? "" : ", ") + std::string(kWords[static_cast<int>(transition.kind)]) +
              transition.episode.subject;
      if (transition.episode.resolution == Resolution::subject_gone) said += " gone";
      if (!apply) continue;
      if (transition.kind == Kind::raise) transition.episode.id = AlertEpisodeId(++last_id_);
      if (transition.kind != Kind::resolve && !rule.silenced(now_)) transition.episode.notified_at = now_;
      board_.apply(transition);
    }
    return said;
  }
  std::string judge(const AlertRule& rule, double value) { return judge(rule, {web(value)}); }
  static Measurement web(std::optional<double> value) { return {SubjectKind::container, "web-1", value}; }
  void pass(std::chrono::seconds time) {
    now_ += time;
    instant_ += time;
  }

  AlertBoard board_;
  Timestamp now_ = kStart;
  Instant instant_{};
  std::int64_t last_id_ = 0;
};

TEST_F(AlertBoardTest, RaisesOnceAndResolvesOnce) {
  EXPECT_EQ(judge(rule(), 79.9), "");
  EXPECT_EQ(judge(rule(), 80), "raise web-1");
  EXPECT_EQ(judge(rule(), 99), "");
  EXPECT_EQ(board_.open().front().peak, 99);
  EXPECT_EQ(judge(rule(), 75), "") << "not yet below 90 % of the threshold";
  EXPECT_EQ(judge(rule(), 71.9), "resolve web-1");
  EXPECT_EQ(judge(rule(), 71.9), "");
  EXPECT_EQ(judge(rule(), 80), "raise web-1");
}

TEST_F(AlertBoardTest, WaitsUntilItHasHeldLongEnough) {
  auto patient = rule();
  patient.duration = 60s;
  EXPECT_EQ(judge(patient, 90), "");
  pass(59s);
  EXPECT_EQ(judge(patient, 90), "");
  EXPECT_EQ(judge(patient, 70), "") << "one good value begins the wait anew";
  EXPECT_EQ(judge(patient, 90), "");
  pass(60s);
  EXPECT_EQ(judge(patient, 90), "raise web-1");
}

TEST_F(AlertBoardTest, DecidesNothingAboutWhatCannotBeMeasured) {
  auto patient = rule();
  patient.duration = 60s;
  EXPECT_EQ(judge(patient, 90), "");
  pass(60s);
  EXPECT_EQ(judge(patient, {web(std::nullopt)}), "");
  EXPECT_EQ(judge(patient, 90), "raise web-1");
  EXPECT_EQ(judge(patient, {web(std::nullopt)}), "") << "there, but silent";
  EXPECT_EQ(board_.open_count(), 1U);
}

TEST_F(AlertBoardTest, EndsTheEpisodeOfWhatIsGone) {
  EXPECT_EQ(judge(rule(), 90), "raise web-1");
  EXPECT_EQ(judge(rule(), std::vector<Measurement>()), "resolve web-1 gone");
  EXPECT_EQ(judge(rule(), std::vector<Measurement>()), "");
}

TEST_F(AlertBoardTest, KeepsSubjectsApartAlsoThoseOfOneName) {
  const Measurement server{SubjectKind::server, "web-1", 95};
  EXPECT_EQ(judge(rule(), {web(90), server, {SubjectKind::container, "web-2", 10}}), "raise web-1, raise web-1");
  EXPECT_EQ(judge(rule(), {web(10), server}), "resolve web-1");
  EXPECT_EQ(board_.open().front().subject_kind, SubjectKind::server);
}

TEST_F(AlertBoardTest, TriesAgainWhatWasNotStored) {
  EXPECT_EQ(judge(rule(), {web(90)}, false), "raise web-1");
  EXPECT_EQ(board_.open_count(), 0U);
  EXPECT_EQ(judge(rule(), {web(90)}), "raise web-1");
  EXPECT_EQ(judge(rule(), {web(10)}, false), "resolve web-1");
  EXPECT_EQ(judge(rule(), {web(10)}), "resolve web-1");
}

TEST_F(AlertBoardTest, TellsAfterASilenceWhatIsStillWrong) {
  auto silenced = rule();
  silenced.silenced_until = now_ + 100s;
  EXPECT_EQ(judge(silenced, 90), "raise web-1");
  EXPECT_FALSE(board_.open().front().notified_at);
  pass(99s);
  EXPECT_EQ(judge(silenced, 90), "");
  pass(1s);
  EXPECT_EQ(judge(silenced, 90), "notify web-1");
  EXPECT_EQ(judge(silenced, 90), "");
}

TEST_F(AlertBoardTest, SeesThatARentalRunsOutAndThatItWasRenewed) {
  const auto expiry = rule(AlertType::rental_expiry, 3);
  EXPECT_EQ(judge(expiry, 3.1), "");
  EXPECT_EQ(judge(expiry, 3), "raise web-1");
  EXPECT_EQ(judge(expiry, -2), "");
  EXPECT_EQ(board_.open().front().peak, -2);
  EXPECT_EQ(judge(expiry, 30), "resolve web-1");
}

TEST_F(AlertBoardTest, SeesAServerGoDownWhateverTheThreshold) {
  for (const double threshold : {0.0, 1.0}) {
    const auto down = rule(AlertType::server_down, threshold);
    EXPECT_EQ(judge(down, 0), "");
    EXPECT_EQ(judge(down, 1), "raise web-1");
    EXPECT_EQ(judge(down, 0), "resolve web-1");
  }
  EXPECT_EQ(judge(rule(AlertType::server_down, 60), 59), "");
}

TEST_F(AlertBoardTest, TakesUpWhatWasOpenBeforeARestart) {
  judge(rule(), 95);
  const auto open = board_.open();
  board_ = {};
  board_.restore(open);
  EXPECT_EQ(judge(rule(), 90), "");
  EXPECT_EQ(board_.open().front().peak, 95);
  EXPECT_EQ(judge(rule(), 10), "resolve web-1");
}

TEST_F(AlertBoardTest, ForgetsWhatRulesThatAreGoneHadBegun) {
  auto other = rule();
  other.id = AlertRuleId(2);
  judge(rule(), 95);
  judge(other, 95);
  board_.keep_only({other});
  EXPECT_EQ(board_.open_count(), 1U);
  other.enabled = false;
  board_.keep_only({other});
  EXPECT_EQ(board_.open_count(), 0U);
}

TEST(AlertRuleCheck, NamesEveryBadField) {
  AlertRule bad = rule(AlertType::cpu, 101);
  bad.message = "two\nlines";
  bad.subject = "";
  bad.duration = -1s;
  bad.hysteresis = 1.1;
  bad.recipients = {"nobody"};
  const auto checked = check_alert_rule(bad);
  ASSERT_FALSE(checked);
  std::string fields;
  for (const auto& field : checked.error().fields()) fields += field.field + " ";
  EXPECT_EQ(fields, "threshold message subject duration hysteresis recipients ");
}

TEST(AlertRuleCheck, KnowsWhatEachTypeMayAskFor) {
  const auto good = [](AlertType type, double threshold) {
    return check_alert_rule(rule(type, threshold)).has_value();
  };
  EXPECT_TRUE(good(AlertType::traffic, 10000));
  EXPECT_FALSE(good(AlertType::traffic, 0));
  EXPECT_TRUE(good(AlertType::memory, 100));
  EXPECT_FALSE(good(AlertType::disk, 0));
  EXPECT_TRUE(good(AlertType::server_down, 0));
  EXPECT_TRUE(good(AlertType::rental_expiry, 0));
  EXPECT_FALSE(good(AlertType::rental_expiry, -1));
  EXPECT_FALSE(good(AlertType::cpu, std::numeric_limits<double>::quiet_NaN()));
}

TEST(AlertRuleCheck, ReadsItsWordsBack) {
  for (const AlertType type : alert_types()) EXPECT_EQ(parse_alert_type(name(type)), type);
  for (const Severity severity : {Severity::info, Severity::warning, Severity::critical}) {
    EXPECT_EQ(parse_severity(name(severity)), severity);
  }
  EXPECT_FALSE(parse_alert_type("Traffic"));
}

}  // namespace
}  // namespace berth::telemetry
