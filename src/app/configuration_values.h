#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::app {

/// "250ms", "5s", "15m", "12h", "30d", also joined ("1h30m"). A number without a unit is no duration.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
/// In the largest unit that divides it: "15m".
std::string format_duration(std::chrono::milliseconds duration);

/// "512B", "16KiB", "4MiB", "1GiB", "2TiB", or a bare number of bytes.
std::optional<std::uint64_t> parse_size(std::string_view text);
std::string format_size(std::uint64_t bytes);

/// The candidate that `text` was probably meant to be: few edits away (inserted, lost, changed or swapped
/// characters). Nothing if none is near.
std::optional<std::string> nearest_name(std::string_view text, const std::vector<std::string>& candidates);

/// A TOML basic string with its quotes.
std::string quote_toml(std::string_view text);

}  // namespace berth::app
