#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace berth {

/// Lower-case hexadecimal of any bytes.
std::string to_hex(std::string_view bytes);
/// Nothing if `text` is not an even number of hexadecimal digits.
std::optional<std::string> from_hex(std::string_view text);
/// RFC 4648 section 5, without padding.
std::string to_base64url(std::string_view bytes);
std::optional<std::string> from_base64url(std::string_view text);
/// RFC 4648 section 4, with padding.
std::string to_base64(std::string_view bytes);
std::optional<std::string> from_base64(std::string_view text);

/// `count` bytes from the system's cryptographic generator.
std::string random_bytes(std::size_t count);
/// A random UUID, RFC 9562 version 4, in lower case.
std::string random_uuid();
/// True for the 36-character form of any UUID.
bool is_uuid(std::string_view text);
/// True if `text` is well-formed UTF-8 (no overlong forms, no surrogates).
bool is_utf8(std::string_view text);

}  // namespace berth
