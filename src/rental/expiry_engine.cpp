#include "rental/expiry_engine.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/log.h"
#include "rental/rental_rows.h"
#include "rental/rental_rules.h"

namespace berth::rental {
namespace {

constexpr std::string_view kTimeKey = "rental.clock";
constexpr std::chrono::minutes kTimeInterval{10};
/// When what was begun is due again if nobody sees it end: by whatever clock there is then.
constexpr Timestamp kAtOnce{};
/// Archives that wait for a thread.
constexpr std::size_t kMostArchives = 10'000;
/// When one for which there is no room is looked at again.
constexpr std::chrono::minutes kPostponed{1};
/// Steps of one rental in a row: stop, archive, and their undoing, with room.
constexpr int kMostSteps = 8;
/// Stopped containers, and as many archived ones, that one tick looks through for some that were brought back.
constexpr std::int64_t kWatched = 500;

}  // namespace

ExpiryEngine::ExpiryEngine(Settings settings, TimeZone zone, const RentalParts& parts)
    : settings_(std::move(settings)), zone_(std::move(zone)), parts_(parts), watch_(settings_.clock) {
  if (settings_.workers > 0) {
    archives_.emplace(
        WorkerPool::Settings{.name = "rent-archives", .threads = settings_.workers, .queue_limit = kMostArchives});
    quick_.emplace(
        WorkerPool::Settings{.name = "rentals", .threads = settings_.workers, .queue_limit = settings_.batch});
  }
}

ExpiryEngine::~ExpiryEngine() {
  drain();
}

void ExpiryEngine::drain() {
  {
    const std::lock_guard lock(mutex_);
    draining_ = true;
  }
  if (quick_) quick_->drain();
  if (archives_) archives_->drain();
}

Result<void> ExpiryEngine::start() {
  const auto seen = BERTH_TRY(parts_.database.read([](store::Transaction& transaction) -> Result<std::string> {
    const auto rows = BERTH_TRY(transaction.query("SELECT value FROM settings WHERE key = :key", {{"key", kTimeKey}}));
    return rows.empty() ? std::string() : rows.front().text("value");
  }));
  std::int64_t micros = 0;
  if (std::from_chars(seen.data(), seen.data() + seen.size(), micros).ec != std::errc()) return {};
  const Timestamp last{std::chrono::microseconds(micros)};
  const std::lock_guard lock(ticking_);
  if (parts_.clock.now() + settings_.clock.tolerance < last) {
    log::warning("rental", "the clock is behind what it was before the start; nothing expires for {} s",
                 settings_.clock.settle.count());
    watch_.distrust(parts_.clock.instant());
  }
  return {};
}

Result<void> ExpiryEngine::remember_time(Timestamp now) {
  if (remembered_ && now >= *remembered_ && now < *remembered_ + kTimeInterval) return {};
  BERTH_CHECK(parts_.database.write([&](store::Transaction& transaction) {
    return transaction.execute(
        "INSERT INTO settings (key, value, updated_at) VALUES (:key, :value, :now) "
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
        {{"key", kTimeKey}, {"value", std::to_string(now.time_since_epoch().count())}, {"now", now}});
  }));
  remembered_ = now;
  return {};
}

// What is due

Result<ExpiryEngine::Tick> ExpiryEngine::tick() {
  const std::lock_guard ticking(ticking_);
  const Timestamp now = parts_.clock.now();
  if (!watch_.trusts(now, parts_.clock.instant())) {
    const std::lock_guard lock(mutex_);
    more_ = false;
    return Tick{.held = true};
  }
  BERTH_CHECK(remember_time(now));
  for (const RentalId id : BERTH_TRY(brought_back(now, State::expired, watched_stopped_))) {
    BERTH_CHECK(parts_.database.write([&](store::Transaction& transaction) {
      return transaction.execute(
          "UPDATE rentals SET step = 'stop', due_at = :at WHERE id = :id AND state = 'expired' AND step = ''",
          {{"at", kAtOnce}, {"id", id}});
    }));
  }
  // What was in the archive already gets another grace period from here.
  for (const RentalId id : BERTH_TRY(brought_back(now, State::archived, watched_archived_))) {
    BERTH_CHECK(parts_.database.write([&](store::Transaction& transaction) {
      return transaction.execute(
          "UPDATE rentals SET state = 'expired', step = 'stop', stopped_at = NULL, due_at = :at "
          "WHERE id = :id AND state = 'archived' AND step = ''",
          {{"at", kAtOnce}, {"id", id}});
    }));
  }
  return pick(now);
}

/// At the expiry a container is stopped, not locked: its user, or its engine after a restart, may start it again; and
/// one in the archive may be restored.
Result<std::vector<RentalId>> ExpiryEngine::brought_back(Timestamp now, State state, RentalId& watched) {
  const auto rows = BERTH_TRY(parts_.database.read([&](store::Transaction& transaction) {
    return transaction.query(
        "SELECT id, container_id, step, expires_at FROM rentals WHERE state = :state AND id > :after "
        "ORDER BY id LIMIT :limit",
        {{"state", name(state)}, {"after", watched}, {"limit", kWatched}});
  }));
  watched = RentalId();
  std::vector<RentalId> back;
  for (const auto& row : rows) {
    const RentalId id(row.integer("id"));
    if (static_cast<std::int64_t>(rows.size()) == kWatched) watched = id;
    if (!row.text("step").empty() || row.time("expires_at") > now) continue;
    const auto found = parts_.containers.find(fleet::ContainerId(row.integer("container_id")));
    if (!found || (*found)->presence != fleet::Presence::present || !(*found)->reachable) continue;
    if (state == State::archived || (*found)->status == compute::Status::running ||
        (*found)->status == compute::Status::restarting) {
      back.push_back(id);
    }
  }
  return back;
}

Result<std::vector<RentalId>> ExpiryEngine::due_now(Timestamp now, std::size_t limit) {
  return parts_.database.read([&](store::Transaction& transaction) -> Result<std::vector<RentalId>> {
    std::vector<RentalId> ids;
    const auto bound = static_cast<std::int64_t>(limit);
    const auto due = BERTH_TRY(transaction.query(
        "SELECT id FROM rentals WHERE due_at <= :now ORDER BY due_at LIMIT :limit", {{"now", now}, {"limit", bound}}));
    for (const auto& row : due) ids.emplace_back(row.integer("id"));
    // What a clock that was ahead has ended, or put off.
    const Timestamp soon = now + settings_.terms.last_retry;
    for (const std::string_view query :
         {"SELECT id FROM rentals WHERE state IN ('expired', 'archived') AND expires_at > :now "
          "AND (due_at IS NULL OR due_at > :soon) ORDER BY id LIMIT :limit",
          "SELECT id FROM rentals WHERE failures > 0 AND due_at > :soon AND due_at > :now ORDER BY id LIMIT :limit"}) {
      const auto early = BERTH_TRY(transaction.query(query, {{"now", now}, {"soon", soon}, {"limit", bound}}));
      for (const auto& row : early) ids.emplace_back(row.integer("id"));
    }
    return ids;
  });
}

Result<ExpiryEngine::Tick> ExpiryEngine::pick(Timestamp now) {
  std::size_t busy = 0;
  {
    const std::lock_guard lock(mutex_);
    busy = in_hand_.size();
    more_ = false;
  }
  Tick tick;
  const std::size_t limit = settings_.batch + busy;
  const auto ids = BERTH_TRY(due_now(now, limit));
  for (const RentalId id : ids) {
    if (dispatch(id)) ++tick.taken;
  }
  tick.more = ids.size() >= limit;
  const std::lock_guard lock(mutex_);
  more_ = tick.more;
  return tick;
}

/// Takes more in hand where the last tick left some, so that a crowd does not wait for the next one.
void ExpiryEngine::refill() {
  {
    const std::lock_guard lock(mutex_);
    if (!more_ || draining_ || in_hand_.size() > settings_.batch / 4) return;
    more_ = false;
  }
  if (const auto picked = pick(parts_.clock.now()); !picked) {
    log::warning("rental", "due rentals not read: {}", picked.error().describe());
  }
}

bool ExpiryEngine::take(RentalId id) {
  const std::lock_guard lock(mutex_);
  return !draining_ && in_hand_.insert(id).second;
}

void ExpiryEngine::release(RentalId id) {
  {
    const std::lock_guard lock(mutex_);
    in_hand_.erase(id);
  }
  released_.notify_all();
}

std::optional<ExpiryEngine::Hold> ExpiryEngine::hold(RentalId id) {
  if (!take(id)) return std::nullopt;
  return Hold(*this, id);
}

bool ExpiryEngine::draining() {
  const std::lock_guard lock(mutex_);
  return draining_;
}

bool ExpiryEngine::dispatch(RentalId id) {
  if (!take(id)) return false;
  Hold held(*this, id);
  if (!quick_) {
    if (look(id, Lane::quick)) look(id, Lane::archives);
    return true;
  }
  // A task that is destroyed unrun lets go of its rental too.
  return quick_->submit([this, id, held = std::move(held)]() mutable {
    {
      Hold mine = std::move(held);
      if (look(id, Lane::quick)) hand_over(id, std::move(mine));
    }
    refill();
  });
}

void ExpiryEngine::hand_over(RentalId id, Hold held) {
  const bool taken = archives_->submit([this, id, held = std::move(held)]() mutable {
    const Hold mine = std::move(held);
    look(id, Lane::archives);
  });
  // Else it would stand in line before all others again and again.
  if (!taken) postpone(id);
}

void ExpiryEngine::postpone(RentalId id) {
  const Timestamp later = parts_.clock.now() + kPostponed;
  const auto postponed = parts_.database.write([&](store::Transaction& transaction) {
    return transaction.execute("UPDATE rentals SET due_at = :later WHERE id = :id AND due_at < :later",
                               {{"later", later}, {"id", id}});
  });
  if (!postponed) log::warning("rental", "rental {} not postponed: {}", id.value(), postponed.error().describe());
}

void ExpiryEngine::settle(RentalId id, Deadline deadline) {
  for (int attempt = 0; attempt < kMostSteps; ++attempt) {
    const auto rental = parts_.database.read(
        [&](store::Transaction& transaction) -> Result<std::optional<Rental>> { return find_rental(transaction, id); });
    if (!rental || !*rental || (*rental)->failures > 0) return;
    if (next_step(**rental, settings_.terms, parts_.clock.now()) == Step::none) return;
    dispatch(id);
    std::unique_lock lock(mutex_);
    if (!released_.wait_until(lock, deadline.at(), [&] { return draining_ || !in_hand_.contains(id); })) return;
    if (draining_) return;
  }
}

// One rental

std::optional<ExpiryEngine::Lane> ExpiryEngine::look(RentalId id, Lane lane) {
  bool with_notice = true;
  for (int steps = 0; steps < kMostSteps && !draining(); ++steps) {
    auto begun = prepare(id, with_notice);
    if (!begun && with_notice) {
      // A notice that cannot be handed over keeps no container running.
      log::warning("rental", "notice of rental {} not handed over: {}", id.value(), begun.error().describe());
      with_notice = false;
      begun = prepare(id, with_notice);
    }
    if (!begun) {
      log::warning("rental", "rental {} not looked at: {}", id.value(), begun.error().describe());
      return std::nullopt;
    }
    if (!*begun) return std::nullopt;
    if ((*begun)->step == Step::archive && lane != Lane::archives) return Lane::archives;
    const Result<State> outcome = perform(**begun);
    const auto recorded = record(**begun, outcome);
    if (!recorded) {
      log::warning("rental", "step of rental {} not recorded: {}", id.value(), recorded.error().describe());
      return std::nullopt;
    }
    if (!*recorded || (*recorded)->failures > 0) return std::nullopt;
    if (!(*recorded)->due_at || *(*recorded)->due_at > parts_.clock.now()) return std::nullopt;
  }
  return std::nullopt;
}

Result<std::optional<Rental>> ExpiryEngine::prepare(RentalId id, bool with_notice) {
  return parts_.database.write([&](store::Transaction& transaction) -> Result<std::optional<Rental>> {
    auto found = BERTH_TRY(find_rental(transaction, id));
    if (!found) return std::optional<Rental>();
    Rental rental = std::move(*found);
    const Timestamp now = parts_.clock.now();
    const bool waits = rental.failures > 0 && rental.due_at && *rental.due_at > now &&
                       *rental.due_at <= now + settings_.terms.last_retry;
    if (waits) return std::optional<Rental>();
    if (with_notice) BERTH_CHECK(give_notice(transaction, rental, now));
    const Step step = next_step(rental, settings_.terms, now);
    if (step == Step::none) {
      rental.failures = 0;
      rental.problem.reset();
      rental.due_at = next_look(rental, settings_.terms, zone_, now);
      BERTH_CHECK(update_rental(transaction, rental));
      return std::optional<Rental>();
    }
    if (step != rental.step) rental.failures = 0;
    rental.step = step;
    rental.due_at = kAtOnce;
    BERTH_CHECK(update_rental(transaction, rental));
    return std::optional(std::move(rental));
  });
}

Result<void> ExpiryEngine::give_notice(store::Transaction& transaction, Rental& rental, Timestamp now) {
  const auto due = due_notice(rental, settings_.terms, zone_, now);
  if (!due) return {};
  const std::string kind = due->notice.kind_name();
  if (!BERTH_TRY(was_sent(transaction, rental.id, rental.expiry_date, kind))) {
    BERTH_CHECK(parts_.notices.send(transaction, due->notice));
    BERTH_CHECK(note_sent(transaction, rental.id, rental.expiry_date, kind, now));
    parts_.metrics.counter("berth_rental_notices_total", "Notices of rentals handed over", {{"kind", kind}}).add();
  }
  rental.notified_until = due->moment;
  return {};
}

}  // namespace berth::rental
