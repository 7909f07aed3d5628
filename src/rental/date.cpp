#include "rental/date.h"

#include <fmt/format.h>

#include <optional>

namespace berth::rental {
namespace {

constexpr int kFirstYear = 1970;
constexpr int kLastYear = 9998;

std::optional<int> number(std::string_view digits) {
  int value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

}  // namespace

Result<Date> parse_date(std::string_view text) {
  const Error invalid(
      ErrorCode::invalid_argument, "date.invalid",
      {"日期格式应为 YYYY-MM-DD，例如 2024-12-30", "A date must be YYYY-MM-DD, for example 2024-12-30"});
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return invalid;
  const auto year = number(text.substr(0, 4));
  const auto month = number(text.substr(5, 2));
  const auto day = number(text.substr(8, 2));
  if (!year || !month || !day || *year < kFirstYear || *year > kLastYear) return invalid;
  const Date date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                  std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return invalid;
  return date;
}

std::string format_date(const Date& date) {
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()));
}

Date plus_days(const Date& date, int days) {
  return {std::chrono::sys_days(date) + std::chrono::days(days)};
}

}  // namespace berth::rental
