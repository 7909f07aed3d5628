#include "rental/expiry_engine.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "rental/rental_fixture.h"

namespace berth::rental {
namespace {

using ::testing::Test;
using Keys = std::vector<std::string>;

/// As if the process had been killed at this place.
struct Killed : std::runtime_error {
  Killed() : std::runtime_error("killed") {}
};

class ExpiryEngineTest : public RentalTest {
 protected:
  void pass_to(const std::string& time) {
    clock_.pass(at(time) - clock_.now());
    work();
  }
  State state_of(RentalId id) { return now(id).state; }
};

TEST_F(ExpiryEngineTest, StopsAContainerAtTheEndOfItsLastDay) {
  const Rental rental = rent("web", "2024-12-30");
  pass_to("2024-12-30T23:59:59Z");
  EXPECT_TRUE(fleet_.runs(rental.container));
  pass_to("2024-12-31T00:00:00Z");
  EXPECT_FALSE(fleet_.runs(rental.container));
  EXPECT_EQ(state_of(rental.id), State::expired);
  EXPECT_EQ(now(rental.id).stopped_at, at("2024-12-31T00:00:00Z"));
  EXPECT_EQ(audited("rental.expire"), 1);
  work();
  EXPECT_EQ(fleet_.calls(), Keys{"stop web"});
}

TEST_F(ExpiryEngineTest, ArchivesItAfterTheGracePeriod) {
  const Rental rental = rent("web", "2024-12-30");
  pass_to("2024-12-31T00:00:00Z");
  pass_to("2025-01-06T23:59:59Z");
  EXPECT_FALSE(fleet_.archived(rental.container));
  pass_to("2025-01-07T00:00:00Z");
  EXPECT_TRUE(fleet_.archived(rental.container));
  EXPECT_EQ(state_of(rental.id), State::archived);
  EXPECT_EQ(audited("rental.archive"), 1);
  pass_to("2030-01-01T00:00:00Z");
  EXPECT_EQ(fleet_.count("archive web"), 1);
}

TEST_F(ExpiryEngineTest, GivesAWholeGracePeriodAfterItWasDownOverTheExpiry) {
  const Rental rental = rent("web", "2024-12-30");
  pass_to("2025-02-01T00:00:00Z");
  EXPECT_EQ(state_of(rental.id), State::expired);
  pass_to("2025-02-07T23:00:00Z");
  EXPECT_EQ(state_of(rental.id), State::expired);
  pass_to("2025-02-08T00:00:00Z");
  EXPECT_EQ(state_of(rental.id), State::archived);
}

TEST_F(ExpiryEngineTest, ARenewalStartsAStoppedContainer) {
  const Rental rental = rent("web", "2024-12-30");
  pass_to("2025-01-02T00:00:00Z");
  const Rental renewed = must(service().renew(rental.id, day("2025-12-31"), origin()));
  EXPECT_EQ(renewed.state, State::active);
  EXPECT_FALSE(renewed.stopped_at);
  EXPECT_TRUE(fleet_.runs(rental.container));
  EXPECT_EQ(audited("rental.restore"), 1);
}

TEST_F(ExpiryEngineTest, ARenewalBringsAnArchivedContainerBack) {
  const Rental rental = rent("web", "2024-12-30");
  pass_to("2024-12-31T00:00:00Z");
  pass_to("2025-01-10T00:00:00Z");
  ASSERT_TRUE(fleet_.archived(rental.container));
  EXPECT_EQ(must(service().renew(rental.id, day("2025-12-31"), origin())).state, State::active);
  EXPECT_TRUE(fleet_.runs(rental.container));
  EXPECT_EQ(fleet_.calls(), (Keys{"stop web", "stop web", "archive web", "restore web", "start web"}));
  // And the new date is kept like the first one.
  pass_to("2026-01-01T00:00:00Z");
  EXPECT_EQ(state_of(rental.id), State::expired);
}

TEST_F(ExpiryEngineTest, AFailedStepIsTakenAgainLaterAndLaterAndSaysWhy) {
  const Rental rental = rent("web", "2024-12-30");
  fleet_.fail("stop", 1000);
  fleet_.fail("kill", 1000);
  pass_to("2024-12-31T00:00:00Z");
  Rental seen = now(rental.id);
  EXPECT_EQ(seen.state, State::active);
  EXPECT_EQ(seen.step, Step::stop);
  ASSERT_TRUE(seen.problem);
  EXPECT_EQ(seen.problem->reason, "engine.unavailable");
  EXPECT_EQ(seen.problem->message.en, "The server does not answer");
  EXPECT_EQ(seen.due_at, clock_.now() + seconds(30));
  work();
  EXPECT_EQ(fleet_.calls().size(), 1U) << "not before its time";
  live(hours(1), seconds(30));
  // After 30 s, 1, 2, 4 and 8 minutes, then every 10 minutes.
  EXPECT_EQ(now(rental.id).failures, 10);
  // Whoever does not stop by itself is stopped by force.
  EXPECT_EQ(fleet_.count("stop web"), 2);
  EXPECT_EQ(fleet_.count("kill web"), 8);
  fleet_.fail("kill", 0);
  live(hours(2), minutes(10));
  seen = now(rental.id);
  EXPECT_EQ(seen.state, State::expired);
  EXPECT_EQ(seen.failures, 0);
  EXPECT_FALSE(seen.problem);
}

TEST_F(ExpiryEngineTest, AServerThatDoesNotAnswerIsNotAskedUntilItDoes) {
  const Rental rental = rent("web", "2024-12-30");
  fleet_.set_reachable(rental.container, false);
  pass_to("2024-12-31T00:00:00Z");
  live(hours(2), minutes(1));
  EXPECT_TRUE(fleet_.calls().empty());
  EXPECT_EQ(now(rental.id).problem->reason, "engine.unavailable");
  fleet_.set_reachable(rental.container, true);
  live(minutes(11), minutes(1));
  EXPECT_EQ(state_of(rental.id), State::expired);
}

TEST_F(ExpiryEngineTest, NothingIsTakenAwayWhileTheArchiveFails) {
  const Rental rental = rent("web", "2024-12-30");
  pass_to("2024-12-31T00:00:00Z");
  fleet_.fail("archive", 3);
  pass_to("2025-01-07T00:00:00Z");
  EXPECT_EQ(now(rental.id).step, Step::archive);
  EXPECT_EQ(fleet_.of(rental.container).presence, fleet::Presence::present);
  live(minutes(10), seconds(30));
  EXPECT_TRUE(fleet_.archived(rental.container));
  EXPECT_EQ(fleet_.count("archive web"), 4);
}

TEST_F(ExpiryEngineTest, ARenewalDoesNotWaitForTheNextAttemptOfAFailedStep) {
  const Rental rental = rent("web", "2024-12-30");
  fleet_.fail("stop", 1);
  pass_to("2024-12-31T00:00:00Z");
  EXPECT_EQ(must(service().renew(rental.id, day("2025-12-31"), origin())).state, State::active);
  EXPECT_FALSE(now(rental.id).problem);
  EXPECT_EQ(fleet_.calls().back(), "start web") << "the failed stop may have stopped it all the same";
}

TEST_F(ExpiryEngineTest, ARenewalStandsThoughItsContainerDoesNotComeBackAtOnce) {
  const Rental rental = rent("web", "2024-12-30");
  pass_to("2024-12-31T00:00:00Z");
  fleet_.fail("start", 2);
  const Rental renewed = must(service().renew(rental.id, day("2025-12-31"), origin()));
  EXPECT_EQ(format_date(renewed.expiry_date), "2025-12-31");
  EXPECT_EQ(renewed.state, State::expired);
  EXPECT_EQ(renewed.step, Step::bring_back);
  ASSERT_TRUE(renewed.problem);
  live(minutes(5), seconds(30));
  EXPECT_EQ(state_of(rental.id), State::active);
  EXPECT_TRUE(fleet_.runs(rental.container));
}

TEST_F(ExpiryEngineTest, AContainerThatWasRemovedEndsTheWork) {
  const Rental rental = rent("web", "2024-12-30");
  fleet_.erase(rental.container);
  pass_to("2024-12-31T00:00:00Z");
  EXPECT_EQ(state_of(rental.id), State::removed);
  EXPECT_TRUE(fleet_.calls().empty());
  EXPECT_EQ(reason_of(service().renew(rental.id, day("2025-12-31"), origin())), "rental.container_removed");
}

TEST_F(ExpiryEngineTest, FollowsAContainerThroughANewName) {
  const Rental rental = rent("web", "2024-12-30");
  fleet_.rename(rental.container, "shop");
  fleet_.add("web");
  pass_to("2024-12-31T00:00:00Z");
  EXPECT_EQ(fleet_.calls(), Keys{"stop shop"});
  EXPECT_EQ(now(rental.id).container_name, "shop");
}

TEST_F(ExpiryEngineTest, StopsAnExpiredContainerAgainThatSomebodyStarted) {
  const Rental rental = rent("web", "2024-12-30");
  pass_to("2024-12-31T00:00:00Z");
  fleet_.set_status(rental.container, compute::Status::running);
  pass_to("2025-01-03T00:00:00Z");
  EXPECT_FALSE(fleet_.runs(rental.container));
  // Which wins its user no time.
  pass_to("2025-01-07T00:00:00Z");
  EXPECT_TRUE(fleet_.archived(rental.container));
}

TEST_F(ExpiryEngineTest, PutsAwayAgainWhatSomebodyRestoredWithoutARenewal) {
  const Rental rental = rent("web", "2024-12-30");
  pass_to("2024-12-31T00:00:00Z");
  pass_to("2025-01-07T00:00:00Z");
  ASSERT_TRUE(fleet_.archived(rental.container));
  must(fleet_.restore(manager(), "web"));
  must(fleet_.start(manager(), "web"));
  pass_to("2025-01-08T00:00:00Z");
  EXPECT_FALSE(fleet_.runs(rental.container));
  EXPECT_EQ(state_of(rental.id), State::expired);
  pass_to("2025-01-14T23:00:00Z");
  EXPECT_FALSE(fleet_.archived(rental.container)) << "its data can be fetched for a grace period";
  pass_to("2025-01-15T00:00:00Z");
  EXPECT_TRUE(fleet_.archived(rental.container));
  EXPECT_EQ(state_of(rental.id), State::archived);
}

TEST_F(ExpiryEngineTest, LeavesAloneWhatAPersonArchived) {
  const Rental rental = rent("web", "2024-12-30");
  fleet_.set_status(rental.container, compute::Status::stopped);
  must(fleet_.archive(manager(), "web"));
  pass_to("2024-12-31T00:00:00Z");
  EXPECT_EQ(state_of(rental.id), State::archived);
  EXPECT_EQ(fleet_.count("stop web"), 0);
}

// Notices

TEST_F(ExpiryEngineTest, TellsTheUserSevenThreeAndOneDayBeforeAndAtTheExpiry) {
  const Rental rental = rent("web", "2024-12-30");
  live(days(40), hours(7));
  EXPECT_EQ(notices_.keys(), (Keys{"rental:1:2024-12-30:before-7", "rental:1:2024-12-30:before-3",
                                   "rental:1:2024-12-30:before-1", "rental:1:2024-12-30:expired"}));
}

TEST_F(ExpiryEngineTest, TellsOnceThoughItIsKilledAndStartedAgain) {
  rent("web", "2024-12-30");
  for (int i = 0; i < 40; ++i) {
    begin();
    live(days(1), hours(12));
  }
  EXPECT_EQ(notices_.keys().size(), 4U);
}

TEST_F(ExpiryEngineTest, TellsOnlyTheLastOfSeveralMissedNotices) {
  rent("web", "2024-12-30");
  pass_to("2024-12-30T06:00:00Z");
  EXPECT_EQ(notices_.keys(), Keys{"rental:1:2024-12-30:before-1"});
}

TEST_F(ExpiryEngineTest, TellsAnewForANewDate) {
  const Rental rental = rent("web", "2024-12-30");
  pass_to("2024-12-31T00:00:00Z");
  must(service().renew(rental.id, day("2025-01-02"), origin()));
  live(days(3));
  EXPECT_EQ(notices_.keys(),
            (Keys{"rental:1:2024-12-30:expired", "rental:1:2025-01-02:before-1", "rental:1:2025-01-02:expired"}));
}

TEST_F(ExpiryEngineTest, OffersANoticeAgainThatWasNotTakenAndStopsTheContainerMeanwhile) {
  const Rental rental = rent("web", "2024-12-30");
  notices_.fail(3);
  pass_to("2024-12-31T00:00:00Z");
  EXPECT_EQ(state_of(rental.id), State::expired);
  EXPECT_TRUE(notices_.keys().empty());
  live(minutes(10), minutes(1));
  EXPECT_EQ(notices_.keys(), Keys{"rental:1:2024-12-30:expired"});
}

// Crashes

/// Kills the engine at one place of one kind of step, starts it again, and looks whether all comes right.
class ExpiryCrashTest : public ExpiryEngineTest, public ::testing::WithParamInterface<std::tuple<const char*, bool>> {
 protected:
  void kill_at(const std::string& kind, bool after) {
    fleet_.interpose([this, kind, after](const std::string& called, bool effected) {
      if (called != kind || effected != after) return;
      fleet_.interpose(nullptr);
      ++killed_;
      throw Killed();
    });
  }
  template <class Action>
  void survive(Action action) {
    try {
      action();
    } catch (const Killed&) {
      begin();
      work();
    }
  }
  int killed_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Places, ExpiryCrashTest,
                         ::testing::Combine(::testing::Values("stop", "archive", "restore", "start"),
                                            ::testing::Bool()),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param)) +
                                  (std::get<1>(info.param) ? "_behind" : "_before");
                         });

TEST_P(ExpiryCrashTest, EveryStepIsFinishedAfterAKill) {
  const Rental rental = rent("web", "2024-12-30");
  kill_at(std::get<0>(GetParam()), std::get<1>(GetParam()));
  survive([&] { pass_to("2024-12-31T00:00:00Z"); });
  EXPECT_EQ(state_of(rental.id), State::expired);
  EXPECT_FALSE(fleet_.runs(rental.container));
  survive([&] { pass_to("2025-01-07T00:00:00Z"); });
  EXPECT_EQ(state_of(rental.id), State::archived);
  EXPECT_TRUE(fleet_.archived(rental.container));
  survive([&] { must(service().renew(rental.id, day("2025-12-31"), origin())); });
  EXPECT_EQ(format_date(now(rental.id).expiry_date), "2025-12-31") << "what was committed stands";
  EXPECT_EQ(state_of(rental.id), State::active);
  EXPECT_TRUE(fleet_.runs(rental.container));
  EXPECT_EQ(killed_, 1);
}

TEST_P(ExpiryCrashTest, ARenewalBetweenAKillAndTheNextStartIsKept) {
  const Rental rental = rent("web", "2024-12-30");
  kill_at(std::get<0>(GetParam()), std::get<1>(GetParam()));
  try {
    pass_to("2024-12-31T00:00:00Z");
    pass_to("2025-01-07T00:00:00Z");
    must(service().renew(rental.id, day("2025-12-31"), origin()));
  } catch (const Killed&) {
  }
  ASSERT_EQ(killed_, 1);
  begin();
  if (now(rental.id).expiry_date != day("2025-12-31")) {
    must(service().renew(rental.id, day("2025-12-31"), origin()));
  }
  work();
  EXPECT_EQ(state_of(rental.id), State::active);
  EXPECT_TRUE(fleet_.runs(rental.container));
  EXPECT_EQ(now(rental.id).step, Step::none);
}

// Clocks

TEST_F(ExpiryEngineTest, AClockThatJumpsForwardAndIsSetRightStopsNothing) {
  const Rental rental = rent("web", "2024-12-30");
  live(hours(1), minutes(1));
  clock_.jump(days(60));
  for (int i = 0; i < 9; ++i) {
    clock_.pass(minutes(1));
    EXPECT_TRUE(must(service().tick()).held);
  }
  clock_.jump(-days(60));
  live(hours(2), minutes(1));
  EXPECT_TRUE(fleet_.calls().empty());
  EXPECT_TRUE(notices_.keys().empty());
  EXPECT_EQ(state_of(rental.id), State::active);
}

TEST_F(ExpiryEngineTest, AClockThatStaysAheadIsBelievedAndWhatItEndedComesBackWithTheRightTime) {
  const Rental rental = rent("web", "2024-12-02");
  live(hours(1), minutes(1));
  clock_.jump(hours(40));
  live(hours(1), minutes(1));
  EXPECT_EQ(state_of(rental.id), State::expired);
  clock_.jump(-hours(40));
  live(hours(1), minutes(1));
  EXPECT_EQ(state_of(rental.id), State::active);
  EXPECT_TRUE(fleet_.runs(rental.container));
  // The right end is kept, and told of no second time.
  live(days(3), minutes(10));
  EXPECT_EQ(state_of(rental.id), State::expired);
  EXPECT_EQ(notices_.keys(), Keys{"rental:1:2024-12-02:expired"});
}

TEST_F(ExpiryEngineTest, EvenAnArchiveOfAClockFarAheadComesBack) {
  const Rental rental = rent("web", "2024-12-30");
  work();
  clock_.jump(days(60));
  live(days(9), hours(1));
  ASSERT_EQ(state_of(rental.id), State::archived);
  clock_.jump(-days(60));
  live(hours(1), minutes(1));
  EXPECT_EQ(state_of(rental.id), State::active);
  EXPECT_TRUE(fleet_.runs(rental.container));
}

TEST_F(ExpiryEngineTest, AClockThatJumpsBackAndIsSetRightStartsNothingAgain) {
  const Rental rental = rent("web", "2024-12-02");
  live(days(2), hours(1));
  ASSERT_EQ(state_of(rental.id), State::expired);
  clock_.jump(-hours(30));
  live(minutes(8), minutes(1));
  clock_.jump(hours(30));
  live(hours(1), minutes(1));
  EXPECT_EQ(fleet_.calls(), Keys{"stop web"});
  EXPECT_EQ(state_of(rental.id), State::expired);
}

TEST_F(ExpiryEngineTest, AMachineThatStartsInThePastStartsNothingAgainUntilItsClockIsSet) {
  const Rental rental = rent("web", "2024-12-02");
  live(days(2), hours(1));
  ASSERT_EQ(state_of(rental.id), State::expired);
  clock_.jump(-days(365));
  begin();
  live(minutes(8), minutes(1));
  clock_.jump(days(365));
  live(hours(1), minutes(1));
  EXPECT_EQ(fleet_.calls(), Keys{"stop web"});
}

TEST_F(ExpiryEngineTest, AnAttemptThatAWrongClockPutOffIsMadeByTheRightOne) {
  const Rental rental = rent("web", "2024-12-02");
  live(hours(30), hours(1));
  fleet_.fail("stop", 1000);
  fleet_.fail("kill", 1000);
  clock_.jump(hours(20));
  live(hours(2), minutes(1));
  ASSERT_GT(now(rental.id).failures, 3);
  clock_.jump(-hours(20));
  live(minutes(12), minutes(1));
  // Whatever those attempts did to it.
  EXPECT_EQ(fleet_.calls().back(), "start web");
  EXPECT_EQ(now(rental.id).step, Step::none);
  EXPECT_FALSE(now(rental.id).problem);
  fleet_.fail("stop", 0);
  pass_to("2024-12-03T00:00:00Z");
  EXPECT_EQ(state_of(rental.id), State::expired);
}

TEST_F(ExpiryEngineTest, ADayInAnotherTimeZoneEndsThere) {
  settings_.engine.terms.time_zone = "Asia/Shanghai";
  const Rental rental = rent("web", "2024-12-30");
  pass_to("2024-12-30T15:59:59Z");
  EXPECT_EQ(state_of(rental.id), State::active);
  pass_to("2024-12-30T16:00:00Z");
  EXPECT_EQ(state_of(rental.id), State::expired);
}

TEST_F(ExpiryEngineTest, NewTermsHoldForOldRentals) {
  const Rental rental = rent("web", "2024-12-30");
  settings_.engine.terms.time_zone = "Asia/Shanghai";
  settings_.engine.terms.notice_days = {20};
  settings_.engine.terms.grace = hours(1);
  begin();
  EXPECT_EQ(now(rental.id).expires_at, at("2024-12-30T16:00:00Z"));
  live(days(31), hours(2));
  EXPECT_EQ(notices_.keys(), (Keys{"rental:1:2024-12-30:before-20", "rental:1:2024-12-30:expired"}));
  EXPECT_TRUE(fleet_.archived(rental.container));
}

}  // namespace
}  // namespace berth::rental
