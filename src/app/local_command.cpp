#include "app/local_command.h"

#include <unistd.h>

#include "app/state_lock.h"

namespace berth::app {

void add_config_option(Command& command, std::string& file) {
  command.file_option("-c,--config", file, "Configuration file (default: $BERTH_CONFIG or /etc/berth/berth.toml)");
}

void add_output_option(Command& command, std::string& format) {
  command.choice("-o,--output", format, {"table", "json"}, "How to print");
}

Result<LoadedConfiguration> load_for_command(const Console& console, const std::string& file) {
  return load_configuration({file, console.environment, ::geteuid() == 0});
}

ExitCode run_on_store(Console& console, const std::string& config_file, Effect effect,
                      const std::function<Result<void>(Foundation&)>& work) {
  const auto run = [&]() -> Result<void> {
    const auto loaded = BERTH_TRY(load_for_command(console, config_file));
    const auto& configuration = loaded.configuration;
    BERTH_CHECK(make_state_folder(configuration.state.folder));
    BERTH_CHECK(become_owner(configuration.state.folder));
    const auto foundation = BERTH_TRY(Foundation::open(configuration, Migrate::only_fresh));
    BERTH_CHECK(work(*foundation));
    if (effect == Effect::changes) tell_running_daemon(configuration.state.folder);
    return {};
  };
  const auto done = run();
  return done ? ExitCode::ok : console.fail(done.error());
}

}  // namespace berth::app
