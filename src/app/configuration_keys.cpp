#include "app/configuration_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "app/configuration_forms.h"
#include "http/client_address.h"

namespace berth::app {
namespace {

bool is_mount(const MountPlace& mount) {
  if (std::find(contract_names().begin(), contract_names().end(), mount.contract) == contract_names().end()) {
    return false;
  }
  if (mount.prefix.empty()) return true;
  const bool plain = std::all_of(mount.prefix.begin(), mount.prefix.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.' || c == '/';
  });
  return plain && mount.prefix.starts_with('/') && !mount.prefix.ends_with('/') &&
         mount.prefix.find("//") == std::string::npos;
}

template <class Place>
Form mounts(Place place) {
  std::string contracts;
  for (const auto& name : contract_names()) contracts += (contracts.empty() ? "" : ", ") + name;
  return {
      Shape::mounts,
      {fmt::format("形如 {{ contract = \"lxd-panel\", prefix = \"/lxd-panel\" }} 的表，contract 可为 {}", contracts),
       fmt::format("tables such as {{ contract = \"lxd-panel\", prefix = \"/lxd-panel\" }} with one of these "
                   "contracts: {}",
                   contracts)},
      [=](const Scope& scope, const Written& written) {
        const auto* values = std::get_if<std::vector<MountPlace>>(&written);
        if (values == nullptr || values->empty() || !std::all_of(values->begin(), values->end(), is_mount)) {
          return false;
        }
        place(scope) = *values;
        return true;
      }};
}

bool is_address(const std::string& value) {
  return http::IpAddress::parse(value).has_value();
}

bool is_network(const std::string& value) {
  return http::TrustedProxies::create({value}).has_value();
}

/// "*" or scheme://host[:port] as a browser sends it, without a path.
bool is_origin(const std::string& value) {
  if (value == "*") return true;
  const auto scheme_end = value.find("://");
  if (scheme_end == std::string::npos) return false;
  const auto scheme = value.substr(0, scheme_end);
  const auto host = value.substr(scheme_end + 3);
  return (scheme == "http" || scheme == "https") && !host.empty() && host.find_first_of("/?#@ \t") == std::string::npos;
}

/// Credentials in a URL would be shown and logged with it.
bool is_engine_url(const std::string& value) {
  return value.empty() ||
         (value.starts_with("https://") && value.size() > 8 && value.find_first_of("@?# \t", 8) == std::string::npos);
}

bool is_plain_name(const std::string& value) {
  return value.size() <= 64 && value.find_first_of("/?#&% \t\n") == std::string::npos;
}

void add_server_keys(std::vector<Key>& keys) {
  using Server = Configuration::Server;
  using namespace std::chrono_literals;
  const auto restart = Reload::with_restart;
  const auto part = &Configuration::server;
  keys.push_back(key("server", "threads", "0", integer(at(part, &Server::threads), 0, 256), restart,
                     "I/O threads; 0: one per core."));
  keys.push_back(key("server", "workers", "4", integer(at(part, &Server::workers), 1, 256), restart,
                     "Threads for requests that wait for the store (logins, users, audit)."));
  keys.push_back(key("server", "trusted_proxies", "",
                     list(at(part, &Server::trusted_proxies),
                          {"地址或 CIDR 网段的数组，如 [\"10.0.0.0/8\"]",
                           "an array of addresses or networks such as [\"10.0.0.0/8\"]"},
                          is_network),
                     restart, "Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed."));
  keys.push_back(key("server", "allowed_origins", "",
                     list(at(part, &Server::allowed_origins),
                          {"来源的数组，如 [\"https://panel.example\"]，或 [\"*\"]",
                           "an array of origins such as [\"https://panel.example\"], or [\"*\"]"},
                          is_origin),
                     restart, "CORS: sites whose scripts may call the API; \"*\" allows all, without credentials."));
  keys.push_back(
      key("server", "access_log", "-",
          text(at(part, &Server::access_log),
               {"绝对路径、\"-\"（标准错误）或 \"\"（不记录）",
                "an absolute path, \"-\" for standard error or \"\" for none"},
               [](const std::string& value) { return value.empty() || value == "-" || value.starts_with('/'); }),
          restart, "Where one line per request goes; a file is reopened on SIGHUP."));
  keys.push_back(key("server", "compress_from", "1KiB", size(at(part, &Server::compress_from), 0, 1ULL << 30U), restart,
                     "Answers from this size on are compressed where the client takes gzip."));
  keys.push_back(key("server", "websocket_ping", "30s", duration(at(part, &Server::websocket_ping), 1s, 1h), restart,
                     "Between pings on a silent WebSocket."));
  keys.push_back(key("server", "drain_time", "10s", duration(at(part, &Server::drain_time), 0s, 10min), restart,
                     "How long a stop waits for running requests and operations."));
}

void add_limit_keys(std::vector<Key>& keys) {
  using Limits = http::Limits;
  using namespace std::chrono_literals;
  const auto restart = Reload::with_restart;
  const auto part = &Configuration::limits;
  keys.push_back(key("server.limits", "header_bytes", "16KiB", size(at(part, &Limits::header_bytes), 1024, 1ULL << 20U),
                     restart, "Largest request header."));
  keys.push_back(key("server.limits", "connections", "10000", integer(at(part, &Limits::connections), 1, 1'000'000),
                     restart, "Open connections; further ones wait in the kernel."));
  keys.push_back(key("server.limits", "connections_per_address", "2000",
                     integer(at(part, &Limits::connections_per_address), 0, 1'000'000), restart,
                     "Open connections of one address; 0: no limit."));
  keys.push_back(key("server.limits", "header_time", "10s", duration(at(part, &Limits::header_time), 100ms, 10min),
                     restart, "For a request's header to arrive."));
  keys.push_back(key("server.limits", "body_time", "1m", duration(at(part, &Limits::body_time), 100ms, 1h), restart,
                     "For a request's body to arrive."));
  keys.push_back(key("server.limits", "write_time", "1m", duration(at(part, &Limits::write_time), 100ms, 1h), restart,
                     "For a client to take an answer."));
  keys.push_back(key("server.limits", "idle_time", "75s", duration(at(part, &Limits::idle_time), 1s, 1h), restart,
                     "A kept-alive connection may be silent this long."));
}

void add_listener_keys(std::vector<Key>& keys) {
  using Listener = Configuration::Listener;
  const auto restart = Reload::with_restart;
  keys.push_back(key(
      "listener", "address", "127.0.0.1",
      text(at(&Listener::address),
           {"IPv4 或 IPv6 地址，如 \"127.0.0.1\" 或 \"::\"", "an IPv4 or IPv6 address such as \"127.0.0.1\" or \"::\""},
           is_address),
      restart, "Address to listen on; \"0.0.0.0\" and \"::\" are every address."));
  keys.push_back(
      key("listener", "port", "8000", integer(at(&Listener::port), 1, most_of<std::uint16_t>()), restart, "TCP port."));
  keys.push_back(key("listener", "tls_certificate", "", path(at(&Listener::tls_certificate)), restart,
                     "PEM certificate chain; with tls_key it makes the listener HTTPS. The contents are read "
                     "again on SIGHUP."));
  keys.push_back(key("listener", "tls_key", "", path(at(&Listener::tls_key)), restart, "PEM private key."));
  keys.push_back(key("listener", "mounts", "lxd-panel=,lxd-panel=/lxd-panel,container-rental=/container-rental",
                     mounts(at(&Listener::mounts)), restart, "Which contract is served under which path."));
}

void add_state_keys(std::vector<Key>& keys) {
  using State = Configuration::State;
  using Store = Configuration::Store;
  using namespace std::chrono_literals;
  const auto restart = Reload::with_restart;
  keys.push_back(key("state", "folder", "", path(at(&Configuration::state, &State::folder)), restart,
                     "Where everything that must last is kept. Left out: systemd's StateDirectory, else "
                     "/var/lib/berth for root, else ~/.local/state/berth."));
  keys.push_back(key("state", "keep_operations", "90d",
                     duration(at(&Configuration::state, &State::keep_operations), std::chrono::hours(24),
                              std::chrono::hours(24 * 3650)),
                     restart, "How long ended operations are kept. The audit log is kept for ever."));
  const auto part = &Configuration::store;
  keys.push_back(key("store", "dialect", "sqlite",
                     choice(at(part, &Store::dialect),
                            std::vector<std::pair<std::string, store::Dialect>>{
                                {"sqlite", store::Dialect::sqlite}, {"postgresql", store::Dialect::postgresql}}),
                     restart, "Where users, operations and the audit log are stored."));
  keys.push_back(key("store", "file", "", path(at(part, &Store::file)), restart,
                     "SQLite: the database. Left out: berth.db in the state folder."));
  keys.push_back(key("store", "postgresql_file", "", path(at(part, &Store::postgresql_file)), restart,
                     "PostgreSQL: a file of mode 0600 with a libpq connection string."));
  keys.push_back(key("store", "readers", "2", integer(at(part, &Store::readers), 1, 64), restart,
                     "Reading connections (SQLite) or connections in all (PostgreSQL)."));
  keys.push_back(key("store", "wait", "5s", duration(at(part, &Store::wait), 100ms, 5min), restart,
                     "How long a call waits for the store."));
  keys.push_back(key("store", "backups", "", path(at(part, &Store::backups)), restart,
                     "Where a migration puts its backup. Left out: backups in the state folder."));
}

void add_identity_keys(std::vector<Key>& keys) {
  using Identity = Configuration::Identity;
  using namespace std::chrono_literals;
  const auto restart = Reload::with_restart;
  const auto part = &Configuration::identity;
  keys.push_back(key("identity", "anonymous", "never",
                     choice(at(part, &Identity::anonymous),
                            std::vector<std::pair<std::string, api::Anonymous>>{
                                {"never", api::Anonymous::never}, {"loopback", api::Anonymous::loopback}}),
                     restart,
                     "Who is answered without credentials by the contracts that document no login: nobody, or "
                     "programs on this machine that reach it by a loopback name."));
  keys.push_back(key("identity", "access_lifetime", "15m", duration(at(part, &Identity::access_lifetime), 1min, 24h),
                     restart, "How long an access token is valid."));
  keys.push_back(key("identity", "refresh_lifetime", "30d",
                     duration(at(part, &Identity::refresh_lifetime), 1h, 24h * 365), restart,
                     "How long a session lasts without being used."));
  keys.push_back(key("identity", "free_attempts", "5", integer(at(part, &Identity::free_attempts), 1, 1000), restart,
                     "Failed logins of an account before each further one has to wait."));
  keys.push_back(key("identity", "sealing_key_file", "", path(at(part, &Identity::sealing_key_file)), restart,
                     "The key that secrets at rest are sealed with, mode 0600; made if it is missing. Left out: "
                     "the credential identity.sealing_key, else sealing.key in the state folder."));
  keys.push_back(key("identity", "admin_password_file", "", path(at(part, &Identity::admin_password_file)), restart,
                     "The first administrator's password, mode 0600, for the first start. Left out: the credential "
                     "identity.admin_password, else a random password that is shown once."));
}

void add_engine_keys(std::vector<Key>& keys) {
  using Engine = Configuration::Engine;
  using namespace std::chrono_literals;
  const auto restart = Reload::with_restart;
  keys.push_back(
      key("engine", "kind", "lxd",
          choice(at(&Engine::kind),
                 std::vector<std::pair<std::string, EngineKind>>{{"lxd", EngineKind::lxd}, {"fake", EngineKind::fake}}),
          restart, "\"lxd\" is LXD and Incus; \"fake\" lives in memory, for trying things out."));
  keys.push_back(key("engine", "socket", "", path(at(&Engine::socket)), restart,
                     "LXD's unix socket. Left out: the first found of $LXD_DIR/unix.socket, "
                     "/var/snap/lxd/common/lxd/unix.socket, /var/lib/lxd/unix.socket, /var/lib/incus/unix.socket."));
  keys.push_back(key("engine", "url", "",
                     text(at(&Engine::url),
                          {"https:// 开头且不含凭据的地址，如 \"https://192.0.2.1:8443\"",
                           "an https:// address without credentials, such as "
                           "\"https://192.0.2.1:8443\""},
                          is_engine_url),
                     restart, "A remote LXD instead of a socket; needs client_certificate and client_key."));
  keys.push_back(key("engine", "client_certificate", "", path(at(&Engine::client_certificate)), restart,
                     "PEM certificate that the remote LXD trusts."));
  keys.push_back(key("engine", "client_key", "", path(at(&Engine::client_key)), restart, "Its PEM key."));
  keys.push_back(key("engine", "server_certificate", "", path(at(&Engine::server_certificate)), restart,
                     "PEM certificate of the remote LXD, if no authority of the system's signed it."));
  keys.push_back(key("engine", "project", "default",
                     text(at(&Engine::project), {"1 到 64 个字符的项目名", "a project's name of 1 to 64 characters"},
                          [](const std::string& value) { return !value.empty() && is_plain_name(value); }),
                     restart, "LXD project."));
  keys.push_back(
      key("engine", "tick", "5s", duration(at(&Engine::tick), 100ms, 10min), restart,
          "How old a shown figure may become: full reads, which also repair what events missed, begin so much earlier "
          "that they end in time."));
  keys.push_back(key("engine", "threads", "8", integer(at(&Engine::threads), 1, 256), restart,
                     "Threads that work on this engine's operations."));
  keys.push_back(key("engine", "instances", "0", integer(at(&Engine::instances), 0, 1'000'000), restart,
                     "fake: how many instances it begins with."));
}

void add_remaining_keys(std::vector<Key>& keys) {
  using namespace std::chrono_literals;
  keys.push_back(key("panel", "engine", "lxd",
                     text(at(&Configuration::panel, &Configuration::Panel::engine),
                          {"已配置的引擎名", "the name of a configured engine"}, is_plain_name),
                     Reload::with_restart, "The engine that the contract lxd-panel shows."));
  keys.push_back(key("panel", "monitors_per_caller", "256",
                     integer(at(&Configuration::panel, &Configuration::Panel::monitors_per_caller), 1, 100'000),
                     Reload::with_restart, "WebSockets of /ws/monitor that one caller may have open."));
  const auto logs = &Configuration::log;
  keys.push_back(key("log", "level", "info",
                     choice(at(logs, &log::Settings::level),
                            std::vector<std::pair<std::string, log::Level>>{{"debug", log::Level::debug},
                                                                            {"info", log::Level::info},
                                                                            {"warning", log::Level::warning},
                                                                            {"error", log::Level::error},
                                                                            {"off", log::Level::off}}),
                     Reload::with_signal, "What is logged."));
  keys.push_back(key("log", "format", "text",
                     choice(at(logs, &log::Settings::format),
                            std::vector<std::pair<std::string, log::Format>>{{"text", log::Format::text},
                                                                             {"json", log::Format::json}}),
                     Reload::with_signal, "Lines for people or for machines."));
  keys.push_back(key("log", "file", "", path(at(logs, &log::Settings::file)), Reload::with_signal,
                     "A file, reopened on SIGHUP. Left out: standard error."));
  using Metrics = Configuration::Metrics;
  const auto metrics = &Configuration::metrics;
  keys.push_back(key("metrics", "host_interval", "1s", duration(at(metrics, &Metrics::host_interval), 100ms, 1min),
                     Reload::with_restart, "Between samples of the host's processor, memory, disk and network."));
  keys.push_back(key("metrics", "disk_path", "/", path(at(metrics, &Metrics::disk_path)), Reload::with_restart,
                     "The file system that the host's disk figures describe."));
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const auto end = text.find(separator);
    auto part = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    if (!part.empty()) parts.emplace_back(part);
  }
  return parts;
}

}  // namespace

const std::vector<std::string>& contract_names() {
  static const std::vector<std::string> names = {"lxd-panel", "container-rental"};
  return names;
}

const std::vector<Section>& configuration_sections() {
  static const std::vector<Section> sections = {
      {"server", Repetition::once, "The HTTP server."},
      {"server.limits", Repetition::once, "What one client may cost."},
      {"listener", Repetition::list,
       "Where the server listens; repeat it for each address. Without any: port 8000 of 127.0.0.1 and of ::1 for every "
       "contract, and port 5000 for container-rental at its own address."},
      {"state", Repetition::once, "What lasts."},
      {"store", Repetition::once, "The database of Berth itself."},
      {"identity", Repetition::once, "Who may come in."},
      {"engine", Repetition::named,
       "The engines, each under a name of its own. Without any: [engine.lxd] with its defaults."},
      {"panel", Repetition::once, "The contract lxd-panel."},
      {"containers", Repetition::once, "The servers of the contract container-rental, which are added at run time."},
      {"rental", Repetition::once, "Rentals of containers."},
      {"mail", Repetition::once, "The mail server for notices and alerts. Without a host no mail is sent."},
      {"log", Repetition::once, "What is written down."},
      {"metrics", Repetition::once, "What is measured."},
  };
  return sections;
}

const std::vector<Key>& configuration_keys() {
  static const std::vector<Key> keys = [] {
    std::vector<Key> made;
    add_server_keys(made);
    add_limit_keys(made);
    add_listener_keys(made);
    add_state_keys(made);
    add_identity_keys(made);
    add_engine_keys(made);
    add_rental_keys(made);
    add_remaining_keys(made);
    return made;
  }();
  return keys;
}

const Section* find_section(std::string_view name) {
  for (const auto& section : configuration_sections()) {
    if (section.name == name) return &section;
  }
  return nullptr;
}

const Key* find_key(std::string_view section, std::string_view name) {
  for (const auto& key : configuration_keys()) {
    if (key.section == section && key.name == name) return &key;
  }
  return nullptr;
}

std::optional<Written> from_environment(std::string_view text, Shape shape) {
  switch (shape) {
    case Shape::text:
      return Written(std::string(text));
    case Shape::integer: {
      std::int64_t value = 0;
      const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (problem != std::errc() || end != text.data() + text.size()) return std::nullopt;
      return Written(value);
    }
    case Shape::list:
      return Written(split(text, ','));
    case Shape::mounts: {
      std::vector<MountPlace> mounts;
      for (const auto& part : split(text, ',')) {
        const auto equals = part.find('=');
        if (equals == std::string::npos) return std::nullopt;
        mounts.push_back({part.substr(0, equals), part.substr(equals + 1)});
      }
      return Written(std::move(mounts));
    }
  }
  return std::nullopt;
}

std::string format_toml(const Written& value) {
  struct Format {
    std::string operator()(const std::string& text) const { return quote_toml(text); }
    std::string operator()(std::int64_t number) const { return fmt::format("{}", number); }
    std::string operator()(double number) const { return fmt::format("{}", number); }
    std::string operator()(bool flag) const { return flag ? "true" : "false"; }
    std::string operator()(const std::vector<std::string>& texts) const {
      std::string out = "[";
      for (const auto& text : texts) out += (out.size() == 1 ? "" : ", ") + quote_toml(text);
      return out + "]";
    }
    std::string operator()(const std::vector<MountPlace>& mounts) const {
      std::string out = "[";
      for (const auto& mount : mounts) {
        out += fmt::format("{}{{ contract = {}, prefix = {} }}", out.size() == 1 ? "" : ", ",
                           quote_toml(mount.contract), quote_toml(mount.prefix));
      }
      return out + "]";
    }
  };
  return std::visit(Format{}, value);
}

}  // namespace berth::app
