// How the expiry engine takes one step with one container, and what it writes down of it.
#include <boost/describe/class.hpp>

#include "base/log.h"
#include "json/write.h"
#include "rental/expiry_engine.h"
#include "rental/rental_rows.h"
#include "rental/rental_rules.h"

namespace berth::rental {
namespace {

/// From this attempt on a container that does not stop by itself is stopped by force.
constexpr std::int64_t kGentleAttempts = 2;

struct StepDetails {
  std::int64_t user_id = 0;
  std::string container;
  std::string expiry_date;
};
BOOST_DESCRIBE_STRUCT(StepDetails, (), (user_id, container, expiry_date))

fleet::Caller engine_caller() {
  // A container that was made with folders of its server comes back with them.
  return {.user = UserId(),
          .sees_all = true,
          .host_paths = true,
          .origin = {UserId(), "system", "", "system", RequestId()}};
}

std::string_view action_of(State reached) {
  switch (reached) {
    case State::active:
      return "rental.restore";
    case State::expired:
      return "rental.expire";
    case State::archived:
      return "rental.archive";
    case State::removed:
      return "rental.container_removed";
  }
  return "rental.step";
}

}  // namespace

Result<State> ExpiryEngine::perform(const Rental& rental) {
  const auto found = parts_.containers.find(rental.container);
  if (!found) {
    if (found.error().code() == ErrorCode::not_found) return State::removed;
    return found.error();
  }
  // Known from memory: no thread waits for a server that is known not to answer, while others' rentals are due.
  if ((*found)->presence == fleet::Presence::present && !(*found)->reachable) {
    return Error(ErrorCode::unavailable, "engine.unavailable",
                 {"容器所在的服务器不可用", "The container's server does not answer"});
  }
  switch (rental.step) {
    case Step::stop:
      return stop(rental, **found);
    case Step::archive:
      return archive(rental, **found);
    case Step::bring_back:
      return bring_back(rental, **found);
    case Step::none:
      break;
  }
  return internal_error("no step was begun");
}

Result<State> ExpiryEngine::stop(const Rental& rental, const fleet::Container& container) {
  // Somebody was quicker, or an earlier attempt got that far.
  if (container.presence == fleet::Presence::archived) return State::archived;
  BERTH_CHECK(parts_.containers.stop(engine_caller(), container.name, rental.failures >= kGentleAttempts));
  return State::expired;
}

Result<State> ExpiryEngine::archive(const Rental& rental, const fleet::Container& container) {
  if (BERTH_TRY(stop(rental, container)) == State::archived) return State::archived;
  BERTH_CHECK(parts_.containers.archive(engine_caller(), container.name));
  return State::archived;
}

Result<State> ExpiryEngine::bring_back(const Rental& rental, const fleet::Container& container) {
  fleet::ContainerPointer present;
  if (container.presence == fleet::Presence::archived) {
    BERTH_CHECK(parts_.containers.restore(engine_caller(), container.name));
    present = BERTH_TRY(parts_.containers.find(rental.container));
  }
  const fleet::Container& now = present ? *present : container;
  if (now.status == compute::Status::frozen) {
    BERTH_CHECK(parts_.containers.resume(engine_caller(), now.name));
  } else {
    BERTH_CHECK(parts_.containers.start(engine_caller(), now.name));
  }
  return State::active;
}

Result<std::optional<Rental>> ExpiryEngine::record(const Rental& begun, const Result<State>& outcome) {
  parts_.metrics
      .counter("berth_rental_steps_total", "Steps taken with rented containers",
               {{"step", std::string(name(begun.step))}, {"outcome", outcome ? "success" : "failure"}})
      .add();
  if (!outcome) {
    log::warning("rental", "rental {}: {} of {} failed: {}", begun.id.value(), name(begun.step), begun.container_name,
                 outcome.error().describe());
  }
  const auto container = parts_.containers.find(begun.container);
  return parts_.database.write([&](store::Transaction& transaction) -> Result<std::optional<Rental>> {
    // It may have been renewed meanwhile: only what the step changed is written over.
    auto found = BERTH_TRY(find_rental(transaction, begun.id));
    if (!found) return std::optional<Rental>();
    Rental rental = std::move(*found);
    const Timestamp now = parts_.clock.now();
    rental.updated_at = now;
    if (container) rental.container_name = (*container)->name;
    if (!outcome) {
      const bool renewed = rental.expires_at != begun.expires_at;
      rental.failures = renewed ? 0 : begun.failures + 1;
      rental.problem = Problem{std::string(outcome.error().reason()), outcome.error().message()};
      rental.due_at = renewed ? now : now + retry_wait(rental.failures, settings_.terms);
      BERTH_CHECK(update_rental(transaction, rental));
      return std::optional(std::move(rental));
    }
    rental.state = *outcome;
    rental.step = Step::none;
    rental.failures = 0;
    rental.problem.reset();
    if (rental.state == State::active) rental.stopped_at.reset();
    if (rental.state == State::expired && !rental.stopped_at) rental.stopped_at = now;
    rental.due_at = next_look(rental, settings_.terms, zone_, now);
    BERTH_CHECK(update_rental(transaction, rental));
    BERTH_CHECK(parts_.audit.append(transaction, engine_caller().origin,
                                    {.action = std::string(action_of(*outcome)),
                                     .resource_type = "rental",
                                     .resource_id = std::to_string(rental.id.value()),
                                     .details = json::to_json(StepDetails{rental.user.value(), rental.container_name,
                                                                          format_date(rental.expiry_date)})}));
    return std::optional(std::move(rental));
  });
}

}  // namespace berth::rental
