#include "simulation/berth.h"

#include <algorithm>
#include <stdexcept>
#include <thread>
#include <utility>

namespace berth::simulation {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// As src/app has them.
constexpr seconds kMeasure{2};
constexpr seconds kRead{5};
constexpr seconds kReadAgain{1};
constexpr seconds kRentals{15};
constexpr seconds kLookAtOpen{1};

/// Longer than any work takes in real time; who needs it waits for something that never comes.
constexpr seconds kNeverQuiet{30};
constexpr milliseconds kDrain{1};

template <class T>
T take(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().describe());
  return std::move(*result);
}
void take(Result<void> result) {
  if (!result) throw std::runtime_error(result.error().describe());
}

/// One thread for each server, so that what happens depends on chance and not on threads.
fleet::ServerRegistry::Settings registry_settings() {
  fleet::ServerRegistry::Settings settings;
  settings.threads = 1;
  return settings;
}

fleet::Containers::Settings container_settings(const std::filesystem::path& archives) {
  fleet::Containers::Settings settings;
  settings.archives = archives;
  settings.proving = milliseconds(0);
  // Virtual time stands still while somebody waits.
  settings.lease_patience = 0;
  return settings;
}

}  // namespace

/// Keeps nothing: what is told to users is for other tests.
class Berth::Notices final : public rental::NoticeSender {
 public:
  Result<std::size_t> send(store::Transaction&, const rental::Notice&) override { return std::size_t{1}; }
};

Berth::Berth(std::filesystem::path folder, Machines& machines, VirtualClock& clock, Hooks hooks)
    : machines_(machines),
      clock_(clock),
      hooks_(std::move(hooks)),
      archives_(folder / "archives"),
      notices_(std::make_unique<Notices>()) {
  store::Database::Settings place;
  place.file = folder / "store.db";
  database_ = take(store::Database::open(place, metrics_));
  take(database_->migrate());
  take(database_->write([](store::Transaction& transaction) -> Result<void> {
    BERTH_CHECK(transaction.execute(
        "INSERT INTO users (id, uuid, username, username_key, password_hash, role, created_at, updated_at) VALUES "
        "(2, '00000000-0000-4000-8000-000000000002', 'alice', 'alice', '', 'user', 0, 0)"));
    return {};
  }));
  store_ = std::make_unique<fleet::PoweredDatabase>(*database_);
  audit_ = std::make_unique<audit::AuditLog>(*store_, Secret(std::string(32, 'k')), clock_);
  for (const auto& machine : machines_) {
    machine->engine().faults().judge_calls([this, server = machine.get()](std::string_view call,
                                                                          const std::string& instance,
                                                                          drivers::fake::Faults::Moment moment) {
      return hooks_.call(*server, call, instance, moment);
    });
  }
  store_->on_write([this] {
    hooks_.write();
    if (dead_) store_->off = true;
  });
}

Berth::~Berth() {
  for (const auto& machine : machines_) machine->engine().faults().judge_calls({});
  store_->on_write({});
  if (parts_ != nullptr) {
    kill();
    store_->off = true;
    tear_down();
  }
}

fleet::Caller Berth::admin() {
  return {UserId(), true, true, {UserId(), "admin", "192.0.2.1", "container-rental", RequestId("request-1")}};
}

void Berth::begin() {
  dead_ = ending_ = false;
  store_->off = false;
  parts_ = std::make_unique<Parts>();
  Parts& parts = *parts_;
  parts.operations = std::make_unique<WatchedOperations>(
      take(operations::OperationService::create(
          *store_, *audit_, parts.metrics, clock_,
          {seconds(60), milliseconds(5), milliseconds(40), milliseconds(4), seconds(600)})),
      dead_);
  parts.registry = take(fleet::ServerRegistry::create(
      registry_settings(), {*store_, *audit_, sealing_, *parts.operations, parts.metrics, clock_},
      [this](const fleet::Server& server) -> Result<std::unique_ptr<compute::InstanceEngine>> {
        for (const auto& machine : machines_) {
          if (server.address.url != "fake://" + machine->name()) continue;
          return std::unique_ptr<compute::InstanceEngine>(std::make_unique<fleet::BorrowedEngine>(machine->engine()));
        }
        return compute::engine_unavailable();
      }));
  const auto nobody = [](const std::string&) -> std::optional<compute::RegistryCredentials> { return std::nullopt; };
  parts.containers = take(fleet::Containers::create(container_settings(archives_), {.servers = *parts.registry,
                                                                                    .database = *store_,
                                                                                    .sealing = sealing_,
                                                                                    .operations = *parts.operations,
                                                                                    .access = access_,
                                                                                    .clock = clock_,
                                                                                    .credentials = nobody}));
  parts.leases = take(fleet::LeaseBook::create(
      {}, {*store_, *audit_, clock_, fleet::lease_surroundings(*parts.registry, *parts.containers)}));
  parts.containers->heed(*parts.leases);
  fleet::HighAvailability::Settings ha;
  ha.patience = milliseconds(1);
  ha.at_once = 1;
  ha.pause = [this](milliseconds time) { park(time); };
  parts.ha = std::make_unique<fleet::HighAvailability>(
      std::move(ha),
      fleet::HighAvailability::Parts{*parts.containers, *parts.registry, *parts.operations, *parts.leases});
  parts.watch = std::make_unique<fleet::FailoverWatch>(
      fleet::FailoverWatch::Settings{},
      fleet::FailoverWatch::Parts{*parts.ha, *parts.registry, *parts.leases, *parts.containers, clock_});
  rental::RentalService::Settings rentals;
  rentals.engine.workers = 0;
  rentals.engine.terms.grace = kGrace;
  rentals.engine.terms.first_retry = seconds(5);
  rentals.engine.terms.last_retry = seconds(20);
  rentals.renew_wait = milliseconds(0);
  parts.rentals = take(
      rental::RentalService::create(rentals, {*store_, *audit_, *parts.containers, *notices_, parts.metrics, clock_}));
  beats_.clear();
  if (ids_.empty()) add_servers();
  take(parts.operations->reconcile_open());
  open_looked_at_ = rentals_looked_at_ = {};
}

void Berth::add_servers() {
  for (const auto& machine : machines_) {
    fleet::NewServer wish;
    wish.name = machine->name();
    wish.address.url = "fake://" + machine->name();
    wish.fence = machine->has_agent() ? fleet::Fence::agent : fleet::Fence::none;
    const auto view = take(registry().add(wish, fleet::TestFirst::yes, admin().origin));
    ids_[machine->name()] = view.server.id;
    if (machine->has_agent()) {
      tokens_.emplace(machine->name(), take(leases().issue_token(view.server, admin().origin)));
    }
  }
}

void Berth::park(milliseconds time) {
  std::unique_lock lock(parking_mutex_);
  if (dead_ || ending_) {
    lock.unlock();
    std::this_thread::sleep_for(milliseconds(1));
    return;
  }
  const auto parked = std::make_shared<Parked>(Parked{clock_.instant() + time});
  parked_.push_back(parked);
  unparked_.wait(lock, [&] { return parked->released; });
}

void Berth::release_parked(bool all) {
  const Instant now = clock_.instant();
  std::vector<std::shared_ptr<Parked>> due;
  {
    const std::lock_guard lock(parking_mutex_);
    for (const auto& one : parked_) {
      if (all || one->until <= now) due.push_back(one);
    }
  }
  for (const auto& one : due) {
    {
      const std::lock_guard lock(parking_mutex_);
      one->released = true;
      std::erase(parked_, one);
    }
    unparked_.notify_all();
    if (!all) settle();
  }
}

bool Berth::quiet() {
  const auto& operations = *parts_->operations;
  int parked = 0;
  {
    const std::lock_guard lock(parking_mutex_);
    parked = static_cast<int>(parked_.size());
  }
  if (operations.working() != parked || (operations.waiting_for_others() > 0 && parked == 0)) return false;
  if (operations.reconciling()) return false;
  return std::ranges::all_of(parts_->registry->units(), [](const fleet::UnitPointer& unit) {
    const auto usage = unit->pool->usage();
    return usage.busy == 0 && usage.waiting == 0;
  });
}

void Berth::settle() {
  const auto deadline = std::chrono::steady_clock::now() + kNeverQuiet;
  auto pause = std::chrono::microseconds(20);
  while (true) {
    if (dead_) {
      // Nothing is told to wait any more.
      parts_->ha->stop();
      release_parked(true);
    }
    // Twice: a thread may hand over to another between two looks.
    if (quiet() && quiet()) return;
    if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("Berth never comes to rest");
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::microseconds(500));
  }
}

void Berth::tear_down() {
  parts_->ha->stop();
  ending_ = true;
  release_parked(true);
  settle();
  parts_->operations->drain(Deadline::after(kDrain));
  parts_->rentals.reset();
  parts_->watch.reset();
  parts_->ha.reset();
  parts_->containers.reset();
  parts_->leases.reset();
  parts_->registry.reset();
  parts_->operations.reset();
  parts_.reset();
}

void Berth::bury() {
  store_->off = true;
  tear_down();
}

void Berth::end_in_order(const std::function<void(milliseconds)>& wait) {
  parts_->ha->stop();
  leases().offer_standing();
  const Instant until = clock_.instant() + 2 * leases().terms().renewal;
  while (!dead_ && !leases().all_standing() && clock_.instant() < until) wait(milliseconds(250));
  if (dead_) return;
  tear_down();
}

void Berth::look_at_servers() {
  const Instant now = clock_.instant();
  for (const auto& unit : parts_->registry->units()) {
    if (dead_) return;
    Beat& beat = beats_[unit->id];
    if (now >= beat.measured + kMeasure) {
      beat.measured = now;
      unit->probe->measure_now();
    }
    const bool connected = unit->inventory->snapshot()->health.connected;
    if (dead_ || now < beat.read + (connected ? seconds(kRead) : seconds(kReadAgain))) continue;
    beat.read = now;
    (void)unit->inventory->refresh_all(Deadline::after(seconds(5)));
    settle();
  }
}

void Berth::round() {
  settle();
  if (dead_) return;
  look_at_servers();
  if (dead_) return;
  parts_->watch->tick();
  settle();
  const Instant now = clock_.instant();
  if (!dead_ && now >= open_looked_at_ + kLookAtOpen) {
    open_looked_at_ = now;
    parts_->operations->look_at_open();
    const auto deadline = std::chrono::steady_clock::now() + kNeverQuiet;
    while (!dead_ && !parts_->operations->looked_at_open()) {
      if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("what was left open is not looked at");
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    settle();
  }
  if (!dead_ && now >= rentals_looked_at_ + kRentals) {
    rentals_looked_at_ = now;
    (void)parts_->rentals->tick();
    settle();
  }
  if (!dead_) release_parked(false);
}

bool Berth::has_read(const Machine& machine) const {
  const auto unit = parts_->registry->unit(id_of(machine));
  if (unit == nullptr || !unit->inventory->snapshot()->health.connected) return false;
  const auto beat = beats_.find(unit->id);
  return beat != beats_.end() && beat->second.read == clock_.instant();
}

Result<fleet::LeaseAnswer> Berth::answer(const Machine& machine, const fleet::LeaseRequest& request) {
  return parts_->leases->answer(machine.name(), tokens_.at(machine.name()).reveal(), request);
}

}  // namespace berth::simulation
