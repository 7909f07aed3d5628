#include "fleet/server_registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "fleet/container_rows.h"
#include "fleet/server_rows.h"
#include "json/write.h"

namespace berth::fleet {
namespace {

Error not_found() {
  return Error(ErrorCode::not_found, "server.not_found", {"服务器不存在", "There is no such server"});
}

Error exists(const std::string& name) {
  const Text message{fmt::format("服务器 {} 已存在", name), fmt::format("Server {} already exists", name)};
  return Error(ErrorCode::already_exists, "server.exists", message).with_field("name", message);
}

Error in_use(std::int64_t containers) {
  return Error(ErrorCode::conflict, "server.in_use",
               {fmt::format("服务器上还有 {} 个容器，请先迁移或删除它们", containers),
                fmt::format("There are {} containers on the server: move or remove them first", containers)});
}

Error is_destination(std::int64_t containers) {
  return Error(ErrorCode::conflict, "server.in_use",
               {fmt::format("有 {} 个容器正迁往该服务器，请等待迁移结束", containers),
                fmt::format("{} containers are moving to the server: wait until they have moved", containers)});
}

/// What the audit log tells of a server; no keys.
std::string details_of(const Server& server) {
  return json::to_json(std::map<std::string, std::string>{{"name", server.name},
                                                          {"url", server.address.url},
                                                          {"placement", std::string(name(server.placement))},
                                                          {"fence", std::string(name(server.fence))},
                                                          {"labels", json::to_json(server.labels)}});
}

audit::Entry entry_about(std::string action, const Server& server) {
  return {std::move(action), "server", server.name, audit::Outcome::success, details_of(server)};
}

Server server_of(const NewServer& wish) {
  Server server;
  server.name = wish.name;
  server.address = wish.address;
  server.labels = wish.labels;
  server.placement = wish.placement;
  server.fence = wish.fence;
  server.fence_command = wish.fence_command;
  return server;
}

NewServer wish_of(const Server& server) {
  return {server.name, server.address, server.labels, server.placement, server.fence, server.fence_command};
}

/// Ends what works on an engine; waits for it.
void end_unit(ServerUnit& unit) {
  unit.probe->stop();
  unit.inventory->stop();
  unit.pool->drain();
}

}  // namespace

ServerRegistry::ServerRegistry(Settings settings, const Parts& parts, EngineFactory factory)
    : settings_(std::move(settings)), parts_(parts), factory_(std::move(factory)) {}

Result<std::unique_ptr<ServerRegistry>> ServerRegistry::create(Settings settings, const Parts& parts,
                                                               EngineFactory factory) {
  std::unique_ptr<ServerRegistry> registry(new ServerRegistry(std::move(settings), parts, std::move(factory)));
  BERTH_CHECK(registry->load());
  return registry;
}

ServerRegistry::~ServerRegistry() {
  stop();
  retiring_.drain();
  for (auto& [id, entry] : entries_) {
    if (entry.unit) entry.unit->pool->drain();
  }
}

Result<void> ServerRegistry::load() {
  auto all = BERTH_TRY(parts_.database.read(
      [&](store::Transaction& transaction) { return server_rows::load(transaction, parts_.sealing); }));
  for (auto& loaded : all) {
    Entry entry;
    entry.server = std::move(loaded.server);
    if (loaded.problem) {
      entry.problem = loaded.problem->describe();
    } else if (auto unit = make_unit(entry.server)) {
      entry.unit = std::move(*unit);
    } else {
      entry.problem = unit.error().describe();
    }
    if (!entry.problem.empty()) log::error("fleet", "server {} cannot be used: {}", entry.server.name, entry.problem);
    entries_.emplace(entry.server.id, std::move(entry));
  }
  return {};
}

Result<UnitPointer> ServerRegistry::make_unit(const Server& server) {
  auto unit = std::make_shared<ServerUnit>();
  unit->id = server.id;
  unit->name = server.name;
  unit->engine_id = engine_id_of(server.id);
  unit->engine = BERTH_TRY(factory_(server));
  unit->pool = std::make_unique<WorkerPool>(
      WorkerPool::Settings{.name = fmt::format("srv-{}", server.name).substr(0, 15), .threads = settings_.threads});
  compute::Inventory::Settings reading;
  reading.tick = settings_.tick;
  // A read that is slower than the tick must not stand in the way of the next one for ever.
  reading.read_deadline = std::max(std::chrono::milliseconds(1000), settings_.tick * 4 / 5);
  unit->inventory = std::make_unique<compute::Inventory>(unit->engine_id, *unit->engine, reading, parts_.metrics);
  unit->service =
      std::make_unique<compute::InstanceService>(unit->engine_id, *unit->engine, *unit->inventory, *unit->pool,
                                                 parts_.operations, compute::InstanceService::Settings{});
  unit->probe = std::make_unique<ServerProbe>(
      *unit->engine, settings_.health, parts_.clock,
      [this, id = server.id, name = server.name](const ServerStatus& before, const ServerStatus& now) {
        log::info("fleet", "server {} is {}{}{}", name, berth::fleet::name(now.health), now.reason.empty() ? "" : ": ",
                  now.reason);
        health_changed_.emit(id, before, now);
      });
  return unit;
}

void ServerRegistry::start() {
  const std::lock_guard changing(changes_mutex_);
  std::vector<UnitPointer> waiting;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(started_, true)) return;
    for (const auto& [id, entry] : entries_) {
      if (entry.unit) waiting.push_back(entry.unit);
    }
  }
  for (const auto& unit : waiting) {
    unit->inventory->start();
    unit->probe->start();
  }
}

void ServerRegistry::stop() {
  const std::lock_guard changing(changes_mutex_);
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopped_, true)) return;
  }
  for (const auto& unit : units()) {
    unit->probe->stop();
    unit->inventory->stop();
  }
}

ServerView ServerRegistry::view_of(const Entry& entry) const {
  ServerView view{entry.server, {}};
  view.server.address.key = Secret();
  if (!entry.unit) {
    view.status.health = ServerHealth::unreachable;
    view.status.reason = entry.problem;
    return view;
  }
  view.status = entry.unit->probe->status();
  const auto snapshot = entry.unit->inventory->snapshot();
  for (const auto& instance : snapshot->instances) {
    ++view.status.containers;
    if (instance->status == compute::Status::running) ++view.status.running;
    view.status.cpus_reserved += instance->limits.cpus.value_or(0);
    view.status.memory_reserved_bytes += instance->limits.memory_bytes.value_or(0);
  }
  return view;
}

std::vector<ServerView> ServerRegistry::list() const {
  std::vector<Entry> entries;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, entry] : entries_) entries.push_back(entry);
  }
  std::ranges::sort(entries, {}, [](const Entry& entry) { return entry.server.name; });
  std::vector<ServerView> views;
  views.reserve(entries.size());
  for (const auto& entry : entries) views.push_back(view_of(entry));
  return views;
}

Result<ServerRegistry::Entry> ServerRegistry::entry(ServerId id) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return not_found();
  return found->second;
}

Result<ServerView> ServerRegistry::find(ServerId id) const {
  return view_of(BERTH_TRY(entry(id)));
}

Result<ServerView> ServerRegistry::find(const std::string& name) const {
  Entry found;
  {
    const std::lock_guard lock(mutex_);
    const auto at = std::ranges::find_if(entries_, [&](const auto& one) { return one.second.server.name == name; });
    if (at == entries_.end()) return not_found();
    found = at->second;
  }
  return view_of(found);
}

ServerHealth ServerRegistry::health() const {
  ServerHealth worst = ServerHealth::healthy;
  const auto weight = [](ServerHealth health) {
    switch (health) {
      case ServerHealth::healthy:
        return 0;
      case ServerHealth::unknown:
        return 1;
      case ServerHealth::degraded:
        return 2;
      case ServerHealth::unreachable:
        return 3;
    }
    return 3;
  };
  const std::lock_guard lock(mutex_);
  for (const auto& [id, entry] : entries_) {
    const ServerHealth health = entry.unit ? entry.unit->probe->status().health : ServerHealth::unreachable;
    if (weight(health) > weight(worst)) worst = health;
  }
  return worst;
}

Result<ServerTest> ServerRegistry::test_engine(const Server& server) {
  const auto engine = BERTH_TRY(factory_(server));
  const Deadline deadline = Deadline::after(settings_.test_limit);
  ServerTest test;
  const Instant begun = std::chrono::steady_clock::now();
  test.engine = BERTH_TRY(engine->info(deadline));
  test.latency = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun);
  if (compute::CapacityAbility* ability = engine->capacities()) {
    test.capacity = BERTH_TRY(ability->capacity(deadline));
  }
  return test;
}

Result<void> ServerRegistry::test_address(const Server& server, TestFirst test_first) {
  if (test_first == TestFirst::yes) {
    BERTH_TRY(test_engine(server));
  } else {
    BERTH_TRY(factory_(server));
  }
  return {};
}

Result<ServerTest> ServerRegistry::test(ServerId id) {
  return test_engine(BERTH_TRY(entry(id)).server);
}

Result<ServerTest> ServerRegistry::test(const NewServer& server) {
  BERTH_CHECK(server_rows::check(server));
  return test_engine(server_of(server));
}

void ServerRegistry::publish(Entry entry) {
  UnitPointer unit = entry.unit;
  UnitPointer old;
  bool fresh = false;
  bool begin = false;
  {
    const std::lock_guard lock(mutex_);
    Entry& place = entries_[entry.server.id];
    fresh = place.unit != unit;
    if (fresh) old = std::move(place.unit);
    begin = started_ && !stopped_;
    place = std::move(entry);
  }
  if (old) retire(std::move(old));
  if (!fresh || unit == nullptr) return;
  unit_added_.emit(unit);
  if (!begin) return;
  unit->inventory->start();
  unit->probe->start();
}

void ServerRegistry::retire(UnitPointer unit) {
  unit_removed_.emit(unit);
  auto ending = [unit] { end_unit(*unit); };
  if (!retiring_.submit(ending)) ending();
}

Result<ServerView> ServerRegistry::add(const NewServer& wish, TestFirst test_first, const audit::Origin& origin) {
  BERTH_CHECK(server_rows::check(wish));
  if (find(wish.name)) return exists(wish.name);
  Entry entry;
  entry.server = server_of(wish);
  entry.server.created_at = parts_.clock.now();
  BERTH_CHECK(test_address(entry.server, test_first));
  const std::lock_guard changing(changes_mutex_);
  auto id = parts_.database.write([&](store::Transaction& transaction) -> Result<ServerId> {
    const ServerId made = BERTH_TRY(server_rows::insert(transaction, entry.server, parts_.sealing));
    BERTH_CHECK(parts_.audit.append(transaction, origin, entry_about("server.add", entry.server)));
    return made;
  });
  if (!id && id.error().code() == ErrorCode::already_exists) return exists(wish.name);
  entry.server.id = BERTH_TRY(std::move(id));
  if (auto unit = make_unit(entry.server)) {
    entry.unit = std::move(*unit);
  } else {
    entry.problem = unit.error().describe();
  }
  publish(entry);
  if (test_first == TestFirst::yes && entry.unit != nullptr) {
    // It has just answered: containers can be placed on it as soon as the caller hears of it.
    entry.unit->probe->measure_now();
    if (const auto read = entry.unit->inventory->refresh_all(Deadline::after(settings_.test_limit)); !read) {
      log::warning("fleet", "{} was added, but could not be read yet: {}", wish.name, read.error().describe());
    }
  }
  return view_of(entry);
}

Result<ServerView> ServerRegistry::update(ServerId id, const ServerChange& change, TestFirst test_first,
                                          const audit::Origin& origin) {
  const std::lock_guard changing(changes_mutex_);
  Entry next = BERTH_TRY(entry(id));
  Server& server = next.server;
  if (change.address) {
    const Secret key = server.address.key;
    server.address = *change.address;
    if (server.address.key.empty()) server.address.key = key;
  }
  if (change.labels) server.labels = *change.labels;
  if (change.placement) server.placement = *change.placement;
  if (change.fence) server.fence = *change.fence;
  if (change.fence_command) server.fence_command = *change.fence_command;
  if (change.fence && *change.fence != Fence::command && !change.fence_command) server.fence_command.clear();
  BERTH_CHECK(server_rows::check(wish_of(server)));
  if (change.address) BERTH_CHECK(test_address(server, test_first));
  BERTH_CHECK(parts_.database.write([&](store::Transaction& transaction) -> Result<void> {
    if (!BERTH_TRY(server_rows::update(transaction, server, parts_.sealing, parts_.clock.now()))) return not_found();
    return parts_.audit.append(transaction, origin, entry_about("server.update", server));
  }));
  if (change.address) {
    next.problem.clear();
    next.unit = nullptr;
    if (auto unit = make_unit(server)) {
      next.unit = std::move(*unit);
    } else {
      next.problem = unit.error().describe();
    }
  }
  publish(next);
  return view_of(next);
}

Result<void> ServerRegistry::set_placement(ServerId id, Placement placement, const audit::Origin& origin) {
  const std::lock_guard changing(changes_mutex_);
  Entry next = BERTH_TRY(entry(id));
  if (next.server.placement == placement) return {};
  next.server.placement = placement;
  const std::string action = placement == Placement::open ? "server.open" : "server.drain";
  BERTH_CHECK(parts_.database.write([&](store::Transaction& transaction) -> Result<void> {
    if (!BERTH_TRY(server_rows::update(transaction, next.server, parts_.sealing, parts_.clock.now()))) {
      return not_found();
    }
    return parts_.audit.append(transaction, origin, entry_about(action, next.server));
  }));
  publish(next);
  return {};
}

Result<void> ServerRegistry::remove(ServerId id, const audit::Origin& origin) {
  const std::lock_guard changing(changes_mutex_);
  const Entry gone = BERTH_TRY(entry(id));
  BERTH_CHECK(parts_.database.write([&](store::Transaction& transaction) -> Result<void> {
    const auto rows = BERTH_TRY(transaction.query(
        "SELECT count(*) AS n FROM containers WHERE server_id = :id AND presence <> 'archived'", {{"id", id}}));
    if (const auto containers = rows.front().integer("n"); containers > 0) return in_use(containers);
    if (const auto moving = BERTH_TRY(container_rows::count_moving_to(transaction, id)); moving > 0) {
      return is_destination(moving);
    }
    // What is archived is at home nowhere from now on.
    BERTH_CHECK(transaction.execute("UPDATE containers SET server_id = NULL WHERE server_id = :id", {{"id", id}}));
    BERTH_CHECK(server_rows::remove(transaction, id));
    return parts_.audit.append(transaction, origin, entry_about("server.remove", gone.server));
  }));
  {
    const std::lock_guard lock(mutex_);
    entries_.erase(id);
  }
  if (gone.unit) retire(gone.unit);
  return {};
}

Error server_not_found(const std::string& name) {
  const Text message{fmt::format("服务器 {} 不存在", name), fmt::format("There is no server {}", name)};
  return Error(ErrorCode::not_found, "server.not_found", message).with_field("server", message);
}

EngineId engine_id_of(ServerId id) {
  return EngineId(fmt::format("server-{}", id.value()));
}

UnitPointer ServerRegistry::unit(ServerId id) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : found->second.unit;
}

std::vector<UnitPointer> ServerRegistry::units() const {
  std::vector<UnitPointer> units;
  const std::lock_guard lock(mutex_);
  for (const auto& [id, entry] : entries_) {
    if (entry.unit) units.push_back(entry.unit);
  }
  return units;
}

Result<operations::Verdict> ServerRegistry::reconcile(const operations::Operation& operation) {
  bool known = false;
  UnitPointer unit;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, entry] : entries_) {
      if (engine_id_of(id) != operation.engine) continue;
      known = true;
      unit = entry.unit;
    }
  }
  operations::Verdict verdict;
  verdict.state = operations::State::running;
  if (known && (unit == nullptr || !unit->inventory->snapshot()->health.connected)) return verdict;
  if (known) return unit->service->reconcile(operation);
  verdict.state = operations::State::failed;
  verdict.failure =
      operations::Failure{ErrorCode::unavailable,
                          "engine.removed",
                          {"服务器已被移除，结果未知", "The server was removed, so the outcome is unknown"}};
  return verdict;
}

Result<std::int64_t> ServerRegistry::reseal(store::Database& database, const identity::Sealing& sealing) {
  return database.write([&](store::Transaction& transaction) { return server_rows::reseal(transaction, sealing); });
}

}  // namespace berth::fleet
