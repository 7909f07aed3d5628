#pragma once

#include "base/error.h"
#include "base/id.h"
#include "base/result.h"
#include "store/database.h"

namespace berth::rental {

/// Whether there is such a user, asked within the transaction that is about to refer to it. Errors: not_found
/// "user.not_found".
inline Result<void> require_user(store::Transaction& transaction, UserId user) {
  if (!BERTH_TRY(transaction.query("SELECT id FROM users WHERE id = :id", {{"id", user}})).empty()) return {};
  return Error(ErrorCode::not_found, "user.not_found", {"用户不存在", "User not found"});
}

}  // namespace berth::rental
