#include "drivers/fake/fake_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/encoding.h"

namespace berth::drivers::fake {

using compute::EngineEvent;
using compute::EngineProgress;
using compute::Instance;
using compute::Status;

namespace {

constexpr std::uint64_t kMebibyte = 1ULL << 20;
constexpr std::size_t kIdBytes = 32;

Error exists(const std::string& name) {
  return Error(ErrorCode::already_exists, "instance.exists",
               {fmt::format("实例 {} 已存在", name), fmt::format("Instance {} already exists", name)});
}

Error wrong_state(const std::string& name) {
  return Error(ErrorCode::conflict, "instance.state",
               {fmt::format("实例 {} 的当前状态不允许此操作", name),
                fmt::format("Instance {} is not in a state that allows this", name)});
}

}  // namespace

/// Keeps a handle known as work while it lives.
class FakeEngine::Work {
 public:
  Work(FakeEngine& engine, std::string handle) : engine_(engine), handle_(std::move(handle)) {}
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;
  ~Work() { engine_.keep_working(handle_, false); }

 private:
  FakeEngine& engine_;
  std::string handle_;
};

FakeEngine::FakeEngine(Settings settings) : settings_(settings) {
  for (std::size_t i = 1; i <= settings_.instances; ++i) {
    const std::string name = fmt::format("inst-{:05}", i);
    Stored& stored = add(name);
    stored.instance.description =
        fmt::format("{} {} secret{} {} {}", name, 1024 + i % 60'000, i, 2000 + i % 60'000, 2025 + i % 60'000);
    if (i % 10 != 0) set_running(stored);
  }
  add_image(kImage);
  faults_.delay(settings_.latency);
  faults_.on_connectable([this] { report_gap(); });
}

FakeEngine::~FakeEngine() {
  events_dispatcher_.stop();
  terminals_dispatcher_->stop();
}

FakeEngine::Stored& FakeEngine::add(const std::string& name) {
  Stored& stored = instances_[name];
  stored.number = ++last_number_;
  Instance& instance = stored.instance;
  instance.name = name;
  instance.engine_status = "Stopped";
  instance.architecture = "x86_64";
  instance.created_at = system_clock().now();
  instance.image = kImage;
  if (settings_.containers) {
    instance.engine_id = to_hex(random_bytes(kIdBytes));
    return stored;
  }
  instance.limits.memory_bytes = 512 * kMebibyte;
  instance.limits.disk_bytes = 10240 * kMebibyte;
  return stored;
}

FakeEngine::Stored* FakeEngine::find(const std::string& name) {
  if (const auto at = instances_.find(name); at != instances_.end()) return &at->second;
  // As with Docker an id does wherever a name does.
  if (!compute::is_container_id(name)) return nullptr;
  const auto by_id = std::ranges::find(instances_, name, [](const auto& one) { return one.second.instance.engine_id; });
  return by_id == instances_.end() ? nullptr : &by_id->second;
}

Result<FakeEngine::Stored*> FakeEngine::need(const std::string& name) {
  if (Stored* stored = find(name)) return stored;
  return compute::instance_not_found(name);
}

Result<FakeEngine::Stored*> FakeEngine::need_running(const std::string& name) {
  Stored* stored = BERTH_TRY(need(name));
  if (stored->instance.status != Status::running) return wrong_state(name);
  return stored;
}

void FakeEngine::set_running(Stored& stored) {
  if (stored.instance.status == Status::running) return;
  if (broken_images_.contains(stored.instance.image)) {
    stored.exit_code = 1;
    return;
  }
  stored.instance.status = Status::running;
  stored.instance.engine_status = "Running";
  stored.instance.ipv4 =
      fmt::format("10.{}.{}.{}", stored.number >> 16 & 255, stored.number >> 8 & 255, stored.number & 255);
  stored.instance.ipv6 = fmt::format("fd42::{:x}", stored.number);
  stored.running_since = std::chrono::steady_clock::now();
  stored.stopped_by_hand = false;
}

void FakeEngine::set_stopped(Stored& stored) {
  stored.instance.status = Status::stopped;
  stored.instance.engine_status = "Stopped";
  stored.instance.ipv4.reset();
  stored.instance.ipv6.reset();
  stored.instance.counters = {};
  stored.exit_code = 0;
  end_log(stored);
  for (const auto& terminal : std::exchange(stored.terminals, {})) {
    if (const auto open = terminal.lock()) open->close();
  }
}

Instance FakeEngine::read(const Stored& stored) const {
  Instance instance = stored.instance;
  instance.snapshots = static_cast<std::uint32_t>(stored.snapshots.size());
  instance.measured = std::chrono::steady_clock::now();
  if (faults_.instance_hangs(instance.name)) {
    instance.status = Status::unresponsive;
    instance.counters = {};
    return instance;
  }
  if (instance.status == Status::running && settings_.moving_counters) {
    const auto age =
        static_cast<std::uint64_t>(std::chrono::nanoseconds(instance.measured - stored.running_since).count());
    const std::uint64_t share = 1 + stored.number * 7 % 90;  // percent of one core
    instance.counters.cpu_ns += age / 100 * share;
    instance.counters.memory_bytes += (64 + (stored.number + age / 1'000'000'000) % 256) * kMebibyte;
    instance.counters.disk_bytes += (200 + stored.number % 1000) * kMebibyte;
    instance.counters.network_received_bytes += age / 1000 * share;
    instance.counters.network_sent_bytes += age / 2000 * share;
  }
  return instance;
}

void FakeEngine::report(EngineEvent event) {
  if (!events_connected_ || faults_.events_get_lost()) return;
  events_dispatcher_.post([this, event = std::move(event)] {
    const std::lock_guard lock(watchers_mutex_);
    for (const auto& [key, watcher] : watchers_) watcher->on_event(event);
  });
}

void FakeEngine::report_gap() {
  events_dispatcher_.post([this] {
    const std::lock_guard lock(watchers_mutex_);
    for (const auto& [key, watcher] : watchers_) watcher->on_gap();
  });
}

Result<void> FakeEngine::work(const EngineProgress& progress, const char* stage, Deadline deadline) {
  std::string handle;
  {
    const std::lock_guard lock(mutex_);
    handle = fmt::format("fake-work-{}", ++last_handle_);
    working_.insert(handle);
  }
  const Work working(*this, handle);
  BERTH_CHECK(progress.adopt(handle));
  progress.report(0, stage);
  BERTH_CHECK(faults_.spend(settings_.work_time / 2, deadline, progress.cancelled));
  progress.report(50, stage);
  return faults_.spend(settings_.work_time - settings_.work_time / 2, deadline, progress.cancelled);
}

Result<void> FakeEngine::check_name(std::string_view name) const {
  return settings_.containers ? compute::check_container_name(name) : compute::check_instance_name(name);
}

Result<compute::EngineInfo> FakeEngine::info(Deadline deadline) {
  BERTH_CHECK(faults_.enter("info", {}, deadline));
  return compute::EngineInfo{"Fake",
                             "1.0",
                             "localhost",
                             static_cast<double>(settings_.host_cores),
                             {.snapshots = !settings_.containers,
                              .images = true,
                              .exec = true,
                              .console = true,
                              .limits = true,
                              .rename = true,
                              .events = true,
                              .descriptions = true}};
}

Result<std::vector<Instance>> FakeEngine::list(Deadline deadline) {
  BERTH_CHECK(faults_.enter("list", {}, deadline));
  const std::lock_guard lock(mutex_);
  std::vector<Instance> instances;
  instances.reserve(instances_.size());
  for (const auto& [name, stored] : instances_) instances.push_back(read(stored));
  return instances;
}

Result<Instance> FakeEngine::get(const std::string& name, Deadline deadline) {
  BERTH_CHECK(faults_.enter("get", name, deadline));
  const std::lock_guard lock(mutex_);
  return read(*BERTH_TRY(need(name)));
}

Result<void> FakeEngine::create(const compute::NewInstance& wish, const EngineProgress& progress, Deadline deadline) {
  BERTH_CHECK(check_name(wish.name));
  if (settings_.containers && wish.container) BERTH_CHECK(compute::check_container_settings(*wish.container));
  BERTH_CHECK(faults_.enter("create", wish.name, deadline));
  {
    const std::lock_guard lock(mutex_);
    if (find(wish.name) != nullptr) return exists(wish.name);
    if (!knows_image(wish.image)) {
      return Error(ErrorCode::not_found, "image.not_found",
                   {fmt::format("镜像 {} 不存在", wish.image), fmt::format("Image {} does not exist", wish.image)});
    }
  }
  BERTH_CHECK(work(progress, "creating", deadline));
  BERTH_CHECK(make(wish));
  return faults_.leave("create", wish.name);
}

Result<void> FakeEngine::make(const compute::NewInstance& wish) {
  const std::lock_guard lock(mutex_);
  if (find(wish.name) != nullptr) return exists(wish.name);
  Stored& stored = add(wish.name);
  stored.instance.type = wish.type;
  stored.instance.description = wish.description;
  stored.instance.limits = wish.limits;
  stored.instance.owner = wish.owner;
  stored.instance.image = wish.image;
  if (settings_.containers) {
    make_container(stored, wish.container.value_or(compute::ContainerSettings{}));
    if (wish.start) {
      if (auto free = check_ports(stored); !free) {
        instances_.erase(wish.name);
        return free;
      }
    }
  }
  if (wish.start) set_running(stored);
  report_changed(wish.name);
  return {};
}

Result<void> FakeEngine::start(const std::string& name, const EngineProgress& progress, Deadline deadline) {
  BERTH_CHECK(faults_.enter("start", name, deadline));
  {
    const std::lock_guard lock(mutex_);
    if (BERTH_TRY(need(name))->instance.status == Status::running) return {};
  }
  BERTH_CHECK(work(progress, "starting", deadline));
  {
    const std::lock_guard lock(mutex_);
    Stored* stored = BERTH_TRY(need(name));
    BERTH_CHECK(check_ports(*stored));
    set_running(*stored);
    report_changed(stored->instance.name);
  }
  return faults_.leave("start", name);
}

Result<void> FakeEngine::stop(const std::string& name, std::chrono::seconds, const EngineProgress& progress,
                              Deadline deadline) {
  BERTH_CHECK(faults_.enter("stop", name, deadline));
  {
    const std::lock_guard lock(mutex_);
    if (BERTH_TRY(need(name))->instance.status == Status::stopped) return {};
  }
  BERTH_CHECK(work(progress, "stopping", deadline));
  {
    const std::lock_guard lock(mutex_);
    Stored* stored = BERTH_TRY(need(name));
    set_stopped(*stored);
    stored->stopped_by_hand = true;
    report_changed(stored->instance.name);
  }
  return faults_.leave("stop", name);
}

Result<void> FakeEngine::restart(const std::string& name, std::chrono::seconds, const EngineProgress& progress,
                                 Deadline deadline) {
  BERTH_CHECK(faults_.enter("restart", name, deadline));
  {
    const std::lock_guard lock(mutex_);
    BERTH_CHECK(need_running(name));
  }
  BERTH_CHECK(work(progress, "restarting", deadline));
  {
    const std::lock_guard lock(mutex_);
    Stored* stored = BERTH_TRY(need(name));
    set_stopped(*stored);
    set_running(*stored);
    report_changed(stored->instance.name);
  }
  return faults_.leave("restart", name);
}

Result<void> FakeEngine::remove(const std::string& name, const EngineProgress& progress, Deadline deadline) {
  BERTH_CHECK(faults_.enter("remove", name, deadline));
  const auto check = [&]() -> Result<void> {
    const Stored* stored = find(name);
    if (stored == nullptr || stored->instance.status == Status::stopped) return {};
    return Error(ErrorCode::conflict, "instance.running",
                 {fmt::format("实例 {} 正在运行", name), fmt::format("Instance {} is running", name)});
  };
  {
    const std::lock_guard lock(mutex_);
    BERTH_CHECK(check());
    if (find(name) == nullptr) return {};
  }
  BERTH_CHECK(work(progress, "deleting", deadline));
  {
    const std::lock_guard lock(mutex_);
    BERTH_CHECK(check());
    if (Stored* stored = find(name)) end_log(*stored);
    if (instances_.erase(name) > 0) report({EngineEvent::Kind::removed, name, {}});
  }
  return faults_.leave("remove", name);
}

Result<void> FakeEngine::rename(const std::string& name, const std::string& new_name, Deadline deadline) {
  BERTH_CHECK(check_name(new_name));
  BERTH_CHECK(faults_.enter("rename", name, deadline));
  {
    const std::lock_guard lock(mutex_);
    const Stored* stored = BERTH_TRY(need(name));
    if (!settings_.containers && stored->instance.status != Status::stopped) return wrong_state(name);
    if (find(new_name) != nullptr) return exists(new_name);
  }
  if (!rename_outside(name, new_name)) return compute::instance_not_found(name);
  return faults_.leave("rename", name);
}

Result<void> FakeEngine::update(const std::string& name, const compute::InstanceChange& wanted, Deadline deadline) {
  BERTH_CHECK(faults_.enter("update", name, deadline));
  BERTH_CHECK(change(name, wanted));
  return faults_.leave("update", name);
}

Result<void> FakeEngine::change(const std::string& name, const compute::InstanceChange& change) {
  const std::lock_guard lock(mutex_);
  Instance& instance = BERTH_TRY(need(name))->instance;
  if (settings_.containers && (change.disk_bytes || change.description)) {
    return Error(ErrorCode::unsupported, "engine.unsupported",
                 {"该引擎不能修改现有容器的此项设置", "This engine cannot change that of a container that exists"});
  }
  if (change.description) instance.description = *change.description;
  if (change.cpus) instance.limits.cpus = *change.cpus;
  if (change.memory_bytes) instance.limits.memory_bytes = *change.memory_bytes;
  if (change.disk_bytes) instance.limits.disk_bytes = *change.disk_bytes;
  report_changed(name);
  return {};
}

Result<bool> FakeEngine::still_working(const std::string& handle, Deadline deadline) {
  BERTH_CHECK(faults_.enter("still_working", {}, deadline));
  const std::lock_guard lock(mutex_);
  return working_.contains(handle);
}

class FakeEngine::Watch final : public compute::EngineWatch {
 public:
  Watch(FakeEngine& engine, std::uint64_t key) : engine_(engine), key_(key) {}
  ~Watch() override {
    const std::lock_guard lock(engine_.watchers_mutex_);
    engine_.watchers_.erase(key_);
  }

 private:
  FakeEngine& engine_;
  std::uint64_t key_;
};

std::unique_ptr<compute::EngineWatch> FakeEngine::watch(compute::EngineWatcher& watcher) {
  std::uint64_t key = 0;
  {
    const std::lock_guard lock(watchers_mutex_);
    key = ++last_watcher_;
    watchers_.emplace(key, &watcher);
  }
  events_dispatcher_.post([this, key] {
    const std::lock_guard lock(watchers_mutex_);
    if (const auto at = watchers_.find(key); at != watchers_.end()) at->second->on_gap();
  });
  return std::make_unique<Watch>(*this, key);
}

}  // namespace berth::drivers::fake
