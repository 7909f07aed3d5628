#include "base/clock.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <time.h>

#include <optional>
#include <vector>

namespace berth {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

Timestamp at(int year, unsigned month, unsigned day, microseconds time = microseconds(0)) {
  return Timestamp(std::chrono::sys_days(std::chrono::year(year) / static_cast<int>(month) / static_cast<int>(day))) +
         time;
}

/// Sets the process's time zone for one test.
class Zone {
 public:
  explicit Zone(const char* name) {
    if (const char* before = ::getenv("TZ")) before_ = before;
    ::setenv("TZ", name, 1);
    ::tzset();
  }
  ~Zone() {
    if (before_) {
      ::setenv("TZ", before_->c_str(), 1);
    } else {
      ::unsetenv("TZ");
    }
    ::tzset();
  }

 private:
  std::optional<std::string> before_;
};

TEST(ParseTimestamp, ReadsRfc3339) {
  const auto noon = at(2026, 1, 23, hours(11) + minutes(30));
  const std::vector<std::pair<std::string_view, Timestamp>> table = {
      {"2026-01-23T11:30:00Z", noon},
      {"2026-01-23t11:30:00z", noon},
      {"2026-01-23 11:30:00Z", noon},
      {"2026-01-23T19:30:00+08:00", noon},
      {"2026-01-23T06:00:00-05:30", noon},
      {"2026-01-23T11:30:00-00:00", noon},
      {"2026-01-24T11:29:00+23:59", noon},
      {"2026-01-23T11:30:00.5Z", noon + milliseconds(500)},
      {"2026-01-23T11:30:00.000001Z", noon + microseconds(1)},
      {"2026-01-23T11:30:00.123456789123456789Z", noon + microseconds(123456)},
      {"2026-01-23T11:29:60Z", noon},  // a leap second is the start of the next minute
      {"2024-02-29T00:00:00Z", at(2024, 2, 29)},
      {"2000-02-29T00:00:00Z", at(2000, 2, 29)},
      {"2026-01-01T00:00:00+01:00", at(2025, 12, 31, hours(23))},
      {"1970-01-01T00:00:00Z", Timestamp{}},
      {"1969-12-31T23:59:59.999999Z", Timestamp{} - microseconds(1)},
      {"0001-01-01T00:00:00Z", at(1, 1, 1)},
      {"9999-12-31T23:59:59Z", at(9999, 12, 31, hours(24) - seconds(1))},
  };
  for (const auto& [text, expected] : table) {
    const auto time = parse_timestamp(text);
    ASSERT_TRUE(time) << text;
    EXPECT_EQ(*time, expected) << text;
  }
}

TEST(ParseTimestamp, RefusesEverythingElse) {
  for (const std::string_view text : {"",
                                      "2026",
                                      "2026-01-23",
                                      "2026-01-23T11:30",
                                      "2026-01-23T11:30:00",
                                      "2026-01-23T11:30:00Zx",
                                      "2026-01-23T11:30:00 Z",
                                      "2026-01-23T11:30:00.Z",
                                      "2026-01-23T11:30:00,5Z",
                                      "2026-01-23T24:00:00Z",
                                      "2026-01-23T11:60:00Z",
                                      "2026-01-23T11:30:61Z",
                                      "2026-00-23T11:30:00Z",
                                      "2026-13-23T11:30:00Z",
                                      "2026-01-00T11:30:00Z",
                                      "2026-01-32T11:30:00Z",
                                      "2026-04-31T11:30:00Z",
                                      "2026-02-29T11:30:00Z",
                                      "1900-02-29T00:00:00Z",
                                      "2100-02-29T00:00:00Z",
                                      "2026-01-23T11:30:00+24:00",
                                      "2026-01-23T11:30:00+08:60",
                                      "2026-01-23T11:30:00+0800",
                                      "2026-01-23T11:30:00+08",
                                      "2026-01-23T11:30:00+8:00",
                                      "2026-1-23T11:30:00Z",
                                      "26-01-23T11:30:00Z",
                                      "02026-01-23T11:30:00Z",
                                      "-026-01-23T11:30:00Z",
                                      "2026-01-23T-0:30:00Z",
                                      "2026-01-23T+1:30:00Z",
                                      "2026-01-23T 1:30:00Z",
                                      "2026-01-23T11:30:00+-0:00",
                                      "2026/01/23T11:30:00Z",
                                      "2026-01-23T11-30-00Z",
                                      " 2026-01-23T11:30:00Z",
                                      "２026-01-23T11:30:00Z"}) {
    const auto time = parse_timestamp(text);
    ASSERT_FALSE(time) << text;
    EXPECT_EQ(time.error().code(), ErrorCode::invalid_argument);
    EXPECT_EQ(time.error().reason(), "timestamp.invalid");
  }
}

TEST(FormatUtc, WritesWholeSecondsRoundedDown) {
  EXPECT_EQ(format_utc(at(2026, 1, 23, hours(11) + minutes(30))), "2026-01-23T11:30:00Z");
  EXPECT_EQ(format_utc(at(2026, 1, 23, seconds(1) - microseconds(1))), "2026-01-23T00:00:00Z");
  EXPECT_EQ(format_utc(Timestamp{} - microseconds(1)), "1969-12-31T23:59:59Z");
  EXPECT_EQ(format_utc(at(2024, 2, 29)), "2024-02-29T00:00:00Z");
  EXPECT_EQ(format_utc(at(987, 6, 5)), "0987-06-05T00:00:00Z");
}

TEST(FormatUtc, ReadsBack) {
  for (int day = 0; day < 800; ++day) {
    const Timestamp time = at(2023, 12, 1) + days(day) + seconds(day * 97 % 86400);
    EXPECT_EQ(parse_timestamp(format_utc(time)).value(), time);
  }
}

TEST(FormatLocal, FollowsTheZoneAndItsSummerTime) {
  const Zone zone("CET-1CEST,M3.5.0,M10.5.0/3");
  EXPECT_EQ(format_local(at(2026, 1, 23, hours(11))), "2026-01-23T12:00:00");
  EXPECT_EQ(format_local(at(2026, 7, 23, hours(11))), "2026-07-23T13:00:00");
}

TEST(SystemClock, AgreesWithTheMachine) {
  const auto before = std::chrono::system_clock::now();
  const auto steady_before = std::chrono::steady_clock::now();
  const Timestamp now = system_clock().now();
  const Instant instant = system_clock().instant();
  EXPECT_GE(now + microseconds(1), before);
  EXPECT_LE(now, std::chrono::system_clock::now());
  EXPECT_GE(instant, steady_before);
  const auto steady_after = std::chrono::steady_clock::now();
  EXPECT_LE(instant, steady_after);
}

TEST(ManualClock, StandsStillUntilItIsMoved) {
  ManualClock clock(at(2026, 1, 1));
  const Instant instant = clock.instant();
  EXPECT_EQ(clock.now(), at(2026, 1, 1));
  clock.advance(hours(36) + microseconds(5));
  EXPECT_EQ(clock.now(), at(2026, 1, 2, hours(12) + microseconds(5)));
  EXPECT_EQ(clock.instant() - instant, hours(36) + microseconds(5));
  static_assert(!std::is_copy_constructible_v<ManualClock>);
}

TEST(Deadline, RemainsNeverBelowZero) {
  const Deadline past(std::chrono::steady_clock::now() - hours(1));
  EXPECT_TRUE(past.expired());
  EXPECT_EQ(past.remaining(), milliseconds(0));
  EXPECT_TRUE(Deadline::after(milliseconds(0)).expired());
  EXPECT_TRUE(Deadline::after(milliseconds(-5)).expired());
}

TEST(Deadline, RoundsWhatRemainsUp) {
  const Deadline deadline = Deadline::after(seconds(1000));
  EXPECT_FALSE(deadline.expired());
  EXPECT_GT(deadline.remaining(), seconds(990));
  EXPECT_LE(deadline.remaining(), seconds(1000));
}

TEST(Deadline, SoonerTakesTheNearer) {
  const Deadline far = Deadline::after(hours(2));
  EXPECT_LE(far.sooner(hours(1)).remaining(), hours(1));
  const Deadline near = Deadline::after(minutes(1));
  EXPECT_EQ(near.sooner(hours(1)).at(), near.at());
}

TEST(Deadline, OfAnEndlessWaitIsFarAway) {
  EXPECT_FALSE(Deadline::after(milliseconds::max()).expired());
  EXPECT_GT(Deadline::after(milliseconds::max()).remaining(), hours(24 * 365));
}

}  // namespace
}  // namespace berth
