#include "rental/rental_rules.h"

#include <fmt/format.h>

#include <algorithm>

namespace berth::rental {
namespace {

constexpr std::size_t kMostNotices = 16;
constexpr std::chrono::seconds kLongestWait{std::chrono::days(3650)};
/// After a notice that could not be handed over.
constexpr std::chrono::minutes kNoticeRetry{1};

struct Moment {
  Timestamp at;
  Notice::Kind kind;
  int days;
};

/// When notices of this rental are due, in order.
std::vector<Moment> moments_of(const Rental& rental, const Terms& terms, const TimeZone& zone) {
  std::vector<Moment> moments;
  for (const int days : terms.notice_days) {
    moments.push_back({zone.end_of(plus_days(rental.expiry_date, -days)), Notice::Kind::before, days});
  }
  moments.push_back({rental.expires_at, Notice::Kind::expired, 0});
  std::ranges::sort(moments, {}, &Moment::at);
  return moments;
}

}  // namespace

std::string Notice::kind_name() const {
  switch (kind) {
    case Kind::before:
      return fmt::format("before-{}", days);
    case Kind::expired:
      return "expired";
    case Kind::requested:
      return "requested";
  }
  return "requested";
}

std::string Notice::key() const {
  return fmt::format("rental:{}:{}:{}", rental.value(), format_date(expiry_date), kind_name());
}

Result<void> check_terms(const Terms& terms) {
  std::vector<FieldError> refused;
  if (const auto zone = TimeZone::find(terms.time_zone); !zone) {
    refused.push_back({"time_zone", zone.error().message()});
  }
  if (terms.grace < std::chrono::seconds(0) || terms.grace > kLongestWait) {
    refused.push_back({"grace", {"必须在 0 到 3650 天之间", "Must be 0 to 3650 days"}});
  }
  if (terms.notice_days.size() > kMostNotices ||
      std::ranges::any_of(terms.notice_days, [](int days) { return days < 1 || days > 365; })) {
    refused.push_back({"notice_days", {"最多 16 个，每个 1 到 365 天", "At most 16, each 1 to 365 days"}});
  }
  if (terms.first_retry < std::chrono::seconds(1) || terms.last_retry < terms.first_retry ||
      terms.last_retry > kLongestWait) {
    refused.push_back({"retry", {"重试间隔无效", "The waits between attempts are not valid"}});
  }
  if (refused.empty()) return {};
  return Error(ErrorCode::invalid_argument, "rental.terms",
               {"租赁配置无效", "The configuration of rentals is not valid"})
      .with_fields(std::move(refused));
}

Timestamp archive_at(const Rental& rental, const Terms& terms) {
  return std::max(rental.expires_at, rental.stopped_at.value_or(rental.expires_at)) + terms.grace;
}

Step next_step(const Rental& rental, const Terms& terms, Timestamp now) {
  if (rental.state == State::removed) return Step::none;
  if (now < rental.expires_at) {
    return rental.state == State::active && rental.step == Step::none ? Step::none : Step::bring_back;
  }
  if (rental.state == State::active || rental.step == Step::stop || rental.step == Step::bring_back) return Step::stop;
  if (rental.state == State::archived) return Step::none;
  if (now >= archive_at(rental, terms)) return Step::archive;
  // Begun by a clock that was ahead: looks whether it came to that.
  return rental.step == Step::archive ? Step::stop : Step::none;
}

Notice notice_of(const Rental& rental, const Terms& terms, Notice::Kind kind, int days) {
  return {.kind = kind,
          .days = days,
          .rental = rental.id,
          .user = rental.user,
          .container = rental.container,
          .container_name = rental.container_name,
          .expiry_date = rental.expiry_date,
          .expires_at = rental.expires_at,
          .grace = terms.grace};
}

std::optional<DueNotice> due_notice(const Rental& rental, const Terms& terms, const TimeZone& zone, Timestamp now) {
  if (rental.state == State::removed) return std::nullopt;
  std::optional<DueNotice> due;
  for (const Moment& moment : moments_of(rental, terms, zone)) {
    if (moment.at <= rental.notified_until || moment.at > now) continue;
    due = DueNotice{notice_of(rental, terms, moment.kind, moment.days), moment.at};
  }
  return due;
}

std::optional<Timestamp> next_look(const Rental& rental, const Terms& terms, const TimeZone& zone, Timestamp now) {
  if (rental.state == State::removed) return std::nullopt;
  if (next_step(rental, terms, now) != Step::none) return now;
  std::optional<Timestamp> next;
  const auto at = [&next](Timestamp time) { next = next ? std::min(*next, time) : time; };
  for (const Moment& moment : moments_of(rental, terms, zone)) {
    if (moment.at <= rental.notified_until) continue;
    at(moment.at > now ? moment.at : now + kNoticeRetry);
  }
  if (rental.state == State::active && rental.expires_at > now) at(rental.expires_at);
  if (rental.state == State::expired) at(archive_at(rental, terms));
  return next;
}

std::chrono::seconds retry_wait(std::int64_t failures, const Terms& terms) {
  std::chrono::seconds wait = terms.first_retry;
  for (std::int64_t i = 1; i < failures && wait < terms.last_retry; ++i) wait *= 2;
  return std::min(wait, terms.last_retry);
}

}  // namespace berth::rental
