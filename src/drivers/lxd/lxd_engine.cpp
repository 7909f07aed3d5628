#include "drivers/lxd/lxd_engine.h"

#include "drivers/lxd/api.h"
#include "drivers/lxd/creation.h"
#include "drivers/lxd/event_stream.h"
#include "drivers/lxd/images.h"
#include "drivers/lxd/instance_reader.h"
#include "drivers/lxd/lifecycle.h"
#include "drivers/lxd/operation.h"
#include "drivers/lxd/reconfiguration.h"
#include "drivers/lxd/snapshots.h"
#include "drivers/lxd/terminal.h"

namespace berth::drivers::lxd {
namespace {

std::string product_name(std::string_view server) {
  if (server == "lxd") return "LXD";
  if (server == "incus") return "Incus";
  return std::string(server);
}

}  // namespace

struct LxdEngine::Parts {
  explicit Parts(Settings s)
      : settings(std::move(s)),
        api(settings.endpoint, settings.project),
        reader(api),
        snapshots(api),
        images(api),
        terminals(api) {}

  Settings settings;
  Api api;
  InstanceReader reader;
  Snapshots snapshots;
  Images images;
  Terminals terminals;
};

http::Endpoint unix_endpoint(std::string socket_path) {
  http::Endpoint endpoint;
  endpoint.base_url = "http://localhost";
  endpoint.unix_socket = std::move(socket_path);
  return endpoint;
}

LxdEngine::LxdEngine(Settings settings) : parts_(std::make_unique<Parts>(std::move(settings))) {}

LxdEngine::~LxdEngine() {
  parts_->api.stop();
}

Result<compute::EngineInfo> LxdEngine::info(Deadline deadline) {
  const Answer answer = BERTH_TRY(parts_->api.get("", {}, deadline));
  const json::View server = answer.metadata();
  // An untrusted caller is answered too, with hardly anything.
  if (server["auth"].string() == "untrusted") return translate(403, "untrusted", {});
  const json::View environment = server["environment"];
  const auto product = environment["server"].string();
  if (!product) return nonsense("a server without a name");
  compute::EngineInfo info;
  info.product = product_name(*product);
  info.version = environment["server_version"].string_or("");
  info.host = environment["server_name"].string_or("");
  info.capabilities = {.snapshots = true,
                       .images = true,
                       .exec = true,
                       .console = true,
                       .limits = true,
                       .rename = true,
                       .events = true,
                       .descriptions = true};
  return info;
}

Result<std::vector<compute::Instance>> LxdEngine::list(Deadline deadline) {
  return parts_->reader.list(deadline);
}

Result<compute::Instance> LxdEngine::get(const std::string& name, Deadline deadline) {
  BERTH_CHECK(check_instance(name));
  return parts_->reader.get(name, deadline);
}

Result<void> LxdEngine::create(const compute::NewInstance& instance, const compute::EngineProgress& progress,
                               Deadline deadline) {
  BERTH_CHECK(compute::check_instance_name(instance.name));
  return create_instance(parts_->api, parts_->images, parts_->settings.storage_pool, instance, progress, deadline);
}

Result<void> LxdEngine::start(const std::string& name, const compute::EngineProgress& progress, Deadline deadline) {
  BERTH_CHECK(check_instance(name));
  return start_instance(parts_->api, name, progress, {.stage = "start"}, deadline);
}

Result<void> LxdEngine::stop(const std::string& name, std::chrono::seconds grace,
                             const compute::EngineProgress& progress, Deadline deadline) {
  BERTH_CHECK(check_instance(name));
  return stop_instance(parts_->api, name, grace, progress, deadline);
}

Result<void> LxdEngine::restart(const std::string& name, std::chrono::seconds grace,
                                const compute::EngineProgress& progress, Deadline deadline) {
  BERTH_CHECK(check_instance(name));
  return restart_instance(parts_->api, name, grace, progress, deadline);
}

Result<void> LxdEngine::remove(const std::string& name, const compute::EngineProgress& progress, Deadline deadline) {
  if (!check_instance(name)) return {};
  BERTH_CHECK(remove_instance(parts_->api, name, progress, deadline));
  parts_->reader.forget(name);
  return {};
}

Result<void> LxdEngine::rename(const std::string& name, const std::string& new_name, Deadline deadline) {
  BERTH_CHECK(check_instance(name));
  BERTH_CHECK(compute::check_instance_name(new_name));
  BERTH_CHECK(rename_instance(parts_->api, name, new_name, deadline));
  parts_->reader.forget(name);
  return {};
}

Result<void> LxdEngine::update(const std::string& name, const compute::InstanceChange& change, Deadline deadline) {
  BERTH_CHECK(check_instance(name));
  return update_instance(parts_->api, name, change, deadline);
}

std::unique_ptr<compute::EngineWatch> LxdEngine::watch(compute::EngineWatcher& watcher) {
  return std::make_unique<EventStream>(parts_->api, watcher);
}

Result<bool> LxdEngine::still_working(const std::string& handle, Deadline deadline) {
  return is_running(parts_->api, handle, deadline);
}

compute::SnapshotAbility* LxdEngine::snapshots() {
  return &parts_->snapshots;
}
compute::ImageAbility* LxdEngine::images() {
  return &parts_->images;
}
compute::TerminalAbility* LxdEngine::terminals() {
  return &parts_->terminals;
}

}  // namespace berth::drivers::lxd
