#include "app/engine_unit.h"

#include <fmt/format.h>

#include <algorithm>

#include "drivers/fake/fake_engine.h"
#include "drivers/lxd/lxd_engine.h"

namespace berth::app {
namespace {

using EnginePointer = std::unique_ptr<compute::InstanceEngine>;

Result<EnginePointer> make_lxd(const std::string& name, const Configuration::Engine& engine,
                               const EngineSurroundings& surroundings, EngineUnit& unit) {
  drivers::lxd::Settings settings;
  settings.project = engine.project;
  if (!engine.url.empty()) {
    settings.endpoint.base_url = engine.url;
    settings.endpoint.client_certificate = engine.client_certificate;
    settings.endpoint.client_key = engine.client_key;
    settings.endpoint.server_certificate = engine.server_certificate;
  } else {
    auto candidates = engine.socket.empty() ? lxd_socket_candidates(surroundings.environment)
                                            : std::vector<std::filesystem::path>{engine.socket};
    unit.socket =
        BERTH_TRY(LxdSocketLink::create(name, surroundings.configuration.state.folder, std::move(candidates)));
    settings.endpoint = drivers::lxd::unix_endpoint(unit.socket->path().string());
  }
  return EnginePointer(std::make_unique<drivers::lxd::LxdEngine>(std::move(settings)));
}

Result<EnginePointer> make_fake(const std::string& /*name*/, const Configuration::Engine& engine,
                                const EngineSurroundings& surroundings, EngineUnit& /*unit*/) {
  drivers::fake::FakeEngine::Settings settings;
  settings.instances = engine.instances;
  settings.host_cores = surroundings.host_cores;
  return EnginePointer(std::make_unique<drivers::fake::FakeEngine>(settings));
}

/// The one table of what kinds of engines there are.
Result<EnginePointer> make_engine(const std::string& name, const Configuration::Engine& engine,
                                  const EngineSurroundings& surroundings, EngineUnit& unit) {
  switch (engine.kind) {
    case EngineKind::lxd:
      return make_lxd(name, engine, surroundings, unit);
    case EngineKind::fake:
      return make_fake(name, engine, surroundings, unit);
  }
  return internal_error("unknown kind of engine");
}

}  // namespace

Result<EngineUnit> make_engine_unit(const std::string& name, const Configuration::Engine& engine,
                                    const EngineSurroundings& surroundings) {
  EngineUnit unit;
  unit.engine = BERTH_TRY(make_engine(name, engine, surroundings, unit));
  unit.pool = std::make_unique<WorkerPool>(
      WorkerPool::Settings{.name = fmt::format("eng-{}", name).substr(0, 15), .threads = engine.threads});
  compute::Inventory::Settings inventory;
  inventory.tick = engine.tick;
  // A read that is slower than the tick must not stand in the way of the next one for ever.
  inventory.read_deadline = std::max(std::chrono::milliseconds(1000), engine.tick * 4 / 5);
  inventory.host_cores = surroundings.host_cores;
  const EngineId id(name);
  unit.inventory = std::make_unique<compute::Inventory>(id, *unit.engine, inventory, surroundings.metrics);
  unit.service = std::make_unique<compute::InstanceService>(
      id, *unit.engine, *unit.inventory, *unit.pool, surroundings.operations, compute::InstanceService::Settings{});
  return unit;
}

}  // namespace berth::app
