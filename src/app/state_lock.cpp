#include "app/state_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace berth::app {
namespace {

std::filesystem::path lock_file(const std::filesystem::path& folder) {
  return folder / "berth.lock";
}

struct flock whole_file(short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

Error unusable(const std::filesystem::path& folder, std::string why) {
  return Error(ErrorCode::unavailable, "state.folder",
               {fmt::format("无法使用状态目录 {}", folder.string()),
                fmt::format("cannot use the state folder {}", folder.string())})
      .with_detail(std::move(why));
}

}  // namespace

Result<void> make_state_folder(const std::filesystem::path& folder) {
  std::error_code problem;
  if (std::filesystem::is_directory(folder, problem)) return {};
  std::filesystem::create_directories(folder.parent_path(), problem);
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return unusable(folder, std::strerror(errno));
  return {};
}

std::filesystem::path admin_password_file(const std::filesystem::path& folder) {
  return folder / "admin-password";
}

Result<StateLock> StateLock::acquire(const std::filesystem::path& folder) {
  const int file = ::open(lock_file(folder).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return unusable(folder, std::strerror(errno));
  auto lock = whole_file(F_WRLCK);
  if (::fcntl(file, F_SETLK, &lock) == 0) return StateLock(file);
  ::close(file);
  const auto holder = running_daemon(folder);
  return Error(ErrorCode::conflict, "state.locked",
               {fmt::format("状态目录 {} 正由进程 {} 使用", folder.string(), holder.value_or(0)),
                fmt::format("the state folder {} is in use by process {}", folder.string(), holder.value_or(0))});
}

StateLock::StateLock(StateLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}

StateLock& StateLock::operator=(StateLock&& other) noexcept {
  if (this != &other) {
    if (file_ >= 0) ::close(file_);
    file_ = std::exchange(other.file_, -1);
  }
  return *this;
}

StateLock::~StateLock() {
  if (file_ >= 0) ::close(file_);
}

std::optional<pid_t> running_daemon(const std::filesystem::path& folder) {
  const int file = ::open(lock_file(folder).c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  auto lock = whole_file(F_WRLCK);
  const bool asked = ::fcntl(file, F_GETLK, &lock) == 0;
  ::close(file);
  if (!asked || lock.l_type == F_UNLCK || lock.l_pid <= 0) return std::nullopt;
  return lock.l_pid;
}

void tell_running_daemon(const std::filesystem::path& folder) {
  if (const auto daemon = running_daemon(folder)) ::kill(*daemon, SIGHUP);
}

Result<void> become_owner(const std::filesystem::path& folder) {
  struct stat status {};
  if (::geteuid() != 0 || ::stat(folder.c_str(), &status) != 0 || status.st_uid == 0) return {};
  if (::setgroups(0, nullptr) == 0 && ::setresgid(status.st_gid, status.st_gid, status.st_gid) == 0 &&
      ::setresuid(status.st_uid, status.st_uid, status.st_uid) == 0) {
    return {};
  }
  return Error(ErrorCode::unavailable, "state.owner",
               {fmt::format("无法切换为状态目录 {} 的所有者", folder.string()),
                fmt::format("cannot become the owner of the state folder {}", folder.string())})
      .with_detail(std::strerror(errno));
}

}  // namespace berth::app
