#pragma once

#include <optional>
#include <vector>

#include "base/result.h"
#include "rental/notice.h"
#include "rental/rental.h"

// What is to be done with a rental, as a function of what is known of it and of the time: no store, no engine.
namespace berth::rental {

/// Errors: invalid_argument "rental.terms" naming each bad field.
Result<void> check_terms(const Terms& terms);

/// What to do with the container now. A step that was begun and not seen to end leaves it uncertain how the container
/// stands, so that the step that leads to where it should be is taken again.
Step next_step(const Rental& rental, const Terms& terms, Timestamp now);

/// When a stopped container goes to the archive: a whole grace period after it was stopped, never before one after
/// the expiry.
Timestamp archive_at(const Rental& rental, const Terms& terms);

/// The notice to send now, if any: of several whose moments have passed unseen only the last one still says something
/// new.
struct DueNotice {
  Notice notice;
  Timestamp moment;  ///< what `notified_until` becomes
};
std::optional<DueNotice> due_notice(const Rental& rental, const Terms& terms, const TimeZone& zone, Timestamp now);
Notice notice_of(const Rental& rental, const Terms& terms, Notice::Kind kind, int days = 0);

/// When to look at it next, as it is now: the next notice or step; nothing if only a person can change anything.
/// After a failure that is `retry_wait` after it, whatever this says.
std::optional<Timestamp> next_look(const Rental& rental, const Terms& terms, const TimeZone& zone, Timestamp now);

/// How long to wait after so many failures in a row.
std::chrono::seconds retry_wait(std::int64_t failures, const Terms& terms);

}  // namespace berth::rental
