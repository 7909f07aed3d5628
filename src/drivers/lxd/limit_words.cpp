#include "drivers/lxd/limit_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace berth::drivers::lxd {
namespace {

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

constexpr std::array<std::pair<std::string_view, std::uint64_t>, 13> kUnits = {{
    {"B", 1},
    {"kB", 1000ULL},
    {"MB", 1000ULL * 1000},
    {"GB", 1000ULL * 1000 * 1000},
    {"TB", 1000ULL * 1000 * 1000 * 1000},
    {"PB", 1000ULL * 1000 * 1000 * 1000 * 1000},
    {"EB", 1000ULL * 1000 * 1000 * 1000 * 1000 * 1000},
    {"KiB", 1ULL << 10},
    {"MiB", 1ULL << 20},
    {"GiB", 1ULL << 30},
    {"TiB", 1ULL << 40},
    {"PiB", 1ULL << 50},
    {"EiB", 1ULL << 60},
}};

/// How many processors "0-3,7" names; nothing if it is no set.
std::optional<double> count_set(std::string_view text) {
  double count = 0;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view part = trimmed(text.substr(0, comma));
    const std::size_t dash = part.find('-');
    const auto first = parse_number<std::uint32_t>(part.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_number<std::uint32_t>(part.substr(dash + 1));
    if (!first || !last || *last < *first) return std::nullopt;
    count += static_cast<double>(*last - *first) + 1;
    if (comma == std::string_view::npos) return count;
    text.remove_prefix(comma + 1);
  }
}

std::optional<double> parse_count(std::string_view cpu) {
  if (cpu.empty()) return std::nullopt;
  if (cpu.find_first_of(",-") != std::string_view::npos) return count_set(cpu);
  const auto count = parse_number<std::uint32_t>(cpu);
  if (!count || *count == 0) return std::nullopt;
  return static_cast<double>(*count);
}

/// "150ms/100ms" is a hard quota; a percentage is only a weight against others.
std::optional<double> parse_quota(std::string_view allowance) {
  const std::size_t slash = allowance.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  std::string_view time = allowance.substr(0, slash);
  std::string_view period = allowance.substr(slash + 1);
  if (!time.ends_with("ms") || !period.ends_with("ms")) return std::nullopt;
  time.remove_suffix(2);
  period.remove_suffix(2);
  const auto numerator = parse_number<double>(time);
  const auto denominator = parse_number<double>(period);
  if (!numerator || !denominator || *numerator <= 0 || *denominator <= 0) return std::nullopt;
  return *numerator / *denominator;
}

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
  text = trimmed(text);
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto count = parse_number<std::uint64_t>(text.substr(0, digits));
  const std::string_view unit = trimmed(text.substr(digits));
  if (!count) return std::nullopt;
  if (unit.empty()) return count;
  const auto* const known = std::ranges::find(kUnits, unit, [](const auto& entry) { return entry.first; });
  if (known == kUnits.end()) return std::nullopt;
  if (*count > UINT64_MAX / known->second) return std::nullopt;
  return *count * known->second;
}

std::string write_size(std::uint64_t bytes) {
  constexpr std::array<std::pair<std::string_view, unsigned>, 4> kBinary = {
      {{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}}};
  for (const auto& [unit, shift] : kBinary) {
    if (bytes != 0 && bytes % (1ULL << shift) == 0) return fmt::format("{}{}", bytes >> shift, unit);
  }
  return fmt::format("{}B", bytes);
}

std::optional<double> parse_percent(std::string_view text) {
  text = trimmed(text);
  if (!text.ends_with('%')) return std::nullopt;
  text.remove_suffix(1);
  const auto percent = parse_number<double>(text);
  if (!percent || !(*percent > 0) || *percent > 100) return std::nullopt;
  return *percent / 100;
}

std::optional<double> parse_cpus(std::string_view cpu, std::string_view allowance) {
  const auto count = parse_count(trimmed(cpu));
  const auto quota = parse_quota(trimmed(allowance));
  if (count && quota) return std::min(*count, *quota);
  return count ? count : quota;
}

CpuWords write_cpus(double cpus) {
  CpuWords words;
  words.cpu = fmt::format("{}", static_cast<std::uint64_t>(std::max(1.0, std::ceil(cpus))));
  if (cpus != std::ceil(cpus)) {
    words.allowance = fmt::format("{}ms/100ms", std::max(1LL, std::llround(cpus * 100)));
  }
  return words;
}

}  // namespace berth::drivers::lxd
