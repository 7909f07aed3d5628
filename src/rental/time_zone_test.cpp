#include "rental/time_zone.h"

#include <gtest/gtest.h>

#include "rental/date.h"

namespace berth::rental {
namespace {

std::string end_of(const std::string& zone, const std::string& date) {
  return format_utc(TimeZone::find(zone)->end_of(*parse_date(date)));
}

TEST(DateTest, IsReadOnlyInItsOneForm) {
  EXPECT_EQ(format_date(*parse_date("2024-02-29")), "2024-02-29");
  for (const auto* bad :
       {"", "2024-2-9", "2024-02-30", "2023-02-29", "2024-13-01", "2024-00-10", "2024/12/30", "2024-12-30 ",
        " 2024-12-30", "24-12-30", "1969-12-31", "9999-01-01", "2024-12-3x", "-024-12-30", "2024-12-30T00:00:00Z"}) {
    EXPECT_FALSE(parse_date(bad)) << bad;
  }
}

TEST(DateTest, CountsDaysOverMonthsAndYears) {
  EXPECT_EQ(format_date(plus_days(*parse_date("2024-03-01"), -1)), "2024-02-29");
  EXPECT_EQ(format_date(plus_days(*parse_date("2024-12-30"), 3)), "2025-01-02");
}

TEST(TimeZoneTest, EndsDaysWhereItsInhabitantsDo) {
  struct Case {
    const char* zone;
    const char* date;
    const char* end;
  };
  for (const Case& each : {
           Case{"UTC", "2024-12-30", "2024-12-31T00:00:00Z"},
           Case{"+08:00", "2024-12-30", "2024-12-30T16:00:00Z"},
           Case{"-03:30", "2024-12-30", "2024-12-31T03:30:00Z"},
           Case{"Asia/Shanghai", "2024-12-30", "2024-12-30T16:00:00Z"},
           Case{"Asia/Kolkata", "2030-06-15", "2030-06-15T18:30:00Z"},
           Case{"Europe/Berlin", "2024-07-01", "2024-07-01T22:00:00Z"},
           Case{"Europe/Berlin", "2024-12-01", "2024-12-01T23:00:00Z"},
           // By the rule for years that the file does not list, on both sides of both changes.
           Case{"Europe/Berlin", "2090-03-25", "2090-03-25T23:00:00Z"},
           Case{"Europe/Berlin", "2090-03-26", "2090-03-26T22:00:00Z"},
           Case{"America/New_York", "2090-11-04", "2090-11-05T04:00:00Z"},
           Case{"America/New_York", "2090-11-05", "2090-11-06T05:00:00Z"},
           // The southern summer, and Ireland, whose winter is the exception.
           Case{"Australia/Sydney", "2091-01-10", "2091-01-10T13:00:00Z"},
           Case{"Europe/Dublin", "2091-07-10", "2091-07-10T23:00:00Z"},
           Case{"Europe/Dublin", "2091-01-10", "2091-01-11T00:00:00Z"},
           // Midnight is skipped (Beirut, 2024-03-31), or comes twice (Havana, 2024-11-03 at 1:00).
           Case{"Asia/Beirut", "2024-03-30", "2024-03-30T22:00:00Z"},
           Case{"America/Havana", "2024-11-02", "2024-11-03T04:00:00Z"},
           // The day that Samoa left out.
           Case{"Pacific/Apia", "2011-12-29", "2011-12-30T10:00:00Z"},
           Case{"Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z"},
       }) {
    EXPECT_EQ(end_of(each.zone, each.date), each.end) << each.zone << " " << each.date;
  }
}

TEST(TimeZoneTest, RefusesWhatIsNoZone) {
  for (const auto* bad : {"", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "+8", "+15:00", "08:00",
                          "Asia/Shanghai ", "posixrules/../UTC", "Asia"}) {
    EXPECT_FALSE(TimeZone::find(bad)) << bad;
  }
}

}  // namespace
}  // namespace berth::rental
