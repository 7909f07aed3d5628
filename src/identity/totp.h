#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace berth::identity::totp {

/// RFC 4648 section 6, without padding.
std::string to_base32(std::string_view bytes);
/// The number of the 30-second step that `now` falls into.
std::int64_t step_at(Timestamp now);
/// RFC 6238: the six digits of a step.
std::string code_at(std::string_view secret, std::int64_t step);
/// The step, of the present one and its two neighbours, whose code `code` is, unless it is not
/// after `last_used`; each code thus counts once. Takes the same time whatever is wrong.
std::optional<std::int64_t> match(std::string_view secret, std::string_view code, Timestamp now,
                                  std::int64_t last_used);
/// The context under which a user's secret is sealed.
std::string sealing_context(std::string_view user_uuid);
/// What authenticator apps read from a QR image.
std::string uri(std::string_view issuer, std::string_view account, std::string_view base32_secret);

}  // namespace berth::identity::totp
