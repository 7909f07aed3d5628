#pragma once

#include <string>
#include <string_view>

namespace berth::identity {

/// How a secret of high entropy that is looked up, not compared, rests in the store: its hash in base64.
std::string lookup_hash(std::string_view secret);

}  // namespace berth::identity
