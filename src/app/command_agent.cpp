#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <ostream>

#include "agent/agent.h"
#include "app/agent_lease_source.h"
#include "app/commands.h"
#include "app/process_signals.h"
#include "app/service_notifier.h"
#include "app/version.h"
#include "base/log.h"
#include "drivers/docker/docker_engine.h"

namespace berth::app {
namespace {

struct Options {
  std::string server;
  ClientOptions berth;
  std::string token_file;
  std::string engine = "unix:///var/run/docker.sock";
  std::string containers = "/var/lib/docker/containers";
  std::string state = "/var/lib/berth-agent";
  std::string last_resort = "log";
};

/// What cannot be killed (a process that waits for a dead disk) ends with the machine.
void reboot_now() {
  log::error("agent", "restarting the machine: containers run that must not, and cannot be killed");
  log::flush();
  ::reboot(RB_AUTOBOOT);
}

/// Runs until it is told to end, and then until it may.
void wait_for_end(agent::Agent& agent, const ProcessSignals& signals, ServiceNotifier& notifier) {
  std::optional<std::chrono::microseconds> interval;
  if (const auto watchdog = notifier.watchdog()) interval = *watchdog / 2;
  while (true) {
    const auto number = signals.next(interval);
    if (!number && agent.alive()) notifier.ping();
    if (number && *number != SIGHUP) return;
  }
}

ExitCode run(Console& console, const Options& options) {
  const ProcessSignals signals;
  ::umask(0077);
  log::configure({});
  auto token = read_secret_file(options.token_file);
  if (!token) return console.fail(token.error());
  auto client = ApiClient::create_unsigned(options.berth, console);
  if (!client) return console.fail(client.error());
  auto connection = drivers::docker::make_connection({options.engine, "", "", Secret()});
  if (!connection) return console.fail(connection.error());
  drivers::docker::DockerEngine engine(std::move(*connection));
  AgentLeaseSource source(std::move(*client), options.server, std::move(*token));
  if (!std::filesystem::is_directory(options.containers)) {
    log::warning("agent", "there is no folder {}: without the engine, only containers that it has told of are found",
                 options.containers);
  }
  agent::Agent::Settings settings;
  settings.containers = options.containers;
  settings.memory = options.state + "/memory.json";
  if (options.last_resort == "reboot") settings.last_resort = reboot_now;
  auto agent = agent::Agent::create(std::move(settings), source, engine);
  if (!agent) return console.fail(agent.error());
  ServiceNotifier notifier;
  (*agent)->start();
  log::info("agent", "berth {} is the agent of server {}", version(), options.server);
  log::flush();
  notifier.ready("agent of " + options.server);
  wait_for_end(**agent, signals, notifier);
  notifier.stopping();
  log::info("agent", "asking to be released");
  const bool released = (*agent)->leave();
  log::info("agent", "ended; {}",
            released ? "containers run on" : "everything was stopped, as Berth did not release it");
  log::flush();
  return ExitCode::ok;
}

}  // namespace

void add_agent_command(Command root, Console& console) {
  const auto options = std::make_shared<Options>();
  auto command = root.add("agent", "Hold the lease of a server with containers, on that server, as root");
  command.argument("SERVER", options->server, "The server's name in Berth");
  command.option("--berth", options->berth.server, "URL of Berth (default: http://127.0.0.1:8000)");
  command.file_option("--ca", options->berth.server_certificate,
                      "PEM certificate of Berth's, if no authority signed it");
  command.file_option("--token-file", options->token_file,
                      "What \"berth servers agent SERVER\" printed, in a file of mode 0600");
  command.option("--engine", options->engine, "The engine's address");
  command.file_option("--containers", options->containers, "Where the engine keeps its containers");
  command.file_option("--state", options->state, "Folder for what it must not forget");
  command.choice("--last-resort", options->last_resort, {"log", "reboot"},
                 "What it does about containers that cannot be killed");
  command.footer(
      "While Berth answers, containers run. When it does not for the length of a lease, they are all stopped, so that "
      "they can be started on another server. SIGTERM asks Berth first to do without it, and they run on.");
  command.action([&console, options] { return run(console, *options); });
}

}  // namespace berth::app
