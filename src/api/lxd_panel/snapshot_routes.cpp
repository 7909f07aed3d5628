#include <fmt/format.h>

#include "api/lxd_panel/lxd_panel.h"

namespace berth::api::lxd_panel {
namespace {

using http::Method;
using identity::permissions::kInstancesRead;
using identity::permissions::kInstancesUpdate;

PlainResult snapshot_result(const Call& call, const std::string& snapshot, std::string_view zh, std::string_view en) {
  const Text done{fmt::format("快照 {} {}成功", snapshot, zh), fmt::format("Snapshot {} {}", snapshot, en)};
  return {true, done.in(call.language), nullptr};
}

}  // namespace

void LxdPanel::add_snapshot_routes() {
  contract_->add<InstancePath, Nothing, Nothing>(
      {Method::get,
       "/api/instances/{name}/snapshots",
       kInstancesRead,
       {"获取快照列表", "Snapshots"},
       "snapshots",
       &parts_.changes},
      [this](const Call& call, InstancePath path, Nothing, Nothing) -> Result<std::vector<SnapshotInfo>> {
        std::vector<SnapshotInfo> answer;
        for (const auto& snapshot : BERTH_TRY(parts_.instances.list_snapshots(viewer_of(call), path.name))) {
          answer.push_back(snapshot_of(snapshot));
        }
        return answer;
      });
  contract_->add<InstancePath, Nothing, SnapshotRequest>(
      {Method::post,
       "/api/instances/{name}/snapshots",
       kInstancesUpdate,
       {"创建快照", "Take a snapshot"},
       "snapshots",
       &parts_.changes},
      [this](const Call& call, InstancePath path, Nothing, SnapshotRequest body) -> Result<PlainResult> {
        BERTH_CHECK(parts_.instances.create_snapshot(viewer_of(call), path.name, body.name, body.stateful));
        return snapshot_result(call, body.name, "创建", "taken");
      });
  contract_->add<SnapshotPath, Nothing, Nothing>(
      {Method::post,
       "/api/instances/{name}/snapshots/{snapshot}/restore",
       kInstancesUpdate,
       {"恢复快照", "Return to a snapshot"},
       "snapshots",
       &parts_.changes},
      [this](const Call& call, SnapshotPath path, Nothing, Nothing) -> Result<PlainResult> {
        BERTH_CHECK(parts_.instances.restore_snapshot(viewer_of(call), path.name, path.snapshot));
        return snapshot_result(call, path.snapshot, "恢复", "restored");
      });
  contract_->add<SnapshotPath, Nothing, Nothing>(
      {Method::delete_,
       "/api/instances/{name}/snapshots/{snapshot}",
       kInstancesUpdate,
       {"删除快照", "Delete a snapshot"},
       "snapshots",
       &parts_.changes},
      [this](const Call& call, SnapshotPath path, Nothing, Nothing) -> Result<PlainResult> {
        BERTH_CHECK(parts_.instances.remove_snapshot(viewer_of(call), path.name, path.snapshot));
        return snapshot_result(call, path.snapshot, "删除", "deleted");
      });
}

void LxdPanel::add_image_routes() {
  contract_->add<Nothing, Nothing, Nothing>(
      {Method::get,
       "/api/images",
       identity::permissions::kImagesRead,
       {"获取镜像列表", "Images"},
       "images",
       &parts_.changes},
      [this](const Call&, Nothing, Nothing, Nothing) -> Result<std::vector<ImageInfo>> {
        std::vector<ImageInfo> answer;
        for (const auto& image : BERTH_TRY(parts_.instances.list_images())) answer.push_back(image_of(image));
        return answer;
      });
  contract_->add<ImagePath, Nothing, Nothing>(
      {Method::delete_,
       "/api/images/{image}",
       identity::permissions::kImagesManage,
       {"删除镜像", "Delete an image"},
       "images",
       &parts_.changes},
      [this](const Call& call, ImagePath path, Nothing, Nothing) -> Result<PlainResult> {
        BERTH_CHECK(parts_.instances.remove_image(viewer_of(call), path.image));
        const Text done{fmt::format("镜像 {} 删除成功", path.image), fmt::format("Image {} deleted", path.image)};
        return PlainResult{true, done.in(call.language), nullptr};
      });
}

}  // namespace berth::api::lxd_panel
