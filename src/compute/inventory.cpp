#include "compute/inventory.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "base/log.h"
#include "compute/inventory_model.h"
#include "compute/read_pace.h"

namespace berth::compute {
namespace {

/// Names waiting for a read of their own; beyond this one full read is cheaper than so many single ones.
constexpr std::size_t kMaximumWaiting = 32;

/// Calls the engine; a driver that throws has a bug, which must not take the inventory with it.
template <class Call>
auto guarded(Call&& call) -> std::invoke_result_t<Call> {
  try {
    return call();
  } catch (const std::exception& exception) {
    return internal_error(std::string("an engine call threw: ") + exception.what());
  }
}

/// What the metrics read; outlives the inventory, since the registry may.
struct Gauges {
  std::atomic<std::int64_t> read_at_ns{0};
  std::atomic<std::uint64_t> revision{0};
  std::atomic<std::size_t> instances{0};
  std::atomic<bool> connected{false};
};

}  // namespace

struct Inventory::Impl final : EngineWatcher {
  Impl(EngineId engine_id, InstanceEngine& instance_engine, Settings the_settings, metrics::Registry& metrics);
  ~Impl() override { stop(); }

  void start();
  void stop();
  SnapshotPointer newest() const;

  void on_event(const EngineEvent& event) override;
  void on_gap() override;

  void want_single_read(const std::string& name);
  void want_full_read();
  void follow_events();
  void follow_ticks();
  /// Yields a name that waits, going round so that a busy one does not starve the others; "" when stopping.
  std::string next_waiting();

  Result<InstancePointer> read_one(const std::string& name, Deadline deadline);
  Result<void> read_all(Deadline deadline);
  Result<std::vector<Instance>> ask_for_all(std::optional<EngineInfo>& info, Deadline deadline);
  void note_failure(const Error& error);
  /// Call with `model_mutex` held, which keeps publications in order. Null publishes nothing.
  void publish(const SnapshotPointer& next);

  const EngineId id;
  InstanceEngine& engine;
  const Settings settings;
  Signal<const SnapshotPointer&, const SnapshotPointer&> changed;

  std::mutex model_mutex;
  InventoryModel model;
  int failures = 0;

  mutable std::mutex current_mutex;
  SnapshotPointer current;

  std::mutex queue_mutex;
  std::condition_variable events_wake;
  std::condition_variable ticks_wake;
  std::set<std::string> waiting;
  std::string last_served;
  /// Instances whose own read timed out: left to the full reads until one shows them well.
  std::set<std::string> slow;
  bool full_read_wanted = false;
  bool stopping = false;

  std::shared_ptr<Gauges> gauges = std::make_shared<Gauges>();
  metrics::Histogram& full_seconds;
  metrics::Histogram& single_seconds;
  metrics::Counter& failed_reads;
  metrics::Counter& events;

  std::unique_ptr<EngineWatch> watch;
  std::thread event_thread;
  std::thread tick_thread;
};

Inventory::Impl::Impl(EngineId engine_id, InstanceEngine& instance_engine, Settings the_settings,
                      metrics::Registry& metrics)
    : id(std::move(engine_id)),
      engine(instance_engine),
      settings(the_settings),
      model(the_settings.host_cores),
      current(model.snapshot()),
      full_seconds(metrics.histogram("berth_inventory_read_seconds", "How long reads of an engine took",
                                     {{"engine", id.value()}, {"read", "full"}})),
      single_seconds(metrics.histogram("berth_inventory_read_seconds", "How long reads of an engine took",
                                       {{"engine", id.value()}, {"read", "single"}})),
      failed_reads(
          metrics.counter("berth_inventory_failed_reads_total", "Full reads that failed", {{"engine", id.value()}})),
      events(
          metrics.counter("berth_inventory_events_total", "Events received from an engine", {{"engine", id.value()}})) {
  const metrics::Labels labels{{"engine", id.value()}};
  metrics.observe("berth_inventory_age_seconds",
                  "Time since the read began that last confirmed everything: figures are no older", labels,
                  [gauges = gauges]() -> double {
                    const auto read_at = gauges->read_at_ns.load(std::memory_order_relaxed);
                    if (read_at == 0) return -1;
                    const auto now = std::chrono::steady_clock::now().time_since_epoch();
                    return static_cast<double>(std::chrono::nanoseconds(now).count() - read_at) / 1e9;
                  });
  metrics.observe("berth_inventory_revision", "Revision of the newest snapshot", labels,
                  [gauges = gauges] { return static_cast<double>(gauges->revision.load()); });
  metrics.observe("berth_inventory_instances", "Instances in the newest snapshot", labels,
                  [gauges = gauges] { return static_cast<double>(gauges->instances.load()); });
  metrics.observe("berth_inventory_connected", "1 while the engine answers", labels,
                  [gauges = gauges] { return gauges->connected.load() ? 1.0 : 0.0; });
}

void Inventory::Impl::start() {
  // Watching begins before the first read, so that nothing that happens in between is missed.
  watch = engine.watch(*this);
  event_thread = std::thread([this] { follow_events(); });
  tick_thread = std::thread([this] { follow_ticks(); });
}

void Inventory::Impl::stop() {
  {
    const std::lock_guard lock(queue_mutex);
    stopping = true;
  }
  events_wake.notify_all();
  ticks_wake.notify_all();
  watch.reset();
  if (event_thread.joinable()) event_thread.join();
  if (tick_thread.joinable()) tick_thread.join();
}

SnapshotPointer Inventory::Impl::newest() const {
  const std::lock_guard lock(current_mutex);
  return current;
}

void Inventory::Impl::on_event(const EngineEvent& event) {
  events.add();
  want_single_read(event.instance);
  if (event.kind == EngineEvent::Kind::renamed) want_single_read(event.new_name);
}

void Inventory::Impl::on_gap() {
  want_full_read();
}

void Inventory::Impl::want_single_read(const std::string& name) {
  if (name.empty()) return;
  {
    const std::lock_guard lock(queue_mutex);
    // A full read that has not begun will bring it too, and one that times out alone is left to full reads.
    if (full_read_wanted || slow.contains(name)) return;
    waiting.insert(name);
    if (waiting.size() > kMaximumWaiting) {
      waiting.clear();
      full_read_wanted = true;
    }
  }
  events_wake.notify_one();
  ticks_wake.notify_one();
}

void Inventory::Impl::want_full_read() {
  {
    const std::lock_guard lock(queue_mutex);
    full_read_wanted = true;
  }
  ticks_wake.notify_one();
}

std::string Inventory::Impl::next_waiting() {
  std::unique_lock lock(queue_mutex);
  events_wake.wait(lock, [this] { return stopping || !waiting.empty(); });
  if (stopping) return {};
  auto next = waiting.upper_bound(last_served);
  if (next == waiting.end()) next = waiting.begin();
  last_served = *next;
  waiting.erase(next);
  return last_served;
}

void Inventory::Impl::follow_events() {
  pthread_setname_np(pthread_self(), "inventory-event");
  while (true) {
    const std::string name = next_waiting();
    if (name.empty()) return;
    const auto read = read_one(name, Deadline::after(settings.get_deadline));
    if (read || read.error().code() == ErrorCode::not_found) continue;
    log::debug("compute", "{}: reading {} failed: {}", id.value(), name, read.error().describe());
    if (read.error().code() == ErrorCode::deadline_exceeded) {
      const std::lock_guard lock(queue_mutex);
      slow.insert(name);
    }
    want_full_read();
  }
}

void Inventory::Impl::follow_ticks() {
  pthread_setname_np(pthread_self(), "inventory-tick");
  ReadPace pace(settings.tick, std::chrono::steady_clock::now());
  std::unique_lock lock(queue_mutex);
  while (true) {
    while (!stopping) {
      const Instant until = full_read_wanted ? pace.earliest() : pace.next();
      if (std::chrono::steady_clock::now() >= until) break;
      ticks_wake.wait_until(lock, until);
    }
    if (stopping) return;
    full_read_wanted = false;
    lock.unlock();
    const Instant begin = std::chrono::steady_clock::now();
    const bool answered = read_all(Deadline::after(settings.read_deadline)).has_value();
    const Instant end = std::chrono::steady_clock::now();
    answered ? pace.succeeded(begin, end) : pace.failed(begin, end);
    lock.lock();
  }
}

Result<InstancePointer> Inventory::Impl::read_one(const std::string& name, Deadline deadline) {
  InventoryModel::Mark mark = 0;
  {
    const std::lock_guard lock(model_mutex);
    mark = model.begin_read();
  }
  const Instant begin = std::chrono::steady_clock::now();
  Result<Instance> read = guarded([&] { return engine.get(name, deadline); });
  single_seconds.observe(std::chrono::steady_clock::now() - begin);
  const std::lock_guard lock(model_mutex);
  if (!read) {
    if (read.error().code() == ErrorCode::not_found) {
      publish(model.apply_missing(mark, name));
    } else {
      model.abandon(mark);
    }
    return take_error(read);
  }
  if (read->measured == Instant{}) read->measured = std::chrono::steady_clock::now();
  const std::string found = read->name;
  auto answer = std::make_shared<const Instance>(*read);
  publish(model.apply_one(mark, std::move(*read)));
  // The published one also has its CPU use; where something newer is known, that is the better answer.
  auto known = model.snapshot()->find(found);
  return known != nullptr ? known : InstancePointer(std::move(answer));
}

Result<std::vector<Instance>> Inventory::Impl::ask_for_all(std::optional<EngineInfo>& info, Deadline deadline) {
  if (!info) info = BERTH_TRY(guarded([&] { return engine.info(deadline); }));
  return guarded([&] { return engine.list(deadline); });
}

Result<void> Inventory::Impl::read_all(Deadline deadline) {
  InventoryModel::Mark mark = 0;
  std::optional<EngineInfo> info;
  {
    const std::lock_guard lock(model_mutex);
    mark = model.begin_read();
    const EngineHealth& health = model.snapshot()->health;
    // An engine that comes back may be another version.
    if (health.connected) info = health.info;
  }
  const Instant begin = std::chrono::steady_clock::now();
  auto read = ask_for_all(info, deadline);
  const Instant now = std::chrono::steady_clock::now();
  if (!read) {
    failed_reads.add();
    const std::lock_guard lock(model_mutex);
    model.abandon(mark);
    note_failure(read.error());
    return take_error(read);
  }
  full_seconds.observe(now - begin);
  std::set<std::string> unresponsive;
  for (Instance& instance : *read) {
    if (instance.measured == Instant{}) instance.measured = now;
    if (instance.status == Status::unresponsive) unresponsive.insert(instance.name);
  }
  {
    const std::lock_guard lock(queue_mutex);
    std::erase_if(slow, [&](const std::string& name) { return !unresponsive.contains(name); });
  }
  const std::lock_guard lock(model_mutex);
  if (!model.snapshot()->health.connected) {
    log::info("compute", "{}: the engine answers: {} {}, {} instances", id.value(), info->product, info->version,
              read->size());
  }
  failures = 0;
  publish(model.apply_all(mark, std::move(*read), std::move(*info), system_clock().now()));
  return {};
}

void Inventory::Impl::note_failure(const Error& error) {
  if (++failures < settings.failures_until_disconnected) return;
  if (model.snapshot()->health.connected || failures == 1) {
    log::warning("compute", "{}: the engine does not answer: {}", id.value(), error.describe());
  }
  publish(model.disconnect(error));
}

void Inventory::Impl::publish(const SnapshotPointer& next) {
  if (next == nullptr) return;
  gauges->read_at_ns = std::chrono::nanoseconds(next->read_at.time_since_epoch()).count();
  gauges->revision = next->revision;
  gauges->instances = next->instances.size();
  gauges->connected = next->health.connected;
  SnapshotPointer before = next;
  {
    const std::lock_guard lock(current_mutex);
    std::swap(current, before);
  }
  changed.emit(before, next);
}

Inventory::Inventory(EngineId id, InstanceEngine& engine, Settings settings, metrics::Registry& metrics)
    : impl_(std::make_unique<Impl>(std::move(id), engine, settings, metrics)) {}

Inventory::~Inventory() = default;

void Inventory::start() {
  impl_->start();
}
void Inventory::stop() {
  impl_->stop();
}
SnapshotPointer Inventory::snapshot() const {
  return impl_->newest();
}

void Inventory::refresh(const std::string& name, Deadline deadline) {
  const auto read = reread(name, deadline);
  if (!read && read.error().code() != ErrorCode::not_found) impl_->want_single_read(name);
}

Result<InstancePointer> Inventory::reread(const std::string& name, Deadline deadline) {
  return impl_->read_one(name, deadline);
}

Result<void> Inventory::refresh_all(Deadline deadline) {
  return impl_->read_all(deadline);
}

Signal<const SnapshotPointer&, const SnapshotPointer&>& Inventory::changed() {
  return impl_->changed;
}

}  // namespace berth::compute
