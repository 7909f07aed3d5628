#include "app/command_line.h"
#include "app/commands.h"
#include "app/console.h"

int main(int argc, char** argv) {
  using namespace berth::app;
  Console console = Console::standard();
  CommandLine line(console);
  add_serve_command(line.root(), console);
  add_doctor_command(line.root(), console);
  add_instance_commands(line.root(), console);
  add_server_commands(line.root(), console);
  add_resource_commands(line.root(), console);
  add_agent_command(line.root(), console);
  add_login_commands(line.root(), console);
  add_user_commands(line.root(), console);
  add_key_commands(line.root(), console);
  add_config_commands(line.root(), console);
  add_migrate_command(line.root(), console);
  add_audit_commands(line.root(), console);
  add_sealing_commands(line.root(), console);
  add_version_command(line.root(), console);
  add_completion_command(line.root(), line.shape(), console);
  return static_cast<int>(line.run(argc, argv));
}
