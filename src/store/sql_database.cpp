#include "store/sql_database.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/clock.h"
#include "base/log.h"

namespace berth::store {

namespace {

// Counts and times one transaction however it ends; an exception counts as failed.
class Measured {
 public:
  explicit Measured(TransactionMetrics& metrics)
      : metrics_(metrics), started_(std::chrono::steady_clock::now()), outcome_(&metrics.failed) {}
  Measured(const Measured&) = delete;
  Measured& operator=(const Measured&) = delete;
  ~Measured() {
    outcome_->add();
    metrics_.seconds.observe(std::chrono::steady_clock::now() - started_);
  }
  Result<void> end(Result<void> result) {
    if (result) {
      outcome_ = &metrics_.committed;
    } else if (result.error().reason() != "store.unavailable") {
      outcome_ = &metrics_.rolled_back;
    }
    return result;
  }

 private:
  TransactionMetrics& metrics_;
  std::chrono::steady_clock::time_point started_;
  metrics::Counter* outcome_;
};

}  // namespace

SqlDatabase::SqlDatabase(Settings settings, metrics::Registry& metrics, std::span<const Migration> migrations,
                         Connect connect, GroupWriter::Deliver deliver)
    : settings_(std::move(settings)),
      migrations_(migrations),
      connect_(std::move(connect)),
      deliver_(std::move(deliver)),
      metrics_(metrics),
      readers_(
          std::max<std::size_t>(settings_.readers, 1), [this] { return connect_(Kind::read); }, metrics_) {}

Result<void> SqlDatabase::start() {
  auto connection = BERTH_TRY(connect_(Kind::write));
  BERTH_CHECK(found_version(*connection, migrations_));
  metrics_.connections.add();
  writer_ = std::make_unique<GroupWriter>(
      GroupWriter::Settings{.wait = settings_.wait}, *this, [this] { return connect_(Kind::write); }, deliver_,
      metrics_, std::move(connection));
  return {};
}

Result<void> SqlDatabase::run_write(const Body& body) {
  Measured measured(metrics_.write);
  return measured.end(writer_->run(body));
}

Result<void> SqlDatabase::run_read(const Body& body) {
  Measured measured(metrics_.read);
  const NestingGuard guard(*this);
  const auto deadline = std::chrono::steady_clock::now() + settings_.wait;
  bool lost = false;
  auto outcome = read_once(body, lost);
  if (lost && std::chrono::steady_clock::now() < deadline) {
    // A read changes nothing, so after a lost connection it is simply made again; but not when the
    // connection was given up because the server hung.
    metrics_.retries.add();
    outcome = read_once(body, lost);
  }
  return measured.end(std::move(outcome));
}

Result<void> SqlDatabase::read_once(const Body& body, bool& lost) {
  auto lease = BERTH_TRY(readers_.acquire(std::chrono::steady_clock::now() + settings_.wait));
  if (auto begun = lease->begin(Kind::read); !begun) {
    lost = !lease->alive();
    return begun;
  }
  ActiveTransaction transaction(*lease, Kind::read);
  // Should the body throw, the lease closes the connection and with it the transaction.
  auto outcome = run_body(body, transaction);
  lost = !lease->alive();
  if (lease->in_transaction()) {
    if (auto ended = lease->script("ROLLBACK"); !ended && outcome) return ended;
  }
  return outcome;
}

Result<int> SqlDatabase::schema_version() {
  auto connection = BERTH_TRY(connect_(Kind::read));
  return found_version(*connection, migrations_);
}

Result<int> SqlDatabase::migrate() {
  auto connection = BERTH_TRY(connect_(Kind::write));
  BERTH_CHECK(lock_for_migration(*connection));
  const int found = BERTH_TRY(found_version(*connection, migrations_));
  const int newest = migrations_.empty() ? 0 : migrations_.back().version;
  if (found == newest) return 0;
  if (found > 0) BERTH_CHECK(before_migration(found));
  int taken = 0;
  for (const Migration& migration : migrations_) {
    if (migration.version <= found) continue;
    if (!BERTH_TRY(apply(*connection, migration, system_clock().now()))) continue;
    log::info("store", "schema migrated to version {} ({})", migration.version, migration.name);
    ++taken;
  }
  return taken;
}

}  // namespace berth::store
