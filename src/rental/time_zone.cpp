#include "rental/time_zone.h"

#include <algorithm>
#include <filesystem>

#include "base/read_file.h"

namespace berth::rental {
namespace {

using std::chrono::seconds;

constexpr const char* kFolder = "/usr/share/zoneinfo";
constexpr std::size_t kLargestFile = 1UL << 20U;
constexpr std::size_t kHeader = 44;

/// Reads numbers from the front of a text.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  bool done() const { return rest_.empty(); }
  bool take(char wanted) {
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::optional<int> number() {
    std::size_t digits = 0;
    int value = 0;
    while (digits < rest_.size() && digits < 4 && rest_[digits] >= '0' && rest_[digits] <= '9') {
      value = value * 10 + (rest_[digits++] - '0');
    }
    if (digits == 0) return std::nullopt;
    rest_.remove_prefix(digits);
    return value;
  }
  /// "CET" or "<+03>".
  bool name() {
    if (take('<')) {
      const std::size_t end = rest_.find('>');
      if (end == std::string_view::npos) return false;
      rest_.remove_prefix(end + 1);
      return true;
    }
    std::size_t letters = 0;
    while (letters < rest_.size() && ((rest_[letters] | 0x20) >= 'a' && (rest_[letters] | 0x20) <= 'z')) ++letters;
    rest_.remove_prefix(letters);
    return letters > 0;
  }
  /// "[+-]h[h][:mm[:ss]]".
  std::optional<seconds> time() {
    const bool negative = take('-');
    if (!negative) take('+');
    const auto hours = number();
    if (!hours) return std::nullopt;
    seconds total = std::chrono::hours(*hours);
    for (const seconds unit : {seconds(60), seconds(1)}) {
      if (!take(':')) break;
      const auto part = number();
      if (!part) return std::nullopt;
      total += unit * *part;
    }
    return negative ? -total : total;
  }

 private:
  std::string_view rest_;
};

std::int64_t big_endian(std::string_view bytes) {
  std::uint64_t value = (static_cast<unsigned char>(bytes.front()) & 0x80U) != 0 ? ~std::uint64_t{0} : 0;
  for (const char byte : bytes) value = value << 8U | static_cast<unsigned char>(byte);
  return static_cast<std::int64_t>(value);
}

/// "+08:00".
std::optional<seconds> parse_offset(std::string_view text) {
  if (text.size() != 6 || (text.front() != '+' && text.front() != '-') || text[3] != ':') return std::nullopt;
  Reader reader(text);
  const auto offset = reader.time();
  if (!offset || !reader.done() || std::chrono::abs(*offset) > std::chrono::hours(14)) return std::nullopt;
  return offset;
}

bool is_zone_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name.front() != '/' && name.find("..") == std::string_view::npos &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' || c == '_' ||
                  c == '-' || c == '+';
         });
}

}  // namespace

Result<TimeZone> TimeZone::find(std::string_view name) {
  if (name == "UTC" || name == "Z") return utc();
  if (const auto offset = parse_offset(name)) {
    TimeZone zone;
    zone.first_offset_ = *offset;
    zone.rule_.standard = *offset;
    return zone;
  }
  if (is_zone_name(name)) {
    const std::filesystem::path file = std::filesystem::path(kFolder) / name;
    if (const auto content = read_file(file, kLargestFile)) {
      if (auto zone = parse_file(*content)) return std::move(*zone);
    }
  }
  return Error(
      ErrorCode::invalid_argument, "time_zone.unknown",
      {"未知时区，例如 UTC、+08:00 或 Asia/Shanghai", "Unknown time zone; for example UTC, +08:00 or Asia/Shanghai"});
}

std::optional<TimeZone> TimeZone::parse_file(std::string_view content) {
  // A file of version 2 or later says everything twice; the first time with 32 bits, which are skipped.
  const auto count = [&](std::size_t header, std::size_t index) {
    return static_cast<std::size_t>(big_endian(content.substr(header + 20 + 4 * index, 4)));
  };
  if (content.size() < kHeader || !content.starts_with("TZif") || content[4] < '2') return std::nullopt;
  enum { is_ut, is_standard, leap, time, type, letters };
  const std::size_t second = kHeader + count(0, time) * 5 + count(0, type) * 6 + count(0, letters) +
                             count(0, leap) * 8 + count(0, is_standard) + count(0, is_ut);
  if (content.size() < second + kHeader || content.substr(second, 4) != "TZif") return std::nullopt;
  const std::size_t times = count(second, time);
  const std::size_t types = count(second, type);
  const std::size_t times_at = second + kHeader;
  const std::size_t kinds_at = times_at + times * 8;
  const std::size_t types_at = kinds_at + times;
  const std::size_t end = types_at + types * 6 + count(second, letters) + count(second, leap) * 12 +
                          count(second, is_standard) + count(second, is_ut);
  if (types == 0 || content.size() < end + 2 || content[end] != '\n' || content.back() != '\n') return std::nullopt;
  const auto offset_of = [&](std::size_t kind) { return seconds(big_endian(content.substr(types_at + kind * 6, 4))); };

  TimeZone zone;
  zone.first_offset_ = offset_of(0);
  for (std::size_t i = 0; i < times; ++i) {
    const auto kind = static_cast<unsigned char>(content[kinds_at + i]);
    if (kind >= types) return std::nullopt;
    zone.transitions_.push_back({Instants(seconds(big_endian(content.substr(times_at + i * 8, 8)))), offset_of(kind)});
  }
  const std::string_view footer = content.substr(end + 1, content.size() - end - 2);
  if (footer.empty()) {
    zone.rule_.standard = zone.transitions_.empty() ? zone.first_offset_ : zone.transitions_.back().offset;
    return zone;
  }
  const auto rule = parse_rule(footer);
  if (!rule) return std::nullopt;
  zone.rule_ = *rule;
  return zone;
}

std::optional<TimeZone::Rule> TimeZone::parse_rule(std::string_view text) {
  Reader reader(text);
  Rule rule;
  if (!reader.name()) return std::nullopt;
  // The text counts westward.
  const auto standard = reader.time();
  if (!standard) return std::nullopt;
  rule.standard = -*standard;
  if (reader.done()) return rule;
  rule.has_summer = true;
  if (!reader.name()) return std::nullopt;
  rule.summer = rule.standard + std::chrono::hours(1);
  if (!reader.take(',')) {
    const auto summer = reader.time();
    if (!summer || !reader.take(',')) return std::nullopt;
    rule.summer = -*summer;
  }
  const auto moment = [&reader]() -> std::optional<YearlyMoment> {
    YearlyMoment made;
    std::optional<int> month;
    std::optional<int> week;
    std::optional<int> day;
    if (reader.take('M')) {
      month = reader.number();
      if (!month || *month < 1 || *month > 12 || !reader.take('.')) return std::nullopt;
      week = reader.number();
      if (!week || *week < 1 || *week > 5 || !reader.take('.')) return std::nullopt;
      day = reader.number();
      if (!day || *day > 6) return std::nullopt;
      made.month = *month;
      made.week = *week;
    } else {
      made.kind = reader.take('J') ? YearlyMoment::Kind::julian : YearlyMoment::Kind::day;
      day = reader.number();
      if (!day || *day > 365) return std::nullopt;
    }
    made.day = *day;
    if (reader.take('/')) {
      const auto at = reader.time();
      if (!at) return std::nullopt;
      made.time = *at;
    }
    return made;
  };
  const auto begins = moment();
  if (!begins || !reader.take(',')) return std::nullopt;
  const auto ends = moment();
  if (!ends || !reader.done()) return std::nullopt;
  rule.summer_begins = *begins;
  rule.summer_ends = *ends;
  return rule;
}

std::chrono::local_seconds TimeZone::YearlyMoment::in(std::chrono::year year) const {
  using namespace std::chrono;
  local_days on;
  switch (kind) {
    case Kind::weekday: {
      const year_month in_month = year / std::chrono::month(static_cast<unsigned>(month));
      const std::chrono::weekday wanted(static_cast<unsigned>(day));
      on = week == 5 ? local_days(in_month / wanted[last]) : local_days(in_month / wanted[static_cast<unsigned>(week)]);
      break;
    }
    case Kind::julian:
      // Never counts the 29th of February.
      on = local_days(year / January / 1) + days(day - 1 + (year.is_leap() && day >= 60 ? 1 : 0));
      break;
    case Kind::day:
      on = local_days(year / January / 1) + days(day);
      break;
  }
  return local_seconds(on) + time;
}

std::vector<TimeZone::Transition> TimeZone::around(std::chrono::local_seconds local) const {
  using namespace std::chrono;
  constexpr days kMargin(3);
  const Instants about(local.time_since_epoch());
  const Instants from = about - kMargin;
  const Instants until = about + kMargin;
  // The first one stands for everything before.
  std::vector<Transition> found{{Instants::min(), first_offset_}};
  const auto add = [&](const Transition& transition) {
    if (transition.at >= until) return;
    if (transition.at <= from) found.clear();
    found.push_back({transition.at <= from ? Instants::min() : transition.at, transition.offset});
  };
  for (const Transition& transition : transitions_) add(transition);
  const Instants last = transitions_.empty() ? Instants::min() : transitions_.back().at;
  if (until <= last) return found;
  if (!rule_.has_summer) {
    if (transitions_.empty()) found.back().offset = rule_.standard;
    return found;
  }
  const year middle = year_month_day(floor<days>(about)).year();
  std::vector<Transition> yearly;
  for (const year each : {middle - years(1), middle, middle + years(1)}) {
    yearly.push_back({Instants((rule_.summer_begins.in(each)-rule_.standard).time_since_epoch()), rule_.summer});
    yearly.push_back({Instants((rule_.summer_ends.in(each)-rule_.summer).time_since_epoch()), rule_.standard});
  }
  std::ranges::sort(yearly, {}, &Transition::at);
  for (const Transition& transition : yearly) {
    if (transition.at > last) add(transition);
  }
  return found;
}

Timestamp TimeZone::end_of(const Date& date) const {
  const std::chrono::local_seconds midnight{std::chrono::local_days(date) + std::chrono::days(1)};
  const auto parts = around(midnight);
  Instants end = Instants::min();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    // Within this part the day, or one before it, lasts until its own midnight or until the part ends.
    Instants until((midnight - parts[i].offset).time_since_epoch());
    if (i + 1 < parts.size()) until = std::min(until, parts[i + 1].at);
    if (until > parts[i].at) end = std::max(end, until);
  }
  return end;
}

}  // namespace berth::rental
