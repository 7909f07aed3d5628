#include "fleet/lease_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fleet/server_rows.h"
#include "store/both_engines_fixture.h"

namespace berth::fleet {
namespace {

using std::chrono::milliseconds;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// An agent that keeps to the rules, and its server; on both stores.
class LeaseBookTest : public ::testing::TestWithParam<store::Dialect> {
 protected:
  LeaseBookTest() {
    take(database_->migrate());
    server_.name = "one";
    server_.address.url = "fake://one";
    server_.fence = Fence::agent;
    server_.id =
        take(database_->write([&](store::Transaction& t) { return server_rows::insert(t, server_, sealing_); }));
    start();
    token_ = std::string(take(book_->issue_token(server_, {})).reveal());
  }

  void start() {
    book_ = take(LeaseBook::create(terms_, {*database_,
                                            audit_,
                                            clock_,
                                            {.server = [this](const std::string& name) -> std::optional<Server> {
                                               return name == "one" ? std::optional(server_) : std::nullopt;
                                             },
                                             .fenced = [this](ServerId) { return fenced_; },
                                             .elsewhere = [this](ServerId) { return elsewhere_; },
                                             .not_to_start = [this](ServerId) { return not_to_start_; }}}));
  }
  template <class T>
  static T take(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().describe());
    if constexpr (!std::is_void_v<T>) return std::move(*result);
  }

  Grant ask(Holding holding, std::uint32_t running = 3, bool leaving = false, std::uint32_t owes = 0) {
    const auto answer = take(book_->answer("one", token_, {holding, running, owes, leaving, last_answer_}));
    last_answer_ = answer.number;
    return answer.grant;
  }
  /// From nothing to a lease that is counted on.
  void bind() {
    ASSERT_EQ(ask(Holding::unbound), Grant::timed);
    ASSERT_EQ(ask(Holding::timed), Grant::timed);
    ASSERT_EQ(bond(), Bond::timed);
  }
  Bond bond() { return book_->agent(server_.id).bond; }
  void pass(milliseconds time) { clock_.advance(time); }

  store::Place place_{GetParam()};
  identity::Sealing sealing_ = identity::Sealing::from_keys({Secret(std::string(32, 's'))});
  std::unique_ptr<store::Database> database_ = take(store::Database::open(place_.settings(), place_.metrics()));
  ManualClock clock_{Timestamp(std::chrono::hours(24 * 365 * 50))};
  audit::AuditLog audit_{*database_, Secret(std::string(32, 'k')), clock_};
  LeaseTerms terms_;
  Server server_;
  bool fenced_ = false;
  std::vector<ContainerThere> elsewhere_;
  NotToStart not_to_start_;
  std::unique_ptr<LeaseBook> book_;
  std::string token_;
  std::int64_t last_answer_ = 0;
};

TEST_P(LeaseBookTest, AnAgentIsCountedOnOnceItHoldsWhatItWasGiven) {
  EXPECT_EQ(ask(Holding::unbound), Grant::timed);
  EXPECT_EQ(bond(), Bond::none);
  EXPECT_EQ(ask(Holding::timed), Grant::timed);
  EXPECT_EQ(bond(), Bond::timed);
}

TEST_P(LeaseBookTest, WithoutTheTokenNobodyIsAnswered) {
  for (const auto& token : {std::string(), std::string("berth_agent_x"), token_ + "x"}) {
    const auto answer = book_->answer("one", token, {});
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code(), ErrorCode::unauthenticated);
    EXPECT_EQ(answer.error().reason(), "lease.token");
  }
  const auto unknown = book_->answer("two", token_, {});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().reason(), "lease.token");
}

TEST_P(LeaseBookTest, ANewTokenReplacesTheOldOne) {
  const std::string old = std::exchange(token_, std::string(take(book_->issue_token(server_, {})).reveal()));
  EXPECT_NE(old, token_);
  EXPECT_FALSE(book_->answer("one", old, {}));
  EXPECT_EQ(ask(Holding::unbound), Grant::timed);
  start();
  EXPECT_FALSE(book_->answer("one", old, {}));
  EXPECT_EQ(ask(Holding::timed), Grant::timed);
}

TEST_P(LeaseBookTest, ATokenIsForServersWithAnAgentOnly) {
  server_.fence = Fence::none;
  const auto issued = book_->issue_token(server_, {});
  ASSERT_FALSE(issued);
  EXPECT_EQ(issued.error().reason(), "lease.no_agent");
}

TEST_P(LeaseBookTest, ItIsCertainOnlyOnceTheLastLeaseAndTheStoppingHavePassed) {
  bind();
  EXPECT_FALSE(book_->is_certain(server_.id)) << "it may get another lease at any time";
  book_->close(server_.id);
  EXPECT_FALSE(book_->is_certain(server_.id));
  pass(terms_.certain_after() - milliseconds(1));
  EXPECT_FALSE(book_->is_certain(server_.id));
  pass(milliseconds(1));
  EXPECT_TRUE(book_->is_certain(server_.id));
}

TEST_P(LeaseBookTest, WhileItIsClosedOrFencedEveryLeaseIsRefused) {
  bind();
  book_->close(server_.id);
  EXPECT_EQ(ask(Holding::timed), Grant::refused);
  book_->reopen(server_.id);
  EXPECT_EQ(ask(Holding::timed), Grant::timed);
  fenced_ = true;
  EXPECT_EQ(ask(Holding::nothing), Grant::refused);
  fenced_ = false;
  EXPECT_EQ(ask(Holding::nothing), Grant::timed);
}

TEST_P(LeaseBookTest, AnAgentThatSaysThatNothingRunsIsBelievedAtOnce) {
  bind();
  book_->close(server_.id);
  EXPECT_EQ(ask(Holding::timed), Grant::refused);
  EXPECT_FALSE(book_->is_certain(server_.id));
  EXPECT_EQ(ask(Holding::nothing, 1), Grant::refused);
  EXPECT_FALSE(book_->is_certain(server_.id)) << "one runs still";
  EXPECT_EQ(ask(Holding::nothing, 0), Grant::refused);
  EXPECT_TRUE(book_->is_certain(server_.id));
}

TEST_P(LeaseBookTest, ARequestThatWasLongOnItsWaySaysNothing) {
  bind();
  const LeaseRequest late{Holding::nothing, 0, 0, false, last_answer_ - 1};
  book_->close(server_.id);
  EXPECT_EQ(take(book_->answer("one", token_, late)).grant, Grant::refused);
  EXPECT_FALSE(book_->is_certain(server_.id));
  book_->reopen(server_.id);
  const LeaseRequest held{Holding::timed, 3, 0, false, last_answer_};
  EXPECT_EQ(ask(Holding::timed, 3, true), Grant::released);
  EXPECT_EQ(take(book_->answer("one", token_, held)).grant, Grant::timed);
  EXPECT_EQ(bond(), Bond::none) << "it was released after it had sent that";
}

TEST_P(LeaseBookTest, AnAgentThatLeavesIsNotCountedOn) {
  bind();
  EXPECT_EQ(ask(Holding::timed, 3, true), Grant::released);
  EXPECT_EQ(bond(), Bond::none);
  book_->close(server_.id);
  pass(terms_.certain_after() * 2);
  EXPECT_FALSE(book_->is_certain(server_.id));
}

TEST_P(LeaseBookTest, AnAgentCannotLeaveWhileItsServerIsBeingFenced) {
  bind();
  book_->close(server_.id);
  EXPECT_EQ(ask(Holding::timed, 3, true), Grant::refused);
  EXPECT_EQ(bond(), Bond::timed);
}

TEST_P(LeaseBookTest, AnAgentThatBeginsAnewIsNotCountedOnUntilItHoldsALease) {
  bind();
  EXPECT_EQ(ask(Holding::unbound), Grant::timed);
  EXPECT_EQ(bond(), Bond::none);
  EXPECT_EQ(ask(Holding::timed), Grant::timed);
  EXPECT_EQ(bond(), Bond::timed);
}

TEST_P(LeaseBookTest, WithAnotherFenceAnAgentIsReleased) {
  bind();
  server_.fence = Fence::command;
  EXPECT_EQ(ask(Holding::timed), Grant::released);
  EXPECT_EQ(bond(), Bond::none);
}

TEST_P(LeaseBookTest, AfterAStartTheLastLeaseIsTakenToBeNew) {
  bind();
  pass(std::chrono::hours(1));
  start();
  book_->close(server_.id);
  EXPECT_FALSE(book_->is_certain(server_.id));
  pass(terms_.certain_after());
  EXPECT_TRUE(book_->is_certain(server_.id));
}

TEST_P(LeaseBookTest, AShorterLeaseDoesNotShortenWhatWasPromisedBefore) {
  bind();
  const auto before = terms_.certain_after();
  terms_.duration = milliseconds(2000);
  start();
  EXPECT_EQ(ask(Holding::timed), Grant::timed);
  book_->close(server_.id);
  pass(terms_.certain_after());
  EXPECT_FALSE(book_->is_certain(server_.id));
  pass(before - terms_.certain_after());
  EXPECT_TRUE(book_->is_certain(server_.id));
}

TEST_P(LeaseBookTest, AStandingLeaseIsNeverTakenToHaveEnded) {
  bind();
  EXPECT_FALSE(book_->all_standing());
  book_->offer_standing();
  EXPECT_EQ(ask(Holding::timed), Grant::standing);
  EXPECT_TRUE(book_->all_standing());
  start();
  EXPECT_EQ(bond(), Bond::standing);
  book_->close(server_.id);
  pass(std::chrono::hours(24));
  EXPECT_FALSE(book_->is_certain(server_.id));
}

TEST_P(LeaseBookTest, AStandingLeaseEndsOnceTheAgentHoldsATimedOneAgain) {
  bind();
  book_->offer_standing();
  EXPECT_EQ(ask(Holding::timed), Grant::standing);
  start();
  EXPECT_EQ(ask(Holding::standing), Grant::timed);
  EXPECT_EQ(bond(), Bond::standing) << "the answer may have been lost";
  EXPECT_EQ(ask(Holding::timed), Grant::timed);
  EXPECT_EQ(bond(), Bond::timed);
}

TEST_P(LeaseBookTest, WhoHoldsAStandingLeaseCanBeToldToStop) {
  bind();
  book_->offer_standing();
  EXPECT_EQ(ask(Holding::timed), Grant::standing);
  start();
  book_->close(server_.id);
  EXPECT_EQ(ask(Holding::standing), Grant::refused);
  EXPECT_EQ(ask(Holding::nothing, 0), Grant::refused);
  EXPECT_TRUE(book_->is_certain(server_.id));
}

TEST_P(LeaseBookTest, AnAgentNobodyHasHeardOfForLongDoesNotHoldUpTheEnd) {
  bind();
  book_->offer_standing();
  EXPECT_FALSE(book_->all_standing());
  pass(terms_.renewal * 4);
  EXPECT_TRUE(book_->all_standing());
}

TEST_P(LeaseBookTest, ContainersThatRunWithoutALeaseEndTheTrust) {
  bind();
  const Instant soon_after = clock_.instant() + milliseconds(1);
  take(book_->note_running(server_.id, soon_after));
  EXPECT_EQ(bond(), Bond::timed) << "they had a lease";
  pass(terms_.certain_after());
  take(book_->note_running(server_.id, clock_.instant()));
  EXPECT_EQ(bond(), Bond::none);
  book_->close(server_.id);
  EXPECT_FALSE(book_->is_certain(server_.id));
}

TEST_P(LeaseBookTest, AnAgentHearsWhatItMustNotStart) {
  elsewhere_ = {{"web", "abc"}};
  not_to_start_ = {.elsewhere = elsewhere_, .unwanted = {{"shop", "def"}}, .changing = {{"wiki", ""}}};
  const auto told = take(book_->answer("one", token_, {})).not_to_start;
  EXPECT_THAT(told.elsewhere, SizeIs(1));
  EXPECT_THAT(told.unwanted, IsEmpty()) << "it starts nothing";
  const auto owing = take(book_->answer("one", token_, {.holding = Holding::nothing, .owes = 2})).not_to_start;
  EXPECT_THAT(owing.elsewhere, SizeIs(1));
  EXPECT_THAT(owing.unwanted, SizeIs(1));
  EXPECT_THAT(owing.changing, SizeIs(1));
}

TEST_P(LeaseBookTest, AServerWithoutAnAgentLetsContainersRun) {
  EXPECT_TRUE(book_->lets_run(ServerId(99)));
  EXPECT_TRUE(book_->lets_run(server_.id)) << "nobody stops anything there yet";
}

TEST_P(LeaseBookTest, AServerLetsContainersRunOnceItsAgentIsKnownToHoldALease) {
  EXPECT_EQ(ask(Holding::unbound), Grant::timed);
  EXPECT_TRUE(book_->lets_run(server_.id)) << "it stops nothing before it is bound";
  EXPECT_EQ(ask(Holding::timed), Grant::timed);
  pass(terms_.duration - kLongestAsking - milliseconds(1));
  EXPECT_TRUE(book_->lets_run(server_.id));
  pass(milliseconds(1));
  EXPECT_FALSE(book_->lets_run(server_.id)) << "it may have asked so long ago";
}

TEST_P(LeaseBookTest, WhatAnAgentKnewWhenItAskedTellsWhenItAsked) {
  bind();
  EXPECT_EQ(ask(Holding::timed), Grant::timed);
  pass(terms_.renewal);
  EXPECT_EQ(ask(Holding::timed), Grant::timed);
  pass(terms_.duration - terms_.renewal - milliseconds(1));
  EXPECT_TRUE(book_->lets_run(server_.id));
  pass(milliseconds(1));
  EXPECT_FALSE(book_->lets_run(server_.id)) << "its answer may have got lost";
}

TEST_P(LeaseBookTest, AnAgentThatDoesNotHearIsNotTakenToHoldALease) {
  bind();
  EXPECT_EQ(ask(Holding::timed), Grant::timed);
  ASSERT_TRUE(book_->lets_run(server_.id));
  const std::int64_t heard = last_answer_;
  for (milliseconds passed{0}; passed <= terms_.duration; passed += terms_.renewal) {
    last_answer_ = heard;
    EXPECT_EQ(ask(Holding::timed), Grant::timed);
    pass(terms_.renewal);
  }
  EXPECT_FALSE(book_->lets_run(server_.id));
}

TEST_P(LeaseBookTest, AServerLetsContainersRunAgainOnceItsAgentHasStartedWhatItStopped) {
  bind();
  EXPECT_EQ(ask(Holding::nothing, 0, false, 2), Grant::timed);
  EXPECT_EQ(ask(Holding::timed, 1, false, 1), Grant::timed);
  EXPECT_EQ(ask(Holding::timed, 1, false, 1), Grant::timed);
  EXPECT_FALSE(book_->lets_run(server_.id));
  EXPECT_EQ(ask(Holding::timed, 2, false, 0), Grant::timed);
  EXPECT_TRUE(book_->lets_run(server_.id));
}

TEST_P(LeaseBookTest, AStandingLeaseLetsContainersRunOnceItsAgentSaysThatItHasIt) {
  bind();
  book_->offer_standing();
  EXPECT_EQ(ask(Holding::timed), Grant::standing);
  start();
  EXPECT_FALSE(book_->lets_run(server_.id)) << "the answer may have got lost";
  EXPECT_EQ(ask(Holding::standing), Grant::timed);
  EXPECT_TRUE(book_->lets_run(server_.id));
}

TEST_P(LeaseBookTest, WhatAnAgentCannotStartHoldsAServerUpForAWhileOnly) {
  bind();
  EXPECT_EQ(ask(Holding::nothing, 0, false, 2), Grant::timed);
  int renewals = 0;
  while (!book_->lets_run(server_.id) && renewals < 1000) {
    EXPECT_EQ(ask(Holding::timed, 1, false, 1), Grant::timed);
    pass(terms_.renewal);
    ++renewals;
  }
  EXPECT_EQ(renewals, 120);
}

TEST_P(LeaseBookTest, ALeaseIsExpectedOfAnAgentThatWasHeardOfLately) {
  EXPECT_TRUE(book_->is_heard_of(server_.id)) << "Berth has just begun";
  pass(3 * terms_.renewal);
  EXPECT_FALSE(book_->is_heard_of(server_.id));
  EXPECT_EQ(ask(Holding::nothing), Grant::timed);
  EXPECT_TRUE(book_->is_heard_of(server_.id));
}

TEST_P(LeaseBookTest, AnAgentThatIsNotCountedOnHoldsNothingUp) {
  bind();
  EXPECT_EQ(ask(Holding::nothing, 0, false, 2), Grant::timed);
  EXPECT_EQ(ask(Holding::timed, 2, true), Grant::released);
  EXPECT_TRUE(book_->lets_run(server_.id));
}

INSTANTIATE_TEST_SUITE_P(Stores, LeaseBookTest, ::testing::Values(store::Dialect::sqlite, store::Dialect::postgresql),
                         store::engine_name);

}  // namespace
}  // namespace berth::fleet
