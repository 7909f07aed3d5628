#include <fmt/format.h>

#include <boost/describe/class.hpp>
#include <memory>
#include <ostream>

#include "app/commands.h"
#include "app/completion.h"
#include "app/local_command.h"
#include "app/version.h"
#include "json/write.h"
#include "store/database.h"

namespace berth::app {
namespace {

struct VersionLine {
  std::string version;
  int schema = 0;
};
BOOST_DESCRIBE_STRUCT(VersionLine, (), (version, schema))

}  // namespace

std::string_view version() {
  return BERTH_VERSION;
}

void add_version_command(Command root, Console& console) {
  const auto format = std::make_shared<std::string>("table");
  auto command = root.add("version", "Print the version");
  add_output_option(command, *format);
  command.action([&console, format] {
    const VersionLine line{std::string(version()), store::Database::newest_schema_version()};
    if (*format == "json") {
      console.out << json::to_json(line) << "\n";
    } else {
      console.out << fmt::format("berth {} (store schema {})\n", line.version, line.schema);
    }
    return ExitCode::ok;
  });
}

void add_completion_command(Command root, const CommandShape& shape, Console& console) {
  const auto shell = std::make_shared<std::string>();
  auto command = root.add("completion", "Print a completion script for a shell");
  command.argument_choice("SHELL", *shell, completion_shells(), "Which shell");
  command.footer(
      "bash: source <(berth completion bash)\nzsh: berth completion zsh > ~/.zfunc/_berth\n"
      "fish: berth completion fish > ~/.config/fish/completions/berth.fish");
  command.action([&console, shell, &shape] {
    console.out << completion_script(shape, *shell);
    return ExitCode::ok;
  });
}

}  // namespace berth::app
