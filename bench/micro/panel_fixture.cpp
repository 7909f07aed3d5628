#include "micro/panel_fixture.h"

#include "drivers/fake/fake_engine.h"

namespace berth::bench {
namespace {

drivers::fake::FakeEngine::Settings still_instances(std::size_t count) {
  drivers::fake::FakeEngine::Settings settings;
  settings.instances = count;
  settings.moving_counters = false;
  return settings;
}

}  // namespace

/// In the order of construction; destroyed in reverse.
struct PanelFixture::Parts {
  explicit Parts(std::size_t instances)
      : engine(still_instances(instances)),
        inventory(EngineId("fake"), engine, compute::Inventory::Settings{}, identity.metrics()),
        service(EngineId("fake"), engine, inventory, pool, *operations, compute::InstanceService::Settings{}),
        panel(must(api::lxd_panel::LxdPanel::create(
            {}, {service, inventory, *operations, identity.service(), host, authenticator, sockets, identity.metrics(),
                 system_clock(), pool, pool, pool}))) {
    must(inventory.refresh_all(Deadline::after(std::chrono::seconds(30))));
  }

  IdentityFixture identity;
  std::string token = identity.new_token();
  telemetry::HostMonitor host{telemetry::HostMonitor::Settings{}, identity.metrics()};
  WorkerPool pool{WorkerPool::Settings{.name = "bench", .threads = 1}};
  std::unique_ptr<operations::OperationService> operations = must(
      operations::OperationService::create(identity.database(), identity.audit(), identity.metrics(), system_clock()));
  api::Authenticator authenticator{identity.service(), system_clock(), api::Anonymous::never};
  api::SocketWatch sockets{authenticator};
  drivers::fake::FakeEngine engine;
  compute::Inventory inventory;
  compute::InstanceService service;
  std::unique_ptr<api::lxd_panel::LxdPanel> panel;
};

PanelFixture::PanelFixture(std::size_t instances) : parts_(std::make_unique<Parts>(instances)) {}
PanelFixture::~PanelFixture() = default;

api::Contract& PanelFixture::contract() {
  return *parts_->panel->contract();
}
const std::string& PanelFixture::token() const {
  return parts_->token;
}
IdentityFixture& PanelFixture::identity() {
  return parts_->identity;
}

}  // namespace berth::bench
