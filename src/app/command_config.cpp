#include <fmt/format.h>

#include <boost/describe/class.hpp>
#include <memory>
#include <ostream>

#include "app/commands.h"
#include "app/local_command.h"
#include "json/write.h"

namespace berth::app {
namespace {

struct Options {
  std::string config;
  std::string format = "table";
};

/// A setting as `-o json` prints it.
struct SettingLine {
  std::string key;
  std::string value;
  std::string origin;
  bool reloadable = false;
};
BOOST_DESCRIBE_STRUCT(SettingLine, (), (key, value, origin, reloadable))

ExitCode check(Console& console, const Options& options) {
  const auto loaded = load_for_command(console, options.config);
  if (!loaded) {
    console.fail(loaded.error());
    return loaded.error().code() == ErrorCode::not_found ? ExitCode::not_found : ExitCode::failure;
  }
  const auto where = loaded->file.empty() ? console.say({"（无文件，均为默认值）", "(no file, defaults only)"})
                                          : loaded->file.string();
  console.out << console.say(
      {fmt::format("配置正确：{}\n", where), fmt::format("configuration is valid: {}\n", where)});
  return ExitCode::ok;
}

ExitCode show(Console& console, const Options& options) {
  const auto loaded = load_for_command(console, options.config);
  if (!loaded) return console.fail(loaded.error());
  if (options.format == "json") {
    std::vector<SettingLine> lines;
    for (const auto& setting : loaded->settings) {
      lines.push_back({setting.key, setting.value, setting.origin, setting.reloadable});
    }
    console.out << json::to_json(lines) << "\n";
  } else {
    console.out << show_settings(loaded->settings);
  }
  return ExitCode::ok;
}

}  // namespace

void add_config_commands(Command root, Console& console) {
  const auto options = std::make_shared<Options>();
  auto config = root.add("config", "Check and show the configuration");
  auto checking = config.add("check", "Check it and name every problem");
  add_config_option(checking, options->config);
  checking.action([&console, options] { return check(console, *options); });
  auto showing = config.add("show", "Show every value in force and where it comes from");
  add_config_option(showing, options->config);
  add_output_option(showing, options->format);
  showing.action([&console, options] { return show(console, *options); });
  auto reference = config.add("reference", "Print a configuration file with every key explained");
  reference.action([&console] {
    console.out << configuration_reference();
    return ExitCode::ok;
  });
}

}  // namespace berth::app
