#include "fleet/server_health.h"

#include <fmt/format.h>
#include <pthread.h>

#include <utility>

#include "base/log.h"

namespace berth::fleet {

std::string HealthRule::trouble_of(const HealthMeasurement& measurement) const {
  std::string trouble;
  const auto add = [&](std::string text) { trouble += (trouble.empty() ? "" : "; ") + std::move(text); };
  if (measurement.latency > settings_.slow) {
    add(fmt::format("answers take {} ms", measurement.latency.count()));
  }
  if (measurement.capacity && measurement.capacity->disk_bytes > 0) {
    const auto total = static_cast<double>(measurement.capacity->disk_bytes);
    const double used = 1.0 - static_cast<double>(measurement.capacity->disk_free_bytes) / total;
    if (used > settings_.disk_full) add(fmt::format("the disk is {:.0f} % full", used * 100));
  }
  if (status_.clock_off && std::chrono::abs(*status_.clock_off) > settings_.clock_off) {
    add(fmt::format("the clock is {} ms off", status_.clock_off->count()));
  }
  return trouble;
}

bool HealthRule::become(ServerHealth health, std::string reason) {
  status_.reason = std::move(reason);
  return std::exchange(status_.health, health) != health;
}

bool HealthRule::note_failure(const HealthMeasurement& measurement) {
  answers_ = good_answers_ = bad_answers_ = 0;
  ++failures_;
  if (status_.health == ServerHealth::unreachable) return become(ServerHealth::unreachable, measurement.problem);
  if (failures_ < settings_.failures_until_unreachable) return false;
  return become(ServerHealth::unreachable, measurement.problem);
}

bool HealthRule::note_answer(const HealthMeasurement& measurement) {
  failures_ = 0;
  ++answers_;
  status_.latency = measurement.latency;
  status_.answered_at = clock_.now();
  if (!measurement.product.empty()) status_.product = measurement.product;
  if (measurement.capacity) {
    const compute::EngineCapacity& capacity = *measurement.capacity;
    status_.cpus = capacity.cpus;
    status_.memory_bytes = capacity.memory_bytes;
    status_.disk_bytes = capacity.disk_bytes;
    status_.disk_free_bytes = capacity.disk_free_bytes;
    status_.clock_off.reset();
    if (capacity.clock) {
      // The answer was on its way for part of the time that it took.
      const Timestamp asked = clock_.now() - measurement.latency / 2;
      status_.clock_off = std::chrono::duration_cast<std::chrono::milliseconds>(*capacity.clock - asked);
    }
  }
  const std::string trouble = trouble_of(measurement);
  if (trouble.empty()) {
    bad_answers_ = 0;
    ++good_answers_;
  } else {
    good_answers_ = 0;
    ++bad_answers_;
  }
  const ServerHealth wanted = trouble.empty() ? ServerHealth::healthy : ServerHealth::degraded;
  if (status_.health == wanted || status_.health == ServerHealth::unknown) return become(wanted, trouble);
  if (status_.health == ServerHealth::unreachable) {
    // Any answer counts towards being back; what it looks like then decides between healthy and degraded.
    if (answers_ < settings_.answers_until_healthy) return false;
    return become(wanted, trouble);
  }
  if (wanted == ServerHealth::healthy && good_answers_ < settings_.answers_until_healthy) return false;
  if (wanted == ServerHealth::degraded && bad_answers_ < settings_.answers_until_degraded) return false;
  return become(wanted, trouble);
}

bool HealthRule::apply(const HealthMeasurement& measurement) {
  return measurement.answered ? note_answer(measurement) : note_failure(measurement);
}

ServerProbe::ServerProbe(compute::InstanceEngine& engine, const HealthSettings& settings, const Clock& clock,
                         Changed changed)
    : engine_(engine), settings_(settings), clock_(clock), changed_(std::move(changed)), rule_(settings, clock) {}

void ServerProbe::start() {
  thread_ = std::thread([this] { run(); });
}

void ServerProbe::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ServerProbe::hurry() {
  {
    const std::lock_guard lock(mutex_);
    hurried_ = true;
  }
  wake_.notify_all();
}

void ServerProbe::run() {
  pthread_setname_np(pthread_self(), "server-probe");
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    hurried_ = false;
    lock.unlock();
    const Instant begun = std::chrono::steady_clock::now();
    measure_now();
    lock.lock();
    wake_.wait_until(lock, begun + settings_.interval, [this] { return stopping_ || hurried_; });
  }
}

HealthMeasurement ServerProbe::look() {
  const Deadline deadline = Deadline::after(settings_.limit);
  HealthMeasurement measurement;
  const Instant begun = std::chrono::steady_clock::now();
  auto info = engine_.info(deadline);
  if (!info) {
    measurement.problem = info.error().describe();
    return measurement;
  }
  measurement.answered = true;
  measurement.latency = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun);
  measurement.product = info->product + " " + info->version;
  if (compute::CapacityAbility* ability = engine_.capacities()) {
    if (auto capacity = ability->capacity(deadline)) measurement.capacity = *capacity;
  }
  return measurement;
}

ServerStatus ServerProbe::measure_now() {
  HealthMeasurement measurement;
  try {
    measurement = look();
  } catch (const std::exception& exception) {
    measurement.problem = std::string("an engine call threw: ") + exception.what();
  }
  ServerStatus before;
  ServerStatus now;
  bool changed = false;
  {
    const std::lock_guard lock(rule_mutex_);
    before = rule_.status();
    changed = rule_.apply(measurement);
    now = rule_.status();
  }
  if (changed) changed_(before, now);
  return now;
}

ServerStatus ServerProbe::status() const {
  const std::lock_guard lock(rule_mutex_);
  return rule_.status();
}

}  // namespace berth::fleet
