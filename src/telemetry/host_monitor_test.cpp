#include "telemetry/host_monitor.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <fstream>
#include <thread>

namespace berth::telemetry {
namespace {

constexpr Timestamp kStart{std::chrono::microseconds(1'700'000'000'000'000)};

/// A /proc and /sys/class/net of the test's own.
class HostMonitorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "berth-host-XXXXXX";
    root_ = mkdtemp(pattern.data());
    std::filesystem::create_directories(root_ / "proc" / "net");
    write("proc/stat", "cpu 100 0 0 900\ncpu0 50 0 0 450\ncpu1 50 0 0 450\n");
    write("proc/meminfo", "MemTotal: 2097152 kB\nMemAvailable: 1572864 kB\n");
    write_network(1000, 500);
    settings_.proc = root_ / "proc";
    settings_.interfaces = root_ / "net";
    settings_.disk_path = root_;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string& name, const std::string& text) { std::ofstream(root_ / name) << text; }
  void write_network(int received, int sent) {
    write("proc/net/dev", fmt::format("Inter-|\n face |\nlo: 77 0 0 0 0 0 0 0 77\n"
                                      "eth0: {} 0 0 0 0 0 0 0 {}\nveth1: 9999 0 0 0 0 0 0 0 9999\n",
                                      received, sent));
  }

  std::filesystem::path root_;
  HostMonitor::Settings settings_;
  ManualClock clock_{kStart};
  metrics::Registry metrics_;
};

TEST_F(HostMonitorTest, KnowsMemoryDiskAndCoresFromTheBeginning) {
  const HostMonitor monitor(settings_, metrics_, clock_);
  const auto host = monitor.snapshot();
  EXPECT_EQ(host->cpu_cores, 2U);
  EXPECT_EQ(host->memory_total, 2048U);
  EXPECT_EQ(host->memory_used, 512U);
  EXPECT_DOUBLE_EQ(host->memory_percent, 25.0);
  EXPECT_GE(host->disk_total, host->disk_used);
  EXPECT_GE(host->disk_percent, 0);
  EXPECT_LE(host->disk_percent, 100);
  EXPECT_EQ(host->taken_at, kStart);
}

TEST_F(HostMonitorTest, MeasuresTheProcessorOverTheIntervalAndNotSinceBoot) {
  HostMonitor monitor(settings_, metrics_, clock_);
  EXPECT_DOUBLE_EQ(monitor.snapshot()->cpu_percent, 0);
  write("proc/stat", "cpu 175 0 0 925\ncpu0 50 0 0 450\ncpu1 50 0 0 450\n");
  clock_.advance(std::chrono::seconds(1));
  monitor.sample();
  EXPECT_DOUBLE_EQ(monitor.snapshot()->cpu_percent, 75.0);
}

TEST_F(HostMonitorTest, CountsOnlyPhysicalInterfacesWhereThereAreSome) {
  std::filesystem::create_directories(root_ / "net" / "eth0" / "device");
  HostMonitor monitor(settings_, metrics_, clock_);
  write_network(5000, 1500);
  clock_.advance(std::chrono::seconds(2));
  monitor.sample();
  EXPECT_DOUBLE_EQ(monitor.snapshot()->network_received_rate, 2000);
  EXPECT_DOUBLE_EQ(monitor.snapshot()->network_sent_rate, 500);
}

TEST_F(HostMonitorTest, KeepsTheLastValueOfWhatCannotBeRead) {
  HostMonitor monitor(settings_, metrics_, clock_);
  std::filesystem::remove(root_ / "proc" / "meminfo");
  write("proc/stat", "garbage");
  clock_.advance(std::chrono::seconds(1));
  monitor.sample();
  EXPECT_EQ(monitor.snapshot()->memory_total, 2048U);
  EXPECT_EQ(monitor.snapshot()->cpu_cores, 2U);
}

TEST_F(HostMonitorTest, LeavesAnOldSnapshotAsItWas) {
  HostMonitor monitor(settings_, metrics_, clock_);
  const auto before = monitor.snapshot();
  write("proc/meminfo", "MemTotal: 2097152 kB\nMemAvailable: 0 kB\n");
  monitor.sample();
  EXPECT_EQ(before->memory_used, 512U);
  EXPECT_EQ(monitor.snapshot()->memory_used, 2048U);
}

TEST_F(HostMonitorTest, RegistersGauges) {
  const HostMonitor monitor(settings_, metrics_, clock_);
  const auto text = metrics_.text();
  EXPECT_NE(text.find("berth_host_memory_total_bytes"), std::string::npos);
  EXPECT_NE(text.find("berth_host_cpu_busy_ratio"), std::string::npos);
}

TEST_F(HostMonitorTest, SamplesByItselfWhileReadersRead) {
  settings_.interval = std::chrono::milliseconds(2);
  HostMonitor monitor(settings_, metrics_);
  const auto first = monitor.snapshot();
  monitor.start();
  std::atomic<int> seen{0};
  const auto deadline = Deadline::after(std::chrono::seconds(10));
  std::thread reader([&] {
    auto last = first;
    while (seen < 20 && !deadline.expired()) {
      auto next = monitor.snapshot();
      if (next != last) ++seen;
      last = std::move(next);
    }
  });
  reader.join();
  monitor.stop();
  EXPECT_GE(seen, 20);
}

TEST_F(HostMonitorTest, StopsTwiceAndWithoutAStart) {
  HostMonitor monitor(settings_, metrics_, clock_);
  monitor.stop();
  monitor.stop();
}

}  // namespace
}  // namespace berth::telemetry
