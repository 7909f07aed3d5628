#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "audit/audit_log.h"
#include "drivers/fake/fake_engine.h"
#include "eventually.h"
#include "fleet/containers.h"
#include "fleet/high_availability.h"
#include "fleet/lease_book.h"
#include "fleet/registries.h"
#include "fleet/server_registry.h"
#include "fleet/server_resources.h"
#include "temporary_folder.h"

namespace berth::fleet {

/// An engine that outlives whoever works with it, as a real one does.
class BorrowedEngine final : public compute::InstanceEngine {
 public:
  explicit BorrowedEngine(drivers::fake::FakeEngine& engine) : engine_(engine) {}
  Result<void> check_name(std::string_view name) const override { return engine_.check_name(name); }
  Result<compute::EngineInfo> info(Deadline deadline) override { return engine_.info(deadline); }
  Result<std::vector<compute::Instance>> list(Deadline deadline) override { return engine_.list(deadline); }
  Result<compute::Instance> get(const std::string& name, Deadline deadline) override {
    return engine_.get(name, deadline);
  }
  Result<void> create(const compute::NewInstance& instance, const compute::EngineProgress& progress,
                      Deadline deadline) override {
    return engine_.create(instance, progress, deadline);
  }
  Result<void> start(const std::string& name, const compute::EngineProgress& progress, Deadline deadline) override {
    return engine_.start(name, progress, deadline);
  }
  Result<void> stop(const std::string& name, std::chrono::seconds grace, const compute::EngineProgress& progress,
                    Deadline deadline) override {
    return engine_.stop(name, grace, progress, deadline);
  }
  Result<void> restart(const std::string& name, std::chrono::seconds grace, const compute::EngineProgress& progress,
                       Deadline deadline) override {
    return engine_.restart(name, grace, progress, deadline);
  }
  Result<void> remove(const std::string& name, const compute::EngineProgress& progress, Deadline deadline) override {
    return engine_.remove(name, progress, deadline);
  }
  Result<void> rename(const std::string& name, const std::string& new_name, Deadline deadline) override {
    return engine_.rename(name, new_name, deadline);
  }
  Result<void> update(const std::string& name, const compute::InstanceChange& change, Deadline deadline) override {
    return engine_.update(name, change, deadline);
  }
  std::unique_ptr<compute::EngineWatch> watch(compute::EngineWatcher& watcher) override {
    return engine_.watch(watcher);
  }
  Result<bool> still_working(const std::string& handle, Deadline deadline) override {
    return engine_.still_working(handle, deadline);
  }
  compute::ImageAbility* images() override { return engine_.images(); }
  compute::TerminalAbility* terminals() override { return engine_.terminals(); }
  compute::ContainerAbility* containers() override { return engine_.containers(); }
  compute::RegistryAbility* registry() override { return engine_.registry(); }
  compute::LogAbility* logs() override { return engine_.logs(); }
  compute::ArchiveAbility* archives() override { return engine_.archives(); }
  compute::VolumeAbility* volumes() override { return engine_.volumes(); }
  compute::NetworkAbility* networks() override { return engine_.networks(); }
  compute::CapacityAbility* capacities() override { return engine_.capacities(); }

 private:
  drivers::fake::FakeEngine& engine_;
};

/// A store that can lose its power, and that tells of each write before it begins.
class PoweredDatabase final : public store::Database {
 public:
  explicit PoweredDatabase(store::Database& inner) : inner_(inner) {}

  std::atomic<bool> off{false};

  void on_write(std::function<void()> action) {
    const std::lock_guard lock(mutex_);
    on_write_ = std::move(action);
  }

  store::Dialect dialect() const override { return inner_.dialect(); }
  Result<int> schema_version() override { return inner_.schema_version(); }
  Result<int> migrate() override { return inner_.migrate(); }
  Result<void> backup_to(const std::filesystem::path& target) override { return inner_.backup_to(target); }
  Result<void> notify(store::Transaction& transaction, std::string_view channel, std::string_view payload) override {
    return inner_.notify(transaction, channel, payload);
  }
  void listen(Listener listener) override { inner_.listen(std::move(listener)); }

 protected:
  Result<void> run_read(const Body& body) override { return inner_.read(body); }
  Result<void> run_write(const Body& body) override {
    std::function<void()> action;
    {
      const std::lock_guard lock(mutex_);
      action = on_write_;
    }
    if (action) action();
    if (off) return Error(ErrorCode::unavailable, "store.unavailable", {"存储不可用", "The store is not available"});
    return inner_.write(body);
  }

 private:
  store::Database& inner_;
  std::mutex mutex_;
  std::function<void()> on_write_;
};

/// Grants by hand.
class TestAccess final : public AccessPolicy {
 public:
  bool allows(UserId user, ContainerId container, Right right) const override {
    return granted.contains({user, container, right});
  }
  std::uint64_t epoch() const override { return 1; }

  std::set<std::tuple<UserId, ContainerId, Right>> granted;
};

/// The fleet over fake engines, with a real store under it; can lose its power and come back.
class FleetFixture : public ::testing::Test {
 protected:
  using FakeEngine = drivers::fake::FakeEngine;

  FleetFixture() {
    store::Database::Settings place;
    place.file = folder_.path() / "store.db";
    database_ = take(store::Database::open(place, metrics_));
    take(database_->migrate());
    store_ = std::make_unique<PoweredDatabase>(*database_);
    audit_ = std::make_unique<audit::AuditLog>(*store_, Secret(std::string(32, 'k')), system_clock());
    registries_ = std::make_unique<Registries>(Registries::Parts{*store_, *audit_, sealing_, system_clock()});
    add_user(2, "alice");
    add_user(3, "bob");
  }

  ~FleetFixture() override { end(); }

  /// A server to be, with a fake engine at "fake://<name>".
  FakeEngine& engine(const std::string& name, FakeEngine::Settings settings = {}) {
    auto& engine = engines_["fake://" + name];
    if (!engine) {
      settings.containers = true;
      engine = std::make_unique<FakeEngine>(settings);
    }
    return *engine;
  }

  static NewServer server_wish(const std::string& name) {
    NewServer wish;
    wish.name = name;
    wish.address.url = "fake://" + name;
    return wish;
  }

  /// Adds servers and waits until each has been read and measured.
  void begin(const std::vector<std::string>& servers = {"one"}) {
    for (const auto& name : servers) engine(name);
    start_parts();
    for (const auto& name : servers) take(registry_->add(server_wish(name), TestFirst::yes, admin().origin));
    wait_for_servers();
  }

  void start_parts() {
    using std::chrono::milliseconds;
    operations_ = take(operations::OperationService::create(
        *store_, *audit_, metrics_, system_clock(),
        {milliseconds(20), milliseconds(5), milliseconds(40), milliseconds(10), milliseconds(100)}));
    registry_ = take(ServerRegistry::create(
        registry_settings_, {*store_, *audit_, sealing_, *operations_, metrics_, system_clock()},
        [this](const Server& server) -> Result<std::unique_ptr<compute::InstanceEngine>> {
          keys_seen_[server.name] = std::string(server.address.key.reveal());
          const auto found = engines_.find(server.address.url);
          if (found == engines_.end()) return compute::engine_unavailable();
          return std::unique_ptr<compute::InstanceEngine>(std::make_unique<BorrowedEngine>(*found->second));
        }));
    settings_.archives = folder_.path() / "archives";
    containers_ = take(Containers::create(settings_, {.servers = *registry_,
                                                      .database = *store_,
                                                      .sealing = sealing_,
                                                      .operations = *operations_,
                                                      .access = access_,
                                                      .clock = system_clock(),
                                                      .credentials = credentials()}));
    resource_settings_.staging = folder_.path() / "imports";
    resources_ =
        take(ServerResources::create(resource_settings_, {*registry_, *containers_, *operations_, credentials()}));
    registry_->start();
  }

  /// The book of leases over this store and these servers.
  Result<std::unique_ptr<LeaseBook>> open_leases(const LeaseTerms& terms, const Clock& clock = system_clock()) {
    return LeaseBook::create(terms, {*store_, *audit_, clock, lease_surroundings(*registry_, *containers_)});
  }
  CredentialSource credentials() {
    return [this](const std::string& image) { return registries_->credentials_for(image); };
  }

  void wait_for_servers() {
    ASSERT_TRUE(berth::testing::eventually([&] {
      const auto all = registry_->list();
      return std::ranges::all_of(all, [&](const ServerView& view) {
        const auto unit = registry_->unit(view.server.id);
        return unit && unit->inventory->snapshot()->health.connected && view.status.health != ServerHealth::unknown;
      });
    }));
  }

  void end() {
    if (!power_is_off_) store_->on_write({});
    for (auto& [name, engine] : engines_) {
      engine->faults().on_call({});
      engine->faults().hang(false);
    }
    // Whoever is still on its way to a ticket uses what ends here; without power that way is short.
    EXPECT_TRUE(berth::testing::eventually([&] { return !beginning_; }));
    if (operations_) operations_->drain(Deadline::after(std::chrono::milliseconds(power_is_off_ ? 400 : 15'000)));
    resources_.reset();
    containers_.reset();
    registry_.reset();
    ended_.reset();
    announced_.reset();
    operations_.reset();
  }

  /// Runs something on a thread of its own that gets a ticket, calls `begun`, and waits for the ticket.
  template <class Work>
  auto in_background(Work work) {
    beginning_ = true;
    return std::async(std::launch::async, std::move(work));
  }
  /// The ticket is there, or there will be none: from now on only that is waited for.
  void begun() { beginning_ = false; }
  /// Runs a change that returns at its end on a thread of its own. It waits for its ticket once its operation is
  /// announced; without one it is over.
  template <class Work>
  auto changing_in_background(Work work) {
    beginning_ = true;
    announced_ = operations_->changed().subscribe([this](const operations::Operation& operation) {
      if (operation.state == operations::State::running && operation.kind != "container.settle") begun();
    });
    return std::async(std::launch::async, [this, work = std::move(work)] {
      auto outcome = work();
      begun();
      return outcome;
    });
  }

  /// From now on nothing reaches the store or an engine: what runs is as good as killed.
  void cut_power() {
    power_is_off_ = true;
    store_->off = true;
    for (auto& [name, engine] : engines_) engine->faults().refuse_connections(true);
  }

  /// Cuts the power at the `nth` step (1 is the next) that changes something: a call of an engine or a write.
  void cut_power_at(int nth) {
    steps_left_ = nth;
    const auto step = [this] {
      if (--steps_left_ == 0) cut_power();
    };
    store_->on_write(step);
    for (auto& [name, engine] : engines_) {
      engine->faults().on_call([step](std::string_view call) {
        static const std::set<std::string_view> changing{
            "create",    "start",       "stop",          "rename",        "remove",
            "update",    "pull",        "pause",         "save_root",     "save_path",
            "load_path", "import_root", "create_volume", "remove_volume", "create_network"};
        if (changing.contains(call)) step();
      });
    }
  }
  bool power_went_off() const { return steps_left_ <= 0; }

  /// Throws everything away that lost its power and begins anew over what the store and the engines have.
  void come_back() {
    end();
    power_is_off_ = false;
    store_->on_write({});
    store_->off = false;
    for (auto& [name, engine] : engines_) engine->faults().refuse_connections(false);
    start_parts();
    {
      operations::Filter running;
      running.state = operations::State::running;
      running.limit = 1000;
      const std::lock_guard lock(left_open_mutex_);
      left_open_.clear();
      for (const auto& operation : take(operations_->list(running)).operations) left_open_.insert(operation.id);
    }
    ended_ = operations_->changed().subscribe([this](const operations::Operation& operation) {
      if (operation.state == operations::State::running) return;
      const std::lock_guard lock(left_open_mutex_);
      left_open_.erase(operation.id);
    });
    take(operations_->reconcile_open());
    wait_for_servers();
  }

  /// Every operation has ended and every container has settled.
  bool settled() {
    const auto open = operations_->open_count();
    if (!open || *open != 0) return false;
    {
      // In the store an operation ends a moment before its resource is free.
      const std::lock_guard lock(left_open_mutex_);
      if (!left_open_.empty()) return false;
    }
    const auto view = containers_->view();
    return std::ranges::all_of(view->containers, [&](const ContainerPointer& one) {
      const auto row = containers_->row(one->id);
      // What is to be started at home may wait for that.
      return row && row->presence != Presence::creating &&
             (!row->pending || row->pending->kind == Pending::Kind::resume);
    });
  }

  static Deadline soon() { return Deadline::after(std::chrono::seconds(15)); }

  template <class T>
  static T take(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().describe());
    return std::move(*result);
  }
  static void take(Result<void> result) {
    if (!result) throw std::runtime_error(result.error().describe());
  }

  template <class T>
  static void expect_error(const Result<T>& result, ErrorCode code, std::string_view reason) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code(), code) << result.error().describe();
    EXPECT_EQ(result.error().reason(), reason) << result.error().describe();
  }

  static Caller admin() {
    return {UserId(), true, true, {UserId(), "admin", "192.0.2.1", "container-rental", RequestId("request-1")}};
  }
  static Caller alice() {
    return {UserId(2), false, false, {UserId(2), "alice", "192.0.2.2", "container-rental", RequestId("request-2")}};
  }
  static Caller bob() {
    return {UserId(3), false, false, {UserId(3), "bob", "192.0.2.3", "container-rental", RequestId("request-3")}};
  }
  static std::string uuid_of(int user) { return "00000000-0000-4000-8000-00000000000" + std::to_string(user); }

  void add_user(int id, const std::string& name) {
    take(database_->write([&](store::Transaction& transaction) -> Result<void> {
      BERTH_CHECK(transaction.execute(
          "INSERT INTO users (id, uuid, username, username_key, password_hash, role, created_at, updated_at) VALUES "
          "(:id, :uuid, :name, :name, '', 'user', 0, 0)",
          {{"id", id}, {"uuid", uuid_of(id)}, {"name", name}}));
      return {};
    }));
  }

  static NewContainer wish(std::string name, std::string image = FakeEngine::kImage) {
    NewContainer wish;
    wish.name = std::move(name);
    wish.image = std::move(image);
    return wish;
  }

  /// Creates and waits for the end.
  Result<ContainerId> make(const Caller& caller, const NewContainer& wish) {
    auto created = containers_->create(caller, wish);
    if (!created) return take_error(created);
    const auto ended = take(created->ticket->wait(soon()));
    if (ended.failure) return operations::to_error(*ended.failure);
    return created->id;
  }
  ContainerPointer seen(const std::string& name) { return containers_->view()->find(name); }
  bool becomes(const std::string& name, compute::Status status) {
    return berth::testing::eventually([&] {
      const auto container = seen(name);
      return container != nullptr && container->presence == Presence::present && container->status == status;
    });
  }
  bool appears(const std::string& name) {
    return berth::testing::eventually([&] { return seen(name) != nullptr; });
  }
  std::vector<std::string> names(const Caller& caller, const ContainerFilter& filter = {}) {
    std::vector<std::string> names;
    for (const auto& one : containers_->list(caller, filter).containers) names.push_back(one->name);
    return names;
  }
  /// What an engine has, by its own names.
  std::vector<std::string> on(const std::string& server) {
    std::vector<std::string> names;
    for (const auto& one : take(engine(server).list(soon()))) names.push_back(one.name);
    return names;
  }
  std::vector<std::string> audited_actions() {
    std::vector<std::string> actions;
    for (const auto& record : take(audit_->list({.limit = 1000})).records) actions.push_back(record.entry.action);
    return actions;
  }

  testing::TemporaryFolder folder_;
  metrics::Registry metrics_;
  std::unique_ptr<store::Database> database_;
  std::unique_ptr<PoweredDatabase> store_;
  std::unique_ptr<audit::AuditLog> audit_;
  identity::Sealing sealing_ = identity::Sealing::from_keys({Secret(std::string(32, 's'))});
  std::map<std::string, std::unique_ptr<FakeEngine>> engines_;
  std::map<std::string, std::string> keys_seen_;
  TestAccess access_;
  ServerRegistry::Settings registry_settings_{
      .threads = 8,
      .tick = std::chrono::milliseconds(100),
      .test_limit = std::chrono::milliseconds(2000),
      .health = {.interval = std::chrono::milliseconds(50), .limit = std::chrono::milliseconds(1000)}};
  Containers::Settings settings_{.archives = {},
                                 .quick_limit = std::chrono::seconds(5),
                                 .lifecycle_limit = std::chrono::seconds(15),
                                 .create_limit = std::chrono::seconds(15),
                                 .archive_limit = std::chrono::seconds(15),
                                 .stop_grace = std::chrono::seconds(1),
                                 .proving = std::chrono::milliseconds(30)};
  std::atomic<bool> power_is_off_{false};
  std::atomic<bool> beginning_{false};
  std::mutex left_open_mutex_;
  std::set<OperationId> left_open_;  ///< by the run before the power cut
  std::atomic<int> steps_left_{0};
  std::unique_ptr<operations::OperationService> operations_;
  Signal<const operations::Operation&>::Subscription ended_;
  Signal<const operations::Operation&>::Subscription announced_;
  std::unique_ptr<ServerRegistry> registry_;
  std::unique_ptr<Registries> registries_;
  ServerResources::Settings resource_settings_{.staging = {},
                                               .list_limit = std::chrono::milliseconds(1000),
                                               .knock = std::chrono::milliseconds(200),
                                               .quick_limit = std::chrono::seconds(5),
                                               .pull_limit = std::chrono::seconds(15)};
  std::unique_ptr<Containers> containers_;
  std::unique_ptr<ServerResources> resources_;
};

}  // namespace berth::fleet
