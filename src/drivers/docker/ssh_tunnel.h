#pragma once

#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "base/child_process.h"
#include "drivers/docker/link.h"
#include "drivers/docker/memory_file.h"
#include "drivers/docker/ssh_address.h"

namespace berth::drivers::docker {

/// Leads from a local socket to one on a server, through the program ssh. Nothing is asked of the server before the
/// first wait. From then on the connection is kept: when it ends or falls silent (for 15 s), it is made anew, at once
/// if it was a good one, else after growing, jittered pauses of at most 15 s; 60 s where only a person can help. ssh
/// ends with this object, and also when this process is killed. The key and the host key rest in memory alone.
class SshTunnel : public Link {
 public:
  /// The socket lies in a new folder of mode 0700 below `folder`, which is made if it is not there. Errors: internal.
  static Result<std::shared_ptr<SshTunnel>> create(SshAddress address, const std::filesystem::path& folder);
  SshTunnel(const SshTunnel&) = delete;
  SshTunnel& operator=(const SshTunnel&) = delete;
  ~SshTunnel() override;

  /// The path of the socket, however long its folder's is; for this process only, while this object lives.
  std::string socket() const;

  /// A first connection, and one that takes the place of a good one, is waited for; while others are tried, it is said
  /// at once why the last one failed.
  Result<void> wait(Deadline deadline, const std::stop_token& stop) override;
  std::optional<Error> trouble() override;

 private:
  enum class State { idle, connecting, up, pausing };
  /// How one connection ended.
  struct Outcome {
    SshTrouble trouble;
    bool good = false;  ///< it had stood for a while
  };

  SshTunnel(SshAddress address, std::filesystem::path folder, int folder_handle, int wake, MemoryFile key,
            MemoryFile known_hosts);
  void run();
  /// One connection, from its beginning to its end.
  Outcome serve();
  /// Follows a connection until its end or ours and takes note of when it stands; false if it took too long to.
  bool follow(const ChildProcess& ssh, std::optional<Instant>& stood);
  /// False once the tunnel is to end.
  bool pause(std::chrono::milliseconds wait);
  bool listens() const;
  void become(State state);
  /// Takes in what ssh has said, without waiting; false if no more can come. Under the mutex.
  bool hear();

  const SshAddress address_;
  const std::filesystem::path folder_;
  const int folder_handle_;
  const int wake_;  ///< an eventfd that says that the tunnel is to end
  const MemoryFile key_;
  const MemoryFile known_hosts_;

  std::mutex mutex_;
  std::condition_variable_any changed_;
  State state_ = State::idle;
  std::optional<Error> problem_;  ///< of the last attempt, if it failed
  int words_handle_ = -1;         ///< what ssh says, while it runs
  std::string words_;             ///< the end of what it said
  Instant heard_;                 ///< when it said the last of it
  std::optional<Error> parting_;  ///< why the last good connection ended
  Instant parted_;                ///< when
  std::thread thread_;
};

}  // namespace berth::drivers::docker
