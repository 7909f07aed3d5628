#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "rental/rental.h"
#include "store/database.h"

namespace berth::rental {

/// What a user is told about a rental. Once for each rental, date and kind: see `key`.
struct Notice {
  enum class Kind {
    before,     ///< it expires in `days`
    expired,    ///< it has expired
    requested,  ///< a person asked for it to be sent
  };

  Kind kind = Kind::before;
  int days = 0;  ///< of Kind::before: which notice it is
  RentalId rental;
  UserId user;
  fleet::ContainerId container;
  std::string container_name;
  Date expiry_date{};
  Timestamp expires_at;
  std::chrono::seconds grace{0};  ///< from the expiry until the container is archived

  /// "before-7", "expired" or "requested".
  std::string kind_name() const;
  /// "rental:12:2024-12-30:before-7": the same for the same notice, on whatever node and however often.
  std::string key() const;
};

/// Hands notices over to whatever delivers them: mail, webhooks. Thread-safe.
class NoticeSender {
 public:
  virtual ~NoticeSender() = default;
  /// Puts the notice in line within the caller's transaction, in which it is also noted as sent, so that the two
  /// happen together or not at all; delivery and its retries are the sender's. Must not wait for anything but the
  /// store, and may be asked again for the same notice when a transaction runs twice. Yields to how many receivers it
  /// goes; 0, a user without an address, is no error. An error leaves the notice to be offered again later.
  virtual Result<std::size_t> send(store::Transaction& transaction, const Notice& notice) = 0;
};

}  // namespace berth::rental
