#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace berth::drivers::docker {

/// Without regard to the case of ASCII letters.
bool contains(std::string_view text, std::string_view part);
bool contains_any(std::string_view text, std::initializer_list<std::string_view> parts);

/// An engine's words as they may be shown to people: one line, at most 500 bytes, no control characters.
std::string shown(std::string_view words);

}  // namespace berth::drivers::docker
