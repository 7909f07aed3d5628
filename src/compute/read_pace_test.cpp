#include "compute/read_pace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <vector>

namespace berth::compute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class ReadPaceTest : public ::testing::Test {
 protected:
  /// A read that begins when it is due and takes so long.
  void read(milliseconds takes) {
    clock_.advance(until_next());
    const Instant begin = clock_.instant();
    clock_.advance(takes);
    pace_.succeeded(begin, clock_.instant());
    // What the read before brought, measured as early as when that one began, is replaced now.
    if (last_begin_) oldest_seen_ = std::max(oldest_seen_, clock_.instant() - *last_begin_);
    last_begin_ = begin;
  }
  void fail(milliseconds takes) {
    clock_.advance(until_next());
    const Instant begin = clock_.instant();
    clock_.advance(takes);
    pace_.failed(begin, clock_.instant());
  }
  std::chrono::microseconds until_next() const {
    return std::chrono::ceil<std::chrono::microseconds>(pace_.next() - clock_.instant());
  }
  milliseconds until_earliest() const {
    return std::chrono::duration_cast<milliseconds>(pace_.earliest() - clock_.instant());
  }

  ManualClock clock_{Timestamp(seconds(1'800'000'000))};
  ReadPace pace_{seconds(5), clock_.instant()};
  std::optional<Instant> last_begin_;
  Instant::duration oldest_seen_{};
};

TEST_F(ReadPaceTest, BeginsAtOnce) {
  EXPECT_EQ(until_next(), seconds(0));
  EXPECT_EQ(until_earliest(), seconds(0));
}

TEST_F(ReadPaceTest, ReadsAQuickEngineAlmostAsSeldomAsFiguresMayBeOld) {
  read(milliseconds(0));
  EXPECT_EQ(until_next(), milliseconds(4950));
}

TEST_F(ReadPaceTest, BeginsEarlierByWhatAReadMayTake) {
  read(milliseconds(1200));
  EXPECT_EQ(until_next(), milliseconds(5000 - 1800 - 1200)) << "half more than 1.2 s, from when the last one began";
}

TEST_F(ReadPaceTest, LeavesNoFigureOlderWhereEachReadTakesAsLong) {
  for (const auto takes : {milliseconds(100), milliseconds(1300), milliseconds(2200)}) {
    pace_ = ReadPace(seconds(5), clock_.instant());
    last_begin_.reset();
    for (int i = 0; i < 50; ++i) read(takes);
    EXPECT_LE(oldest_seen_, seconds(5)) << takes.count();
  }
}

TEST_F(ReadPaceTest, LeavesNoFigureOlderWhereReadsBecomeHalfSlower) {
  const std::vector<int> takes{1300, 1900, 1250, 1300, 1500, 1280, 1950, 1400, 1300};
  for (int i = 0; i < 90; ++i) read(milliseconds(takes[static_cast<std::size_t>(i) % takes.size()]));
  EXPECT_LE(oldest_seen_, seconds(5));
}

TEST_F(ReadPaceTest, RemembersASlowReadForAWhile) {
  read(milliseconds(2000));
  read(milliseconds(100));
  EXPECT_EQ(until_next(), milliseconds(5000 - 3000 - 100)) << "from when the quick one began";
  for (int i = 0; i < 7; ++i) read(milliseconds(400));
  EXPECT_EQ(until_next(), milliseconds(5000 - 600 - 400));
}

TEST_F(ReadPaceTest, LeavesASlowEngineAloneForAQuarterOfWhatItTook) {
  read(milliseconds(2000));
  EXPECT_EQ(until_next(), milliseconds(500));
  EXPECT_EQ(until_earliest(), milliseconds(500));
}

TEST_F(ReadPaceTest, LetsAWantedReadBeginAfterAsLongAsTheLastOneTook) {
  read(milliseconds(300));
  EXPECT_EQ(until_earliest(), milliseconds(300));
  read(milliseconds(0));
  EXPECT_EQ(until_earliest(), milliseconds(20));
}

TEST_F(ReadPaceTest, AsksAgainASecondAfterAFailureBegan) {
  fail(milliseconds(10));
  EXPECT_EQ(until_next(), milliseconds(990));
  fail(milliseconds(4000));
  EXPECT_EQ(until_next(), seconds(1)) << "after one that took long, the engine is left alone";
}

TEST_F(ReadPaceTest, ForgetsHowLongAFailureTook) {
  fail(milliseconds(4000));
  read(milliseconds(0));
  EXPECT_EQ(until_next(), milliseconds(4950));
}

TEST_F(ReadPaceTest, PausesAlsoWhereFiguresMayHardlyBeOld) {
  pace_ = ReadPace(milliseconds(1), clock_.instant());
  read(milliseconds(0));
  EXPECT_EQ(until_next(), milliseconds(20));
}

}  // namespace
}  // namespace berth::compute
