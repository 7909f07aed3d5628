#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "compute/engine.h"
#include "json/document.h"

namespace berth::drivers::lxd {

/// The configuration key that says whose an instance is.
inline constexpr std::string_view kOwnerKey = "user.berth.owner";

/// LXD's status word as ours; a word that we do not know is `error`.
compute::Status parse_status(std::string_view word);

/// An instance as `recursion=2` of the list or `recursion=1` of one gives it. Without "state" the counters and
/// addresses are empty. `host_memory` is what a limit in percent refers to; 0: such a limit is left out.
/// Errors: internal "engine.protocol" if it has no name.
Result<compute::Instance> decode_instance(json::View instance, std::uint64_t host_memory);
/// Whether an instance's memory limit is a percentage of the host's.
bool has_relative_memory(json::View instance);

Result<compute::InstanceSnapshot> decode_snapshot(json::View snapshot);
Result<compute::Image> decode_image(json::View image);

}  // namespace berth::drivers::lxd
