#include "drivers/docker/docker_engine.h"

#include "compute/container.h"
#include "drivers/docker/api.h"
#include "drivers/docker/archives.h"
#include "drivers/docker/capacities.h"
#include "drivers/docker/container_reader.h"
#include "drivers/docker/containers.h"
#include "drivers/docker/creation.h"
#include "drivers/docker/event_stream.h"
#include "drivers/docker/images.h"
#include "drivers/docker/lifecycle.h"
#include "drivers/docker/logs.h"
#include "drivers/docker/resources.h"
#include "drivers/docker/terminal.h"

namespace berth::drivers::docker {

struct DockerEngine::Parts {
  explicit Parts(Connection c)
      : connection(std::move(c)),
        api(connection.endpoint, connection.link),
        streams("docker-streams"),
        reader(api),
        images(api, streams),
        terminals(api),
        containers(api),
        logs(api, streams),
        archives(api),
        volumes(api),
        networks(api),
        capacities(api, connection.same_machine) {}

  Connection connection;
  Api api;
  http::StreamClient streams;
  ContainerReader reader;
  Images images;
  Terminals terminals;
  Containers containers;
  Logs logs;
  Archives archives;
  Volumes volumes;
  Networks networks;
  Capacities capacities;
  std::mutex mutex;
  std::string host;
  double cpus = 0;
};

DockerEngine::DockerEngine(Connection connection) : parts_(std::make_unique<Parts>(std::move(connection))) {}

DockerEngine::~DockerEngine() {
  parts_->api.stop();
  parts_->streams.stop();
}

Result<void> DockerEngine::check_name(std::string_view name) const {
  return compute::check_container_name(name);
}

Result<compute::EngineInfo> DockerEngine::info(Deadline deadline) {
  const ServerVersion version = BERTH_TRY(parts_->api.ask_version(deadline));
  compute::EngineInfo info;
  info.product = version.product;
  info.version = version.version;
  {
    const std::lock_guard lock(parts_->mutex);
    info.host = parts_->host;
    info.cpus = parts_->cpus;
  }
  if (info.host.empty()) {
    // Asked once: it makes Docker count everything that it has.
    const auto document = BERTH_TRY(parts_->api.get("/info", {}, deadline));
    info.host = document.root()["Name"].string_or("");
    info.cpus = document.root()["NCPU"].number().value_or(0);
    const std::lock_guard lock(parts_->mutex);
    parts_->host = info.host;
    parts_->cpus = info.cpus;
  }
  info.capabilities = {.snapshots = false,
                       .images = true,
                       .exec = true,
                       .console = true,
                       .limits = true,
                       .rename = true,
                       .events = true,
                       .descriptions = false};
  return info;
}

Result<std::vector<compute::Instance>> DockerEngine::list(Deadline deadline) {
  return parts_->reader.list(deadline);
}

Result<compute::Instance> DockerEngine::get(const std::string& name, Deadline deadline) {
  return parts_->reader.get(name, deadline);
}

Result<void> DockerEngine::create(const compute::NewInstance& instance, const compute::EngineProgress& progress,
                                  Deadline deadline) {
  return create_container(parts_->api, instance, progress, deadline);
}

Result<void> DockerEngine::start(const std::string& name, const compute::EngineProgress& /*progress*/,
                                 Deadline deadline) {
  return start_container(parts_->api, name, deadline);
}

Result<void> DockerEngine::stop(const std::string& name, std::chrono::seconds grace,
                                const compute::EngineProgress& /*progress*/, Deadline deadline) {
  return stop_container(parts_->api, name, grace, deadline);
}

Result<void> DockerEngine::restart(const std::string& name, std::chrono::seconds grace,
                                   const compute::EngineProgress& /*progress*/, Deadline deadline) {
  return restart_container(parts_->api, name, grace, deadline);
}

Result<void> DockerEngine::remove(const std::string& name, const compute::EngineProgress& /*progress*/,
                                  Deadline deadline) {
  return remove_container(parts_->api, name, deadline);
}

Result<void> DockerEngine::rename(const std::string& name, const std::string& new_name, Deadline deadline) {
  BERTH_CHECK(check_name(new_name));
  return rename_container(parts_->api, name, new_name, deadline);
}

Result<void> DockerEngine::update(const std::string& name, const compute::InstanceChange& change, Deadline deadline) {
  const std::string id = BERTH_TRY(update_container(parts_->api, name, change, deadline));
  parts_->reader.forget(id);
  return {};
}

std::unique_ptr<compute::EngineWatch> DockerEngine::watch(compute::EngineWatcher& watcher) {
  return std::make_unique<EventStream>(parts_->api, watcher, [&reader = parts_->reader](std::string_view id) {
    if (id.empty()) {
      reader.forget_all();
    } else {
      reader.forget(id);
    }
  });
}

Result<bool> DockerEngine::still_working(const std::string& /*handle*/, Deadline /*deadline*/) {
  return false;
}

compute::ImageAbility* DockerEngine::images() {
  return &parts_->images;
}
compute::TerminalAbility* DockerEngine::terminals() {
  return &parts_->terminals;
}
compute::ContainerAbility* DockerEngine::containers() {
  return &parts_->containers;
}
compute::RegistryAbility* DockerEngine::registry() {
  return &parts_->images;
}
compute::LogAbility* DockerEngine::logs() {
  return &parts_->logs;
}
compute::ArchiveAbility* DockerEngine::archives() {
  return &parts_->archives;
}
compute::VolumeAbility* DockerEngine::volumes() {
  return &parts_->volumes;
}
compute::NetworkAbility* DockerEngine::networks() {
  return &parts_->networks;
}
compute::CapacityAbility* DockerEngine::capacities() {
  return &parts_->capacities;
}

}  // namespace berth::drivers::docker
