#pragma once

#include <string>
#include <vector>

#include "app/api_client.h"
#include "base/result.h"

namespace berth::app {

/// An interactive terminal in an instance, over the daemon's WebSocket.
class TerminalSession {
 public:
  /// True if standard input and output are terminals.
  static bool possible();

  /// Runs until the command ends; an empty command is a login shell. Puts the terminal in raw mode meanwhile and
  /// follows its size. Yields the command's exit code, 1 if the connection was cut off. Errors: those of the
  /// connection and the daemon's.
  static Result<int> run(ApiClient& client, const std::string& instance, const std::vector<std::string>& command);
};

}  // namespace berth::app
