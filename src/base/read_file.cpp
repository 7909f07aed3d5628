#include "base/read_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace berth {
namespace {

Error failed(const std::filesystem::path& file, int number) {
  const bool missing = number == ENOENT || number == ENOTDIR;
  return Error(missing ? ErrorCode::not_found : ErrorCode::unavailable, missing ? "file.missing" : "file.unreadable",
               {fmt::format("无法读取 {}", file.string()), fmt::format("cannot read {}", file.string())})
      .with_detail(std::strerror(number));
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& file, std::size_t most) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return failed(file, errno);
  std::string text;
  std::array<char, 16384> part{};
  Result<void> outcome;
  while (outcome) {
    const auto got = ::read(descriptor, part.data(), part.size());
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      outcome = failed(file, errno);
      break;
    }
    text.append(part.data(), static_cast<std::size_t>(got));
    if (text.size() > most) {
      outcome = Error(ErrorCode::too_large, "file.too_large",
                      {fmt::format("{} 过大", file.string()), fmt::format("{} is too large", file.string())});
    }
  }
  ::close(descriptor);
  if (!outcome) return outcome.error();
  return text;
}

}  // namespace berth
