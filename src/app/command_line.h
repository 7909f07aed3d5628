#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/console.h"

namespace berth::app {

/// One option or argument, as completions need to know it.
struct OptionShape {
  std::vector<std::string> names;  ///< "-o", "--output"; empty for a positional argument
  std::string description;
  bool takes_value = false;
  bool takes_file = false;
  std::vector<std::string> choices;  ///< if only these are allowed
};

/// The shape of a command and of those below it.
struct CommandShape {
  std::string name;
  std::string description;
  std::vector<OptionShape> options;
  std::vector<std::unique_ptr<CommandShape>> commands;
};

/// A handle of one command while the command line is being declared. Variables that options are bound to must
/// live until the command line was run; their value before is the default. Cheap to copy.
class Command {
 public:
  /// `native` is the parser's own object, known only to the implementation.
  Command(void* native, CommandShape* shape) : native_(native), shape_(shape) {}

  Command add(const std::string& name, const std::string& description);

  /// `names` as in "-o,--output".
  void option(const std::string& names, std::string& value, const std::string& description);
  void option(const std::string& names, std::int64_t& value, const std::string& description);
  void option(const std::string& names, std::vector<std::string>& values, const std::string& description);
  void file_option(const std::string& names, std::string& value, const std::string& description);
  void choice(const std::string& names, std::string& value, std::vector<std::string> choices,
              const std::string& description);
  void flag(const std::string& names, bool& value, const std::string& description);

  /// A positional argument that must be given.
  void argument(const std::string& name, std::string& value, const std::string& description);
  void argument_choice(const std::string& name, std::string& value, std::vector<std::string> choices,
                       const std::string& description);
  /// One or more (or, if not `required`, none).
  void arguments(const std::string& name, std::vector<std::string>& values, const std::string& description,
                 bool required = true);

  /// What the command does when it is called.
  void action(std::function<ExitCode()> run);
  /// Text behind the help.
  void footer(const std::string& text);

 private:
  void* native_;
  CommandShape* shape_;
};

/// The whole command line: declared through `root`, then run once.
class CommandLine {
 public:
  explicit CommandLine(Console& console);
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;
  ~CommandLine();

  Command root();
  const CommandShape& shape() const;
  /// Parses and runs the command that was called. Mistakes are explained on the console's `err`.
  ExitCode run(int argc, const char* const* argv);

 private:
  struct Parser;
  Console& console_;
  std::unique_ptr<Parser> parser_;
};

}  // namespace berth::app
