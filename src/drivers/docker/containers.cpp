#include "drivers/docker/containers.h"

#include "drivers/docker/decode.h"
#include "drivers/docker/settings.h"
#include "drivers/docker/words.h"

namespace berth::drivers::docker {

Result<compute::ContainerDetail> Containers::inspect(const std::string& name, Deadline deadline) {
  const std::string path = BERTH_TRY(api_.container_path(name, deadline));
  const auto container = BERTH_TRY(api_.get(path + "/json", Subject::of_container(name), deadline));
  const auto called = container.root()["Name"].string();
  if (called != "/" + name && called != name && container.root()["Id"].string() != name) {
    return compute::instance_not_found(name);
  }
  const std::string image_id = container.root()["Image"].string_or("");
  const auto image =
      api_.get("/images/" + http::percent_encode(image_id) + "/json", Subject::of_image(image_id), deadline);
  // An image may be gone while its containers are not; then nothing can be told apart from its own settings.
  if (!image && image.error().code() != ErrorCode::not_found) return image.error();
  return decode_detail(container.root(), image ? image->root() : json::View());
}

Result<void> Containers::act(const std::string& name, std::string_view action, std::string_view already,
                             Deadline deadline) {
  const std::string path = BERTH_TRY(api_.container_path(name, deadline));
  const auto done =
      api_.call(http::Method::post, path + std::string(action), {}, Subject::of_container(name), deadline);
  if (done || contains(done.error().detail(), already)) return {};
  return done.error();
}

Result<void> Containers::pause(const std::string& name, Deadline deadline) {
  return act(name, "/pause", "is already paused", deadline);
}

Result<void> Containers::resume(const std::string& name, Deadline deadline) {
  auto resumed = act(name, "/unpause", "\n", deadline);
  if (resumed || !contains(resumed.error().detail(), "not paused")) return resumed;
  // Docker says the same of one that runs and of one that does not.
  const std::string path = BERTH_TRY(api_.container_path(name, deadline));
  const auto document = BERTH_TRY(api_.get(path + "/json", Subject::of_container(name), deadline));
  const auto status = decode_status(document.root()["State"]["Status"].string().value_or(""));
  if (status == compute::Status::running) return {};
  return Error(ErrorCode::conflict, "instance.state", {"容器未在运行", "The container is not running"});
}

Result<void> Containers::set_restart_policy(const std::string& name, compute::RestartPolicy policy, Deadline deadline) {
  const std::string path = BERTH_TRY(api_.container_path(name, deadline));
  BERTH_CHECK(api_.call(http::Method::post, path + "/update", write_restart_policy(policy), Subject::of_container(name),
                        deadline));
  return {};
}

}  // namespace berth::drivers::docker
