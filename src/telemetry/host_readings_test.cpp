#include "telemetry/host_readings.h"

#include <gtest/gtest.h>

namespace berth::telemetry {
namespace {

constexpr std::string_view kStat =
    "cpu  2629 10 3389 281054 355 0 61 12 100 50\n"
    "cpu0 924 5 1298 141524 24 0 3 2 60 20\n"
    "cpu1 1705 5 2090 139529 331 0 58 9 40 30\n"
    "intr 259536 0 0 1\n"
    "ctxt 71486\n";

constexpr std::string_view kInterfaces =
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop\n"
    "    lo:    3267      29    0    0    0     0          0         0     3267      29    0    0\n"
    "  eth0:81647391    1947    0    0    0     0          0         0    70214     867    0    0\n";

TEST(ParseCpu, CountsOnlineCoresAndCallsWaitingForDisksIdle) {
  const auto reading = parse_cpu(kStat);
  ASSERT_TRUE(reading);
  EXPECT_EQ(reading->cores, 2U);
  EXPECT_EQ(reading->total, 2629U + 10 + 3389 + 281054 + 355 + 61 + 12);
  EXPECT_EQ(reading->busy, 2629U + 10 + 3389 + 61 + 12);
}

TEST(ParseCpu, TakesTheFourColumnsOfOldKernels) {
  const auto reading = parse_cpu("cpu 1 2 3 4\ncpu0 1 2 3 4\n");
  ASSERT_TRUE(reading);
  EXPECT_EQ(reading->busy, 6U);
  EXPECT_EQ(reading->total, 10U);
}

TEST(ParseCpu, RefusesWhatIsNotStat) {
  EXPECT_FALSE(parse_cpu(""));
  EXPECT_FALSE(parse_cpu("MemTotal: 5 kB\n"));
  EXPECT_FALSE(parse_cpu("cpu 1 2 three 4\ncpu0 1 2 3 4\n"));
  EXPECT_FALSE(parse_cpu("cpu 1 2 3 4\n")) << "no core";
  EXPECT_FALSE(parse_cpu("cpu -1 2 3 4\ncpu0 1 2 3 4\n"));
}

TEST(ParseMemory, ReadsTotalAndAvailableInBytes) {
  const auto reading = parse_memory("MemTotal:  1000 kB\nMemFree: 100 kB\nMemAvailable: 400 kB\nCached: 5 kB\n");
  ASSERT_TRUE(reading);
  EXPECT_EQ(reading->total_bytes, 1000U * 1024);
  EXPECT_EQ(reading->available_bytes, 400U * 1024);
}

TEST(ParseMemory, AddsUpWhatCanBeFreedWhereTheKernelDoesNotTell) {
  const auto reading = parse_memory("MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 20 kB\nCached: 30 kB\n");
  ASSERT_TRUE(reading);
  EXPECT_EQ(reading->available_bytes, 150U * 1024);
}

TEST(ParseMemory, NeverHasMoreAvailableThanThereIs) {
  const auto reading = parse_memory("MemTotal: 10 kB\nMemAvailable: 11 kB\n");
  ASSERT_TRUE(reading);
  EXPECT_EQ(reading->available_bytes, reading->total_bytes);
}

TEST(ParseMemory, RefusesATextWithoutATotal) {
  EXPECT_FALSE(parse_memory(""));
  EXPECT_FALSE(parse_memory("MemFree: 100 kB\n"));
  EXPECT_FALSE(parse_memory("MemTotal: 0 kB\n"));
  EXPECT_FALSE(parse_memory("MemTotal: 100 MB\n"));
}

TEST(ParseInterfaces, ReadsCountersThatTouchTheName) {
  const auto readings = parse_interfaces(kInterfaces);
  ASSERT_TRUE(readings);
  ASSERT_EQ(readings->size(), 2U);
  EXPECT_EQ((*readings)[0].name, "lo");
  EXPECT_EQ((*readings)[1].name, "eth0");
  EXPECT_EQ((*readings)[1].received_bytes, 81647391U);
  EXPECT_EQ((*readings)[1].sent_bytes, 70214U);
}

TEST(ParseInterfaces, KeepsTheColonOfAnAliasInItsName) {
  const auto readings = parse_interfaces("Inter-|\n face |\neth0:1: 5 0 0 0 0 0 0 0 6 0\n");
  ASSERT_TRUE(readings);
  ASSERT_EQ(readings->size(), 1U);
  EXPECT_EQ((*readings)[0].name, "eth0:1");
}

TEST(ParseInterfaces, LeavesOutBrokenLines) {
  const auto readings = parse_interfaces("Inter-|\n face |\nno colon\neth0: 5\neth1: 1 0 0 0 0 0 0 0 2\n");
  ASSERT_TRUE(readings);
  ASSERT_EQ(readings->size(), 1U);
  EXPECT_EQ((*readings)[0].name, "eth1");
}

TEST(ParseInterfaces, RefusesAnotherFile) {
  EXPECT_FALSE(parse_interfaces(""));
  EXPECT_FALSE(parse_interfaces(kStat));
}

TEST(BusyPercent, IsTheBusyShareOfTheInterval) {
  EXPECT_DOUBLE_EQ(busy_percent({2, 100, 1000}, {2, 150, 1200}), 25.0);
}

TEST(BusyPercent, IsZeroWithoutProgressAndWhenCountersGoBack) {
  EXPECT_DOUBLE_EQ(busy_percent({2, 100, 1000}, {2, 100, 1000}), 0);
  EXPECT_DOUBLE_EQ(busy_percent({2, 100, 1000}, {2, 90, 1100}), 0);
  EXPECT_DOUBLE_EQ(busy_percent({2, 100, 1000}, {2, 110, 900}), 0);
}

TEST(BusyPercent, NeverPassesOneHundred) {
  EXPECT_DOUBLE_EQ(busy_percent({2, 100, 1000}, {2, 300, 1100}), 100);
}

TEST(GrowthRate, IsPerSecondAndNeverNegative) {
  EXPECT_DOUBLE_EQ(growth_rate(100, 300, 2), 100);
  EXPECT_DOUBLE_EQ(growth_rate(300, 100, 2), 0);
  EXPECT_DOUBLE_EQ(growth_rate(100, 300, 0), 0);
}

}  // namespace
}  // namespace berth::telemetry
