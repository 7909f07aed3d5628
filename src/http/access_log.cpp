#include "http/access_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace berth::http {
namespace {

int open_file(const std::string& path) {
  if (path.empty()) return -1;
  if (path == "-") return ::dup(STDERR_FILENO);
  return ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

}  // namespace

Result<std::unique_ptr<AccessLog>> AccessLog::open(std::string path) {
  const int file = open_file(path);
  if (file < 0 && !path.empty()) {
    return Error(ErrorCode::unavailable, "http.access_log",
                 {fmt::format("无法打开访问日志 {}", path), fmt::format("Cannot open the access log {}", path)})
        .with_detail(std::strerror(errno));
  }
  return std::unique_ptr<AccessLog>(new AccessLog(std::move(path), file));
}

AccessLog::~AccessLog() {
  if (file_ >= 0) ::close(file_);
}

void AccessLog::write(std::string_view block) {
  const std::lock_guard lock(mutex_);
  while (!block.empty()) {
    const ssize_t written = ::write(file_, block.data(), block.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // a full disk must not stop the service
    block.remove_prefix(static_cast<std::size_t>(written));
  }
}

void AccessLog::reopen() {
  const std::lock_guard lock(mutex_);
  if (file_ < 0 || path_ == "-") return;
  const int file = open_file(path_);
  if (file < 0) return;
  ::close(file_);
  file_ = file;
}

}  // namespace berth::http
