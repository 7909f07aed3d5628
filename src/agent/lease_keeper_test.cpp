#include "agent/lease_keeper.h"

#include <gtest/gtest.h>

namespace berth::agent {
namespace {

using fleet::Grant;
using fleet::Holding;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant kStart{std::chrono::hours(1)};

fleet::LeaseAnswer answer(Grant grant, std::int64_t number = 1) {
  return {.grant = grant, .number = number, .terms = {}, .not_to_start = {}};
}

TEST(LeaseKeeperTest, AnAgentThatNeverHadALeaseLetsEverythingRun) {
  const LeaseKeeper keeper;
  EXPECT_EQ(keeper.holding(kStart), Holding::unbound);
  EXPECT_FALSE(keeper.must_be_silent(kStart));
}

TEST(LeaseKeeperTest, ALeaseCountsFromWhenItWasAskedFor) {
  LeaseKeeper keeper;
  keeper.take(answer(Grant::timed), kStart);
  const Instant end = kStart + fleet::LeaseTerms{}.duration;
  EXPECT_EQ(keeper.holding(end - milliseconds(1)), Holding::timed);
  EXPECT_EQ(keeper.holding(end), Holding::nothing);
  EXPECT_TRUE(keeper.must_be_silent(end));
}

TEST(LeaseKeeperTest, ARefusalEndsEverythingAtOnce) {
  for (const Grant before : {Grant::timed, Grant::standing, Grant::released}) {
    LeaseKeeper keeper;
    keeper.take(answer(before), kStart);
    keeper.take(answer(Grant::refused, 2), kStart);
    EXPECT_TRUE(keeper.must_be_silent(kStart)) << name(before);
  }
}

TEST(LeaseKeeperTest, AStandingLeaseLastsUntilTheNextAnswer) {
  LeaseKeeper keeper;
  keeper.take(answer(Grant::standing), kStart);
  EXPECT_EQ(keeper.holding(kStart + std::chrono::hours(1000)), Holding::standing);
  keeper.take(answer(Grant::timed, 2), kStart);
  EXPECT_EQ(keeper.holding(kStart + std::chrono::hours(1000)), Holding::nothing);
}

TEST(LeaseKeeperTest, WhoIsReleasedIsFree) {
  LeaseKeeper keeper;
  keeper.take(answer(Grant::timed), kStart);
  keeper.take(answer(Grant::released, 2), kStart + seconds(1));
  EXPECT_EQ(keeper.holding(kStart + seconds(100)), Holding::unbound);
}

TEST(LeaseKeeperTest, WhatWasKeptHoldsAfterAStart) {
  LeaseKeeper before;
  before.take(answer(Grant::timed), kStart);
  const LeaseKeeper after(before.kept());
  EXPECT_EQ(after.holding(kStart + seconds(1)), Holding::timed);
  EXPECT_TRUE(after.must_be_silent(kStart + seconds(60)));
}

TEST(LeaseKeeperTest, ARequestTellsWhatIsHeldAndWhichAnswerIsKnown) {
  LeaseKeeper keeper;
  keeper.take(answer(Grant::timed, 42), kStart);
  const auto request = keeper.request(kStart + seconds(1), 3, 2, true);
  EXPECT_EQ(request.holding, Holding::timed);
  EXPECT_EQ(request.running, 3u);
  EXPECT_TRUE(request.leaving);
  EXPECT_EQ(request.last_answer, 42);
  EXPECT_EQ(keeper.request(kStart + seconds(60), 0, 0, false).holding, Holding::nothing);
}

}  // namespace
}  // namespace berth::agent
