#include "telemetry/series_store.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/log.h"
#include "telemetry/many_rows.h"

namespace berth::telemetry {
namespace {

constexpr std::chrono::hours kSweepInterval{1};
constexpr std::int64_t kSweepPage = 200;
constexpr std::int64_t kPointsByDefault = 300;
constexpr std::array<std::chrono::seconds, 8> kNiceSteps = {
    std::chrono::seconds(10),       std::chrono::seconds(30),    std::chrono::seconds(60),
    std::chrono::seconds(300),      std::chrono::seconds(900),   std::chrono::seconds(3600),
    std::chrono::seconds(6 * 3600), std::chrono::seconds(86'400)};

std::int64_t micros(std::chrono::microseconds time) {
  return time.count();
}
std::int64_t micros(Timestamp time) {
  return time.time_since_epoch().count();
}

/// The beginning of the stretch that a moment falls into.
std::int64_t floor_to(std::int64_t at, std::int64_t step) {
  return at - ((at % step) + step) % step;
}

std::int64_t points_between(Timestamp from, Timestamp until, std::chrono::seconds step) {
  const std::int64_t width = micros(step);
  return (floor_to(micros(until) - 1, width) - floor_to(micros(from), width)) / width + 1;
}

Error bad_range(std::string field, Text message) {
  return Error(ErrorCode::invalid_argument, "series.range", message).with_field(std::move(field), message);
}

const ManyRows kPoints("INSERT INTO series_points (series_id, resolution, at, total, samples, peak) VALUES ",
                       {"series", "resolution", "at", "total", "samples", "peak"},
                       " ON CONFLICT (series_id, resolution, at) DO UPDATE SET"
                       " total = series_points.total + excluded.total,"
                       " samples = series_points.samples + excluded.samples,"
                       " peak = CASE WHEN excluded.peak > series_points.peak THEN excluded.peak"
                       " ELSE series_points.peak END");

}  // namespace

SeriesStore::SeriesStore(Settings settings, store::Database& database, metrics::Registry& metrics, const Clock& clock)
    : settings_(settings),
      database_(database),
      clock_(clock),
      began_(clock.now()),
      began_instant_(clock.instant()),
      dropped_(metrics.counter("berth_series_points_dropped_total", "Points of history that the store did not take")),
      flush_time_(metrics.histogram("berth_series_flush_seconds", "Time of writing history")) {}

SeriesStore::~SeriesStore() {
  stop();
}

void SeriesStore::start() {
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
}

void SeriesStore::stop() {
  {
    const std::lock_guard lock(stopping_mutex_);
    stopping_ = true;
  }
  stopping_changed_.notify_all();
  if (!thread_.joinable()) return;
  thread_.join();
  if (const auto written = flush(); !written) {
    log::warning("telemetry", "the last of the history is not stored: {}", written.error().describe());
  }
}

void SeriesStore::run() {
  pthread_setname_np(pthread_self(), "series");
  Instant next_sweep = clock_.instant();
  std::unique_lock lock(stopping_mutex_);
  while (!stopping_changed_.wait_for(lock, settings_.flush_interval, [this] { return stopping_; })) {
    lock.unlock();
    if (const auto written = flush(); !written) {
      log::warning("telemetry", "history is not stored: {}", written.error().describe());
    }
    if (clock_.instant() >= next_sweep) {
      if (const auto swept = sweep(); !swept) {
        log::warning("telemetry", "cannot forget old history: {}", swept.error().describe());
      }
      next_sweep = clock_.instant() + kSweepInterval;
    }
    lock.lock();
  }
}

// Gathering

void SeriesStore::add(Pending& pending, Slot slot, double total, double peak) {
  auto found = pending.slots.find(slot);
  if (found == pending.slots.end()) {
    if (pending_slots_ >= settings_.pending_limit) return dropped_.add();
    ++pending_slots_;
    found = pending.slots.emplace(slot, Amount{0, 0, peak}).first;
  }
  found->second.total += total;
  found->second.samples += 1;
  found->second.peak = std::max(found->second.peak, peak);
}

void SeriesStore::count(const SeriesName& name, Timestamp from, Timestamp until, double amount) {
  if (amount <= 0) return;
  const std::int64_t end = micros(until);
  const std::int64_t gap = std::max<std::int64_t>(end - micros(from), 0);
  const double rate = gap == 0 ? 0 : amount * 1e6 / static_cast<double>(gap);
  const std::lock_guard lock(mutex_);
  Pending& pending = pending_[name];
  pending.kind = SeriesKind::counter;
  for (const Resolution& resolution : kResolutions) {
    const bool coarsest = resolution.step == kResolutions.back().step;
    if (gap > micros(resolution.longest_gap) && !coarsest) continue;
    const std::int64_t width = micros(resolution.step);
    // What took longer than even the coarsest one is spread over the last of it.
    const std::int64_t spread = std::min(gap, micros(resolution.longest_gap));
    std::int64_t begin = end - spread;
    double left = amount;
    while (true) {
      const std::int64_t slot = floor_to(begin, width);
      const std::int64_t slot_end = std::min(slot + width, end);
      const bool last = slot_end >= end;
      const double share = last ? left : amount * static_cast<double>(slot_end - begin) / static_cast<double>(spread);
      if (share > 0) add(pending, {resolution.step.count(), slot}, share, rate);
      if (last) break;
      left -= share;
      begin = slot_end;
    }
  }
}

void SeriesStore::sample(const SeriesName& name, Timestamp at, double value) {
  const std::lock_guard lock(mutex_);
  Pending& pending = pending_[name];
  pending.kind = SeriesKind::gauge;
  for (const Resolution& resolution : kResolutions) {
    add(pending, {resolution.step.count(), floor_to(micros(at), micros(resolution.step))}, value, value);
  }
}

// Writing

SeriesStore::Batch SeriesStore::take_batch() {
  const std::lock_guard lock(mutex_);
  Batch batch;
  while (!pending_.empty() && batch.size() < settings_.batch) {
    auto node = pending_.extract(pending_.begin());
    pending_slots_ -= node.mapped().slots.size();
    batch.insert(std::move(node));
  }
  return batch;
}

void SeriesStore::put_back(Batch batch) {
  const std::lock_guard lock(mutex_);
  for (auto& [name, held] : batch) {
    Pending& pending = pending_[name];
    pending.kind = held.kind;
    for (const auto& [slot, amount] : held.slots) {
      add(pending, slot, amount.total, amount.peak);
      const auto found = pending.slots.find(slot);
      if (found != pending.slots.end()) found->second.samples += amount.samples - 1;
    }
  }
}

Result<void> SeriesStore::flush() {
  const Instant begun = std::chrono::steady_clock::now();
  // What comes while this writes waits for the next time.
  std::size_t series = 0;
  {
    const std::lock_guard lock(mutex_);
    series = pending_.size();
  }
  for (std::size_t done = 0; done < series; done += settings_.batch) {
    const std::unique_lock moving(moving_);
    Batch batch = take_batch();
    if (batch.empty()) break;
    if (auto written = write(batch); !written) {
      put_back(std::move(batch));
      ids_.clear();  // another node may have forgotten a series that was known here
      return take_error(written);
    }
  }
  flush_time_.observe(std::chrono::steady_clock::now() - begun);
  return {};
}

Result<std::int64_t> SeriesStore::id_of(store::Transaction& transaction, const SeriesName& name, SeriesKind kind,
                                        std::map<SeriesName, std::int64_t>& found) const {
  if (const auto known = ids_.find(name); known != ids_.end()) return known->second;
  BERTH_CHECK(transaction.execute(
      "INSERT INTO series (metric, subject, kind) VALUES (:metric, :subject, :kind) ON CONFLICT DO NOTHING",
      {{"metric", name.metric},
       {"subject", name.subject},
       {"kind", kind == SeriesKind::counter ? "counter" : "gauge"}}));
  const auto rows = BERTH_TRY(transaction.query("SELECT id FROM series WHERE metric = :metric AND subject = :subject",
                                                {{"metric", name.metric}, {"subject", name.subject}}));
  return found[name] = rows.front().integer("id");
}

Result<void> SeriesStore::write(const Batch& batch) {
  auto found =
      BERTH_TRY(database_.write([&](store::Transaction& transaction) -> Result<std::map<SeriesName, std::int64_t>> {
        std::map<SeriesName, std::int64_t> fresh;
        ManyRows::Values rows;
        for (const auto& [name, pending] : batch) {
          const std::int64_t id = BERTH_TRY(id_of(transaction, name, pending.kind, fresh));
          for (const auto& [slot, amount] : pending.slots) {
            rows.push_back({id, slot.resolution, slot.at, amount.total, amount.samples, amount.peak});
          }
        }
        BERTH_CHECK(kPoints.execute(transaction, rows));
        return fresh;
      }));
  ids_.merge(found);
  return {};
}

Result<std::int64_t> SeriesStore::sweep() {
  const auto passed = std::chrono::duration_cast<std::chrono::microseconds>(clock_.instant() - began_instant_);
  const Timestamp now = std::min(clock_.now(), began_ + passed);
  std::int64_t after = 0;
  std::int64_t forgotten = 0;
  while (true) {
    struct Page {
      std::int64_t last = 0;
      std::int64_t points = 0;
    };
    const auto page = BERTH_TRY(database_.write([&](store::Transaction& transaction) -> Result<Page> {
      Page swept;
      const auto rows = BERTH_TRY(transaction.query("SELECT id FROM series WHERE id > :after ORDER BY id LIMIT :page",
                                                    {{"after", after}, {"page", kSweepPage}}));
      for (const auto& row : rows) {
        swept.last = row.integer("id");
        for (const Resolution& resolution : kResolutions) {
          swept.points += BERTH_TRY(transaction.execute(
              "DELETE FROM series_points WHERE series_id = :id AND resolution = :resolution AND at < :before",
              {{"id", swept.last},
               {"resolution", std::int64_t{resolution.step.count()}},
               {"before", now - resolution.keep}}));
        }
      }
      if (swept.last != 0) {
        BERTH_CHECK(transaction.execute(
            "DELETE FROM series WHERE id > :after AND id <= :last AND NOT EXISTS (SELECT 1 FROM series_points WHERE "
            "series_points.series_id = series.id)",
            {{"after", after}, {"last", swept.last}}));
      }
      return swept;
    }));
    forgotten += page.points;
    if (page.last == 0) break;
    after = page.last;
  }
  const std::unique_lock moving(moving_);
  ids_.clear();
  return forgotten;
}

// Reading

Result<std::chrono::seconds> SeriesStore::step_for(Timestamp from, Timestamp until, std::chrono::seconds wish) const {
  if (from >= until) return bad_range("from", {"时间范围为空", "The range is empty"});
  if (until - from > kResolutions.back().keep) {
    return bad_range("from", {"时间范围超过 400 天", "The range is longer than 400 days"});
  }
  std::chrono::seconds step = wish;
  if (step.count() <= 0) {
    const auto fits = [&](std::chrono::seconds nice) { return points_between(from, until, nice) <= kPointsByDefault; };
    const auto* const nice = std::ranges::find_if(kNiceSteps, fits);
    step = nice == kNiceSteps.end() ? kNiceSteps.back() : *nice;
  }
  const Timestamp now = clock_.now();
  // A sweep comes only once an hour, so what is asked for at the edge is still there.
  const auto kept = [&](const Resolution& resolution) { return from >= now - resolution.keep - resolution.step; };
  std::chrono::seconds finest = kResolutions.back().step;
  for (const Resolution& resolution : kResolutions) {
    if (kept(resolution)) {
      finest = resolution.step;
      break;
    }
  }
  // A stretch is made of whole ones of what is read.
  step = std::max(step, finest);
  for (auto resolution = kResolutions.rbegin(); resolution != kResolutions.rend(); ++resolution) {
    if (resolution->step > step) continue;
    step = ((step + resolution->step - std::chrono::seconds(1)) / resolution->step) * resolution->step;
    break;
  }
  if (points_between(from, until, step) > kMostPoints) {
    return bad_range("step", {"时间点过多，请使用更大的步长", "Too many points; use a larger step"});
  }
  return step;
}

Result<SeriesHistory> SeriesStore::query(const SeriesName& name, Timestamp from, Timestamp until,
                                         std::chrono::seconds wish) {
  SeriesHistory history;
  history.step = BERTH_TRY(step_for(from, until, wish));
  const std::int64_t width = micros(history.step);
  std::int64_t resolution = 0;
  for (const Resolution& one : kResolutions) {
    if (one.step <= history.step && history.step.count() % one.step.count() == 0) resolution = one.step.count();
  }
  const std::int64_t begin = floor_to(micros(from), width);
  const std::int64_t end = floor_to(micros(until) - 1, width) + width;
  std::map<std::int64_t, SeriesPoint> points;
  const auto merge = [&](std::int64_t bucket, double total, std::int64_t samples, double peak) {
    auto [found, fresh] = points.try_emplace(bucket);
    SeriesPoint& point = found->second;
    point.at = Timestamp(std::chrono::microseconds(bucket));
    point.total += total;
    point.samples += samples;
    point.peak = fresh ? peak : std::max(point.peak, peak);
  };

  const std::shared_lock moving(moving_);
  BERTH_CHECK(database_.read([&](store::Transaction& transaction) -> Result<void> {
    const auto rows = BERTH_TRY(transaction.query(
        "SELECT bucket, sum(total) AS total, CAST(sum(samples) AS BIGINT) AS samples, max(peak) AS peak FROM (SELECT "
        "at / "
        ":width AS bucket, total, samples, peak FROM series_points WHERE series_id = (SELECT id FROM series WHERE "
        "metric = :metric AND subject = :subject) AND resolution = :resolution AND at >= :begin AND at < :end) AS part "
        "GROUP BY bucket ORDER BY bucket",
        {{"width", width},
         {"metric", name.metric},
         {"subject", name.subject},
         {"resolution", resolution},
         {"begin", begin},
         {"end", end}}));
    for (const auto& row : rows) {
      merge(row.integer("bucket") * width, row.real("total"), row.integer("samples"), row.real("peak"));
    }
    return {};
  }));
  {
    const std::lock_guard lock(mutex_);
    if (const auto pending = pending_.find(name); pending != pending_.end()) {
      for (const auto& [slot, amount] : pending->second.slots) {
        if (slot.resolution != resolution || slot.at < begin || slot.at >= end) continue;
        merge(floor_to(slot.at, width), amount.total, amount.samples, amount.peak);
      }
    }
  }
  for (auto& [bucket, point] : points) history.points.push_back(point);
  return history;
}

}  // namespace berth::telemetry
