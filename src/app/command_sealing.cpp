#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <ostream>

#include "app/commands.h"
#include "app/local_command.h"
#include "app/state_lock.h"
#include "fleet/containers.h"
#include "fleet/registries.h"
#include "fleet/server_registry.h"
#include "identity/reseal.h"
#include "notify/notifier.h"

namespace berth::app {
namespace {

/// Everything that rests sealed, whichever part it belongs to; yields how many values.
Result<std::int64_t> reseal_everything(store::Database& database, const std::filesystem::path& archives,
                                       const identity::Sealing& sealing) {
  std::int64_t resealed = BERTH_TRY(identity::reseal(database, sealing));
  resealed += BERTH_TRY(fleet::ServerRegistry::reseal(database, sealing));
  resealed += BERTH_TRY(fleet::Registries::reseal(database, sealing));
  resealed += BERTH_TRY(
      database.write([&](store::Transaction& transaction) { return notify::reseal_webhooks(transaction, sealing); }));
  return resealed + BERTH_TRY(fleet::Containers::reseal(database, archives, sealing));
}

/// Puts a fresh key in front and seals everything anew. The daemon must not run: it would go on sealing with
/// the old key.
Result<void> rotate(Console& console, const std::string& config_file) {
  const auto loaded = BERTH_TRY(load_for_command(console, config_file));
  const auto& configuration = loaded.configuration;
  BERTH_CHECK(make_state_folder(configuration.state.folder));
  BERTH_CHECK(become_owner(configuration.state.folder));
  const auto lock = BERTH_TRY(StateLock::acquire(configuration.state.folder));
  const auto foundation = BERTH_TRY(Foundation::open(configuration, Migrate::only_fresh));
  const auto& file = configuration.identity.sealing_key_file;
  BERTH_CHECK(identity::Sealing::rotate(file));
  const auto fresh = BERTH_TRY(identity::Sealing::load(file, false));
  const auto resealed = BERTH_TRY(reseal_everything(*foundation->database, configuration.containers.archives, fresh));
  BERTH_CHECK(foundation->audit->append(command_origin(), {.action = "sealing.rotate",
                                                           .resource_type = "sealing_key",
                                                           .resource_id = "",
                                                           .outcome = audit::Outcome::success,
                                                           .details = fmt::format(R"({{"resealed":{}}})", resealed)}));
  console.out << console.say({fmt::format("已更换密钥，重新封存 {} 项\n", resealed),
                              fmt::format("key rotated, {} values sealed anew\n", resealed)});
  return {};
}

}  // namespace

void add_sealing_commands(Command root, Console& console) {
  const auto config = std::make_shared<std::string>();
  auto sealing = root.add("sealing", "The key that secrets at rest are sealed with");
  auto rotating = sealing.add("rotate", "Make a new key and seal everything with it; stop the daemon first");
  add_config_option(rotating, *config);
  rotating.action([&console, config] {
    const auto done = rotate(console, *config);
    return done ? ExitCode::ok : console.fail(done.error());
  });
}

}  // namespace berth::app
