// What makes the fake an engine of Docker's kind.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>
#include <utility>

#include "base/encoding.h"
#include "drivers/fake/fake_engine.h"

namespace berth::drivers::fake {

using compute::EngineEvent;
using compute::EngineProgress;
using compute::LogReader;
using compute::Status;

namespace {

constexpr std::array<const char*, 3> kOwnNetworks{"bridge", "host", "none"};

bool is_own_network(std::string_view name) {
  return std::ranges::find(kOwnNetworks, name) != kOwnNetworks.end();
}

Error wrong_state(const std::string& name) {
  return Error(ErrorCode::conflict, "instance.state",
               {fmt::format("容器 {} 的当前状态不允许此操作", name),
                fmt::format("Container {} is not in a state that allows this", name)});
}

Error no_path(const std::string& path) {
  return Error(ErrorCode::not_found, "archive.path",
               {fmt::format("容器中没有 {}", path), fmt::format("There is no {} in the container", path)});
}

/// Whether a path is a folder or lies below it.
bool is_below(std::string_view path, std::string_view folder) {
  if (folder == "/") return true;
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

std::string last_part(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

/// Lines "<name in hex> <content in hex>".
Result<void> write_archive(const std::string& file, const std::map<std::string, std::string>& files) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  for (const auto& [name, content] : files) out << to_hex(name) << ' ' << to_hex(content) << '\n';
  out.close();
  if (!out) {
    return Error(ErrorCode::exhausted, "engine.disk", {"磁盘空间不足", "There is no room left on the disk"})
        .with_detail(file);
  }
  return {};
}

Result<std::map<std::string, std::string>> read_archive(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::map<std::string, std::string> files;
  std::string line;
  while (std::getline(in, line)) {
    const std::size_t space = line.find(' ');
    if (space == std::string::npos) return internal_error("not an archive: " + file);
    const auto name = from_hex(line.substr(0, space));
    const auto content = from_hex(line.substr(space + 1));
    if (!name || !content) return internal_error("not an archive: " + file);
    files[*name] = *content;
  }
  if (in.bad() || !std::ifstream(file)) return internal_error("cannot read " + file);
  return files;
}

}  // namespace

/// Lets go of one reader.
class FakeEngine::Following final : public compute::LogFollowing {
 public:
  Following(FakeEngine& engine, std::string id, std::shared_ptr<LogFeed> feed)
      : engine_(engine), id_(std::move(id)), feed_(std::move(feed)) {}
  ~Following() override {
    {
      const std::lock_guard lock(engine_.mutex_);
      for (auto& [name, stored] : engine_.instances_) {
        if (stored.instance.engine_id == id_) std::erase(stored.followers, feed_);
      }
    }
    feed_->stop();
  }
  void pause() override { feed_->pause(); }
  void resume() override { feed_->resume(); }

 private:
  FakeEngine& engine_;
  std::string id_;
  std::shared_ptr<LogFeed> feed_;
};

bool FakeEngine::knows_image(const std::string& image) const {
  return std::ranges::any_of(images_, [&](const compute::Image& one) {
    return one.fingerprint == image || std::ranges::find(one.aliases, image) != one.aliases.end();
  });
}

void FakeEngine::make_container(Stored& stored, const compute::ContainerSettings& settings) {
  stored.settings = settings;
  const auto files = image_files_.find(stored.instance.image);
  if (files != image_files_.end()) stored.files = files->second;
  for (const auto& mount : settings.mounts) {
    if (!mount.is_host_path()) volumes_[mount.source].about.name = mount.source;
  }
}

Result<void> FakeEngine::check_ports(const Stored& stored) const {
  for (const auto& [name, other] : instances_) {
    if (&other == &stored || other.instance.status == Status::stopped) continue;
    for (const auto& port : other.settings.ports) {
      for (const auto& wanted : stored.settings.ports) {
        if (!port.host_port || port.host_port != wanted.host_port || port.protocol != wanted.protocol) continue;
        return Error(ErrorCode::conflict, "instance.port",
                     {fmt::format("端口 {} 已被占用", *port.host_port),
                      fmt::format("Port {} is in use already", *port.host_port)});
      }
    }
  }
  return {};
}

std::pair<FakeEngine::Files*, std::string> FakeEngine::locate(Stored& stored, const std::string& path) {
  for (const auto& mount : stored.settings.mounts) {
    if (mount.is_host_path() || !is_below(path, mount.target)) continue;
    const std::string inside = path.substr(mount.target.size());
    return {&volumes_[mount.source].files, inside.empty() ? "/" : inside};
  }
  return {&stored.files, path};
}

void FakeEngine::end_log(Stored& stored, const Result<void>& outcome) {
  for (const auto& feed : std::exchange(stored.followers, {})) feed->end(outcome);
}

void FakeEngine::cut_logs_off() {
  const std::lock_guard lock(mutex_);
  for (auto& [name, stored] : instances_) end_log(stored, compute::engine_unavailable());
}

void FakeEngine::publish_image(const std::string& reference) {
  const std::lock_guard lock(mutex_);
  registry_.insert(reference);
}

void FakeEngine::want_login(const std::string& registry, const std::string& username, const std::string& password) {
  const std::lock_guard lock(mutex_);
  logins_[registry] = {username, password};
}

void FakeEngine::break_image(const std::string& reference) {
  const std::lock_guard lock(mutex_);
  broken_images_.insert(reference);
}

bool FakeEngine::create_outside(const std::string& name, const std::string& image, compute::ContainerSettings settings,
                                bool start, const std::string& owner) {
  const std::lock_guard lock(mutex_);
  if (find(name) != nullptr) return false;
  Stored& stored = add(name);
  stored.instance.image = image;
  stored.instance.owner = owner;
  make_container(stored, settings);
  if (start) set_running(stored);
  report_changed(name);
  return true;
}

std::optional<std::string> FakeEngine::read_file(const std::string& name, const std::string& path) {
  const std::lock_guard lock(mutex_);
  Stored* stored = find(name);
  if (stored == nullptr) return std::nullopt;
  const auto [files, inside] = locate(*stored, path);
  const auto at = files->find(inside);
  return at == files->end() ? std::nullopt : std::optional(at->second);
}

bool FakeEngine::write_file(const std::string& name, const std::string& path, const std::string& content) {
  const std::lock_guard lock(mutex_);
  Stored* stored = find(name);
  if (stored == nullptr) return false;
  const auto [files, inside] = locate(*stored, path);
  (*files)[inside] = content;
  return true;
}

bool FakeEngine::write_log(const std::string& name, const std::string& text) {
  const std::lock_guard lock(mutex_);
  Stored* stored = find(name);
  if (stored == nullptr) return false;
  const Timestamp now = system_clock().now();
  stored->log.write(now, text);
  for (const auto& feed : stored->followers) feed->write(now, text);
  return true;
}

void FakeEngine::set_capacity(const compute::EngineCapacity& capacity) {
  const std::lock_guard lock(mutex_);
  capacity_ = capacity;
}

std::size_t FakeEngine::running() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(
      std::ranges::count_if(instances_, [](const auto& one) { return one.second.instance.status == Status::running; }));
}

Result<compute::ContainerDetail> FakeEngine::inspect(const std::string& name, Deadline deadline) {
  BERTH_CHECK(faults_.enter("inspect", name, deadline));
  const std::lock_guard lock(mutex_);
  const Stored* stored = BERTH_TRY(need(name));
  compute::ContainerDetail detail;
  detail.id = stored->instance.engine_id;
  detail.image = stored->instance.image;
  detail.image_id = stored->instance.image;
  detail.settings = stored->settings;
  if (stored->instance.status == Status::stopped) detail.exit_code = stored->exit_code;
  return detail;
}

Result<void> FakeEngine::set_restart_policy(const std::string& name, compute::RestartPolicy policy, Deadline deadline) {
  BERTH_CHECK(faults_.enter("set_restart_policy", name, deadline));
  const std::lock_guard lock(mutex_);
  Stored* stored = BERTH_TRY(need(name));
  stored->settings.restart_policy = policy;
  return {};
}

Result<void> FakeEngine::pause(const std::string& name, Deadline deadline) {
  BERTH_CHECK(faults_.enter("pause", name, deadline));
  const std::lock_guard lock(mutex_);
  Stored* stored = BERTH_TRY(need(name));
  if (stored->instance.status == Status::frozen) return {};
  if (stored->instance.status != Status::running) return wrong_state(name);
  stored->instance.status = Status::frozen;
  stored->instance.engine_status = "Paused";
  report_changed(name);
  return {};
}

Result<void> FakeEngine::resume(const std::string& name, Deadline deadline) {
  BERTH_CHECK(faults_.enter("resume", name, deadline));
  const std::lock_guard lock(mutex_);
  Stored* stored = BERTH_TRY(need(name));
  if (stored->instance.status == Status::running) return {};
  if (stored->instance.status != Status::frozen) return wrong_state(name);
  stored->instance.status = Status::running;
  stored->instance.engine_status = "Running";
  report_changed(name);
  return {};
}

Result<bool> FakeEngine::has_image(const std::string& reference, Deadline deadline) {
  BERTH_CHECK(faults_.enter("has_image", {}, deadline));
  const std::lock_guard lock(mutex_);
  return knows_image(reference);
}

Result<void> FakeEngine::pull(const std::string& reference,
                              const std::optional<compute::RegistryCredentials>& credentials,
                              const EngineProgress& progress, Deadline deadline) {
  BERTH_CHECK(faults_.enter("pull", {}, deadline));
  {
    const std::lock_guard lock(mutex_);
    const auto login = logins_.find(compute::registry_of(reference));
    const bool denied = login != logins_.end() && (!credentials || credentials->username != login->second.first ||
                                                   !credentials->password.matches(login->second.second));
    if (denied) {
      return Error(ErrorCode::permission_denied, "registry.denied", {"镜像仓库拒绝访问", "The registry denies access"})
          .with_detail("unauthorized: authentication required");
    }
    if (!knows_image(reference) && !registry_.contains(reference)) {
      return Error(ErrorCode::not_found, "image.not_found",
                   {fmt::format("镜像 {} 不存在", reference), fmt::format("Image {} does not exist", reference)})
          .with_detail(fmt::format("manifest for {} not found: manifest unknown", reference));
    }
  }
  BERTH_CHECK(work(progress, "pulling", deadline));
  {
    const std::lock_guard lock(mutex_);
    if (knows_image(reference)) return {};
  }
  add_image(reference);
  return {};
}

Result<std::string> FakeEngine::read_log(const std::string& name, const compute::LogQuery& query, Deadline deadline) {
  BERTH_CHECK(faults_.enter("read_log", name, deadline));
  const std::lock_guard lock(mutex_);
  return BERTH_TRY(need(name))->log.read(query);
}

Result<std::unique_ptr<compute::LogFollowing>> FakeEngine::follow_log(const std::string& name,
                                                                      const compute::LogQuery& query,
                                                                      std::shared_ptr<LogReader> reader,
                                                                      Deadline deadline) {
  BERTH_CHECK(faults_.enter("follow_log", name, deadline));
  const std::lock_guard lock(mutex_);
  Stored* stored = BERTH_TRY(need(name));
  auto feed = std::make_shared<LogFeed>(query, std::move(reader), terminals_dispatcher_);
  feed->write_as_shown(stored->log.read(query));
  if (stored->instance.status == Status::stopped) {
    feed->end({});
  } else {
    stored->followers.push_back(feed);
  }
  return std::unique_ptr<compute::LogFollowing>(
      std::make_unique<Following>(*this, stored->instance.engine_id, std::move(feed)));
}

Result<void> FakeEngine::save_path(const std::string& name, const std::string& path, const std::string& file,
                                   const EngineProgress& progress, Deadline deadline) {
  BERTH_CHECK(faults_.enter("save_path", name, deadline));
  BERTH_CHECK(work(progress, "saving", deadline));
  const std::lock_guard lock(mutex_);
  Stored* stored = BERTH_TRY(need(name));
  const auto [files, inside] = locate(*stored, path);
  // As with Docker, names in the archive begin with the last part of the path.
  Files saved;
  for (const auto& [one, content] : *files) {
    if (!is_below(one, inside)) continue;
    saved[last_part(path) + (inside == "/" ? one : one.substr(inside.size()))] = content;
  }
  const bool is_mount = files != &stored->files;
  if (saved.empty() && !is_mount) return no_path(path);
  return write_archive(file, saved);
}

Result<void> FakeEngine::load_path(const std::string& name, const std::string& path, const std::string& file,
                                   const EngineProgress& progress, Deadline deadline) {
  BERTH_CHECK(faults_.enter("load_path", name, deadline));
  BERTH_CHECK(work(progress, "loading", deadline));
  const auto loaded = BERTH_TRY(read_archive(file));
  {
    const std::lock_guard lock(mutex_);
    Stored* stored = BERTH_TRY(need(name));
    for (const auto& [one, content] : loaded) {
      const std::string whole = (path == "/" ? "" : path) + (one.starts_with('/') ? one : "/" + one);
      const auto [files, inside] = locate(*stored, whole);
      (*files)[inside] = content;
    }
  }
  return faults_.leave("load_path", name);
}

Result<void> FakeEngine::save_root(const std::string& name, const std::string& file, const EngineProgress& progress,
                                   Deadline deadline) {
  BERTH_CHECK(faults_.enter("save_root", name, deadline));
  BERTH_CHECK(work(progress, "saving", deadline));
  const std::lock_guard lock(mutex_);
  return write_archive(file, BERTH_TRY(need(name))->files);
}

Result<void> FakeEngine::import_root(const std::string& file, const std::string& reference,
                                     const EngineProgress& progress, Deadline deadline) {
  BERTH_CHECK(faults_.enter("import_root", {}, deadline));
  BERTH_CHECK(work(progress, "importing", deadline));
  auto files = BERTH_TRY(read_archive(file));
  bool known = false;
  {
    const std::lock_guard lock(mutex_);
    image_files_[reference] = std::move(files);
    known = knows_image(reference);
  }
  if (!known) add_image(reference);
  return {};
}

Result<std::vector<compute::Volume>> FakeEngine::list_volumes(Deadline deadline) {
  BERTH_CHECK(faults_.enter("list_volumes", {}, deadline));
  const std::lock_guard lock(mutex_);
  std::vector<compute::Volume> all;
  for (const auto& [name, volume] : volumes_) all.push_back(volume.about);
  return all;
}

Result<void> FakeEngine::create_volume(const std::string& name, Deadline deadline) {
  BERTH_CHECK(faults_.enter("create_volume", name, deadline));
  {
    const std::lock_guard lock(mutex_);
    volumes_[name].about.name = name;
  }
  return faults_.leave("create_volume", name);
}

Result<void> FakeEngine::remove_volume(const std::string& name, Deadline deadline) {
  BERTH_CHECK(faults_.enter("remove_volume", name, deadline));
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [container, stored] : instances_) {
      for (const auto& mount : stored.settings.mounts) {
        if (mount.source != name) continue;
        return Error(ErrorCode::conflict, "volume.in_use",
                     {fmt::format("卷 {} 正被容器 {} 使用", name, container),
                      fmt::format("Volume {} is in use by container {}", name, container)});
      }
    }
    volumes_.erase(name);
  }
  return faults_.leave("remove_volume", name);
}

Result<std::vector<compute::ContainerNetwork>> FakeEngine::list_networks(Deadline deadline) {
  BERTH_CHECK(faults_.enter("list_networks", {}, deadline));
  const std::lock_guard lock(mutex_);
  std::vector<compute::ContainerNetwork> all;
  for (const char* name : kOwnNetworks) all.push_back({.name = name, .driver = name, .built_in = true});
  for (const auto& name : networks_) all.push_back({.name = name, .driver = "bridge"});
  return all;
}

Result<void> FakeEngine::create_network(const std::string& name, Deadline deadline) {
  BERTH_CHECK(faults_.enter("create_network", name, deadline));
  const std::lock_guard lock(mutex_);
  if (!is_own_network(name)) networks_.insert(name);
  return {};
}

Result<void> FakeEngine::remove_network(const std::string& name, Deadline deadline) {
  BERTH_CHECK(faults_.enter("remove_network", name, deadline));
  const std::lock_guard lock(mutex_);
  if (is_own_network(name)) {
    return Error(ErrorCode::conflict, "network.built_in",
                 {"引擎自带的网络不能删除", "A network of the engine's own cannot be removed"});
  }
  for (const auto& [container, stored] : instances_) {
    if (stored.instance.status == Status::stopped) continue;
    if (std::ranges::find(stored.settings.networks, name) == stored.settings.networks.end()) continue;
    return Error(ErrorCode::conflict, "network.in_use",
                 {fmt::format("网络 {} 正被容器 {} 使用", name, container),
                  fmt::format("Network {} is in use by container {}", name, container)});
  }
  networks_.erase(name);
  return {};
}

Result<compute::EngineCapacity> FakeEngine::capacity(Deadline deadline) {
  BERTH_CHECK(faults_.enter("capacity", {}, deadline));
  const std::lock_guard lock(mutex_);
  if (capacity_) return *capacity_;
  compute::EngineCapacity capacity;
  capacity.cpus = settings_.host_cores;
  capacity.memory_bytes = settings_.memory_bytes;
  capacity.disk_bytes = 1ULL << 40U;
  capacity.disk_free_bytes = 1ULL << 39U;
  capacity.clock = system_clock().now();
  return capacity;
}

}  // namespace berth::drivers::fake
