#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>

#include "base/result.h"

namespace berth::app {

/// Makes the state folder, for its owner alone, if it does not exist. Errors: unavailable "state.folder".
Result<void> make_state_folder(const std::filesystem::path& folder);

/// Where the first administrator's password is kept in a state folder.
std::filesystem::path admin_password_file(const std::filesystem::path& folder);

/// Held by the daemon while it works on a state folder, so that no second one does. The kernel ends it with the
/// process, whatever way that ends.
class StateLock {
 public:
  /// Errors: conflict "state.locked" naming the process, unavailable "state.folder".
  static Result<StateLock> acquire(const std::filesystem::path& folder);
  StateLock(StateLock&& other) noexcept;
  StateLock& operator=(StateLock&& other) noexcept;
  ~StateLock();

 private:
  explicit StateLock(int file) : file_(file) {}
  int file_;
};

/// The process that holds the folder's lock; nothing if none does.
std::optional<pid_t> running_daemon(const std::filesystem::path& folder);

/// Tells the daemon that holds the folder, if one does, to read again what was changed behind its back.
void tell_running_daemon(const std::filesystem::path& folder);

/// If this process is root and the folder belongs to someone else, becomes that user for good: what a command
/// writes there must stay writable for the daemon. Errors: unavailable "state.owner".
Result<void> become_owner(const std::filesystem::path& folder);

}  // namespace berth::app
