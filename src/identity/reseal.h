#pragma once

#include <cstdint>

#include "base/result.h"
#include "identity/sealing.h"
#include "store/database.h"

namespace berth::identity {

/// Seals everything that rests under an older key with the newest one, in one transaction, after
/// which older keys are needed for nothing but `Sealing::derive`. Yields how many values were
/// sealed anew. Errors: internal "sealing.broken" if one does not open; then nothing was changed.
Result<std::int64_t> reseal(store::Database& database, const Sealing& sealing);

}  // namespace berth::identity
