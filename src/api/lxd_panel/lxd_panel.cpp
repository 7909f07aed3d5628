#include "api/lxd_panel/lxd_panel.h"

#include "api/lxd_panel/panel_envelope.h"
#include "api/shared/operation_routes.h"
#include "api/shared/session_routes.h"
#include "api/shared/system_routes.h"

namespace berth::api::lxd_panel {
namespace {

constexpr std::string_view kVersion = "1.0.0";

}  // namespace

compute::Viewer viewer_of(const identity::Principal& principal) {
  return {.sees_all = !principal.owned_only(), .owner = principal.user_uuid, .origin = {}};
}

compute::Viewer viewer_of(const Call& call) {
  compute::Viewer viewer = viewer_of(*call.principal);
  viewer.origin = call.origin();
  return viewer;
}

Secrets secrets_of(const Call& call) {
  return call.allows(identity::permissions::kInstancesSecrets) ? Secrets::shown : Secrets::hidden;
}

LxdPanel::LxdPanel(Settings settings, const Parts& parts)
    : parts_(parts),
      contract_(std::make_shared<Contract>(
          Contract::Settings{"lxd-panel", {"LXD管理面板API", "LXD panel API"}, std::string(kVersion)},
          std::make_shared<PanelEnvelope>(), parts.authenticator, parts.metrics)),
      monitor_(settings.monitor, parts.instances, parts.inventory, parts.host, parts.authenticator, parts.clock,
               parts.metrics) {}

Result<std::unique_ptr<LxdPanel>> LxdPanel::create(Settings settings, const Parts& parts) {
  std::unique_ptr<LxdPanel> panel(new LxdPanel(settings, parts));
  panel->add_system_routes();
  panel->add_instance_routes();
  panel->add_lifecycle_routes();
  panel->add_change_routes();
  panel->add_snapshot_routes();
  panel->add_image_routes();
  panel->add_terminal_routes();
  add_session_routes(*panel->contract_, parts.identity, parts.logins, parts.reads);
  add_operation_routes(*panel->contract_, parts.operations, parts.reads);
  add_description_routes(*panel->contract_);
  add_metrics_route(*panel->contract_, parts.metrics, parts.reads);
  BERTH_CHECK(panel->contract_->seal());
  return panel;
}

void LxdPanel::add_system_routes() {
  using http::Method;
  using identity::permissions::kHostRead;
  using identity::permissions::kPublic;
  contract_->add<Nothing, Nothing, Nothing>({Method::get, "/", kPublic, {"面板信息", "About the panel"}, "system"},
                                            [this](const Call&, Nothing, Nothing, Nothing) -> Result<Root> {
                                              return Root{"LXD管理面板API", std::string(kVersion), "running",
                                                          format_local(parts_.clock.now())};
                                            });
  contract_->add<Nothing, Nothing, Nothing>({Method::get, "/api/health", kPublic, {"健康检查", "Health"}, "system"},
                                            [this](const Call&, Nothing, Nothing, Nothing) -> Result<Health> {
                                              return Health{"healthy", parts_.instances.snapshot()->health.connected};
                                            });
  contract_->add<Nothing, Nothing, Nothing>(
      {Method::get, "/api/host/info", kHostRead, {"宿主机信息", "The host"}, "system"},
      [this](const Call&, Nothing, Nothing, Nothing) -> Result<HostInfo> {
        return host_info_of(*parts_.host.snapshot());
      });
  contract_->add_websocket<Nothing, Nothing>(
      {Method::get, "/ws/monitor", identity::permissions::kInstancesRead, {"实时监控", "Live monitoring"}, "system"},
      [this](const Call& call, Nothing, Nothing) { return monitor_.open(call, viewer_of(call)); });
}

}  // namespace berth::api::lxd_panel
