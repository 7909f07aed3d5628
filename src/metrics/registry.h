#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace berth::metrics {

/// A count that only grows. `add` is wait-free.
class Counter {
 public:
  void add(std::uint64_t by = 1) { value_.fetch_add(by, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  alignas(64) std::atomic<std::uint64_t> value_{0};
};

/// A value that goes up and down.
class Gauge {
 public:
  void set(double value) { value_.store(value, std::memory_order_relaxed); }
  void add(double by) { value_.fetch_add(by, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

/// Durations in fixed buckets from 50 microseconds to 30 seconds. `observe` is wait-free.
class Histogram {
 public:
  /// Upper bounds in seconds; one more bucket holds what is longer.
  static constexpr std::array<double, 16> kBounds = {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                                     0.025,   0.05,   0.1,     0.25,   1,     5,      10,    30};
  void observe(std::chrono::nanoseconds duration);
  std::uint64_t bucket(std::size_t index) const { return buckets_[index].load(std::memory_order_relaxed); }
  std::uint64_t count() const;
  double sum_seconds() const;

 private:
  std::array<std::atomic<std::uint64_t>, kBounds.size() + 1> buckets_{};
  std::atomic<std::uint64_t> sum_ns_{0};
};

using Labels = std::vector<std::pair<std::string, std::string>>;

/// Every metric of the process, written as Prometheus text (exposition format 0.0.4). Asking again for the
/// same name and labels yields the same metric; references stay valid while the registry lives.
/// Thread-safe. Names carry the prefix "berth_" and a unit ("berth_http_requests_total").
class Registry {
 public:
  Registry();
  ~Registry();
  Counter& counter(std::string_view name, std::string_view help, Labels labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, Labels labels = {});
  Histogram& histogram(std::string_view name, std::string_view help, Labels labels = {});
  /// A gauge whose value is asked for when the text is written; asking again replaces `read`, which must be
  /// thread-safe, must not throw and must be callable as long as the text is written.
  void observe(std::string_view name, std::string_view help, Labels labels, std::function<double()> read);

  std::string text() const;

 private:
  struct Family;
  Family& family(std::string_view name, std::string_view help, std::string_view type);

  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Family>> families_;
};

}  // namespace berth::metrics
