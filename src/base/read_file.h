#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "base/result.h"

namespace berth {

/// The whole content of a file, also of one that has no size, as in /proc. Unlike a stream's buffer, which throws when
/// reading fails (a folder, a process that is gone), it tells. Errors: not_found "file.missing"; too_large
/// "file.too_large" beyond `most` bytes; unavailable "file.unreadable".
Result<std::string> read_file(const std::filesystem::path& file, std::size_t most = std::size_t{64} << 20U);

}  // namespace berth
