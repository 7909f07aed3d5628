#include "app/configuration_values.h"

#include <gtest/gtest.h>

namespace berth::app {
namespace {

using namespace std::chrono_literals;

TEST(Duration, ReadsEveryUnitAndJoinedOnes) {
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("5s"), 5s);
  EXPECT_EQ(parse_duration("15m"), 15min);
  EXPECT_EQ(parse_duration("12h"), 12h);
  EXPECT_EQ(parse_duration("30d"), 24h * 30);
  EXPECT_EQ(parse_duration("1h30m"), 90min);
}

TEST(Duration, RefusesWhatIsNone) {
  for (const auto* text : {"", "5", "s", "5 s", "-5s", "5s ", "5x", "1.5s", "99999999999999999999s",
                           "9223372036854775807d", "9223372036854775807ms1s"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(Duration, IsShownInTheLargestUnitThatFits) {
  EXPECT_EQ(format_duration(0ms), "0s");
  EXPECT_EQ(format_duration(900s), "15m");
  EXPECT_EQ(format_duration(1500ms), "1500ms");
  EXPECT_EQ(format_duration(24h), "1d");
}

TEST(Size, ReadsBinaryUnitsAndBareBytes) {
  EXPECT_EQ(parse_size("512"), 512U);
  EXPECT_EQ(parse_size("512B"), 512U);
  EXPECT_EQ(parse_size("16KiB"), 16384U);
  EXPECT_EQ(parse_size("2TiB"), 2ULL << 40U);
}

TEST(Size, RefusesDecimalUnitsAndOverflow) {
  for (const auto* text : {"", "KiB", "16kB", "16MB", "16 KiB", "-1", "1.5KiB", "99999999999TiB"}) {
    EXPECT_FALSE(parse_size(text)) << text;
  }
}

TEST(NearestName, FindsSlipsOfTheFinger) {
  const std::vector<std::string> names = {"threads", "workers", "trusted_proxies"};
  EXPECT_EQ(nearest_name("treads", names), "threads");
  EXPECT_EQ(nearest_name("thraeds", names), "threads");
  EXPECT_EQ(nearest_name("trustedproxies", names), "trusted_proxies");
  EXPECT_EQ(nearest_name("colour", names), std::nullopt);
  EXPECT_EQ(nearest_name("", names), std::nullopt);
  EXPECT_EQ(nearest_name(std::string(100'000, 'x'), names), std::nullopt);
}

TEST(QuoteToml, EscapesWhatWouldEndOrBreakTheString) {
  EXPECT_EQ(quote_toml("a\"b\\c\n"), R"("a\"b\\c\u000A")");
}

}  // namespace
}  // namespace berth::app
