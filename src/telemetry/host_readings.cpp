#include "telemetry/host_readings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace berth::telemetry {
namespace {

/// Takes the next line off `text`; nothing at the end.
std::optional<std::string_view> next_line(std::string_view& text) {
  if (text.empty()) return std::nullopt;
  const auto end = text.find('\n');
  const auto line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

/// Takes the next word off `line`; empty at the end.
std::string_view next_word(std::string_view& line) {
  const auto begin = line.find_first_not_of(" \t");
  if (begin == std::string_view::npos) {
    line = {};
    return {};
  }
  line.remove_prefix(begin);
  const auto word = line.substr(0, line.find_first_of(" \t"));
  line.remove_prefix(word.size());
  return word;
}

std::optional<std::uint64_t> parse_count(std::string_view word) {
  std::uint64_t value = 0;
  const auto [end, problem] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (problem != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

/// "MemTotal:       24684092 kB" in bytes.
std::optional<std::uint64_t> kilobytes(std::string_view line) {
  const auto count = parse_count(next_word(line));
  if (!count || next_word(line) != "kB") return std::nullopt;
  return *count * 1024;
}

}  // namespace

std::optional<CpuReading> parse_cpu(std::string_view text) {
  CpuReading reading;
  bool found = false;
  while (auto line = next_line(text)) {
    const auto label = next_word(*line);
    if (!label.starts_with("cpu")) continue;
    if (label.size() > 3) {
      ++reading.cores;
      continue;
    }
    // user nice system idle iowait irq softirq steal; guest time behind them is part of user and nice.
    std::array<std::uint64_t, 8> ticks{};
    std::size_t known = 0;
    for (; known < ticks.size(); ++known) {
      const auto count = parse_count(next_word(*line));
      if (!count) break;
      ticks[known] = *count;
    }
    if (known < 4) return std::nullopt;
    for (const auto count : ticks) reading.total += count;
    reading.busy = reading.total - ticks[3] - ticks[4];
    found = true;
  }
  if (!found || reading.cores == 0) return std::nullopt;
  return reading;
}

std::optional<MemoryReading> parse_memory(std::string_view text) {
  std::optional<std::uint64_t> total;
  std::optional<std::uint64_t> available;
  std::uint64_t reclaimable = 0;
  while (auto line = next_line(text)) {
    const auto label = next_word(*line);
    if (label == "MemTotal:") {
      total = kilobytes(*line);
    } else if (label == "MemAvailable:") {
      available = kilobytes(*line);
    } else if (label == "MemFree:" || label == "Buffers:" || label == "Cached:") {
      reclaimable += kilobytes(*line).value_or(0);
    }
  }
  if (!total || *total == 0) return std::nullopt;
  return MemoryReading{*total, std::min(*total, available.value_or(reclaimable))};
}

std::optional<std::vector<InterfaceReading>> parse_interfaces(std::string_view text) {
  const auto title = next_line(text);
  if (!title || !title->starts_with("Inter-") || !next_line(text)) return std::nullopt;
  std::vector<InterfaceReading> readings;
  while (auto line = next_line(text)) {
    // The name ends at the last colon before the counters: alias interfaces have one in their name.
    const auto colon = line->rfind(':');
    if (colon == std::string_view::npos) continue;
    auto name = line->substr(0, colon);
    name.remove_prefix(std::min(name.find_first_not_of(' '), name.size()));
    auto counters = line->substr(colon + 1);
    const auto received = parse_count(next_word(counters));
    for (int skipped = 0; skipped < 7; ++skipped) next_word(counters);
    const auto sent = parse_count(next_word(counters));
    if (name.empty() || !received || !sent) continue;
    readings.push_back({std::string(name), *received, *sent});
  }
  return readings;
}

double busy_percent(const CpuReading& before, const CpuReading& after) {
  // Idle time may step back by a tick on some kernels, so each difference is guarded on its own.
  if (after.total <= before.total || after.busy <= before.busy) return 0;
  const auto busy = static_cast<double>(after.busy - before.busy);
  const auto total = static_cast<double>(after.total - before.total);
  return std::min(100.0, 100.0 * busy / total);
}

double growth_rate(std::uint64_t before, std::uint64_t after, double seconds) {
  if (after <= before || seconds <= 0) return 0;
  return static_cast<double>(after - before) / seconds;
}

double one_decimal(double value) {
  return std::round(value * 10) / 10;
}

}  // namespace berth::telemetry
