#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "rental/date.h"

namespace berth::rental {

/// When days end in one place: the machine's time zone files (TZif, RFC 8536) with their rule for years to come.
/// Immutable, thread-safe.
class TimeZone {
 public:
  static TimeZone utc() { return {}; }
  /// "UTC", "+08:00", or a name of the machine's time zone database ("Asia/Shanghai"). Errors: invalid_argument
  /// "time_zone.unknown".
  static Result<TimeZone> find(std::string_view name);

  /// The first instant from which on it is never `date` again, nor a day before it. Where the clock is set forward
  /// over midnight or back across it, that is what its inhabitants call the end of the day.
  Timestamp end_of(const Date& date) const;

 private:
  using Seconds = std::chrono::seconds;
  using Instants = std::chrono::sys_seconds;

  struct Transition {
    Instants at;
    Seconds offset;  ///< from then on
  };
  /// "M3.5.0/2" and its kin: a day of each year and a time on it.
  struct YearlyMoment {
    enum class Kind { weekday, julian, day } kind = Kind::weekday;
    int month = 1;
    int week = 1;  ///< 5: the last
    int day = 0;   ///< of the week, or of the year
    Seconds time{2 * 3600};

    std::chrono::local_seconds in(std::chrono::year year) const;
  };
  /// The footer of a TZif file: how it goes on behind the last transition.
  struct Rule {
    Seconds standard{0};
    bool has_summer = false;
    Seconds summer{0};
    YearlyMoment summer_begins;
    YearlyMoment summer_ends;
  };

  static std::optional<TimeZone> parse_file(std::string_view content);
  static std::optional<Rule> parse_rule(std::string_view text);

  /// What holds before the first of the transitions around the given time, and those transitions.
  std::vector<Transition> around(std::chrono::local_seconds time) const;

  Seconds first_offset_{0};
  std::vector<Transition> transitions_;
  Rule rule_;
};

}  // namespace berth::rental
