#pragma once

#include <chrono>

#include "base/error.h"

namespace berth::identity {

/// The refusals that several parts of this folder give, in one wording. All are `unauthenticated`
/// but `throttled`, which is `rate_limited`. `detail` is for the log only.
Error invalid_credential(std::string detail = {});
Error expired_credential();
Error revoked_credential();
Error bad_credentials();
Error otp_required();
Error otp_invalid();
/// `wait` is rounded up to whole seconds, at least one.
Error throttled(std::chrono::microseconds wait);

Error user_not_found();
Error key_not_found();

}  // namespace berth::identity
