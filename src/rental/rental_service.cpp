#include "rental/rental_service.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/describe/class.hpp>
#include <utility>

#include "json/write.h"
#include "rental/known_user.h"
#include "rental/rental_rows.h"
#include "rental/rental_rules.h"

namespace berth::rental {
namespace {

constexpr std::string_view kTermsKey = "rental.terms";
constexpr std::int64_t kAdopted = 1000;
constexpr std::int64_t kMostNotified = 1000;

struct RentalDetails {
  std::int64_t user_id = 0;
  std::string container;
  std::string expiry_date;
  std::optional<std::string> expiry_date_before;
};
BOOST_DESCRIBE_STRUCT(RentalDetails, (), (user_id, container, expiry_date, expiry_date_before))

Error bad_date(std::string_view field, Text message) {
  return Error(ErrorCode::invalid_argument, "rental.expiry_date", message).with_field(std::string(field), message);
}

std::string text_of(const Terms& terms) {
  return fmt::format("{}|{}|{}", terms.time_zone, terms.grace.count(), fmt::join(terms.notice_days, ","));
}

/// The conditions of a filter, and what they are asked with.
struct Conditions {
  std::string text = "WHERE 1 = 1";
  store::Parameters parameters;

  void add(std::string_view condition, std::string name, store::Value value) {
    text += " AND ";
    text += condition;
    parameters.emplace_back(std::move(name), std::move(value));
  }
};

}  // namespace

RentalService::RentalService(Settings settings, TimeZone zone, const RentalParts& parts)
    : settings_(std::move(settings)), zone_(std::move(zone)), parts_(parts), engine_(settings_.engine, zone_, parts) {}

Result<std::unique_ptr<RentalService>> RentalService::create(Settings settings, const RentalParts& parts) {
  BERTH_CHECK(check_terms(settings.engine.terms));
  TimeZone zone = BERTH_TRY(TimeZone::find(settings.engine.terms.time_zone));
  std::unique_ptr<RentalService> service(new RentalService(std::move(settings), std::move(zone), parts));
  BERTH_CHECK(service->adopt_terms());
  BERTH_CHECK(service->engine_.start());
  return service;
}

Result<void> RentalService::adopt_terms() {
  const std::string wanted = text_of(terms());
  const auto present = BERTH_TRY(parts_.database.read([](store::Transaction& transaction) -> Result<std::string> {
    const auto rows = BERTH_TRY(transaction.query("SELECT value FROM settings WHERE key = :key", {{"key", kTermsKey}}));
    return rows.empty() ? std::string() : rows.front().text("value");
  }));
  if (present == wanted) return {};
  const Timestamp now = parts_.clock.now();
  RentalId done;
  for (bool more = true; more;) {
    more = BERTH_TRY(parts_.database.write([&](store::Transaction& transaction) -> Result<bool> {
      const auto rows = BERTH_TRY(transaction.query("SELECT * FROM rentals WHERE id > :done ORDER BY id LIMIT :limit",
                                                    {{"done", done}, {"limit", kAdopted}}));
      for (const auto& row : rows) {
        Rental rental = rental_of(row);
        rental.expires_at = zone_.end_of(rental.expiry_date);
        if (rental.failures == 0) rental.due_at = next_look(rental, terms(), zone_, now);
        BERTH_CHECK(update_rental(transaction, rental));
      }
      if (static_cast<std::int64_t>(rows.size()) == kAdopted) {
        RentalId last;
        for (const auto& row : rows) last = RentalId(row.integer("id"));
        done = last;
        return true;
      }
      BERTH_CHECK(transaction.execute(
          "INSERT INTO settings (key, value, updated_at) VALUES (:key, :value, :now) "
          "ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
          {{"key", kTermsKey}, {"value", wanted}, {"now", now}}));
      return false;
    }));
  }
  return {};
}

Result<void> RentalService::check_day(const Date& date, std::string_view field) const {
  if (!date.ok() || zone_.end_of(date) <= parts_.clock.now()) {
    return bad_date(field, {"到期日期不能是过去的日期", "The expiry date is in the past"});
  }
  return {};
}

Result<void> RentalService::record(store::Transaction& transaction, const audit::Origin& origin,
                                   std::string_view action, const Rental& rental, const std::optional<Date>& before) {
  return parts_.audit.append(transaction, origin,
                             {.action = std::string(action),
                              .resource_type = "rental",
                              .resource_id = std::to_string(rental.id.value()),
                              .details = json::to_json(RentalDetails{
                                  rental.user.value(), rental.container_name, format_date(rental.expiry_date),
                                  before ? std::optional(format_date(*before)) : std::nullopt})});
}

Result<Rental> RentalService::rent(const fleet::Caller& caller, const NewRental& wish) {
  BERTH_CHECK(check_day(wish.expiry_date, "expiry_date"));
  const auto container = BERTH_TRY(parts_.containers.find(caller, wish.container_name));
  Rental rental;
  rental.user = wish.user;
  rental.container = container->id;
  rental.container_name = container->name;
  rental.expiry_date = wish.expiry_date;
  rental.expires_at = zone_.end_of(wish.expiry_date);
  rental.created_at = parts_.clock.now();
  rental.updated_at = rental.created_at;
  // Notices whose moment is over say nothing that whoever chose the date does not know.
  rental.notified_until = rental.created_at;
  rental.due_at = next_look(rental, terms(), zone_, rental.created_at);
  return parts_.database.write([&](store::Transaction& transaction) -> Result<Rental> {
    BERTH_CHECK(require_user(transaction, rental.user));
    const auto present = BERTH_TRY(
        transaction.query("SELECT id FROM rentals WHERE container_id = :container", {{"container", rental.container}}));
    if (!present.empty()) {
      return Error(ErrorCode::already_exists, "rental.exists",
                   {"该容器已有租赁，请续租或先删除", "The container has a rental already; renew or delete that"});
    }
    Rental made = rental;
    made.id = BERTH_TRY(insert_rental(transaction, made));
    BERTH_CHECK(record(transaction, caller.origin, "rental.create", made));
    return made;
  });
}

Result<Rental> RentalService::find(RentalId id) {
  return parts_.database.read([&](store::Transaction& transaction) { return require_rental(transaction, id); });
}

Result<RentalPage> RentalService::list(const RentalFilter& filter) {
  Conditions conditions;
  if (filter.user) conditions.add("user_id = :user", "user", *filter.user);
  if (filter.container) conditions.add("container_id = :container", "container", *filter.container);
  if (filter.state) conditions.add("state = :state", "state", name(*filter.state));
  if (filter.expiring_before) {
    conditions.add("expires_at < :before", "before", zone_.end_of(*filter.expiring_before));
  }
  return parts_.database.read([&](store::Transaction& transaction) -> Result<RentalPage> {
    RentalPage page;
    page.total =
        BERTH_TRY(transaction.query("SELECT count(*) AS n FROM rentals " + conditions.text, conditions.parameters))
            .front()
            .integer("n");
    store::Parameters parameters = conditions.parameters;
    parameters.emplace_back("limit", std::clamp<std::int64_t>(filter.limit, 1, 1000));
    parameters.emplace_back("offset", std::max<std::int64_t>(filter.offset, 0));
    const auto rows = BERTH_TRY(transaction.query(
        "SELECT * FROM rentals " + conditions.text + " ORDER BY expires_at, id LIMIT :limit OFFSET :offset",
        parameters));
    for (const auto& row : rows) page.rentals.push_back(rental_of(row));
    return page;
  });
}

Result<Rental> RentalService::renew(RentalId id, const Date& date, const audit::Origin& origin) {
  BERTH_CHECK(check_day(date, "new_expiry_date"));
  const Rental present = BERTH_TRY(find(id));
  const bool there = parts_.containers.find(present.container).has_value();
  const Timestamp now = parts_.clock.now();
  const Rental renewed = BERTH_TRY(parts_.database.write([&](store::Transaction& transaction) -> Result<Rental> {
    Rental rental = BERTH_TRY(require_rental(transaction, id));
    if (zone_.end_of(date) <= rental.expires_at) {
      return bad_date("new_expiry_date",
                      {fmt::format("新的到期日期必须晚于 {}", format_date(rental.expiry_date)),
                       fmt::format("The new expiry date must be after {}", format_date(rental.expiry_date))});
    }
    if (rental.state == State::removed) {
      if (!there) {
        return Error(ErrorCode::conflict, "rental.container_removed",
                     {"该租赁的容器已被删除", "The rental's container was removed"});
      }
      // It was out of sight when the engine came by.
      rental.state = State::expired;
    }
    const Date before = rental.expiry_date;
    rental.expiry_date = date;
    rental.expires_at = zone_.end_of(date);
    rental.notified_until = now;
    rental.failures = 0;
    rental.problem.reset();
    rental.updated_at = now;
    rental.due_at = next_look(rental, terms(), zone_, now);
    BERTH_CHECK(update_rental(transaction, rental));
    BERTH_CHECK(record(transaction, origin, "rental.renew", rental, before));
    return rental;
  }));
  if (next_step(renewed, terms(), now) == Step::none) return renewed;
  engine_.settle(id, Deadline::after(settings_.renew_wait));
  auto settled = find(id);
  return settled ? std::move(*settled) : renewed;
}

Result<void> RentalService::remove(RentalId id, const audit::Origin& origin) {
  BERTH_CHECK(find(id));
  const auto hold = engine_.hold(id);
  if (!hold) {
    return Error(ErrorCode::conflict, "rental.busy",
                 {"正在停止、归档或恢复该租赁的容器，请稍后再试",
                  "The rental's container is being stopped, archived or brought back; try again later"});
  }
  return parts_.database.write([&](store::Transaction& transaction) -> Result<void> {
    const Rental rental = BERTH_TRY(require_rental(transaction, id));
    BERTH_CHECK(transaction.execute("DELETE FROM rentals WHERE id = :id", {{"id", id}}));
    return record(transaction, origin, "rental.delete", rental);
  });
}

Result<ExpiredPage> RentalService::expired(std::optional<UserId> user, std::int64_t limit, std::int64_t offset) {
  Conditions conditions;
  conditions.add("expires_at <= :now", "now", parts_.clock.now());
  if (user) conditions.add("user_id = :user", "user", *user);
  limit = std::clamp<std::int64_t>(limit, 1, kMostExpired);
  offset = std::max<std::int64_t>(offset, 0);
  return parts_.database.read([&](store::Transaction& transaction) -> Result<ExpiredPage> {
    store::Parameters parameters = conditions.parameters;
    parameters.emplace_back("limit", limit);
    parameters.emplace_back("offset", offset);
    const auto rows = BERTH_TRY(
        transaction.query("SELECT id, user_id, expiry_date, state, container_id, container_name FROM rentals " +
                              conditions.text + " ORDER BY expires_at, id LIMIT :limit OFFSET :offset",
                          parameters));
    ExpiredPage page;
    page.rentals.reserve(rows.size());
    for (const auto& row : rows) {
      page.rentals.push_back({RentalId(row.integer("id")), UserId(row.integer("user_id")),
                              fleet::ContainerId(row.integer("container_id")), row.text("container_name"),
                              row.text("expiry_date"), parse_state(row.text("state")).value_or(State::removed)});
    }
    page.total = offset + static_cast<std::int64_t>(page.rentals.size());
    const bool all = static_cast<std::int64_t>(page.rentals.size()) < limit && (offset == 0 || !page.rentals.empty());
    if (!all) {
      page.total =
          BERTH_TRY(transaction.query("SELECT count(*) AS n FROM rentals " + conditions.text, conditions.parameters))
              .front()
              .integer("n");
    }
    return page;
  });
}

Result<std::vector<RentalEnd>> RentalService::ends() {
  return parts_.database.read([](store::Transaction& transaction) -> Result<std::vector<RentalEnd>> {
    const auto rows =
        BERTH_TRY(transaction.query("SELECT container_id, container_name, expires_at FROM rentals "
                                    "WHERE state IN ('active', 'expired') ORDER BY expires_at, id LIMIT :limit",
                                    {{"limit", kMostExpired}}));
    std::vector<RentalEnd> ends;
    ends.reserve(rows.size());
    for (const auto& row : rows) {
      ends.push_back(
          {fleet::ContainerId(row.integer("container_id")), row.text("container_name"), row.time("expires_at")});
    }
    return ends;
  });
}

Result<RentalService::Notified> RentalService::notify(UserId user, const Date& date, const audit::Origin& origin) {
  const Timestamp now = parts_.clock.now();
  return parts_.database.write([&](store::Transaction& transaction) -> Result<Notified> {
    BERTH_CHECK(require_user(transaction, user));
    const auto rows = BERTH_TRY(transaction.query(
        "SELECT * FROM rentals WHERE user_id = :user AND expires_at = :expires AND state <> 'removed' "
        "ORDER BY id LIMIT :limit",
        {{"user", user}, {"expires", zone_.end_of(date)}, {"limit", kMostNotified}}));
    if (rows.empty()) {
      return Error(ErrorCode::not_found, "rental.none_expires",
                   {"该用户没有在该日期到期的租赁", "The user has no rental that expires on that date"});
    }
    Notified notified;
    for (const auto& row : rows) {
      const Rental rental = rental_of(row);
      const Notice notice = notice_of(rental, terms(), Notice::Kind::requested);
      if (BERTH_TRY(was_sent(transaction, rental.id, rental.expiry_date, notice.kind_name()))) {
        ++notified.sent_before;
        continue;
      }
      if (BERTH_TRY(parts_.notices.send(transaction, notice)) == 0) {
        // Not noted: it can be asked for again once there is somebody.
        ++notified.unreachable;
        continue;
      }
      BERTH_CHECK(note_sent(transaction, rental.id, rental.expiry_date, notice.kind_name(), now));
      BERTH_CHECK(record(transaction, origin, "rental.notify", rental));
      ++notified.sent;
    }
    return notified;
  });
}

}  // namespace berth::rental
