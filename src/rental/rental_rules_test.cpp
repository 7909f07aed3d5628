#include "rental/rental_rules.h"

#include <gtest/gtest.h>

#include "rental/rental_fixture.h"

namespace berth::rental {
namespace {

const Timestamp kEnd = at("2024-12-31T00:00:00Z");

Rental rental_in(State state, Step step = Step::none) {
  Rental rental;
  rental.id = RentalId(5);
  rental.expiry_date = day("2024-12-30");
  rental.expires_at = kEnd;
  rental.state = state;
  rental.step = step;
  if (state == State::expired) rental.stopped_at = kEnd;
  rental.notified_until = at("2024-12-01T00:00:00Z");
  return rental;
}

TEST(RentalRulesTest, AStepFollowsFromWhatIsKnownAndTheTime) {
  struct Case {
    State state;
    Step begun;
    std::chrono::microseconds after_end;
    Step next;
  };
  const auto just = std::chrono::microseconds(1);
  for (const Case& each : {
           Case{State::active, Step::none, -just, Step::none},
           Case{State::active, Step::none, seconds(0), Step::stop},
           Case{State::active, Step::stop, seconds(5), Step::stop},
           // Begun, not seen to end, and renewed meanwhile: it may stand still.
           Case{State::active, Step::stop, -days(1), Step::bring_back},
           Case{State::active, Step::bring_back, -days(1), Step::bring_back},
           Case{State::expired, Step::none, seconds(5), Step::none},
           Case{State::expired, Step::none, days(7) - just, Step::none},
           Case{State::expired, Step::none, days(7), Step::archive},
           Case{State::expired, Step::archive, days(8), Step::archive},
           // Begun by a clock that was ahead.
           Case{State::expired, Step::archive, days(6), Step::stop},
           Case{State::expired, Step::none, -just, Step::bring_back},
           Case{State::expired, Step::archive, -just, Step::bring_back},
           // Somebody started it again.
           Case{State::expired, Step::stop, days(9), Step::stop},
           // It was on its way back when the new date passed too.
           Case{State::expired, Step::bring_back, days(1), Step::stop},
           Case{State::archived, Step::bring_back, days(1), Step::stop},
           Case{State::archived, Step::none, days(100), Step::none},
           Case{State::archived, Step::none, -days(1), Step::bring_back},
           Case{State::removed, Step::none, days(1), Step::none},
           Case{State::removed, Step::stop, -days(1), Step::none},
       }) {
    EXPECT_EQ(next_step(rental_in(each.state, each.begun), {}, kEnd + each.after_end), each.next)
        << name(each.state) << " " << name(each.begun) << " " << each.after_end.count();
  }
}

TEST(RentalRulesTest, TheGracePeriodBeginsWhenTheContainerIsStopped) {
  Rental late = rental_in(State::expired);
  late.stopped_at = kEnd + days(3);
  EXPECT_EQ(archive_at(late, {}), kEnd + days(10));
  late.stopped_at = kEnd - days(3);
  EXPECT_EQ(archive_at(late, {}), kEnd + days(7));
}

TEST(RentalRulesTest, ANoticeIsDueAtTheEndOfItsDay) {
  const TimeZone utc = TimeZone::utc();
  const auto due = [&](const std::string& time) {
    const auto found = due_notice(rental_in(State::active), {}, utc, at(time));
    return found ? found->notice.kind_name() : "";
  };
  EXPECT_EQ(due("2024-12-23T23:59:59Z"), "");
  EXPECT_EQ(due("2024-12-24T00:00:00Z"), "before-7");
  EXPECT_EQ(due("2024-12-27T23:59:59Z"), "before-7");
  // Of several that were missed, the last.
  EXPECT_EQ(due("2024-12-28T00:00:00Z"), "before-3");
  EXPECT_EQ(due("2024-12-30T00:00:00Z"), "before-1");
  EXPECT_EQ(due("2024-12-31T00:00:00Z"), "expired");
  EXPECT_EQ(due("2025-12-31T00:00:00Z"), "expired");
}

TEST(RentalRulesTest, ANoticeWhoseMomentPassedBeforeTheDateWasChosenIsNotDue) {
  Rental rental = rental_in(State::active);
  rental.notified_until = at("2024-12-29T12:00:00Z");
  EXPECT_FALSE(due_notice(rental, {}, TimeZone::utc(), at("2024-12-29T13:00:00Z")));
  EXPECT_EQ(due_notice(rental, {}, TimeZone::utc(), at("2024-12-30T00:00:00Z"))->notice.kind_name(), "before-1");
}

TEST(RentalRulesTest, TheNextLookIsAtTheNextNoticeOrStep) {
  const TimeZone utc = TimeZone::utc();
  Rental rental = rental_in(State::active);
  EXPECT_EQ(next_look(rental, {}, utc, at("2024-12-02T00:00:00Z")), at("2024-12-24T00:00:00Z"));
  rental.notified_until = at("2024-12-30T00:00:00Z");
  EXPECT_EQ(next_look(rental, {}, utc, at("2024-12-30T01:00:00Z")), kEnd);
  rental = rental_in(State::expired);
  rental.notified_until = kEnd;
  EXPECT_EQ(next_look(rental, {}, utc, kEnd + hours(1)), kEnd + days(7));
  rental.state = State::archived;
  EXPECT_EQ(next_look(rental, {}, utc, kEnd + days(8)), std::nullopt);
  EXPECT_EQ(next_look(rental, {}, utc, kEnd - hours(1)), kEnd - hours(1)) << "a renewed one is due at once";
  rental.state = State::removed;
  EXPECT_EQ(next_look(rental, {}, utc, kEnd - hours(1)), std::nullopt);
}

TEST(RentalRulesTest, AttemptsBecomeRarerUpToALimit) {
  const Terms terms;
  EXPECT_EQ(retry_wait(1, terms), seconds(30));
  EXPECT_EQ(retry_wait(2, terms), seconds(60));
  EXPECT_EQ(retry_wait(5, terms), seconds(480));
  EXPECT_EQ(retry_wait(1'000'000, terms), minutes(10));
}

TEST(RentalRulesTest, TermsThatMakeNoSenseAreRefusedByName) {
  Terms terms;
  terms.time_zone = "Mars/Olympus";
  terms.grace = seconds(-1);
  terms.notice_days = {7, 0};
  terms.first_retry = seconds(0);
  const auto refused = check_terms(terms);
  ASSERT_FALSE(refused);
  std::string fields;
  for (const auto& field : refused.error().fields()) fields += field.field + " ";
  EXPECT_EQ(fields, "time_zone grace notice_days retry ");
  EXPECT_TRUE(check_terms({}));
}

}  // namespace
}  // namespace berth::rental
