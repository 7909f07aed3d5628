#include "drivers/lxd/limit_words.h"

#include <gtest/gtest.h>

namespace berth::drivers::lxd {
namespace {

TEST(LimitWords, ReadsSizesInBinaryAndDecimalUnits) {
  EXPECT_EQ(parse_size("128MiB"), 128ULL << 20U);
  EXPECT_EQ(parse_size("1GB"), 1'000'000'000ULL);
  EXPECT_EQ(parse_size("10 GiB"), 10ULL << 30U);
  EXPECT_EQ(parse_size("512B"), 512ULL);
  EXPECT_EQ(parse_size("1024"), 1024ULL);
  EXPECT_EQ(parse_size("0"), 0ULL);
}

TEST(LimitWords, TakesNothingElseForASize) {
  for (const char* text :
       {"", "MiB", "1.5GB", "-1", "1XB", "50%", "0x10", "99999999999999999999", "18446744073709551615KiB"}) {
    EXPECT_EQ(parse_size(text), std::nullopt) << text;
  }
}

TEST(LimitWords, WritesSizesThatReadBackTheSame) {
  for (const std::uint64_t bytes : {0ULL, 1ULL, 1000ULL, 1024ULL, 1536ULL << 20U, 10ULL << 30U, (1ULL << 50U) + 1}) {
    EXPECT_EQ(parse_size(write_size(bytes)), bytes) << write_size(bytes);
  }
  EXPECT_EQ(write_size(128ULL << 20U), "128MiB");
  EXPECT_EQ(write_size(1000), "1000B");
}

TEST(LimitWords, ReadsPercentages) {
  EXPECT_EQ(parse_percent("50%"), 0.5);
  EXPECT_EQ(parse_percent("100%"), 1.0);
  for (const char* text : {"", "%", "50", "0%", "101%", "-5%", "x%", "nan%"}) {
    EXPECT_EQ(parse_percent(text), std::nullopt) << text;
  }
}

TEST(LimitWords, CountsProcessorsOfCountsAndSets) {
  EXPECT_EQ(parse_cpus("2", ""), 2.0);
  EXPECT_EQ(parse_cpus("0-3", ""), 4.0);
  EXPECT_EQ(parse_cpus("1,3", ""), 2.0);
  EXPECT_EQ(parse_cpus("0-1,4,6-7", ""), 5.0);
  EXPECT_EQ(parse_cpus("3-3", ""), 1.0);
  for (const char* text : {"", "0", "x", "3-1", "1,", "-1", "1-2-3"}) {
    EXPECT_EQ(parse_cpus(text, ""), std::nullopt) << text;
  }
}

TEST(LimitWords, TakesTheNarrowerOfCountAndQuota) {
  EXPECT_EQ(parse_cpus("2", "150ms/100ms"), 1.5);
  EXPECT_EQ(parse_cpus("1", "300ms/100ms"), 1.0);
  EXPECT_EQ(parse_cpus("", "50ms/200ms"), 0.25);
  EXPECT_EQ(parse_cpus("2", "10%"), 2.0) << "a percentage is only a weight";
  EXPECT_EQ(parse_cpus("2", "0ms/0ms"), 2.0);
}

TEST(LimitWords, WritesProcessorsThatReadBackTheSame) {
  for (const double cpus : {0.01, 0.5, 1.0, 1.5, 2.0, 3.25, 64.0}) {
    const CpuWords words = write_cpus(cpus);
    EXPECT_EQ(parse_cpus(words.cpu, words.allowance), cpus) << words.cpu << " " << words.allowance;
  }
  EXPECT_EQ(write_cpus(2).allowance, "");
}

}  // namespace
}  // namespace berth::drivers::lxd
