#include "drivers/docker/creation.h"

#include "base/encoding.h"
#include "base/log.h"
#include "base/undo_stack.h"
#include "drivers/docker/lifecycle.h"
#include "drivers/docker/settings.h"
#include "json/write.h"

namespace berth::drivers::docker {
namespace {

struct Joining {
  std::string Container;
};
BOOST_DESCRIBE_STRUCT(Joining, (), (Container))

Result<void> check(const compute::NewInstance& wish) {
  BERTH_CHECK(compute::check_container_name(wish.name));
  BERTH_CHECK(compute::check_image_reference(wish.image));
  BERTH_CHECK(compute::check_limits(wish.limits));
  if (wish.container) BERTH_CHECK(compute::check_container_settings(*wish.container));
  if (wish.type == compute::InstanceType::container) return {};
  return unsupported({"该引擎只能运行容器", "This engine runs containers only"});
}

/// Removes what this call has made, and only that.
void remove_own(Api& api, const std::string& name, const std::string& creation, Deadline deadline) {
  const auto subject = Subject::of_container(name);
  const auto made = api.get(path_of_container(name) + "/json", subject, deadline);
  if (!made || made->root()["Config"]["Labels"][kCreationLabel].string() != creation) return;
  const std::string id = made->root()["Id"].string_or("");
  const auto removed =
      api.call(http::Method::delete_, path_of_container(id) + "?force=true&v=true", {}, subject, deadline);
  if (!removed && removed.error().code() != ErrorCode::not_found) {
    log::warning("docker", "half-made container {} stays: {}", name, removed.error().describe());
  }
}

/// The image must be looked for under its own name; every other failure is the container's.
Error name_image(Error error, const compute::NewInstance& wish) {
  if (error.reason() != "image.not_found") return error;
  return translate(404, "no such image", Subject::of_image(wish.image)).with_detail(error.detail());
}

}  // namespace

Result<void> create_container(Api& api, const compute::NewInstance& wish, const compute::EngineProgress& progress,
                              Deadline deadline) {
  BERTH_CHECK(check(wish));
  const std::string creation = random_uuid();
  const std::string default_network = BERTH_TRY(api.default_network(deadline));
  BERTH_CHECK(progress.adopt(creation));
  const auto subject = Subject::of_container(wish.name);
  progress.report(0, "create");

  UndoStack undo;
  undo.push([&] {
    if (!deadline.expired()) remove_own(api, wish.name, creation, deadline);
  });
  auto made = api.call(http::Method::post, "/containers/create?name=" + http::percent_encode(wish.name),
                       write_creation(wish, creation, default_network), subject, deadline);
  if (!made) {
    if (made.error().code() == ErrorCode::already_exists) undo.clear();
    return name_image(take_error(made), wish);
  }
  const std::string id = made->root()["Id"].string_or("");
  if (id.empty()) return nonsense("a new container without an id");
  if (wish.container) {
    for (std::size_t i = 1; i < wish.container->networks.size(); ++i) {
      const std::string& network = wish.container->networks[i];
      BERTH_TRY(api.call(http::Method::post, "/networks/" + http::percent_encode(network) + "/connect",
                         json::to_json(Joining{id}), Subject::of_network(network), deadline));
    }
  }
  if (progress.cancelled()) return cancelled();
  if (wish.start) {
    progress.report(80, "start");
    BERTH_TRY(api.call(http::Method::post, path_of_container(id) + "/start", {}, subject, deadline));
  }
  undo.clear();
  progress.report(100, wish.start ? "start" : "create");
  return {};
}

}  // namespace berth::drivers::docker
