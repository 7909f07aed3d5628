#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "rental/expiry_engine.h"
#include "rental/rental.h"

namespace berth::rental {

struct NewRental {
  UserId user;
  std::string container_name;
  Date expiry_date{};
};

struct RentalFilter {
  std::optional<UserId> user = std::nullopt;
  std::optional<fleet::ContainerId> container = std::nullopt;
  std::optional<State> state = std::nullopt;
  std::optional<Date> expiring_before = std::nullopt;  ///< its last day is before this one
  std::int64_t limit = 100;                            ///< 1 to 1000
  std::int64_t offset = 0;
};

struct RentalPage {
  std::vector<Rental> rentals;  ///< by expiry, then by id
  std::int64_t total = 0;
};

/// One line of the list of those that are over.
struct ExpiredRental {
  RentalId id;
  UserId user;
  fleet::ContainerId container;
  std::string container_name;
  std::string expiry_date;
  State state = State::active;  ///< `active` until the engine has come by
};

struct ExpiredPage {
  std::vector<ExpiredRental> rentals;  ///< by expiry, then by id
  std::int64_t total = 0;
};

/// When one rental ends.
struct RentalEnd {
  fleet::ContainerId container;
  std::string container_name;
  Timestamp expires_at;
};

/// Rentals: a user, a container and the last day on which it is that user's. The container runs to the end of that day
/// in the configured time zone. Whose container it is and who may touch it is not decided here: ownership and grants
/// are. Thread-safe; everything waits for the store, so call it from worker threads. Each change is audited in its own
/// transaction.
class RentalService {
 public:
  struct Settings {
    ExpiryEngine::Settings engine;
    /// How long `renew` waits for the container to be back; it comes back even if that is over.
    std::chrono::milliseconds renew_wait{30'000};
  };

  /// Errors: invalid_argument "rental.terms", and those of the store. Where the terms differ from those of the last
  /// run, every rental is brought under the new ones first.
  static Result<std::unique_ptr<RentalService>> create(Settings settings, const RentalParts& parts);

  // Errors of all: not_found "rental.not_found", "user.not_found", "container.not_found"; invalid_argument
  // "rental.expiry_date" with the field, for a day that is over.
  /// A container has one rental at a time. Errors: already_exists "rental.exists".
  Result<Rental> rent(const fleet::Caller& caller, const NewRental& wish);
  Result<Rental> find(RentalId id);
  Result<RentalPage> list(const RentalFilter& filter);
  /// The new day is after the present one. A container that was stopped or archived is brought back, and waited for;
  /// where that fails or takes longer the renewal stands, and the rental that is returned says so (`state`, `step`,
  /// `problem`). Errors: conflict "rental.container_removed".
  Result<Rental> renew(RentalId id, const Date& date, const audit::Origin& origin);
  /// Forgets the rental; the container stays as it is. Errors: conflict "rental.busy" while a step of it runs.
  Result<void> remove(RentalId id, const audit::Origin& origin);

  static constexpr std::int64_t kMostExpired = 100'000;
  /// Those whose last day is over, whatever became of their containers: one indexed query. `limit` is 1 to
  /// kMostExpired.
  Result<ExpiredPage> expired(std::optional<UserId> user, std::int64_t limit = kMostExpired, std::int64_t offset = 0);

  /// The ends of all rentals whose containers are neither archived nor removed, soonest first, at most kMostExpired of
  /// them: one query, for whatever watches them all.
  Result<std::vector<RentalEnd>> ends();

  struct Notified {
    std::int64_t sent = 0;
    std::int64_t sent_before = 0;  ///< asked for earlier, and not sent again
    std::int64_t unreachable = 0;  ///< there is nobody to send it to: no address, no webhook
  };
  /// Tells a user of those of its rentals that expire on a day, each once. Errors: not_found "rental.none_expires" if
  /// there are none.
  Result<Notified> notify(UserId user, const Date& date, const audit::Origin& origin);

  /// See ExpiryEngine.
  Result<ExpiryEngine::Tick> tick() { return engine_.tick(); }
  void drain() { engine_.drain(); }

  const Terms& terms() const { return settings_.engine.terms; }

 private:
  RentalService(Settings settings, TimeZone zone, const RentalParts& parts);

  Result<void> adopt_terms();
  Result<void> check_day(const Date& date, std::string_view field) const;
  Result<void> record(store::Transaction& transaction, const audit::Origin& origin, std::string_view action,
                      const Rental& rental, const std::optional<Date>& before = {});

  Settings settings_;
  TimeZone zone_;
  RentalParts parts_;
  ExpiryEngine engine_;
};

}  // namespace berth::rental
