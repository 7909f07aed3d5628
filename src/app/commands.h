#pragma once

#include "app/command_line.h"
#include "app/console.h"

namespace berth::app {

// Each declares a group of commands below `root`. `console` outlives the command line.

void add_serve_command(Command root, Console& console);
void add_doctor_command(Command root, Console& console);
void add_user_commands(Command root, Console& console);
void add_key_commands(Command root, Console& console);
void add_config_commands(Command root, Console& console);
void add_migrate_command(Command root, Console& console);
void add_audit_commands(Command root, Console& console);
void add_sealing_commands(Command root, Console& console);
void add_login_commands(Command root, Console& console);
void add_instance_commands(Command root, Console& console);
void add_server_commands(Command root, Console& console);
/// Images, volumes, networks and registries.
void add_resource_commands(Command root, Console& console);
void add_agent_command(Command root, Console& console);
void add_version_command(Command root, Console& console);
/// `shape` is the whole command line's, asked for when the command runs.
void add_completion_command(Command root, const CommandShape& shape, Console& console);

}  // namespace berth::app
