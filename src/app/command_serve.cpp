#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <ostream>

#include "app/commands.h"
#include "app/daemon.h"
#include "app/local_command.h"
#include "app/process_signals.h"
#include "app/service_notifier.h"
#include "app/version.h"
#include "base/log.h"

namespace berth::app {
namespace {

/// The password itself is shown to a person at a terminal only: a journal keeps what it is given.
void tell_about(const FirstAdministrator& administrator, Console& console) {
  if (administrator.password_file.empty()) {
    log::info("app", "first start: made the administrator {} with the given password", administrator.username);
    return;
  }
  log::info("app", "first start: made the administrator {}, whose password is in {}", administrator.username,
            administrator.password_file.string());
  if (::isatty(STDERR_FILENO) != 1) return;
  console.err << console.say(
      {fmt::format("\n首次启动，管理员 {} 的密码是 {}（也保存在 {}）\n\n", administrator.username,
                   administrator.password.reveal(), administrator.password_file.string()),
       fmt::format("\nFirst start: the administrator is {}, the password is {} (also in {})\n\n",
                   administrator.username, administrator.password.reveal(), administrator.password_file.string())});
  console.err.flush();
}

void reload(Daemon& daemon, const ConfigurationSource& source, ServiceNotifier& notifier) {
  notifier.reloading();
  if (const auto reloaded = daemon.reload(source); !reloaded) {
    log::error("app", "reload refused, everything stays as it is: {}", reloaded.error().describe());
    for (const auto& field : reloaded.error().fields()) log::error("app", "{}: {}", field.field, field.message.en);
  } else {
    log::info("app", "reloaded");
  }
  notifier.ready("serving");
}

/// Runs until it is told to end.
void wait_for_end(Daemon& daemon, const ConfigurationSource& source, const ProcessSignals& signals,
                  ServiceNotifier& notifier) {
  // Half of what systemd waits, and a quarter for the check itself.
  std::optional<std::chrono::microseconds> interval;
  if (const auto watchdog = notifier.watchdog()) interval = *watchdog / 2;
  while (true) {
    const auto number = signals.next(interval);
    if (!number) {
      if (!interval) continue;
      const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(*interval / 2);
      if (daemon.alive(wait)) notifier.ping();
    } else if (*number == SIGHUP) {
      reload(daemon, source, notifier);
    } else {
      log::info("app", "ending on signal {}", *number);
      return;
    }
  }
}

ExitCode serve(Console& console, const std::string& config_file) {
  const ProcessSignals signals;
  // Files of the state folder are the owner's alone, whatever the shell's mask was.
  ::umask(0077);
  const ConfigurationSource source{config_file, console.environment, ::geteuid() == 0};
  auto loaded = load_configuration(source);
  if (!loaded) return console.fail(loaded.error());
  log::configure(loaded->configuration.log);
  log::info("app", "berth {} starts with {}", version(),
            loaded->file.empty() ? "the default configuration" : loaded->file.string());
  ServiceNotifier notifier;
  auto daemon = Daemon::create(std::move(*loaded), console.environment);
  if (!daemon) {
    log::error("app", "cannot start: {}", daemon.error().describe());
    log::flush();
    return console.fail(daemon.error());
  }
  if (const auto& administrator = (*daemon)->first_administrator()) tell_about(*administrator, console);
  (*daemon)->start();
  notifier.ready("serving");
  wait_for_end(**daemon, source, signals, notifier);
  notifier.stopping();
  const bool idle = (*daemon)->stop();
  if (!idle) {
    // An engine hangs. The next start finds out what became of the work, so waiting longer serves nobody.
    log::warning("app", "ended with work under way; it is settled at the next start");
    log::flush();
    std::_Exit(static_cast<int>(ExitCode::ok));
  }
  daemon->reset();
  log::info("app", "ended");
  log::flush();
  return ExitCode::ok;
}

}  // namespace

void add_serve_command(Command root, Console& console) {
  const auto config = std::make_shared<std::string>();
  auto command = root.add("serve", "Run the daemon in the foreground");
  add_config_option(command, *config);
  command.footer("SIGHUP reads again what can change while running; SIGTERM and SIGINT end in order.");
  command.action([&console, config] { return serve(console, *config); });
}

}  // namespace berth::app
