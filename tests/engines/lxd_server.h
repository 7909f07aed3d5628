#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "engines/processes.h"

namespace berth::testing {

/// A private LXD with a storage pool, a default profile with a root disk, and a small image. Everything is in
/// a folder of its own; it ends with the program, also when the program is killed. Throws std::runtime_error
/// with the reason where it cannot be started (no root, no LXD, no static busybox): a test then fails, it is
/// never skipped.
class LxdServer {
 public:
  /// The one server of this program, started when it is first asked for.
  static LxdServer& instance();

  LxdServer();
  LxdServer(const LxdServer&) = delete;
  LxdServer& operator=(const LxdServer&) = delete;
  ~LxdServer();

  /// Alias of the image.
  static constexpr const char* kImage = "berth-busybox";

  std::string directory() const { return folder_ + "/lxd"; }
  std::string socket() const { return directory() + "/unix.socket"; }
  /// A file or folder beside LXD's own, removed with them.
  std::string path(const std::string& name) const { return folder_ + "/" + name; }

  /// Runs `lxc` as a person in a shell would, and returns what it printed. Throws if it fails.
  std::string lxc(const std::vector<std::string>& arguments) const;
  /// Imports another copy of the image, with a fingerprint of its own.
  void import_image(const std::string& alias);

  /// Stops the server in its tracks, and lets it go on.
  void pause() const;
  void resume() const;
  /// Ends the server at once; instances run on.
  void kill();
  /// Starts it again and waits until it answers.
  void start();
  bool running() const { return pid_ > 0; }

  /// The process that stands between LXD and the guest.
  pid_t monitor_of(const std::string& instance) const;
  /// The guest's first process.
  pid_t init_of(const std::string& instance) const;

 private:
  pid_t spawn(const std::vector<std::string>& arguments, int input, const std::string& output) const;
  std::string run(const std::vector<std::string>& arguments) const;
  void start_ender();
  std::string log() const;

  std::string folder_;
  pid_t pid_ = -1;
  pid_t ender_ = -1;
  int ender_pipe_ = -1;
};

}  // namespace berth::testing
