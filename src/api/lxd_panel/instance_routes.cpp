#include <fmt/format.h>

#include "api/lxd_panel/lxd_panel.h"

namespace berth::api::lxd_panel {
namespace {

using http::Method;
using identity::permissions::kInstancesRead;

/// An engine that does not answer leaves its last known state readable; the answer says how old it is.
void add_age(http::Response& response, const compute::InventorySnapshot& snapshot) {
  if (snapshot.health.connected) return;
  const auto age =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - snapshot.read_at);
  response.headers.add("X-Inventory-Age", std::to_string(age.count()));
  response.headers.add("Warning", "110 berth \"Response is Stale\"");
}

template <class T>
http::Response aged(const T& body, const compute::InventorySnapshot& snapshot) {
  http::Response response = http::Response::json(200, json::to_json(body));
  add_age(response, snapshot);
  return response;
}

}  // namespace

Result<http::Response> LxdPanel::list(const Call& call, const ListQuery& query) {
  const compute::SnapshotPointer snapshot = BERTH_TRY(parts_.instances.readable());
  const compute::Viewer viewer = viewer_of(call);
  http::Response response;
  if (call.request->query.empty()) {
    response = http::Response::of(list_.whole(snapshot, viewer, secrets_of(call)));
  } else {
    InstanceList::Page page = list_.page(snapshot, viewer, secrets_of(call), query);
    response = http::Response::json(200, std::move(page.body));
    response.headers.add("X-Total-Count", std::to_string(page.total));
  }
  add_age(response, *snapshot);
  return response;
}

void LxdPanel::add_instance_routes() {
  contract_->add<Nothing, ListQuery, Nothing>(
      {Method::get, "/api/instances", kInstancesRead, {"获取所有实例", "All instances"}, "instances"},
      [this](const Call& call, Nothing, ListQuery query, Nothing) { return list(call, query); });
  contract_->add<InstancePath, Nothing, Nothing>(
      {Method::get, "/api/instances/{name}", kInstancesRead, {"获取实例详情", "One instance"}, "instances"},
      [this](const Call& call, InstancePath path, Nothing, Nothing) -> Result<http::Response> {
        const compute::SnapshotPointer snapshot = BERTH_TRY(parts_.instances.readable());
        const auto instance = BERTH_TRY(parts_.instances.find(viewer_of(call), path.name));
        return aged(detail_of(*instance, totals_of(*parts_.host.snapshot()), secrets_of(call)), *snapshot);
      });
  contract_->add<InstancePath, Nothing, Nothing>(
      {Method::get,
       "/api/instances/{name}/resources",
       kInstancesRead,
       {"获取实例资源使用", "Use of resources"},
       "instances"},
      [this](const Call& call, InstancePath path, Nothing, Nothing) -> Result<http::Response> {
        const compute::SnapshotPointer snapshot = BERTH_TRY(parts_.instances.readable());
        const auto instance = BERTH_TRY(parts_.instances.find(viewer_of(call), path.name));
        return aged(usage_of(*instance, totals_of(*parts_.host.snapshot())), *snapshot);
      });
}

}  // namespace berth::api::lxd_panel
