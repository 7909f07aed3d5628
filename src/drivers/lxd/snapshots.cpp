#include "drivers/lxd/snapshots.h"

#include "drivers/lxd/decode.h"
#include "drivers/lxd/operation.h"
#include "drivers/lxd/reconfiguration.h"
#include "drivers/lxd/request_body.h"
#include "json/write.h"

namespace berth::drivers::lxd {
namespace {

/// Snapshots made elsewhere may have names that we would not give, but none that is no part of a path.
Result<void> check_snapshot(const std::string& instance, const std::string& snapshot) {
  if (is_path_part(snapshot)) return {};
  return translate(404, "snapshot not found", Subject::of_snapshot(instance, snapshot));
}

}  // namespace

Result<std::vector<compute::InstanceSnapshot>> Snapshots::list_snapshots(const std::string& instance,
                                                                         Deadline deadline) {
  BERTH_CHECK(check_instance(instance));
  const Answer answer =
      BERTH_TRY(api_.get(instance_path(instance) + "/snapshots?recursion=1", Subject::of_instance(instance), deadline));
  if (!answer.metadata().is_array()) return nonsense("the snapshots are no list");
  std::vector<compute::InstanceSnapshot> snapshots;
  for (const auto& entry : answer.metadata().elements()) snapshots.push_back(BERTH_TRY(decode_snapshot(entry)));
  return snapshots;
}

Result<void> Snapshots::create_snapshot(const std::string& instance, const std::string& snapshot, bool stateful,
                                        const compute::EngineProgress& progress, Deadline deadline) {
  BERTH_CHECK(check_instance(instance));
  BERTH_CHECK(compute::check_snapshot_name(snapshot));
  const Subject subject = Subject::of_snapshot(instance, snapshot);
  const Body body{{"name", snapshot}, {"stateful", stateful}};
  const Answer started = BERTH_TRY(
      api_.call(http::Method::post, instance_path(instance) + "/snapshots", json::to_json(body), subject, deadline));
  return follow(api_, started, subject, progress, {.stage = "snapshot"}, deadline);
}

Result<void> Snapshots::restore_snapshot(const std::string& instance, const std::string& snapshot,
                                         const compute::EngineProgress& progress, Deadline deadline) {
  BERTH_CHECK(check_instance(instance));
  BERTH_CHECK(check_snapshot(instance, snapshot));
  const Subject subject = Subject::of_snapshot(instance, snapshot);
  const Answer before = BERTH_TRY(api_.get(instance_path(instance), Subject::of_instance(instance), deadline));
  const std::string description(before.metadata()["description"].string_or(""));
  const Body body{{"restore", snapshot}};
  const Answer started =
      BERTH_TRY(api_.call(http::Method::put, instance_path(instance), json::to_json(body), subject, deadline));
  BERTH_CHECK(follow(api_, started, subject, progress, {.stage = "restore"}, deadline));
  // LXD gives the instance the snapshot's own description, which is empty; what the present one says of access
  // holds as before.
  compute::InstanceChange change;
  change.description = description;
  return update_instance(api_, instance, change, deadline);
}

Result<void> Snapshots::remove_snapshot(const std::string& instance, const std::string& snapshot,
                                        const compute::EngineProgress& progress, Deadline deadline) {
  BERTH_CHECK(check_instance(instance));
  BERTH_CHECK(check_snapshot(instance, snapshot));
  const Subject subject = Subject::of_snapshot(instance, snapshot);
  const Answer started =
      BERTH_TRY(api_.call(http::Method::delete_, snapshot_path(instance, snapshot), {}, subject, deadline));
  return follow(api_, started, subject, progress, {.stage = "remove snapshot"}, deadline);
}

}  // namespace berth::drivers::lxd
