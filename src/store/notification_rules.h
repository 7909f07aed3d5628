#pragma once

#include <functional>
#include <string_view>

#include "base/result.h"
#include "store/active_transaction.h"

namespace berth::store {

/// The write transaction that may carry this notification; the same rules on both engines.
Result<std::reference_wrapper<ActiveTransaction>> notifying(Transaction& transaction, std::string_view channel,
                                                            std::string_view payload);

}  // namespace berth::store
