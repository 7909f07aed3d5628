#include "base/secret.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <utility>

namespace berth {

void wipe(std::string& text) {
  if (!text.empty()) sodium_memzero(text.data(), text.size());
  text.clear();
}

Secret::Secret(std::string value) : value_(value) { wipe(value); }
Secret::Secret(Secret&& other) noexcept : value_(other.value_) { wipe(other.value_); }
Secret::Secret(const Secret& other) = default;

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    wipe(value_);
    value_ = other.value_;
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

Secret::~Secret() { wipe(value_); }

bool Secret::matches(std::string_view other) const {
  return value_.size() == other.size() && sodium_memcmp(value_.data(), other.data(), other.size()) == 0;
}

Result<Secret> read_secret_file(const std::string& path) {
  const auto unreadable = [&](std::string_view what) {
    return Error(ErrorCode::unavailable, "secret.unreadable",
                 {fmt::format("无法读取密钥文件 {}", path), fmt::format("Cannot read the secret file {}", path)})
        .with_detail(std::string(what));
  };
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return unreadable(std::strerror(errno));
  struct stat status{};
  if (::fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(file);
    return unreadable("not a regular file");
  }
  if ((status.st_mode & 077) != 0) {
    ::close(file);
    return Error(ErrorCode::conflict, "secret.mode",
                 {fmt::format("密钥文件 {} 的权限必须是 0600", path),
                  fmt::format("The secret file {} must have mode 0600", path)});
  }
  std::string content(static_cast<std::size_t>(std::min<off_t>(status.st_size, 65536)), '\0');
  const ssize_t got = ::read(file, content.data(), content.size());
  const int read_errno = errno;
  ::close(file);
  if (got < 0) return unreadable(std::strerror(read_errno));
  content.resize(static_cast<std::size_t>(got));
  while (!content.empty() && (content.back() == '\n' || content.back() == '\r')) content.pop_back();
  Secret secret(content);
  wipe(content);
  return secret;
}

}  // namespace berth
