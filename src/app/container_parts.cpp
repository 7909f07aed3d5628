#include "app/container_parts.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <thread>

#include "app/periodic.h"
#include "app/server_engine.h"
#include "base/log.h"

namespace berth::app {
namespace {

constexpr std::chrono::seconds kExpiryInterval{15};
constexpr std::chrono::minutes kSweepInterval{1};
constexpr std::chrono::milliseconds kFailoverInterval{250};
/// Between looks at whether every agent has its standing lease.
constexpr std::chrono::milliseconds kStandingLook{20};

Result<notify::Notifier::Settings> notifier_settings(const Configuration::Mail& mail) {
  notify::Notifier::Settings settings;
  settings.language = mail.language;
  settings.operators = mail.operators;
  if (mail.host.empty()) return settings;
  notify::SmtpSettings smtp;
  smtp.host = mail.host;
  smtp.port = mail.port;
  smtp.tls = mail.tls;
  smtp.username = mail.username;
  smtp.sender = mail.sender;
  smtp.server_certificate = mail.server_certificate.string();
  if (!mail.password_file.empty()) smtp.password = BERTH_TRY(read_secret_file(mail.password_file.string()));
  settings.smtp = std::move(smtp);
  return settings;
}

/// "name=/path" as a program without arguments.
std::map<std::string, std::vector<std::string>> fence_commands_of(const std::vector<std::string>& texts) {
  std::map<std::string, std::vector<std::string>> commands;
  for (const auto& text : texts) {
    const auto equals = text.find('=');
    commands[text.substr(0, equals)] = {text.substr(equals + 1)};
  }
  return commands;
}

fleet::LeaseTerms terms_of(const Configuration::Containers& containers) {
  fleet::LeaseTerms terms;
  terms.duration = containers.lease;
  // Several are lost before one runs out.
  terms.renewal = std::clamp(containers.lease / 6, std::chrono::milliseconds(200), std::chrono::milliseconds(10'000));
  return terms;
}

rental::Terms terms_of(const Configuration::Rental& rental) {
  rental::Terms terms;
  terms.time_zone = rental.time_zone;
  terms.grace = rental.grace;
  terms.notice_days.clear();
  for (const auto& text : rental.notice_days) {
    int days = 0;
    // The configuration has checked that it is a number.
    std::from_chars(text.data(), text.data() + text.size(), days);
    terms.notice_days.push_back(days);
  }
  return terms;
}

/// What a job of its own ran into; it comes by again.
template <class Outcome>
void complain(const char* what, const Outcome& outcome) {
  if (!outcome) log::warning("app", "{}: {}", what, outcome.error().describe());
}

}  // namespace

ContainerParts::ContainerParts() = default;
ContainerParts::~ContainerParts() = default;

Result<std::unique_ptr<ContainerParts>> ContainerParts::create(const Ground& ground) {
  std::unique_ptr<ContainerParts> parts(new ContainerParts());
  BERTH_CHECK(parts->build(ground));
  return parts;
}

Result<void> ContainerParts::build(const Ground& ground) {
  const Configuration& configuration = ground.configuration;
  Foundation& foundation = ground.foundation;
  store::Database& database = *foundation.database;
  audit::AuditLog& audit = *foundation.audit;
  const Clock& clock = system_clock();

  notifier_ = BERTH_TRY(notify::Notifier::create(BERTH_TRY(notifier_settings(configuration.mail)),
                                                 {database, audit, *foundation.sealing, foundation.metrics, clock}));
  sender_ = std::make_unique<rental::NotifierSender>(*notifier_);

  const ServerSurroundings surroundings{ground.host_cores, configuration.state.folder / "ssh-sockets"};
  // What a daemon left that was killed; the state's lock says that there is no other.
  std::error_code ignored;
  std::filesystem::remove_all(surroundings.sockets, ignored);
  fleet::ServerRegistry::Settings servers;
  servers.threads = configuration.containers.threads;
  servers.tick = configuration.containers.tick;
  servers_ = BERTH_TRY(fleet::ServerRegistry::create(
      servers, {database, audit, *foundation.sealing, ground.operations, foundation.metrics, clock},
      [surroundings](const fleet::Server& server) { return make_server_engine(server, surroundings); }));
  registries_ =
      std::make_unique<fleet::Registries>(fleet::Registries::Parts{database, audit, *foundation.sealing, clock});
  const fleet::CredentialSource credentials = [this](const std::string& image) {
    return registries_->credentials_for(image);
  };
  fleet::Containers::Settings containers;
  containers.archives = configuration.containers.archives;
  containers_ = BERTH_TRY(fleet::Containers::create(containers, {.servers = *servers_,
                                                                 .database = database,
                                                                 .sealing = *foundation.sealing,
                                                                 .operations = ground.operations,
                                                                 .access = access_,
                                                                 .clock = clock,
                                                                 .credentials = credentials}));
  leases_ = BERTH_TRY(fleet::LeaseBook::create(
      terms_of(configuration.containers),
      {database, audit, clock, fleet::lease_surroundings(*servers_, *containers_)}));
  containers_->heed(*leases_);
  fleet::ServerResources::Settings resources;
  resources.staging = configuration.state.folder / "imports";
  resources_ =
      BERTH_TRY(fleet::ServerResources::create(resources, {*servers_, *containers_, ground.operations, credentials}));
  fleet::HighAvailability::Settings ha;
  ha.fence_commands = fence_commands_of(configuration.containers.fence_commands);
  ha_ = std::make_unique<fleet::HighAvailability>(
      std::move(ha), fleet::HighAvailability::Parts{*containers_, *servers_, ground.operations, *leases_});
  fleet::FailoverWatch::Settings watch;
  watch.mode = configuration.containers.failover;
  watch.engine_patience = configuration.containers.engine_patience;
  failover_ = std::make_unique<fleet::FailoverWatch>(
      watch, fleet::FailoverWatch::Parts{*ha_, *servers_, *leases_, *containers_, clock});

  acl_ = BERTH_TRY(rental::AclService::create({database, audit, clock, *containers_, access_},
                                              rental::AclLinks(foundation.sealing->derive("acl-files"), clock)));
  rental::RentalService::Settings rentals;
  rentals.engine.terms = terms_of(configuration.rental);
  rentals_ = BERTH_TRY(
      rental::RentalService::create(rentals, {database, audit, *containers_, *sender_, foundation.metrics, clock}));

  series_ =
      std::make_unique<telemetry::SeriesStore>(telemetry::SeriesStore::Settings{}, database, foundation.metrics, clock);
  traffic_source_ = std::make_unique<FleetTraffic>(*containers_);
  telemetry::TrafficMeter::Settings traffic;
  traffic.interval = configuration.containers.tick;
  traffic_ = BERTH_TRY(
      telemetry::TrafficMeter::create(traffic, {database, *series_, foundation.metrics, clock, *traffic_source_}));
  measurements_ = std::make_unique<FleetMeasurements>(
      FleetMeasurements::Parts{*containers_, *servers_, *rentals_, *traffic_, clock});
  teller_ = std::make_unique<AlertTeller>(*notifier_);
  telemetry::AlertEngine::Settings alerts;
  alerts.interval = configuration.containers.tick;
  alerts_ = BERTH_TRY(telemetry::AlertEngine::create(
      alerts, {database, audit, foundation.metrics, clock, *measurements_, teller_.get()}));
  return {};
}

void ContainerParts::start() {
  servers_->start();
  notifier_->start();
  series_->start();
  traffic_->start();
  alerts_->start();
  watching_ = std::make_unique<Periodic>("failover", kFailoverInterval, [this] { failover_->tick(); });
  expiring_ = std::make_unique<Periodic>("expiry", kExpiryInterval, [this] { complain("rentals", rentals_->tick()); });
  sweeping_ = std::make_unique<Periodic>("rental-sweep", kSweepInterval, [this] {
    complain("access control lists", acl_->sweep());
    complain("notices", notifier_->sweep());
    complain("history", series_->sweep());
    complain("alerts", alerts_->sweep());
  });
}

void ContainerParts::wind_down() {
  watching_.reset();
  ha_->stop();
  leases_->offer_standing();
  // Agents that miss it stop their containers, so they get time to ask.
  const Deadline deadline = Deadline::after(2 * leases_->terms().renewal);
  while (!leases_->all_standing() && !deadline.expired()) std::this_thread::sleep_for(kStandingLook);
}

void ContainerParts::stop() {
  expiring_.reset();
  sweeping_.reset();
  alerts_->stop();
  traffic_->stop();
  series_->stop();
  rentals_->drain();
  notifier_->stop();
  servers_->stop();
}

}  // namespace berth::app
