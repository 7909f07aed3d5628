#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/result.h"
#include "base/secret.h"
#include "store/database.h"

namespace berth::audit {

/// Who caused a change and from where. Carried from the request to the entry.
struct Origin {
  UserId user_id;        ///< 0: nobody signed in (a failed login) or the system itself
  std::string actor;     ///< user name, "api-key:<name>", "anonymous@loopback" or "system"
  std::string address;   ///< the peer's address, or the client's behind a trusted proxy; "" for the system
  std::string contract;  ///< the mount it came through ("lxd-panel"), "cli" or "system"
  RequestId request_id;
};

enum class Outcome { success, failure };

/// One change, as it is recorded. `details` is a JSON object without secrets.
struct Entry {
  std::string action;         ///< "area.verb": "instance.start", "auth.login"
  std::string resource_type;  ///< "instance", "user", "api_key", …
  std::string resource_id;    ///< its name or id in its own contract
  Outcome outcome = Outcome::success;
  std::string details = "{}";
};

/// An entry as stored.
struct Record {
  std::int64_t sequence = 0;  ///< 1, 2, 3 … without gaps
  std::string id;             ///< UUID
  Timestamp at;
  Origin origin;
  Entry entry;
  std::string hash;  ///< hex; keyed BLAKE2b over the hash before and every field of this one
};

struct Filter {
  std::optional<UserId> user_id = std::nullopt;
  std::optional<std::string> action_prefix = std::nullopt;
  std::optional<std::string> resource_type = std::nullopt;
  std::optional<std::string> resource_id = std::nullopt;
  std::optional<Timestamp> from = std::nullopt;
  std::optional<Timestamp> until = std::nullopt;
  std::int64_t limit = 50;  ///< 1 to 1000
  std::int64_t offset = 0;
};

struct Page {
  std::vector<Record> records;  ///< newest first
  std::int64_t total = 0;
};

/// What `verify` found.
struct Verification {
  std::int64_t checked = 0;
  bool intact = true;
  std::int64_t first_broken = 0;  ///< sequence of the first entry that does not fit; 0 if intact
  std::string problem;            ///< in English, for the operator
};

/// The one audit log of all contracts: append-only, each entry chained to the one before by a keyed hash, so
/// that changing, removing, reordering or cutting off entries shows. Thread-safe.
class AuditLog {
 public:
  /// `key` is 32 bytes derived from the instance's sealing key.
  AuditLog(store::Database& database, Secret key, const Clock& clock);

  /// Appends within the caller's transaction, so that a change and its entry are committed together.
  Result<void> append(store::Transaction& transaction, const Origin& origin, const Entry& entry);
  /// Appends in a transaction of its own, for what changes nothing else (a refused login).
  Result<void> append(const Origin& origin, const Entry& entry);

  Result<Page> list(const Filter& filter);
  /// Recomputes the whole chain, in batches.
  Result<Verification> verify();

 private:
  /// Checks the entries after those already checked; true if there may be more.
  Result<bool> verify_batch(store::Transaction& transaction, std::string& previous, Verification& found) const;
  std::string hash_of(const Record& record, const std::string& previous) const;

  store::Database& database_;
  Secret key_;
  const Clock& clock_;
};

}  // namespace berth::audit
