#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "store/database.h"

namespace berth::store {

class Connection;

/// One forward step of the schema, as written in migrations/NNNN_name.sql.
struct Migration {
  int version;
  std::string_view name;
  std::string_view checksum;  ///< SHA-256 of the file
  std::string_view sql;       ///< with the tokens that `render` replaces
};

/// The steps compiled into this binary, by version from 1 without gaps.
std::span<const Migration> embedded_migrations();

/// Replaces {{id}}, {{bigint}}, {{text}} and {{strict}} by the dialect's words. An unknown token is
/// internal.
Result<std::string> render(std::string_view sql, Dialect dialect);

/// The version of the schema found, 0 for an empty store. Errors: conflict "store.newer_schema"
/// when it is newer than `known`, conflict "store.changed_migration" when an applied step was not
/// the one of that number in `known`.
Result<int> found_version(Connection& connection, std::span<const Migration> known);

/// Applies one step and records it, in one transaction; false if another node was faster.
Result<bool> apply(Connection& connection, const Migration& migration, Timestamp now);

/// Opens a store that knows other steps than the embedded ones: for tests of migrating.
Result<std::unique_ptr<Database>> open_with(const Database::Settings& settings, metrics::Registry& metrics,
                                            std::span<const Migration> migrations);

}  // namespace berth::store
