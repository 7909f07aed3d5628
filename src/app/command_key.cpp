#include <fmt/format.h>

#include <boost/describe/class.hpp>
#include <memory>
#include <ostream>

#include "app/commands.h"
#include "app/configuration_values.h"
#include "app/local_command.h"
#include "app/table.h"
#include "json/write.h"

namespace berth::app {
namespace {

struct Options {
  std::string config;
  std::string format = "table";
  std::string owner;
  std::string name;
  std::string lifetime;
  std::vector<std::string> scope;
};

/// A key as `-o json` prints it.
struct KeyLine {
  std::string id;
  std::string name;
  std::vector<std::string> scope;
  std::string prefix;
  std::string created_at;
  std::optional<std::string> expires_at;
  std::optional<std::string> last_used_at;
};
BOOST_DESCRIBE_STRUCT(KeyLine, (), (id, name, scope, prefix, created_at, expires_at, last_used_at))

KeyLine line_of(const identity::ApiKey& key) {
  KeyLine line{key.id, key.name, key.scope, key.prefix, format_utc(key.created_at), {}, {}};
  if (key.expires_at) line.expires_at = format_utc(*key.expires_at);
  if (key.last_used_at) line.last_used_at = format_utc(*key.last_used_at);
  return line;
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : ",") + word;
  return out;
}

ExitCode create(Console& console, const Options& options) {
  return run_on_store(console, options.config, Effect::changes, [&](Foundation& foundation) -> Result<void> {
    const auto owner = BERTH_TRY(foundation.identity->find_user(options.owner));
    identity::NewApiKey key;
    key.name = options.name;
    if (!options.scope.empty()) key.scope = options.scope;
    if (!options.lifetime.empty()) {
      const auto lifetime = parse_duration(options.lifetime);
      if (!lifetime || *lifetime <= std::chrono::milliseconds(0)) {
        return Error(ErrorCode::invalid_argument, "key.lifetime",
                     {"--expires 应为时长，如 30d", "--expires must be a duration such as 30d"});
      }
      key.expires_at = system_clock().now() + *lifetime;
    }
    const auto issued = BERTH_TRY(foundation.identity->create_key(owner.id, key, command_origin()));
    // The key alone goes to standard output, so that a script can take it.
    console.err << console.say({"密钥只显示这一次：\n", "The key is shown only this once:\n"});
    console.out << issued.secret.reveal() << "\n";
    return {};
  });
}

ExitCode list(Console& console, const Options& options) {
  return run_on_store(console, options.config, Effect::reads, [&](Foundation& foundation) -> Result<void> {
    const auto owner = BERTH_TRY(foundation.identity->find_user(options.owner));
    const auto keys = BERTH_TRY(foundation.identity->list_keys(owner.id));
    std::vector<KeyLine> lines;
    for (const auto& key : keys) lines.push_back(line_of(key));
    if (options.format == "json") {
      console.out << json::to_json(lines) << "\n";
      return {};
    }
    Table table({{"ID"}, {"NAME"}, {"SCOPE"}, {"PREFIX"}, {"CREATED"}, {"EXPIRES"}, {"LAST USED"}});
    for (const auto& line : lines) {
      table.add({line.id, line.name, joined(line.scope), line.prefix, line.created_at,
                 line.expires_at.value_or("never"), line.last_used_at.value_or("never")});
    }
    console.out << table.text(console.colours);
    return {};
  });
}

/// A key is named by its id or by its name.
ExitCode remove(Console& console, const Options& options) {
  return run_on_store(console, options.config, Effect::changes, [&](Foundation& foundation) -> Result<void> {
    const auto owner = BERTH_TRY(foundation.identity->find_user(options.owner));
    auto id = options.name;
    for (const auto& key : BERTH_TRY(foundation.identity->list_keys(owner.id))) {
      if (key.name == options.name) id = key.id;
    }
    BERTH_CHECK(foundation.identity->delete_key(owner.id, id, command_origin()));
    console.out << console.say({"密钥已删除\n", "key deleted\n"});
    return {};
  });
}

}  // namespace

void add_key_commands(Command root, Console& console) {
  const auto options = std::make_shared<Options>();
  auto key = root.add("key", "API keys for machines, directly in the store");
  const auto add_command = [&](const char* name, const char* description, ExitCode (*run)(Console&, const Options&)) {
    auto command = key.add(name, description);
    add_config_option(command, options->config);
    command.argument("OWNER", options->owner, "The user that the key acts for");
    command.action([&console, options, run] { return run(console, *options); });
    return command;
  };
  auto creating = add_command("create", "Make a key and print it", create);
  creating.argument("NAME", options->name, "What it is for; unique per owner");
  creating.option("--scope", options->scope, "A permission such as instances:read; may be repeated (default: *)");
  creating.option("--expires", options->lifetime, "How long it is valid, such as 30d (default: for ever)");
  auto listing = add_command("list", "Show a user's keys", list);
  add_output_option(listing, options->format);
  auto deleting = add_command("delete", "Delete a key", remove);
  deleting.argument("KEY", options->name, "Its id or name");
}

}  // namespace berth::app
