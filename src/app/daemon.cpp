#include "app/daemon.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "base/log.h"

namespace berth::app {
namespace {

constexpr std::chrono::minutes kSweepInterval{10};
/// Callers that wait at once for changes in engines.
constexpr std::size_t kChangeThreads = 32;
/// Password hashing takes 64 MiB and a core each.
constexpr std::size_t kLoginThreads = 2;
/// Leases of agents are answered from memory, but for a write now and then.
constexpr std::size_t kRenewalThreads = 4;

bool has_ipv6_loopback() {
  const int probe = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  const bool bound = ::bind(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(probe);
  return bound;
}

/// An address as it stands in a URL.
std::string in_url(const std::string& address) {
  if (address == "0.0.0.0") return "127.0.0.1";
  if (address == "::") return "[::1]";
  return address.find(':') == std::string::npos ? address : fmt::format("[{}]", address);
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

}  // namespace

Daemon::Daemon(LoadedConfiguration loaded, const Environment& environment)
    : loaded_(std::move(loaded)), environment_(environment) {}

Daemon::~Daemon() = default;

Result<std::unique_ptr<Daemon>> Daemon::create(LoadedConfiguration loaded, const Environment& environment) {
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(loaded), environment));
  BERTH_CHECK(daemon->build());
  return daemon;
}

Result<void> Daemon::build() {
  const auto& configuration = loaded_.configuration;
  BERTH_CHECK(make_state_folder(configuration.state.folder));
  lock_.emplace(BERTH_TRY(StateLock::acquire(configuration.state.folder)));
  foundation_ = BERTH_TRY(Foundation::open(configuration, Migrate::always));
  administrator_ = BERTH_TRY(make_first_administrator(*foundation_->identity, configuration, environment_));
  telemetry::HostMonitor::Settings host;
  host.disk_path = configuration.metrics.disk_path;
  host.interval = configuration.metrics.host_interval;
  host_ = std::make_unique<telemetry::HostMonitor>(std::move(host), foundation_->metrics);
  operations_ = BERTH_TRY(operations::OperationService::create(*foundation_->database, *foundation_->audit,
                                                               foundation_->metrics, system_clock()));
  BERTH_CHECK(build_engines());
  containers_ =
      BERTH_TRY(ContainerParts::create({configuration, *foundation_, *operations_, host_->snapshot()->cpu_cores}));
  build_pools();
  BERTH_CHECK(build_panel());
  BERTH_CHECK(build_rental());
  return build_server();
}

Result<void> Daemon::build_engines() {
  const EngineSurroundings surroundings{loaded_.configuration, environment_, foundation_->metrics, *operations_,
                                        host_->snapshot()->cpu_cores};
  for (const auto& [name, engine] : loaded_.configuration.engines) {
    engines_.emplace(name, BERTH_TRY(make_engine_unit(name, engine, surroundings)));
  }
  auto& pool = *engines_.at(loaded_.configuration.panel.engine).pool;
  for (const auto* kind : {"instance.", "image."}) {
    operations_->reconcile_with(kind, pool, [this](const auto& operation) { return reconcile(operation); });
  }
  return {};
}

Result<operations::Verdict> Daemon::reconcile(const operations::Operation& operation) {
  const auto unit = engines_.find(operation.engine.value());
  if (unit != engines_.end()) return unit->second.service->reconcile(operation);
  return containers_->servers().reconcile(operation);
}

void Daemon::build_pools() {
  changes_ = std::make_unique<WorkerPool>(WorkerPool::Settings{.name = "changes", .threads = kChangeThreads});
  logins_ = std::make_unique<WorkerPool>(WorkerPool::Settings{.name = "logins", .threads = kLoginThreads});
  renewals_ = std::make_unique<WorkerPool>(WorkerPool::Settings{.name = "renewals", .threads = kRenewalThreads});
  reads_ = std::make_unique<WorkerPool>(
      WorkerPool::Settings{.name = "reads", .threads = loaded_.configuration.server.workers});
  authenticator_ = std::make_unique<api::Authenticator>(*foundation_->identity, system_clock(),
                                                        loaded_.configuration.identity.anonymous);
  sockets_ = std::make_unique<api::SocketWatch>(*authenticator_);
}

Result<void> Daemon::build_rental() {
  rental_ = BERTH_TRY(api::container_rental::ContainerRental::create({containers_->containers(),
                                                                      containers_->servers(),
                                                                      containers_->containers(),
                                                                      containers_->ha(),
                                                                      containers_->leases(),
                                                                      containers_->resources(),
                                                                      containers_->registries(),
                                                                      containers_->acl(),
                                                                      containers_->rentals(),
                                                                      containers_->traffic(),
                                                                      containers_->alerts(),
                                                                      containers_->notifier(),
                                                                      *operations_,
                                                                      *foundation_->identity,
                                                                      *authenticator_,
                                                                      *sockets_,
                                                                      foundation_->metrics,
                                                                      system_clock(),
                                                                      *changes_,
                                                                      *logins_,
                                                                      *reads_,
                                                                      *renewals_}));
  return {};
}

Result<void> Daemon::build_panel() {
  auto& unit = engines_.at(loaded_.configuration.panel.engine);
  api::lxd_panel::LxdPanel::Settings settings;
  settings.monitor.clients_per_caller = loaded_.configuration.panel.monitors_per_caller;
  panel_ = BERTH_TRY(api::lxd_panel::LxdPanel::create(
      settings, {*unit.service, *unit.inventory, *operations_, *foundation_->identity, *host_, *authenticator_,
                 *sockets_, foundation_->metrics, system_clock(), *changes_, *logins_, *reads_}));
  return {};
}

bool Daemon::is_default(const std::string& key) const {
  const auto& settings = loaded_.settings;
  const auto found = std::find_if(settings.begin(), settings.end(), [&](const auto& s) { return s.key == key; });
  return found != settings.end() && found->origin == "default";
}

std::vector<http::ListenerSettings> Daemon::listener_settings() const {
  std::vector<http::ListenerSettings> listeners;
  for (std::size_t index = 0; index < loaded_.configuration.listeners.size(); ++index) {
    const auto& wanted = loaded_.configuration.listeners[index];
    // Nobody asked for ::1 by name, so a machine without IPv6 does without.
    const bool optional = wanted.address == "::1" && is_default(fmt::format("listener.{}.address", index));
    if (optional && !has_ipv6_loopback()) continue;
    http::ListenerSettings listener;
    listener.address = wanted.address;
    listener.port = wanted.port;
    if (!wanted.tls_certificate.empty()) listener.tls = http::TlsFiles{wanted.tls_certificate, wanted.tls_key};
    for (const auto& mount : wanted.mounts) {
      for (const auto& contract : {panel_->contract(), rental_->contract()}) {
        if (mount.contract == contract->name()) listener.mounts.push_back({mount.prefix, contract});
      }
    }
    listeners.push_back(std::move(listener));
  }
  return listeners;
}

Result<void> Daemon::build_server() {
  const auto& server = loaded_.configuration.server;
  http::ServerSettings settings;
  settings.listeners = listener_settings();
  settings.threads = server.threads;
  settings.limits = loaded_.configuration.limits;
  settings.trusted_proxies = server.trusted_proxies;
  settings.allowed_origins = server.allowed_origins;
  settings.access_log = server.access_log;
  settings.compress_from = server.compress_from;
  settings.websocket_ping = server.websocket_ping;
  server_ = BERTH_TRY(http::Server::create(std::move(settings), foundation_->metrics));
  return {};
}

void Daemon::start() {
  host_->start();
  for (auto& [name, unit] : engines_) unit.inventory->start();
  containers_->start();
  if (const auto settling = operations_->reconcile_open(); !settling) {
    log::error("app", "cannot look for operations left open: {}", settling.error().describe());
  }
  panel_->start();
  server_->start();
  sweeping_ = std::make_unique<Periodic>("sweep", kSweepInterval, [this] {
    if (const auto swept = foundation_->identity->sweep(); !swept) {
      log::warning("app", "cannot forget expired sessions: {}", swept.error().describe());
    }
    const Timestamp before = system_clock().now() - loaded_.configuration.state.keep_operations;
    if (const auto forgotten = operations_->forget_ended(before); !forgotten) {
      log::warning("app", "cannot forget old operations: {}", forgotten.error().describe());
    }
  });
  for (const auto& url : urls()) log::info("app", "listening on {}", url);
}

std::vector<std::string> Daemon::urls() const {
  const auto listeners = listener_settings();
  const auto ports = server_->ports();
  std::vector<std::string> urls;
  for (std::size_t index = 0; index < listeners.size() && index < ports.size(); ++index) {
    urls.push_back(fmt::format("{}://{}:{}", listeners[index].tls ? "https" : "http", in_url(listeners[index].address),
                               ports[index]));
  }
  return urls;
}

Result<void> Daemon::reload(const ConfigurationSource& source) {
  // Commands change users and keys behind the daemon's back, then send SIGHUP.
  BERTH_CHECK(foundation_->database->write([&](store::Transaction& transaction) -> Result<void> {
    return foundation_->database->notify(transaction, store::Database::kMissedChannel, "");
  }));
  const auto fresh = BERTH_TRY(load_configuration(source));
  BERTH_CHECK(server_->reload_tls());
  server_->reopen_access_log();
  const auto change = compare_settings(loaded_.settings, fresh.settings);
  log::configure(fresh.configuration.log);
  loaded_.configuration.log = fresh.configuration.log;
  for (auto& setting : loaded_.settings) {
    for (const auto& now : fresh.settings) {
      if (setting.reloadable && setting.key == now.key) setting = now;
    }
  }
  if (!change.reloadable.empty()) log::info("app", "taken over: {}", joined(change.reloadable));
  if (!change.needs_restart.empty()) log::warning("app", "needs a restart: {}", joined(change.needs_restart));
  return {};
}

bool Daemon::answers_requests(std::chrono::milliseconds wait) {
  if (!probe_) {
    const auto all = urls();
    const auto plain = std::find_if(all.begin(), all.end(), [](const auto& url) { return url.starts_with("http:"); });
    if (plain == all.end()) return true;  // nothing that can be asked without trusting a certificate
    http::Client::Settings settings;
    settings.endpoint.base_url = *plain;
    probe_ = std::make_unique<http::Client>(std::move(settings));
  }
  // Any answer will do, so it does not matter what is mounted where.
  http::ClientRequest request;
  request.target = "/";
  return probe_->send(request, Deadline::after(wait)).has_value();
}

bool Daemon::alive(std::chrono::milliseconds wait) {
  if (!answers_requests(wait)) {
    log::error("app", "the server does not answer its own request");
    return false;
  }
  const auto version = foundation_->database->schema_version();
  if (!version) log::error("app", "the store does not answer: {}", version.error().describe());
  return version.has_value();
}

bool Daemon::stop() {
  const auto deadline = Deadline::after(loaded_.configuration.server.drain_time);
  sweeping_.reset();
  panel_->stop();
  containers_->wind_down();
  server_->drain(deadline);
  sockets_->stop();
  operations_->drain(deadline);
  for (auto& [name, unit] : engines_) unit.inventory->stop();
  containers_->stop();
  host_->stop();
  bool idle = true;
  const auto check = [&](const WorkerPool& pool) { idle = idle && pool.usage().busy + pool.usage().waiting == 0; };
  for (const auto& [name, unit] : engines_) check(*unit.pool);
  check(*changes_);
  check(*logins_);
  check(*reads_);
  return idle;
}

}  // namespace berth::app
