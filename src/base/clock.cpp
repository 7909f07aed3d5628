#include "base/clock.h"

#include <fmt/format.h>

#include <ctime>

namespace berth {
namespace {

class SystemClock final : public Clock {
 public:
  Timestamp now() const override {
    return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
  }
  Instant instant() const override { return std::chrono::steady_clock::now(); }
};

std::string format_fields(const std::tm& fields, std::string_view zone) {
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}", fields.tm_year + 1900, fields.tm_mon + 1, fields.tm_mday,
                     fields.tm_hour, fields.tm_min, fields.tm_sec, zone);
}

Error invalid_timestamp() {
  return Error(ErrorCode::invalid_argument, "timestamp.invalid",
               {"时间格式应为 RFC 3339，例如 2026-01-23T11:30:00Z",
                "A time must be RFC 3339, for example 2026-01-23T11:30:00Z"});
}

/// Reads exactly `digits` decimal digits from the front of `text` and removes them; -1 if there are none.
int take_number(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return -1;
  int value = 0;
  for (const char c : text.substr(0, digits)) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, char wanted) {
  if (text.empty() || text.front() != wanted) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}

Timestamp ManualClock::now() const {
  return start_ + std::chrono::microseconds(passed_us_.load());
}
Instant ManualClock::instant() const {
  return Instant{} + std::chrono::hours(24) + std::chrono::microseconds(passed_us_.load());
}
void ManualClock::advance(std::chrono::microseconds by) {
  passed_us_ += by.count();
}

std::string format_utc(Timestamp time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  const std::time_t raw = static_cast<std::time_t>(seconds);
  std::tm fields{};
  gmtime_r(&raw, &fields);
  return format_fields(fields, "Z");
}

std::string format_local(Timestamp time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  const std::time_t raw = static_cast<std::time_t>(seconds);
  std::tm fields{};
  localtime_r(&raw, &fields);
  return format_fields(fields, "");
}

Result<Timestamp> parse_timestamp(std::string_view text) {
  using namespace std::chrono;
  const int y = take_number(text, 4);
  if (y < 0 || !take(text, '-')) return invalid_timestamp();
  const int mo = take_number(text, 2);
  if (mo < 0 || !take(text, '-')) return invalid_timestamp();
  const int d = take_number(text, 2);
  if (d < 0 || text.empty() || (text.front() != 'T' && text.front() != 't' && text.front() != ' '))
    return invalid_timestamp();
  text.remove_prefix(1);
  const int h = take_number(text, 2);
  if (h < 0 || h > 23 || !take(text, ':')) return invalid_timestamp();
  const int mi = take_number(text, 2);
  if (mi < 0 || mi > 59 || !take(text, ':')) return invalid_timestamp();
  const int s = take_number(text, 2);
  if (s < 0 || s > 60) return invalid_timestamp();
  const year_month_day date{year(y), month(static_cast<unsigned>(mo)), day(static_cast<unsigned>(d))};
  if (!date.ok()) return invalid_timestamp();
  std::int64_t micros = 0;
  if (take(text, '.')) {
    std::int64_t scale = 100'000;
    bool any = false;
    while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
      micros += (text.front() - '0') * scale;
      scale /= 10;
      any = true;
      text.remove_prefix(1);
    }
    if (!any) return invalid_timestamp();
  }
  minutes offset{0};
  if (text == "Z" || text == "z") {
    text = {};
  } else {
    if (text.empty() || (text.front() != '+' && text.front() != '-')) return invalid_timestamp();
    const int sign = text.front() == '-' ? -1 : 1;
    text.remove_prefix(1);
    const int oh = take_number(text, 2);
    if (oh < 0 || oh > 23 || !take(text, ':')) return invalid_timestamp();
    const int om = take_number(text, 2);
    if (om < 0 || om > 59) return invalid_timestamp();
    offset = sign * (hours(oh) + minutes(om));
  }
  if (!text.empty()) return invalid_timestamp();
  return Timestamp(sys_days(date) + hours(h) + minutes(mi) + seconds(s) + microseconds(micros) - offset);
}

std::chrono::milliseconds Deadline::remaining() const {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(at_ - std::chrono::steady_clock::now());
  return left.count() < 0 ? std::chrono::milliseconds(0) : left;
}

Deadline Deadline::sooner(std::chrono::milliseconds wait) const {
  const Deadline other = after(wait);
  return other.at_ < at_ ? other : *this;
}

}  // namespace berth
