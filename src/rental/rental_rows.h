#pragma once

#include <optional>
#include <string_view>

#include "rental/rental.h"
#include "store/database.h"

// How rentals stand in the store.
namespace berth::rental {

Rental rental_of(const store::Row& row);

Result<std::optional<Rental>> find_rental(store::Transaction& transaction, RentalId id);
/// Errors: not_found "rental.not_found".
Result<Rental> require_rental(store::Transaction& transaction, RentalId id);
/// Yields its id.
Result<RentalId> insert_rental(store::Transaction& transaction, const Rental& rental);
/// Writes everything but the id, the user, the container's id and `created_at`.
Result<void> update_rental(store::Transaction& transaction, const Rental& rental);

/// Whether such a notice was handed over before.
Result<bool> was_sent(store::Transaction& transaction, RentalId id, const Date& date, std::string_view kind);
Result<void> note_sent(store::Transaction& transaction, RentalId id, const Date& date, std::string_view kind,
                       Timestamp now);

Error rental_not_found();

}  // namespace berth::rental
