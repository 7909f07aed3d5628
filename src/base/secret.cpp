#include "base/secret.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace berth {
namespace {

constexpr std::size_t kLongestSecret = 65536;

struct File {
  explicit File(int opened) : descriptor(opened) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor >= 0) ::close(descriptor);
  }
  const int descriptor;
};

}  // namespace

void wipe(std::string& text) {
  // Up to the capacity: what was shortened or moved away may have left bytes behind the end.
  text.resize(text.capacity());
  sodium_memzero(text.data(), text.size());
  text.clear();
}

Secret::Secret(std::string value) : value_(std::move(value)) {
  wipe(value);
}
Secret::Secret(Secret&& other) noexcept : value_(std::move(other.value_)) {
  wipe(other.value_);
}
Secret::Secret(const Secret& other) = default;

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    wipe(value_);
    value_ = std::move(other.value_);
    wipe(other.value_);
  }
  return *this;
}

Secret& Secret::operator=(const Secret& other) {
  if (this != &other) {
    wipe(value_);
    value_ = other.value_;
  }
  return *this;
}

Secret::~Secret() {
  wipe(value_);
}

bool Secret::matches(std::string_view other) const {
  return value_.size() == other.size() && sodium_memcmp(value_.data(), other.data(), other.size()) == 0;
}

Result<Secret> read_secret_file(const std::string& path) {
  const auto unreadable = [&](std::string_view what) {
    return Error(ErrorCode::unavailable, "secret.unreadable", {"无法读取密钥文件", "Cannot read a secret file"})
        .with_detail(fmt::format("{}: {}", path, what));
  };
  // Without O_NONBLOCK a pipe under that name would hold up the start.
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.descriptor < 0) return unreadable(std::strerror(errno));
  struct stat status {};
  if (::fstat(file.descriptor, &status) != 0) return unreadable(std::strerror(errno));
  if (!S_ISREG(status.st_mode)) return unreadable("not a regular file");
  if ((status.st_mode & 077) != 0) {
    return Error(ErrorCode::conflict, "secret.mode", {"密钥文件的权限必须是 0600", "A secret file must have mode 0600"})
        .with_detail(fmt::format("{}: mode {:04o}", path, status.st_mode & 07777));
  }
  std::string content(kLongestSecret + 1, '\0');
  std::size_t size = 0;
  while (size < content.size()) {
    const ssize_t got = ::read(file.descriptor, content.data() + size, content.size() - size);
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int reason = errno;
      wipe(content);
      return unreadable(std::strerror(reason));
    }
    size += static_cast<std::size_t>(got);
  }
  if (size > kLongestSecret) {
    wipe(content);
    return unreadable("longer than 64 KiB");
  }
  while (size > 0 && (content[size - 1] == '\n' || content[size - 1] == '\r')) --size;
  Secret secret(content.substr(0, size));
  wipe(content);
  return secret;
}

}  // namespace berth
