#include <utility>

#include "compute/instance_input.h"
#include "compute/instance_service.h"
#include "json/write.h"

namespace berth::compute {

Result<std::vector<InstanceSnapshot>> InstanceService::list_snapshots(const Viewer& viewer, const std::string& name) {
  SnapshotAbility* ability = BERTH_TRY(snapshot_ability());
  BERTH_CHECK(locate(viewer, name));
  auto listed = ability->list_snapshots(name, Deadline::after(settings_.quick_limit));
  if (!listed && listed.error().reason() == "instance.not_found") return instance_not_found(name);
  return listed;
}

InstanceService::Change InstanceService::snapshot_change(std::string kind, const std::string& name,
                                                         const std::string& snapshot, EngineCall call) {
  Change change;
  change.kind = std::move(kind);
  change.resource_id = name;
  change.limit = settings_.create_limit;
  change.input = json::to_json(OperationInput{.name = name, .snapshot = snapshot});
  change.audit_details = json::to_json(AuditDetails{.snapshot = snapshot});
  change.work = work_on({name}, std::move(call));
  return change;
}

Result<ActionOutcome> InstanceService::create_snapshot(const Viewer& viewer, const std::string& name,
                                                       const std::string& snapshot, bool stateful) {
  SnapshotAbility* ability = BERTH_TRY(snapshot_ability());
  BERTH_CHECK(locate(viewer, name));
  BERTH_CHECK(check_snapshot_name(snapshot));
  Change change =
      snapshot_change("instance.snapshot.create", name, snapshot,
                      [ability, name, snapshot, stateful](const EngineProgress& progress, Deadline deadline) {
                        return ability->create_snapshot(name, snapshot, stateful, progress, deadline);
                      });
  change.input = json::to_json(OperationInput{.name = name, .snapshot = snapshot, .stateful = stateful});
  return carry_out(viewer, std::move(change));
}

Result<ActionOutcome> InstanceService::restore_snapshot(const Viewer& viewer, const std::string& name,
                                                        const std::string& snapshot) {
  SnapshotAbility* ability = BERTH_TRY(snapshot_ability());
  BERTH_CHECK(locate(viewer, name));
  BERTH_CHECK(check_snapshot_name(snapshot));
  return carry_out(viewer,
                   snapshot_change("instance.snapshot.restore", name, snapshot,
                                   [ability, name, snapshot](const EngineProgress& progress, Deadline deadline) {
                                     return ability->restore_snapshot(name, snapshot, progress, deadline);
                                   }));
}

Result<ActionOutcome> InstanceService::remove_snapshot(const Viewer& viewer, const std::string& name,
                                                       const std::string& snapshot) {
  SnapshotAbility* ability = BERTH_TRY(snapshot_ability());
  BERTH_CHECK(locate(viewer, name));
  BERTH_CHECK(check_snapshot_name(snapshot));
  return carry_out(viewer,
                   snapshot_change("instance.snapshot.delete", name, snapshot,
                                   [ability, name, snapshot](const EngineProgress& progress, Deadline deadline) {
                                     return ability->remove_snapshot(name, snapshot, progress, deadline);
                                   }));
}

Result<std::vector<Image>> InstanceService::list_images() {
  ImageAbility* ability = BERTH_TRY(image_ability());
  BERTH_CHECK(require_engine());
  return ability->list_images(Deadline::after(settings_.quick_limit));
}

Result<ActionOutcome> InstanceService::remove_image(const Viewer& viewer, const std::string& image) {
  ImageAbility* ability = BERTH_TRY(image_ability());
  BERTH_CHECK(require_engine());
  Change change;
  change.kind = "image.delete";
  change.resource_type = "image";
  change.resource_id = image;
  change.limit = settings_.quick_limit;
  change.input = json::to_json(OperationInput{.name = image});
  change.work = work_on({}, [ability, image](const EngineProgress&, Deadline deadline) {
    return ability->remove_image(image, deadline);
  });
  return carry_out(viewer, std::move(change));
}

}  // namespace berth::compute
