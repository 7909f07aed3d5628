#include "app/command_line.h"

#include <CLI/CLI.hpp>
#include <map>
#include <sstream>

#include "base/log.h"

namespace berth::app {
namespace {

constexpr const char* kExitCodes =
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 not permitted, 5 not available";

CLI::App& native(void* app) {
  return *static_cast<CLI::App*>(app);
}

std::vector<std::string> split_names(const std::string& names) {
  std::vector<std::string> split;
  std::istringstream stream(names);
  for (std::string name; std::getline(stream, name, ',');) split.push_back(name);
  return split;
}

void remember(CommandShape& shape, const std::string& names, const std::string& description, OptionShape option = {}) {
  option.names = split_names(names);
  option.description = description;
  shape.options.push_back(std::move(option));
}

const OptionShape kValue{{}, {}, true, false, {}};
const OptionShape kFile{{}, {}, true, true, {}};

void prepare(CLI::App& app) {
  app.set_help_flag("-h,--help", "Show this help");
  app.require_subcommand(0);
}

}  // namespace

struct CommandLine::Parser {
  Parser() : app("Berth: control plane for containers, virtual machines, networks and databases", "berth") {}

  CLI::App app;
  CommandShape shape;
};

Command Command::add(const std::string& name, const std::string& description) {
  auto* app = native(native_).add_subcommand(name, description);
  prepare(*app);
  // A command that has others below it asks for one of them; it is replaced by `action` where it does something.
  native(native_).require_subcommand(1);
  shape_->commands.push_back(std::make_unique<CommandShape>());
  auto& shape = *shape_->commands.back();
  shape.name = name;
  shape.description = description;
  return {app, &shape};
}

void Command::option(const std::string& names, std::string& value, const std::string& description) {
  native(native_).add_option(names, value, description);
  remember(*shape_, names, description, kValue);
}

void Command::option(const std::string& names, std::int64_t& value, const std::string& description) {
  native(native_).add_option(names, value, description)->capture_default_str();
  remember(*shape_, names, description, kValue);
}

void Command::option(const std::string& names, std::vector<std::string>& values, const std::string& description) {
  native(native_).add_option(names, values, description)->allow_extra_args(false);
  remember(*shape_, names, description, kValue);
}

void Command::file_option(const std::string& names, std::string& value, const std::string& description) {
  native(native_).add_option(names, value, description)->type_name("FILE");
  remember(*shape_, names, description, kFile);
}

void Command::choice(const std::string& names, std::string& value, std::vector<std::string> choices,
                     const std::string& description) {
  native(native_).add_option(names, value, description)->check(CLI::IsMember(choices))->capture_default_str();
  remember(*shape_, names, description, {{}, {}, true, false, std::move(choices)});
}

void Command::flag(const std::string& names, bool& value, const std::string& description) {
  native(native_).add_flag(names, value, description);
  remember(*shape_, names, description);
}

void Command::argument(const std::string& name, std::string& value, const std::string& description) {
  native(native_).add_option(name, value, description)->required();
}

void Command::argument_choice(const std::string& name, std::string& value, std::vector<std::string> choices,
                              const std::string& description) {
  native(native_).add_option(name, value, description)->required()->check(CLI::IsMember(choices));
  shape_->options.push_back({{}, description, true, false, std::move(choices)});
}

void Command::arguments(const std::string& name, std::vector<std::string>& values, const std::string& description,
                        bool required) {
  native(native_).add_option(name, values, description)->required(required);
}

void Command::action(std::function<ExitCode()> run) {
  native(native_).final_callback([run = std::move(run)] {
    const auto code = run();
    if (code != ExitCode::ok) throw CLI::RuntimeError(static_cast<int>(code));
  });
}

void Command::footer(const std::string& text) {
  native(native_).footer(text);
}

CommandLine::CommandLine(Console& console) : console_(console), parser_(std::make_unique<Parser>()) {
  prepare(parser_->app);
  parser_->app.footer(kExitCodes);
  parser_->shape.name = "berth";
}

CommandLine::~CommandLine() = default;

Command CommandLine::root() {
  return {&parser_->app, &parser_->shape};
}

const CommandShape& CommandLine::shape() const {
  return parser_->shape;
}

ExitCode CommandLine::run(int argc, const char* const* argv) {
  try {
    parser_->app.parse(argc, argv);
    return ExitCode::ok;
  } catch (const CLI::RuntimeError& ended) {
    return static_cast<ExitCode>(ended.get_exit_code());
  } catch (const CLI::ParseError& error) {
    const bool asked_for = parser_->app.exit(error, console_.out, console_.err) == 0;
    return asked_for ? ExitCode::ok : ExitCode::usage;
  } catch (const std::exception& bug) {
    log::flush();
    return console_.fail(internal_error(bug.what()));
  }
}

}  // namespace berth::app
