#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/text.h"
#include "fleet/access.h"
#include "rental/date.h"
#include "rental/time_zone.h"

namespace berth::rental {

using RentalId = Id<struct RentalTag, std::int64_t>;

/// What was last brought about with a rented container.
enum class State {
  active,    ///< it is its user's
  expired,   ///< it was stopped because the rental is over
  archived,  ///< the grace period is over too: it is in the archive
  removed,   ///< somebody removed it
};

/// What was begun with a rented container and not yet seen to end. Behind a crash it is begun again: each may be
/// repeated without harm.
enum class Step { none, stop, archive, bring_back };

std::string_view name(State state);
/// "" for none.
std::string_view name(Step step);
std::optional<State> parse_state(std::string_view word);
std::optional<Step> parse_step(std::string_view word);

/// Why the last attempt of a step failed.
struct Problem {
  std::string reason;  ///< stable, dotted
  Text message;
};

struct Rental {
  RentalId id;
  UserId user;
  fleet::ContainerId container;
  std::string container_name;  ///< as it was last known
  Date expiry_date{};
  Timestamp expires_at;  ///< the end of that day in the configured time zone
  State state = State::active;
  Step step = Step::none;
  std::optional<Timestamp> stopped_at;  ///< since when it is stopped for the present expiry
  std::optional<Timestamp> due_at;      ///< when the engine looks at it next
  std::int64_t failures = 0;            ///< attempts of the present step that failed, one after another
  std::optional<Problem> problem;
  Timestamp notified_until;  ///< notices whose moment is not behind this were dealt with
  Timestamp created_at;
  Timestamp updated_at;
};

/// What rentals are subject to, from the configuration.
struct Terms {
  std::string time_zone = "UTC";                     ///< whose days they are; see TimeZone::find
  std::chrono::seconds grace{std::chrono::days(7)};  ///< from being stopped to being archived
  std::vector<int> notice_days{7, 3, 1};             ///< days before the expiry, each 1 to 365, at most 16 of them
  std::chrono::seconds first_retry{30};              ///< after a failure; doubles with each further one
  std::chrono::seconds last_retry{std::chrono::minutes(10)};  ///< what the doubling ends at
};

}  // namespace berth::rental
