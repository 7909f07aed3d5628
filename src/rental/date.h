#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace berth::rental {

/// A day of the calendar.
using Date = std::chrono::year_month_day;

/// Exactly "YYYY-MM-DD", a day that exists, from year 1970 to 9998. Errors: invalid_argument "date.invalid".
Result<Date> parse_date(std::string_view text);
std::string format_date(const Date& date);
Date plus_days(const Date& date, int days);

}  // namespace berth::rental
