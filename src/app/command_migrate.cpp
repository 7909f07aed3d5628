#include <fmt/format.h>

#include <memory>
#include <ostream>

#include "app/commands.h"
#include "app/local_command.h"
#include "app/state_lock.h"

namespace berth::app {
namespace {

struct Options {
  std::string config;
  bool dry_run = false;
};

Result<void> migrate(Console& console, const Options& options) {
  const auto loaded = BERTH_TRY(load_for_command(console, options.config));
  const auto& configuration = loaded.configuration;
  BERTH_CHECK(make_state_folder(configuration.state.folder));
  BERTH_CHECK(become_owner(configuration.state.folder));
  metrics::Registry metrics;
  const auto settings = BERTH_TRY(store_settings(configuration));
  const auto database = BERTH_TRY(store::Database::open(settings, metrics));
  const int found = BERTH_TRY(database->schema_version());
  const int newest = store::Database::newest_schema_version();
  if (found == newest) {
    console.out << console.say({fmt::format("数据库已是最新（第 {} 版）\n", newest),
                                fmt::format("the store is up to date (schema {})\n", newest)});
    return {};
  }
  if (options.dry_run) {
    console.out << console.say({fmt::format("将从第 {} 版迁移到第 {} 版\n", found, newest),
                                fmt::format("would migrate from schema {} to {}\n", found, newest)});
    return {};
  }
  // Also made here: a store without its key would be refused by everything else.
  if (auto key = identity::Sealing::load(configuration.identity.sealing_key_file, found == 0); !key) {
    return take_error(key);
  }
  const int steps = BERTH_TRY(database->migrate());
  console.out << console.say({fmt::format("已迁移 {} 步，现为第 {} 版\n", steps, newest),
                              fmt::format("migrated {} steps, now schema {}\n", steps, newest)});
  return {};
}

}  // namespace

void add_migrate_command(Command root, Console& console) {
  const auto options = std::make_shared<Options>();
  auto command = root.add("migrate", "Bring the store to this program's schema, after a backup");
  add_config_option(command, options->config);
  command.flag("--dry-run", options->dry_run, "Only say what would be done");
  command.action([&console, options] {
    const auto done = migrate(console, *options);
    return done ? ExitCode::ok : console.fail(done.error());
  });
}

}  // namespace berth::app
