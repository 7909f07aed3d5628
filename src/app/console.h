#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>

#include "app/configuration.h"
#include "base/error.h"
#include "base/secret.h"
#include "base/text.h"

namespace berth::app {

/// How the program ends; documented in its help and relied on by scripts.
enum class ExitCode {
  ok = 0,
  failure = 1,
  usage = 2,  ///< the command line or a value in it makes no sense
  not_found = 3,
  not_permitted = 4,  ///< not signed in, or without the right
  unavailable = 5,    ///< the daemon, the store or an engine does not answer
};

ExitCode exit_code(ErrorCode code);

/// "zh" if the environment's language (LC_ALL, LC_MESSAGES, LANG, in this order) is Chinese.
Language environment_language(const Environment& environment);

/// What a command talks to: the standard streams in the program, strings in tests. Not thread-safe.
struct Console {
  std::ostream& out;
  std::ostream& err;
  Environment environment;
  Language language = Language::en;
  bool colours = false;      ///< standard output is a terminal and NO_COLOR is not set
  bool interactive = false;  ///< standard input is a terminal, so that questions can be asked
  /// Reads a line from standard input; with `hidden` it is not echoed. Nothing at its end.
  std::function<bool(std::string& line, bool hidden)> read_line;

  /// The program's own.
  static Console standard();

  const std::string& say(const Text& text) const { return text.in(language); }
  /// The variable's value, "" if it is not set.
  std::string variable(std::string_view name) const;
  /// Explains an error on `err`, with its fields, and yields the exit code for it.
  ExitCode fail(const Error& error);
};

/// Asks on `err` and reads a line without echo. Errors: invalid_argument "cli.no_input" at the end of input.
Result<Secret> ask_secret(Console& console, const Text& question);
Result<std::string> ask(Console& console, const Text& question);

/// The password from `file` if that is not "", from standard input if `from_input`, else asked for twice.
Result<Secret> new_password(Console& console, const std::string& file, bool from_input);

}  // namespace berth::app
