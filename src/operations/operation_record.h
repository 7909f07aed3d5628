#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "operations/operation.h"
#include "operations/operation_service.h"
#include "store/database.h"

/// The table of operations. Every function runs inside the caller's transaction.
namespace berth::operations::record {

/// already_exists "store.unique" where the resource has an open operation.
Result<void> insert(store::Transaction& transaction, const Operation& operation);
/// Stores how an open operation stands. False if it is no longer open.
Result<bool> update_progress(store::Transaction& transaction, const Operation& operation);
Result<bool> update_handle(store::Transaction& transaction, const Operation& operation);
Result<bool> request_cancel(store::Transaction& transaction, const OperationId& id, Timestamp now);
/// Stores the outcome. False if it was settled before; then nothing is changed.
Result<bool> finish(store::Transaction& transaction, const Operation& operation);

Result<std::optional<Operation>> find(store::Transaction& transaction, const OperationId& id);
/// The oldest open operations, at most `limit`.
Result<std::vector<Operation>> open(store::Transaction& transaction, std::int64_t limit);
Result<std::int64_t> count_open(store::Transaction& transaction);
/// Removes at most `limit` ended operations that began before `before`; yields how many.
Result<std::int64_t> forget_ended(store::Transaction& transaction, Timestamp before, std::int64_t limit);
Result<Page> list(store::Transaction& transaction, const Filter& filter);

}  // namespace berth::operations::record
