#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/child_process.h"
#include "base/secret.h"
#include "temporary_folder.h"

namespace berth::testing {

/// A private OpenSSH server on a port of 127.0.0.1, with a host key of its own and one key that may come in, as the
/// user that the tests run as (root). It ends with the program. Throws std::runtime_error with the reason where it
/// cannot be started: a test then fails, it is never skipped.
class SshServer {
 public:
  /// The one of this program, started when it is first asked for.
  static SshServer& instance();

  SshServer();
  SshServer(const SshServer&) = delete;
  SshServer& operator=(const SshServer&) = delete;
  ~SshServer();

  /// "ssh://root@127.0.0.1:PORT/path/of/socket"
  std::string url(const std::string& socket) const;
  std::string host_key() const;
  Secret key() const;
  /// Another key, which is that of nobody; under a passphrase unless it is "".
  Secret strange_key(const std::string& passphrase = "") const;
  std::string strange_host_key() const;

  /// Stops it and its connections in their tracks, and lets them go on.
  void pause() const;
  void resume() const;
  /// Ends it and its connections at once.
  void kill();
  /// Starts it, at the same port, and waits until it answers.
  void start();
  bool running() const { return server_.has_value(); }
  /// How many connections it has now.
  std::size_t connections() const { return processes().size() - 1; }

 private:
  void make_key(const std::string& name, const std::string& passphrase) const;
  /// The server and its connections' processes.
  std::vector<pid_t> processes() const;

  const TemporaryFolder folder_;
  std::uint16_t port_;
  std::optional<ChildProcess> server_;
};

}  // namespace berth::testing
