#pragma once

#include <optional>
#include <vector>

#include "fleet/server.h"
#include "fleet/server_registry.h"
#include "identity/sealing.h"
#include "store/database.h"

// How servers are kept in the store.
namespace berth::fleet::server_rows {

/// Every bad field of a new server at once. Errors: invalid_argument "server.invalid".
Result<void> check(const NewServer& server);

/// What a row holds; a key that does not open is left out and told of.
struct Loaded {
  Server server;
  std::optional<Error> problem;
};

Result<ServerId> insert(store::Transaction& transaction, const Server& server, const identity::Sealing& sealing);
/// False if there is no such row.
Result<bool> update(store::Transaction& transaction, const Server& server, const identity::Sealing& sealing,
                    Timestamp now);
Result<void> remove(store::Transaction& transaction, ServerId id);
/// For what is about to go to a server: errors: not_found "server.not_found" where it was removed.
Result<void> require(store::Transaction& transaction, ServerId id);
Result<std::vector<Loaded>> load(store::Transaction& transaction, const identity::Sealing& sealing);
Result<std::int64_t> reseal(store::Transaction& transaction, const identity::Sealing& sealing);

}  // namespace berth::fleet::server_rows
