#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace berth {

/// A program that runs beside this one: without a shell, in a process group of its own, with nothing of ours but what
/// it is given. Never outlives this object. For one thread at a time.
class ChildProcess {
 public:
  /// Where programs are looked for, and the PATH that they should be given.
  static constexpr std::string_view kPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

  enum class Bond {
    none,    ///< goes on if this process is killed
    thread,  ///< the kernel kills it when the thread that started it ends, however that ends
  };

  struct Settings {
    std::vector<std::string> argv;         ///< the first is a path, or a name that is looked for in kPath
    std::vector<std::string> environment;  ///< "NAME=VALUE", all of it
    std::string folder = "/";              ///< that it runs in
    /// Descriptors that become its standard input, output and error; -1: /dev/null. The caller closes its own.
    int input = -1;
    int output = -1;
    int errors = -1;
    Bond bond = Bond::none;
  };

  struct Ending {
    int code = 0;    ///< its exit status
    int signal = 0;  ///< that ended it; 0 if it ended by itself
  };

  /// Returns once the program runs. Errors: unavailable "process.start", whose detail says which and why.
  static Result<ChildProcess> start(const Settings& settings);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  /// As `end`.
  ~ChildProcess();

  pid_t id() const { return pid_; }
  /// A descriptor that is readable once the program has ended, to poll.
  int handle() const { return handle_; }
  /// Waits for it to end by itself; false at the deadline.
  bool wait(Deadline deadline) const;
  /// Kills it, if it still runs, and what it began and left behind; then it is gone. At most once.
  Ending end();

 private:
  ChildProcess(pid_t pid, int handle) : pid_(pid), handle_(handle) {}

  pid_t pid_ = -1;
  int handle_ = -1;
};

}  // namespace berth
