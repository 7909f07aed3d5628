#include "telemetry/traffic_meter.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <map>
#include <span>
#include <utility>

#include "base/log.h"
#include "telemetry/many_rows.h"

namespace berth::telemetry {
namespace {

constexpr std::size_t kBatch = 500;
constexpr std::int64_t kEverything = 0;
constexpr std::chrono::seconds kAlike{20};
constexpr const char* kIn = "traffic.in";
constexpr const char* kOut = "traffic.out";

std::string subject_of(std::optional<std::int64_t> container) {
  return container ? fmt::format("container:{}", *container) : std::string("all");
}

const ManyRows kCounters(
    "INSERT INTO traffic_counters (subject, incarnation, raw_in, raw_out, total_in, total_out, measured_at) VALUES ",
    {"subject", "incarnation", "raw_in", "raw_out", "total_in", "total_out", "measured"},
    " ON CONFLICT (subject) DO UPDATE SET incarnation = excluded.incarnation, raw_in = excluded.raw_in, raw_out = "
    "excluded.raw_out, total_in = excluded.total_in, total_out = excluded.total_out, measured_at = "
    "excluded.measured_at");

}  // namespace

struct TrafficMeter::Gauges {
  explicit Gauges(metrics::Registry& metrics)
      : in(metrics.gauge("berth_traffic_in_bytes_per_second", "Received by all containers together")),
        out(metrics.gauge("berth_traffic_out_bytes_per_second", "Sent by all containers together")) {}

  metrics::Gauge& in;
  metrics::Gauge& out;
};

TrafficMeter::TrafficMeter(Settings settings, const Parts& parts)
    : settings_(settings), parts_(parts), gauges_(std::make_unique<Gauges>(parts.metrics)) {}

Result<std::unique_ptr<TrafficMeter>> TrafficMeter::create(Settings settings, const Parts& parts) {
  std::unique_ptr<TrafficMeter> meter(new TrafficMeter(settings, parts));
  BERTH_CHECK(meter->load());
  return meter;
}

TrafficMeter::~TrafficMeter() {
  stop();
}

Result<void> TrafficMeter::load() {
  return parts_.database.read([&](store::Transaction& transaction) -> Result<void> {
    const auto rows = BERTH_TRY(transaction.query("SELECT * FROM traffic_counters"));
    for (const auto& row : rows) {
      State state;
      state.incarnation = static_cast<std::uint64_t>(row.integer("incarnation"));
      state.raw_in = static_cast<std::uint64_t>(row.integer("raw_in"));
      state.raw_out = static_cast<std::uint64_t>(row.integer("raw_out"));
      state.total_in = static_cast<std::uint64_t>(row.integer("total_in"));
      state.total_out = static_cast<std::uint64_t>(row.integer("total_out"));
      state.measured_at = row.time("measured_at");
      const std::int64_t subject = row.integer("subject");
      (subject == kEverything ? total_ : states_[subject]) = state;
    }
    return {};
  });
}

void TrafficMeter::start() {
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
}

void TrafficMeter::stop() {
  {
    const std::lock_guard lock(stopping_mutex_);
    stopping_ = true;
  }
  stopping_changed_.notify_all();
  if (!thread_.joinable()) return;
  thread_.join();
  if (const auto written = flush(); !written) {
    log::warning("telemetry", "the last traffic counters are not stored: {}", written.error().describe());
  }
}

void TrafficMeter::run() {
  pthread_setname_np(pthread_self(), "traffic");
  Instant next_flush = parts_.clock.instant() + settings_.flush_interval;
  std::unique_lock lock(stopping_mutex_);
  do {
    lock.unlock();
    measure();
    if (parts_.clock.instant() >= next_flush) {
      if (const auto written = flush(); !written) {
        log::warning("telemetry", "traffic counters are not stored: {}", written.error().describe());
      } else if (const auto forgotten = forget_gone(); !forgotten) {
        log::warning("telemetry", "traffic counters are not forgotten: {}", forgotten.error().describe());
      }
      next_flush = parts_.clock.instant() + settings_.flush_interval;
    }
    lock.lock();
  } while (!stopping_changed_.wait_for(lock, settings_.interval, [this] { return stopping_; }));
}

// Measuring

void TrafficMeter::measure() {
  const auto samples = parts_.source.sample();
  std::vector<Growth> growths;
  growths.reserve(samples.size());
  {
    const std::lock_guard lock(mutex_);
    const Timestamp now = parts_.clock.now();
    const Instant instant = parts_.clock.instant();
    for (const TrafficSample& sample : samples) {
      if (const auto growth = take(sample, now, instant)) growths.push_back(*growth);
    }
  }
  tell(growths);
  const Traffic all = total();
  gauges_->in.set(all.in_rate);
  gauges_->out.set(all.out_rate);
}

/// Outside the lock, for which readers on I/O threads wait.
void TrafficMeter::tell(const std::vector<Growth>& growths) {
  const auto count = [this](const std::string& subject, const Growth& growth) {
    parts_.series.count({kIn, subject}, growth.from, growth.until, static_cast<double>(growth.in));
    parts_.series.count({kOut, subject}, growth.from, growth.until, static_cast<double>(growth.out));
  };
  // What came in about the same time is one amount of all together, so that its rate is the rate of all; what a server
  // that was away brings belongs to a longer time.
  std::map<std::int64_t, Growth> together;
  for (const Growth& growth : growths) {
    count(subject_of(growth.container), growth);
    auto [found, fresh] = together.try_emplace((growth.until - growth.from) / kAlike, growth);
    if (fresh) continue;
    Growth& sum = found->second;
    sum.from = std::min(sum.from, growth.from);
    sum.until = std::max(sum.until, growth.until);
    sum.in += growth.in;
    sum.out += growth.out;
  }
  for (const auto& [time, sum] : together) count(subject_of(std::nullopt), sum);
}

std::optional<TrafficMeter::Growth> TrafficMeter::take(const TrafficSample& sample, Timestamp now, Instant instant) {
  const auto [found, first] = states_.try_emplace(sample.container);
  State& state = found->second;
  if (state.measured && sample.measured <= *state.measured) return std::nullopt;
  const auto age = std::max(instant - sample.measured, Instant::duration(0));
  const Timestamp at = now - std::chrono::duration_cast<std::chrono::microseconds>(age);
  const bool known_anew = sample.incarnation != 0 && state.incarnation != 0 && sample.incarnation != state.incarnation;
  const bool anew = first || known_anew || sample.in_bytes < state.raw_in || sample.out_bytes < state.raw_out;
  const std::uint64_t in = sample.in_bytes - (anew ? 0 : state.raw_in);
  const std::uint64_t out = sample.out_bytes - (anew ? 0 : state.raw_out);
  // Against an earlier run there is only civil time to go by, which may have been set back since.
  const auto passed = state.measured
                          ? std::chrono::duration_cast<std::chrono::microseconds>(sample.measured - *state.measured)
                          : std::max(at - state.measured_at, std::chrono::microseconds(0));
  state.in_rate = 0;
  state.out_rate = 0;
  // When a container is first seen, nobody knows since when it has counted.
  const bool timed = !first && passed.count() > 0;
  if (timed) {
    const double seconds = std::chrono::duration<double>(passed).count();
    state.in_rate = static_cast<double>(in) / seconds;
    state.out_rate = static_cast<double>(out) / seconds;
  }
  state.incarnation = sample.incarnation;
  state.raw_in = sample.in_bytes;
  state.raw_out = sample.out_bytes;
  state.measured = sample.measured;
  state.measured_at = at;
  state.dirty = true;
  for (auto* sums : {&state, &total_}) {
    sums->total_in += in;
    sums->total_out += out;
  }
  state.unsaved_in += in;
  state.unsaved_out += out;
  total_.measured_at = std::max(total_.measured_at, at);
  if (!timed || in + out == 0) return std::nullopt;
  return Growth{sample.container, at - passed, at, in, out};
}

Result<void> TrafficMeter::flush() {
  const std::lock_guard one_flush(flushing_);
  std::vector<std::pair<std::int64_t, State>> dirty;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [container, state] : states_) {
      if (!state.dirty) continue;
      dirty.emplace_back(container, state);
      state.dirty = false;
      state.unsaved_in = 0;
      state.unsaved_out = 0;
    }
  }
  for (std::size_t done = 0; done < dirty.size(); done += kBatch) {
    const auto begin = dirty.begin() + static_cast<std::ptrdiff_t>(done);
    const auto end = dirty.begin() + static_cast<std::ptrdiff_t>(std::min(done + kBatch, dirty.size()));
    auto saved = save({begin, end});
    if (saved) continue;
    const std::lock_guard lock(mutex_);
    for (auto left = begin; left != dirty.end(); ++left) {
      const auto found = states_.find(left->first);
      if (found == states_.end()) continue;
      found->second.dirty = true;
      found->second.unsaved_in += left->second.unsaved_in;
      found->second.unsaved_out += left->second.unsaved_out;
    }
    return saved;
  }
  return {};
}

Result<void> TrafficMeter::save(const std::vector<std::pair<std::int64_t, State>>& states) {
  ManyRows::Values rows;
  std::uint64_t in = 0;
  std::uint64_t out = 0;
  Timestamp newest;
  for (const auto& [container, state] : states) {
    rows.push_back({container, state.incarnation, state.raw_in, state.raw_out, state.total_in, state.total_out,
                    state.measured_at});
    in += state.unsaved_in;
    out += state.unsaved_out;
    newest = std::max(newest, state.measured_at);
  }
  return parts_.database.write([&](store::Transaction& transaction) -> Result<void> {
    BERTH_CHECK(kCounters.execute(transaction, rows));
    // Several nodes add to the sum of all.
    BERTH_CHECK(transaction.execute(
        "INSERT INTO traffic_counters (subject, incarnation, raw_in, raw_out, total_in, total_out, measured_at) VALUES "
        "(:subject, 0, 0, 0, :in_bytes, :out_bytes, :at) ON CONFLICT (subject) DO UPDATE SET total_in = "
        "traffic_counters.total_in + excluded.total_in, total_out = traffic_counters.total_out + excluded.total_out, "
        "measured_at = excluded.measured_at",
        {{"subject", kEverything}, {"in_bytes", in}, {"out_bytes", out}, {"at", newest}}));
    return {};
  });
}

Result<void> TrafficMeter::forget_gone() {
  std::vector<std::int64_t> known;
  {
    const std::shared_lock lock(mutex_);
    for (const auto& [container, state] : states_) known.push_back(container);
  }
  std::erase_if(known, [this](std::int64_t container) { return parts_.source.exists(container); });
  if (known.empty()) return {};
  // The sum of all keeps what they had.
  BERTH_CHECK(flush());
  const std::lock_guard one_flush(flushing_);
  for (std::size_t done = 0; done < known.size(); done += kBatch) {
    const std::span batch(known.data() + done, std::min(kBatch, known.size() - done));
    BERTH_CHECK(parts_.database.write([&](store::Transaction& transaction) -> Result<void> {
      for (const std::int64_t container : batch) {
        BERTH_CHECK(
            transaction.execute("DELETE FROM traffic_counters WHERE subject = :container", {{"container", container}}));
      }
      return {};
    }));
    const std::lock_guard lock(mutex_);
    for (const std::int64_t container : batch) states_.erase(container);
  }
  return {};
}

// Looking

bool TrafficMeter::fresh(const State& state, Instant instant) const {
  return state.measured && instant - *state.measured <= settings_.stale;
}

Traffic TrafficMeter::now(std::int64_t container) const {
  const std::shared_lock lock(mutex_);
  const auto found = states_.find(container);
  if (found == states_.end()) return {};
  const State& state = found->second;
  Traffic traffic{.in_rate = 0,
                  .out_rate = 0,
                  .in_bytes = state.total_in,
                  .out_bytes = state.total_out,
                  .measured_at = state.measured_at};
  if (fresh(state, parts_.clock.instant())) {
    traffic.in_rate = state.in_rate;
    traffic.out_rate = state.out_rate;
  }
  return traffic;
}

Traffic TrafficMeter::total() const {
  const Instant instant = parts_.clock.instant();
  const std::shared_lock lock(mutex_);
  Traffic traffic;
  traffic.in_bytes = total_.total_in;
  traffic.out_bytes = total_.total_out;
  if (total_.measured_at != Timestamp()) traffic.measured_at = total_.measured_at;
  for (const auto& [container, state] : states_) {
    if (!fresh(state, instant)) continue;
    traffic.in_rate += state.in_rate;
    traffic.out_rate += state.out_rate;
  }
  return traffic;
}

Result<TrafficHistory> TrafficMeter::history(std::optional<std::int64_t> container, Timestamp from, Timestamp until,
                                             std::chrono::seconds step) const {
  const std::string subject = subject_of(container);
  const auto in = BERTH_TRY(parts_.series.query({kIn, subject}, from, until, step));
  const auto out = BERTH_TRY(parts_.series.query({kOut, subject}, from, until, in.step));
  TrafficHistory history;
  history.step = in.step;
  const std::chrono::microseconds width = in.step;
  const auto first = from.time_since_epoch() / width;
  const auto last = (until.time_since_epoch() - std::chrono::microseconds(1)) / width;
  for (auto index = first; index <= last; ++index) history.points.push_back({.at = Timestamp(width * index)});
  const auto at = [&](Timestamp time) -> TrafficPoint* {
    const auto index = time.time_since_epoch() / width - first;
    const bool inside = index >= 0 && index < static_cast<std::int64_t>(history.points.size());
    return inside ? &history.points[static_cast<std::size_t>(index)] : nullptr;
  };
  for (const SeriesPoint& point : in.points) {
    if (TrafficPoint* target = at(point.at)) {
      target->in_bytes = point.total;
      target->in_peak = point.peak;
    }
  }
  for (const SeriesPoint& point : out.points) {
    if (TrafficPoint* target = at(point.at)) {
      target->out_bytes = point.total;
      target->out_peak = point.peak;
    }
  }
  return history;
}

}  // namespace berth::telemetry
