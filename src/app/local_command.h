#pragma once

#include <functional>
#include <memory>
#include <string>

#include "app/command_line.h"
#include "app/configuration.h"
#include "app/foundation.h"

namespace berth::app {

/// Adds "-c,--config" to a command.
void add_config_option(Command& command, std::string& file);
/// Adds "-o,--output table|json".
void add_output_option(Command& command, std::string& format);

/// The configuration from `file`, or from where it is looked for if that is "".
Result<LoadedConfiguration> load_for_command(const Console& console, const std::string& file);

enum class Effect { reads, changes };

/// Opens the store as its owner, without a daemon, and runs `work` on it. After a change a daemon that uses the
/// same store is told. Explains errors on the console.
ExitCode run_on_store(Console& console, const std::string& config_file, Effect effect,
                      const std::function<Result<void>(Foundation&)>& work);

}  // namespace berth::app
