#include <fmt/format.h>

#include <utility>

#include "base/encoding.h"
#include "compute/description.h"
#include "compute/instance_input.h"
#include "compute/instance_service.h"
#include "json/write.h"

namespace berth::compute {
namespace {

Error exists(const std::string& name) {
  return Error(ErrorCode::already_exists, "instance.exists",
               {fmt::format("实例 {} 已存在", name), fmt::format("Instance {} already exists", name)});
}

template <class T>
std::optional<T> wished(const std::optional<std::optional<T>>& change) {
  return change ? *change : std::nullopt;
}

template <class T>
std::optional<std::optional<T>> mentioned(const std::optional<T>& value) {
  if (!value) return std::nullopt;
  return std::optional<std::optional<T>>(value);
}

Result<void> check_new_instance(const InstanceEngine& engine, const NewInstance& instance) {
  BERTH_CHECK(engine.check_name(instance.name));
  if (instance.image.empty() || instance.image.size() > 256 || !is_utf8(instance.image)) {
    const Text message{"必须指定镜像的别名或指纹", "An image's alias or fingerprint is required"};
    return Error(ErrorCode::invalid_argument, "instance.image", message).with_field("image", message);
  }
  if (instance.container) BERTH_CHECK(check_container_settings(*instance.container));
  BERTH_CHECK(check_limits(instance.limits));
  return check_description(instance.description);
}

}  // namespace

Result<operations::TicketPointer> InstanceService::create(const Viewer& viewer, const NewInstance& wish) {
  NewInstance instance = wish;
  if (!viewer.sees_all) {
    if (instance.owner.empty()) instance.owner = viewer.owner;
    if (instance.owner.empty() || instance.owner != viewer.owner) {
      return Error(ErrorCode::permission_denied, "instance.owner",
                   {"只能为自己创建实例", "You can create instances for yourself only"});
    }
  }
  BERTH_CHECK(check_new_instance(engine_, instance));
  BERTH_CHECK(require_engine());
  if (inventory_.snapshot()->find(instance.name) != nullptr) {
    // The snapshot may be a moment behind a removal.
    if (inventory_.reread(instance.name, Deadline::after(settings_.quick_limit))) return exists(instance.name);
  }

  OperationInput input{.name = instance.name,
                       .image = instance.image,
                       .start = instance.start,
                       .type = std::string(name(instance.type)),
                       .owner = instance.owner,
                       .cpus = mentioned(instance.limits.cpus),
                       .memory_bytes = mentioned(instance.limits.memory_bytes),
                       .disk_bytes = mentioned(instance.limits.disk_bytes)};
  AuditDetails details{
      .image = instance.image, .cpus = input.cpus, .memory_bytes = input.memory_bytes, .disk_bytes = input.disk_bytes};
  if (!instance.description.empty()) {
    input.description_token = random_uuid();
    details.description = mask_password(instance.description);
  }
  Change change;
  change.kind = "instance.create";
  change.resource_id = instance.name;
  change.limit = settings_.create_limit;
  change.input = json::to_json(input);
  change.audit_details = json::to_json(details);
  const std::string name = instance.name;
  change.work = work_on(
      {name},
      [this, instance = std::move(instance)](const EngineProgress& progress, Deadline deadline) {
        return engine_.create(instance, progress, deadline);
      },
      true);
  return BERTH_TRY(submit(viewer, std::move(change))).ticket;
}

Result<ActionOutcome> InstanceService::rename(const Viewer& viewer, const std::string& name,
                                              const std::string& new_name) {
  BERTH_CHECK(locate(viewer, name));
  if (auto checked = engine_.check_name(new_name); !checked) {
    const Text message = checked.error().message();
    return take_error(checked).with_fields({{"new_name", message}});
  }
  if (name == new_name) return ActionOutcome{false, std::nullopt};
  if (inventory_.snapshot()->find(new_name) != nullptr &&
      inventory_.reread(new_name, Deadline::after(settings_.quick_limit))) {
    return exists(new_name);
  }
  Change change;
  change.kind = "instance.rename";
  change.resource_id = name;
  change.limit = settings_.quick_limit;
  change.input = json::to_json(OperationInput{.name = name, .new_name = new_name});
  change.audit_details = json::to_json(AuditDetails{.new_name = new_name});
  change.work = work_on({name, new_name}, [this, name, new_name](const EngineProgress&, Deadline deadline) {
    return engine_.rename(name, new_name, deadline);
  });
  return carry_out(viewer, std::move(change));
}

Result<ActionOutcome> InstanceService::update(const Viewer& viewer, const std::string& name,
                                              const InstanceChange& wish) {
  BERTH_CHECK(locate(viewer, name));
  BERTH_CHECK(check_limits({wished(wish.cpus), wished(wish.memory_bytes), wished(wish.disk_bytes)}));
  if (wish.description) BERTH_CHECK(check_description(*wish.description));
  if (!wish.description && !wish.cpus && !wish.memory_bytes && !wish.disk_bytes) {
    return ActionOutcome{false, std::nullopt};
  }
  OperationInput input{
      .name = name, .cpus = wish.cpus, .memory_bytes = wish.memory_bytes, .disk_bytes = wish.disk_bytes};
  AuditDetails details{.cpus = wish.cpus, .memory_bytes = wish.memory_bytes, .disk_bytes = wish.disk_bytes};
  if (wish.description) {
    input.description_token = random_uuid();
    details.description = mask_password(*wish.description);
  }
  Change change;
  change.kind = "instance.update";
  change.resource_id = name;
  change.limit = settings_.quick_limit;
  change.input = json::to_json(input);
  change.audit_details = json::to_json(details);
  change.work = work_on({name}, [this, name, wish](const EngineProgress&, Deadline deadline) {
    return engine_.update(name, wish, deadline);
  });
  return carry_out(viewer, std::move(change));
}

}  // namespace berth::compute
