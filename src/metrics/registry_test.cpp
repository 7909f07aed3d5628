#include "metrics/registry.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <sstream>
#include <thread>

namespace berth::metrics {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

TEST(Registry, IsEmptyAtFirst) {
  EXPECT_EQ(Registry().text(), "");
}

TEST(Registry, WritesEachKindInOrderOfNames) {
  Registry registry;
  registry.gauge("berth_b_bytes", "Bytes in use").set(1.5);
  registry.counter("berth_a_total", "Things done").add(3);
  registry.observe("berth_c_seconds", "Age", {}, [] { return 2.0; });
  EXPECT_EQ(registry.text(),
            "# HELP berth_a_total Things done\n"
            "# TYPE berth_a_total counter\n"
            "berth_a_total 3\n"
            "# HELP berth_b_bytes Bytes in use\n"
            "# TYPE berth_b_bytes gauge\n"
            "berth_b_bytes 1.5\n"
            "# HELP berth_c_seconds Age\n"
            "# TYPE berth_c_seconds gauge\n"
            "berth_c_seconds 2\n");
}

TEST(Registry, OneFamilyHoldsEveryLabelling) {
  Registry registry;
  registry.counter("berth_x_total", "X", {{"route", "/b"}, {"code", "200"}}).add();
  registry.counter("berth_x_total", "X", {{"route", "/a"}, {"code", "404"}}).add(2);
  EXPECT_EQ(registry.text(),
            "# HELP berth_x_total X\n"
            "# TYPE berth_x_total counter\n"
            "berth_x_total{code=\"200\",route=\"/b\"} 1\n"
            "berth_x_total{code=\"404\",route=\"/a\"} 2\n");
}

TEST(Registry, TheSameNameAndLabelsAreTheSameMetric) {
  Registry registry;
  Counter& first = registry.counter("berth_x_total", "X", {{"a", "1"}, {"b", "2"}});
  EXPECT_EQ(&first, &registry.counter("berth_x_total", "X", {{"b", "2"}, {"a", "1"}}));
  EXPECT_NE(&first, &registry.counter("berth_x_total", "X", {{"a", "1"}}));
}

TEST(Registry, EscapesLabelValuesAndHelp) {
  Registry registry;
  registry.gauge("berth_x", "a \"quote\", a \\ and\na line",
                 {{"l", "a \"quote\", a \\ and\na line"}, {"n", "实例"}, {"z", "\xff"}});
  EXPECT_EQ(registry.text(),
            "# HELP berth_x a \"quote\", a \\\\ and\\na line\n"
            "# TYPE berth_x gauge\n"
            "berth_x{l=\"a \\\"quote\\\", a \\\\ and\\na line\",n=\"实例\",z=\"?\"} 0\n");
}

TEST(Registry, WritesValuesThatAreNoNumbers) {
  Registry registry;
  registry.gauge("berth_a", "").set(std::nan(""));
  registry.gauge("berth_b", "").set(std::numeric_limits<double>::infinity());
  registry.gauge("berth_c", "").set(-std::numeric_limits<double>::infinity());
  const std::string text = registry.text();
  EXPECT_NE(text.find("berth_a NaN\n"), std::string::npos);
  EXPECT_NE(text.find("berth_b +Inf\n"), std::string::npos);
  EXPECT_NE(text.find("berth_c -Inf\n"), std::string::npos);
}

TEST(Registry, GaugesGoUpAndDown) {
  Gauge gauge;
  gauge.add(2);
  gauge.add(-3);
  EXPECT_EQ(gauge.value(), -1);
}

TEST(Registry, AnObservedGaugeIsReadAnewAndMayBeReplaced) {
  Registry registry;
  double value = 1;
  registry.observe("berth_x", "X", {}, [&] { return value++; });
  EXPECT_NE(registry.text().find("berth_x 1\n"), std::string::npos);
  EXPECT_NE(registry.text().find("berth_x 2\n"), std::string::npos);
  registry.observe("berth_x", "X", {}, [] { return 9.0; });
  EXPECT_NE(registry.text().find("berth_x 9\n"), std::string::npos);
}

TEST(Registry, AnObservedGaugeMayAskTheRegistry) {
  Registry registry;
  registry.observe("berth_x", "X", {},
                   [&] { return static_cast<double>(registry.counter("berth_y_total", "Y").value()); });
  EXPECT_NE(registry.text().find("berth_x 0\n"), std::string::npos);
}

TEST(Histogram, CountsInTheBucketWhoseBoundIsNotExceeded) {
  Histogram histogram;
  histogram.observe(microseconds(50));
  histogram.observe(nanoseconds(50'001));
  histogram.observe(seconds(30));
  histogram.observe(seconds(31));
  histogram.observe(nanoseconds(-5));
  EXPECT_EQ(histogram.bucket(0), 2U);
  EXPECT_EQ(histogram.bucket(1), 1U);
  EXPECT_EQ(histogram.bucket(15), 1U);
  EXPECT_EQ(histogram.bucket(16), 1U);
  EXPECT_EQ(histogram.count(), 5U);
  EXPECT_NEAR(histogram.sum_seconds(), 61.000100001, 1e-9);
}

TEST(Histogram, IsWrittenCumulatively) {
  Registry registry;
  Histogram& histogram = registry.histogram("berth_d_seconds", "D", {{"route", "/"}});
  histogram.observe(milliseconds(1));
  histogram.observe(milliseconds(200));
  histogram.observe(seconds(60));
  EXPECT_EQ(registry.text(),
            "# HELP berth_d_seconds D\n"
            "# TYPE berth_d_seconds histogram\n"
            "berth_d_seconds_bucket{route=\"/\",le=\"5e-05\"} 0\n"
            "berth_d_seconds_bucket{route=\"/\",le=\"0.0001\"} 0\n"
            "berth_d_seconds_bucket{route=\"/\",le=\"0.00025\"} 0\n"
            "berth_d_seconds_bucket{route=\"/\",le=\"0.0005\"} 0\n"
            "berth_d_seconds_bucket{route=\"/\",le=\"0.001\"} 1\n"
            "berth_d_seconds_bucket{route=\"/\",le=\"0.0025\"} 1\n"
            "berth_d_seconds_bucket{route=\"/\",le=\"0.005\"} 1\n"
            "berth_d_seconds_bucket{route=\"/\",le=\"0.01\"} 1\n"
            "berth_d_seconds_bucket{route=\"/\",le=\"0.025\"} 1\n"
            "berth_d_seconds_bucket{route=\"/\",le=\"0.05\"} 1\n"
            "berth_d_seconds_bucket{route=\"/\",le=\"0.1\"} 1\n"
            "berth_d_seconds_bucket{route=\"/\",le=\"0.25\"} 2\n"
            "berth_d_seconds_bucket{route=\"/\",le=\"1\"} 2\n"
            "berth_d_seconds_bucket{route=\"/\",le=\"5\"} 2\n"
            "berth_d_seconds_bucket{route=\"/\",le=\"10\"} 2\n"
            "berth_d_seconds_bucket{route=\"/\",le=\"30\"} 2\n"
            "berth_d_seconds_bucket{route=\"/\",le=\"+Inf\"} 3\n"
            "berth_d_seconds_sum{route=\"/\"} 60.201\n"
            "berth_d_seconds_count{route=\"/\"} 3\n");
}

TEST(Registry, ManyThreadsMakeCountAndWriteAtOnce) {
  Registry registry;
  constexpr int kThreads = 4;
  constexpr int kRounds = 2000;
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&registry, t] {
      for (int i = 0; i < kRounds; ++i) {
        registry.counter("berth_shared_total", "S").add();
        registry.counter("berth_own_total", "O", {{"n", std::to_string((i + t) % 50)}}).add();
        registry.gauge("berth_level", "L").add(t % 2 == 0 ? 1 : -1);
        registry.histogram("berth_wait_seconds", "W").observe(microseconds(i));
        if (i % 100 == 0) {
          registry.observe("berth_seen", "V", {}, [i] { return static_cast<double>(i); });
          // Even in the middle of all this a histogram's last bucket and its count agree.
          std::istringstream lines(registry.text());
          std::string line;
          std::string last_bucket;
          while (std::getline(lines, line)) {
            if (line.starts_with("berth_wait_seconds_bucket{le=\"+Inf\"}")) last_bucket = line.substr(line.rfind(' '));
            if (line.starts_with("berth_wait_seconds_count")) {
              EXPECT_EQ(line.substr(line.rfind(' ')), last_bucket);
            }
          }
          EXPECT_NE(last_bucket, "");
        }
      }
    });
  }
  threads.clear();
  EXPECT_EQ(registry.counter("berth_shared_total", "S").value(), kThreads * kRounds);
  std::uint64_t own = 0;
  for (int n = 0; n < 50; ++n) own += registry.counter("berth_own_total", "O", {{"n", std::to_string(n)}}).value();
  EXPECT_EQ(own, kThreads * kRounds);
  EXPECT_EQ(registry.gauge("berth_level", "L").value(), 0);
  EXPECT_EQ(registry.histogram("berth_wait_seconds", "W").count(), kThreads * kRounds);
}

TEST(RegistryDeathTest, MisuseAborts) {
  Registry registry;
  registry.counter("berth_x_total", "X");
  registry.observe("berth_seen", "S", {}, [] { return 0.0; });
  registry.gauge("berth_set", "S");
  EXPECT_DEATH(registry.gauge("berth_x_total", "X"), "berth_x_total is a counter, not a gauge");
  EXPECT_DEATH(registry.counter("berth x", "X"), "is no metric name");
  EXPECT_DEATH(registry.counter("berth_y_total", "Y", {{"a-b", "1"}}), "cannot be a label");
  EXPECT_DEATH(registry.counter("berth_y_total", "Y", {{"le", "1"}}), "cannot be a label");
  EXPECT_DEATH(registry.counter("berth_y_total", "Y", {{"a", "1"}, {"a", "2"}}), "cannot be a label");
  EXPECT_DEATH(registry.gauge("berth_seen", "S"), "is observed, not set");
  EXPECT_DEATH(registry.observe("berth_set", "S", {}, [] { return 0.0; }), "is set, not observed");
}

}  // namespace
}  // namespace berth::metrics
