#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/shared/authenticator.h"
#include "base/log.h"
#include "base/result.h"
#include "fleet/failover_mode.h"
#include "http/server.h"
#include "notify/smtp.h"
#include "store/database.h"

namespace berth::app {

enum class EngineKind { lxd, fake };

/// A contract under a path of a listener.
struct MountPlace {
  std::string contract;  ///< "lxd-panel"
  std::string prefix;    ///< "" or "/lxd-panel"
  bool operator==(const MountPlace&) const = default;
};

/// Everything that can be configured, checked and with every default filled in. What each value means and may
/// be stands in one table, configuration_keys.cpp, from which the reference is printed.
struct Configuration {
  struct Server {
    std::size_t threads = 0;
    std::size_t workers = 0;
    std::vector<std::string> trusted_proxies;
    std::vector<std::string> allowed_origins;
    std::string access_log;
    std::size_t compress_from = 0;
    std::chrono::seconds websocket_ping{0};
    std::chrono::milliseconds drain_time{0};
  };
  struct Listener {
    std::string address;
    std::uint16_t port = 0;
    std::filesystem::path tls_certificate;
    std::filesystem::path tls_key;
    std::vector<MountPlace> mounts;
  };
  struct State {
    std::filesystem::path folder;
    std::chrono::milliseconds keep_operations{0};
  };
  struct Store {
    store::Dialect dialect = store::Dialect::sqlite;
    std::filesystem::path file;
    std::filesystem::path postgresql_file;
    std::size_t readers = 0;
    std::chrono::milliseconds wait{0};
    std::filesystem::path backups;
  };
  struct Identity {
    api::Anonymous anonymous = api::Anonymous::never;
    std::chrono::seconds access_lifetime{0};
    std::chrono::seconds refresh_lifetime{0};
    int free_attempts = 0;
    std::filesystem::path sealing_key_file;
    std::filesystem::path admin_password_file;
  };
  struct Engine {
    EngineKind kind = EngineKind::lxd;
    std::filesystem::path socket;
    std::string url;
    std::filesystem::path client_certificate;
    std::filesystem::path client_key;
    std::filesystem::path server_certificate;
    std::string project;
    std::chrono::milliseconds tick{0};
    std::size_t threads = 0;
    std::size_t instances = 0;
  };
  struct Panel {
    std::string engine;
    std::size_t monitors_per_caller = 0;
  };
  struct Containers {
    std::chrono::milliseconds tick{0};
    std::size_t threads = 0;
    std::filesystem::path archives;
    std::vector<std::string> fence_commands;
    fleet::FailoverMode failover = fleet::FailoverMode::automatic;
    std::chrono::milliseconds lease{0};
    std::chrono::milliseconds engine_patience{0};
  };
  struct Mail {
    std::string host;
    std::uint16_t port = 0;
    notify::TlsMode tls = notify::TlsMode::starttls;
    std::string username;
    std::filesystem::path password_file;
    std::string sender;
    std::vector<std::string> operators;
    std::filesystem::path server_certificate;
    Language language = Language::zh;
  };
  struct Rental {
    std::string time_zone;
    std::chrono::seconds grace{0};
    std::vector<std::string> notice_days;
  };
  struct Metrics {
    std::chrono::milliseconds host_interval{0};
    std::filesystem::path disk_path;
  };

  Server server;
  http::Limits limits;
  std::vector<Listener> listeners;
  State state;
  Store store;
  Identity identity;
  std::map<std::string, Engine> engines;
  Panel panel;
  Containers containers;
  Mail mail;
  Rental rental;
  log::Settings log;
  Metrics metrics;
};

/// One value in force and where it came from, for `berth config show`.
struct Setting {
  std::string key;     ///< "server.threads", "listener.0.port", "engine.lxd.socket"
  std::string value;   ///< in TOML's notation
  std::string origin;  ///< "default", "/etc/berth/berth.toml:3:1", "BERTH_SERVER_THREADS" or "credential …"
  bool reloadable = false;
};

struct LoadedConfiguration {
  Configuration configuration;
  std::vector<Setting> settings;  ///< in the order of the reference
  std::filesystem::path file;     ///< "" if there is none
};

using Environment = std::map<std::string, std::string, std::less<>>;

/// The environment of this process.
Environment process_environment();

struct ConfigurationSource {
  std::filesystem::path file;  ///< "": the default place, where it may be missing
  Environment environment;
  bool root = false;  ///< decides the default state folder
};

/// The configuration of this process: its environment, its user, and `file` if that is not "".
ConfigurationSource process_source(std::filesystem::path file);

/// Reads the file, lays the environment and systemd's credentials over it, and checks all. Every problem is
/// reported at once: Error::fields holds "file:line:column: key" and what is wrong. Errors: invalid_argument
/// "configuration.invalid", not_found "configuration.missing".
Result<LoadedConfiguration> load_configuration(const ConfigurationSource& source);

/// The same from a text; `name` stands for the file in messages. Reads no file but systemd's credentials.
Result<LoadedConfiguration> parse_configuration(std::string_view text, std::string_view name,
                                                const ConfigurationSource& source);

/// A TOML file with every key, its meaning and its default, all commented out.
std::string configuration_reference();

/// The settings as a TOML text with the origin of each behind it.
std::string show_settings(const std::vector<Setting>& settings);

/// Which keys differ between two configurations, parted by whether a running daemon can take them over.
struct ConfigurationChange {
  std::vector<std::string> reloadable;
  std::vector<std::string> needs_restart;
};
ConfigurationChange compare_settings(const std::vector<Setting>& before, const std::vector<Setting>& after);

}  // namespace berth::app
