#include "telemetry/host_monitor.h"

#include <pthread.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>

#include "base/read_file.h"

namespace berth::telemetry {
namespace {

constexpr std::uint64_t kMebibyte = 1024 * 1024;
constexpr std::uint64_t kGibibyte = 1024 * kMebibyte;

std::string read_text(const std::filesystem::path& path) {
  auto text = read_file(path);
  return text ? std::move(*text) : std::string();
}

std::uint64_t rounded(std::uint64_t bytes, std::uint64_t unit) {
  return (bytes + unit / 2) / unit;
}

double seconds_between(Instant from, Instant to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

struct HostMonitor::Gauges {
  explicit Gauges(metrics::Registry& metrics)
      : cpu(metrics.gauge("berth_host_cpu_busy_ratio", "Busy share of all cores over the last interval")),
        memory_total(metrics.gauge("berth_host_memory_total_bytes", "Memory of the host")),
        memory_used(metrics.gauge("berth_host_memory_used_bytes", "Memory that is not available")),
        disk_total(metrics.gauge("berth_host_disk_total_bytes", "Size of the watched file system")),
        disk_used(metrics.gauge("berth_host_disk_used_bytes", "Used part of the watched file system")),
        received(metrics.gauge("berth_host_network_received_bytes_per_second", "Received over the last interval")),
        sent(metrics.gauge("berth_host_network_sent_bytes_per_second", "Sent over the last interval")) {}

  metrics::Gauge& cpu;
  metrics::Gauge& memory_total;
  metrics::Gauge& memory_used;
  metrics::Gauge& disk_total;
  metrics::Gauge& disk_used;
  metrics::Gauge& received;
  metrics::Gauge& sent;
};

HostMonitor::HostMonitor(Settings settings, metrics::Registry& metrics, const Clock& clock)
    : settings_(std::move(settings)),
      clock_(clock),
      gauges_(std::make_unique<Gauges>(metrics)),
      snapshot_(std::make_shared<HostSnapshot>()) {
  sample();
}

HostMonitor::~HostMonitor() {
  stop();
}

void HostMonitor::start() {
  if (thread_.joinable()) return;
  thread_ = std::thread([this] { run(); });
}

void HostMonitor::stop() {
  {
    const std::lock_guard lock(stopping_mutex_);
    stopping_ = true;
  }
  stopping_changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

HostSnapshotPointer HostMonitor::snapshot() const {
  const std::lock_guard lock(published_);
  return snapshot_;
}

void HostMonitor::run() {
  pthread_setname_np(pthread_self(), "host-monitor");
  // The first interval is short, so that a processor share is there soon after the start.
  auto wait = std::min(settings_.interval, std::chrono::milliseconds(200));
  std::unique_lock lock(stopping_mutex_);
  while (!stopping_changed_.wait_for(lock, wait, [this] { return stopping_; })) {
    lock.unlock();
    sample();
    lock.lock();
    wait = settings_.interval;
  }
}

void HostMonitor::sample() {
  const std::lock_guard lock(sampling_);
  auto next = std::make_shared<HostSnapshot>(*snapshot());
  Totals totals = last_.value_or(Totals{});
  totals.at = clock_.instant();
  read_cpu(*next, totals);
  read_memory(*next);
  read_disk(*next);
  read_network(*next, totals);
  next->taken_at = clock_.now();
  last_ = totals;
  const std::lock_guard publishing(published_);
  snapshot_ = std::move(next);
}

void HostMonitor::read_cpu(HostSnapshot& snapshot, Totals& totals) const {
  const auto reading = parse_cpu(read_text(settings_.proc / "stat"));
  if (!reading) return;
  snapshot.cpu_cores = reading->cores;
  if (last_ && last_->cpu.total > 0) snapshot.cpu_percent = one_decimal(busy_percent(last_->cpu, *reading));
  totals.cpu = *reading;
  gauges_->cpu.set(snapshot.cpu_percent / 100);
}

void HostMonitor::read_memory(HostSnapshot& snapshot) const {
  const auto reading = parse_memory(read_text(settings_.proc / "meminfo"));
  if (!reading) return;
  const auto used = reading->total_bytes - reading->available_bytes;
  snapshot.memory_total = rounded(reading->total_bytes, kMebibyte);
  snapshot.memory_used = rounded(used, kMebibyte);
  snapshot.memory_percent = one_decimal(100.0 * static_cast<double>(used) / static_cast<double>(reading->total_bytes));
  gauges_->memory_total.set(static_cast<double>(reading->total_bytes));
  gauges_->memory_used.set(static_cast<double>(used));
}

void HostMonitor::read_disk(HostSnapshot& snapshot) const {
  struct statvfs found{};
  if (statvfs(settings_.disk_path.c_str(), &found) != 0 || found.f_blocks == 0) return;
  const auto total = static_cast<std::uint64_t>(found.f_blocks) * found.f_frsize;
  const auto used = static_cast<std::uint64_t>(found.f_blocks - found.f_bfree) * found.f_frsize;
  const auto fillable = used + static_cast<std::uint64_t>(found.f_bavail) * found.f_frsize;
  snapshot.disk_total = rounded(total, kGibibyte);
  snapshot.disk_used = rounded(used, kGibibyte);
  snapshot.disk_percent =
      fillable == 0 ? 100 : one_decimal(100.0 * static_cast<double>(used) / static_cast<double>(fillable));
  gauges_->disk_total.set(static_cast<double>(total));
  gauges_->disk_used.set(static_cast<double>(used));
}

void HostMonitor::read_network(HostSnapshot& snapshot, Totals& totals) const {
  const auto readings = parse_interfaces(read_text(settings_.proc / "net" / "dev"));
  if (!readings) return;
  // Bridges, taps and veths carry the same bytes again. Where nothing is physical (inside a container),
  // everything but the loopback counts.
  const auto physical = [this](const InterfaceReading& reading) {
    std::error_code ignored;
    return std::filesystem::exists(settings_.interfaces / reading.name / "device", ignored);
  };
  const bool any_physical = std::any_of(readings->begin(), readings->end(), physical);
  totals.received_bytes = 0;
  totals.sent_bytes = 0;
  for (const auto& reading : *readings) {
    if (any_physical ? !physical(reading) : reading.name == "lo") continue;
    totals.received_bytes += reading.received_bytes;
    totals.sent_bytes += reading.sent_bytes;
  }
  if (last_) {
    const double seconds = seconds_between(last_->at, totals.at);
    snapshot.network_received_rate = growth_rate(last_->received_bytes, totals.received_bytes, seconds);
    snapshot.network_sent_rate = growth_rate(last_->sent_bytes, totals.sent_bytes, seconds);
  }
  gauges_->received.set(snapshot.network_received_rate);
  gauges_->sent.set(snapshot.network_sent_rate);
}

}  // namespace berth::telemetry
