#include "app/configuration_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace berth::app {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// Longer names first: "ms" must not be read as "m".
constexpr std::array<Unit, 5> kDurationUnits = {Unit{"ms", 1}, Unit{"s", 1000}, Unit{"m", 60'000}, Unit{"h", 3'600'000},
                                                Unit{"d", 86'400'000}};
constexpr std::array<Unit, 5> kSizeUnits = {Unit{"KiB", 1ULL << 10U}, Unit{"MiB", 1ULL << 20U},
                                            Unit{"GiB", 1ULL << 30U}, Unit{"TiB", 1ULL << 40U}, Unit{"B", 1}};

std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

template <std::size_t N>
std::optional<std::uint64_t> take_unit(std::string_view& text, const std::array<Unit, N>& units) {
  for (const auto& unit : units) {
    if (!text.starts_with(unit.name)) continue;
    text.remove_prefix(unit.name.size());
    return unit.factor;
  }
  return std::nullopt;
}

bool multiply(std::uint64_t& value, std::uint64_t factor) {
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (value > kMost / factor) return false;
  value *= factor;
  return true;
}

template <std::size_t N>
std::string in_largest_unit(std::uint64_t value, const std::array<Unit, N>& units) {
  const Unit* best = nullptr;
  for (const auto& unit : units) {
    if (value % unit.factor == 0 && (best == nullptr || unit.factor > best->factor)) best = &unit;
  }
  return fmt::format("{}{}", value / best->factor, best->name);
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::uint64_t total = 0;
  while (!text.empty()) {
    auto value = take_number(text);
    if (!value) return std::nullopt;
    const auto factor = take_unit(text, kDurationUnits);
    if (!factor || !multiply(*value, *factor)) return std::nullopt;
    total += *value;
    if (total > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
  }
  return std::chrono::milliseconds(total);
}

std::string format_duration(std::chrono::milliseconds duration) {
  if (duration.count() == 0) return "0s";
  return in_largest_unit(static_cast<std::uint64_t>(duration.count()), kDurationUnits);
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  auto value = take_number(text);
  if (!value) return std::nullopt;
  if (text.empty()) return value;
  const auto factor = take_unit(text, kSizeUnits);
  if (!factor || !text.empty() || !multiply(*value, *factor)) return std::nullopt;
  return value;
}

std::string format_size(std::uint64_t bytes) {
  if (bytes == 0) return "0B";
  return in_largest_unit(bytes, kSizeUnits);
}

std::optional<std::string> nearest_name(std::string_view text, const std::vector<std::string>& candidates) {
  constexpr std::size_t kLongestCompared = 64;
  if (text.size() > kLongestCompared) return std::nullopt;
  std::optional<std::string> best;
  std::size_t best_distance = std::max<std::size_t>(2, text.size() / 3) + 1;
  for (const auto& candidate : candidates) {
    const auto distance = edit_distance(text, candidate);
    if (distance >= best_distance || distance >= candidate.size()) continue;
    best = candidate;
    best_distance = distance;
  }
  return best;
}

std::string quote_toml(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
  return out;
}

}  // namespace berth::app
