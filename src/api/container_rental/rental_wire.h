#pragma once

#include <boost/describe/class.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "json/fields.h"
#include "json/write.h"
#include "rental/date.h"

// What container-rental.md puts on the wire for rentals, and what Berth adds in its style. Dates are "YYYY-MM-DD"; a
// rental ends at the end of its day.
namespace berth::api::container_rental {

inline void describe_date(json::FieldRules& rules) {
  rules.length(10, 10)
      .example("2024-12-30")
      .doc({"YYYY-MM-DD，租赁在配置时区内该日结束时到期",
            "YYYY-MM-DD; a rental lasts to the end of that day in the configured time zone"})
      .check([](std::string_view text) { return rental::parse_date(text).has_value(); },
             {"日期格式应为 YYYY-MM-DD", "Must be a date, YYYY-MM-DD"});
}

struct RentalRequest {
  std::int64_t user_id = 0;
  std::string container_name;
  std::string expiry_date;
};
BOOST_DESCRIBE_STRUCT(RentalRequest, (), (user_id, container_name, expiry_date))
inline void describe_fields(json::Fields<RentalRequest>& fields) {
  fields("user_id").min(1);
  fields("container_name").length(1, 128);
  describe_date(fields("expiry_date"));
}

struct RentalCreated {
  std::string message;
  std::int64_t rental_id = 0;
};
BOOST_DESCRIBE_STRUCT(RentalCreated, (), (message, rental_id))

/// `status`: active, expired (stopped), archived, or removed with its container. `step` is what is being done, or
/// tried, with the container, and `problem` why that failed last.
struct RentalInfo {
  std::int64_t rental_id = 0;
  std::int64_t user_id = 0;
  std::int64_t container_id = 0;
  std::string container_name;
  std::string expiry_date;
  std::string expires_at;
  std::string status;
  std::optional<std::string> step;
  std::optional<std::string> problem;
  std::optional<std::string> next_attempt;
  std::string created_at;
  std::string updated_at;
};
BOOST_DESCRIBE_STRUCT(RentalInfo, (),
                      (rental_id, user_id, container_id, container_name, expiry_date, expires_at, status, step, problem,
                       next_attempt, created_at, updated_at))

struct RentalQuery {
  std::optional<std::int64_t> user_id;
  std::optional<std::string> container_name;
  std::optional<std::string> status;
  std::optional<std::string> expiring_before;
  std::int64_t limit = 100;
  std::int64_t offset = 0;
};
BOOST_DESCRIBE_STRUCT(RentalQuery, (), (user_id, container_name, status, expiring_before, limit, offset))
inline void describe_fields(json::Fields<RentalQuery>& fields) {
  fields("user_id").min(1);
  fields("container_name").length(1, 128);
  fields("status").one_of({"active", "expired", "archived", "removed"});
  describe_date(fields("expiring_before"));
  fields("limit").has_default().range(1, 1000);
  fields("offset").has_default().range(0, 1e15L);
}

struct RentalList {
  std::vector<RentalInfo> rentals;
  std::int64_t total = 0;
};
BOOST_DESCRIBE_STRUCT(RentalList, (), (rentals, total))

struct ExpiredLine {
  std::int64_t rental_id = 0;
  std::int64_t user_id = 0;
  std::string expiry_date;
  std::string container_name;
  std::string status;
};
BOOST_DESCRIBE_STRUCT(ExpiredLine, (), (rental_id, user_id, expiry_date, container_name, status))

struct ExpiredQuery {
  std::int64_t limit = 100'000;
  std::int64_t offset = 0;
};
BOOST_DESCRIBE_STRUCT(ExpiredQuery, (), (limit, offset))
inline void describe_fields(json::Fields<ExpiredQuery>& fields) {
  fields("limit").has_default().range(1, 100'000);
  fields("offset").has_default().range(0, 1e15L);
}

struct ExpiredList {
  std::vector<ExpiredLine> expired_rentals;
};
BOOST_DESCRIBE_STRUCT(ExpiredList, (), (expired_rentals))

struct NotifyRequest {
  std::int64_t user_id = 0;
  std::string expiry_date;
};
BOOST_DESCRIBE_STRUCT(NotifyRequest, (), (user_id, expiry_date))
inline void describe_fields(json::Fields<NotifyRequest>& fields) {
  fields("user_id").min(1);
  describe_date(fields("expiry_date"));
}

/// `sent_before` counts those that were asked for earlier, which are not sent again, `unreachable` those that nobody is
/// there to be told of: no address, no webhook.
struct Notified {
  std::string message;
  std::int64_t sent = 0;
  std::int64_t sent_before = 0;
  std::int64_t unreachable = 0;
};
BOOST_DESCRIBE_STRUCT(Notified, (), (message, sent, sent_before, unreachable))

struct RenewRequest {
  std::int64_t rental_id = 0;
  std::string new_expiry_date;
};
BOOST_DESCRIBE_STRUCT(RenewRequest, (), (rental_id, new_expiry_date))
inline void describe_fields(json::Fields<RenewRequest>& fields) {
  fields("rental_id").min(1);
  describe_date(fields("new_expiry_date"));
}

struct Renewed {
  std::string message;
  RentalInfo rental;
};
BOOST_DESCRIBE_STRUCT(Renewed, (), (message, rental))

struct RentalPath {
  std::int64_t rental_id = 0;
};
BOOST_DESCRIBE_STRUCT(RentalPath, (), (rental_id))

struct RentalSerialPath {
  std::int64_t serial_id = 0;
};
BOOST_DESCRIBE_STRUCT(RentalSerialPath, (), (serial_id))

}  // namespace berth::api::container_rental
