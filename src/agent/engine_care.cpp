// What an agent does through the engine, where that answers: learns what there is, stops it in order, starts it again.
#include <algorithm>
#include <atomic>
#include <thread>

#include "agent/agent.h"
#include "base/log.h"
#include "compute/container_engine.h"

namespace berth::agent {
namespace {

using compute::EngineProgress;
using compute::Status;

constexpr std::chrono::milliseconds kListLimit{1000};
constexpr std::chrono::milliseconds kStopLimit{3000};
constexpr std::chrono::milliseconds kStartLimit{30'000};
/// Between looks while nothing may run.
constexpr std::chrono::milliseconds kWatchful{250};
/// Containers that are stopped at the same time.
constexpr std::size_t kAtOnce = 16;
constexpr int kMostStarts = 10;

bool is_up(Status status) {
  return status != Status::stopped && status != Status::error;
}

}  // namespace

void Agent::keep_up_with_engine() {
  Lock lock(mutex_);
  while (!ending_) {
    lock.unlock();
    const auto up = look_at_engine();
    if (is_silent()) {
      take_policies_through_engine();
      stop_through_engine(up);
    } else {
      make_good();
    }
    lock.lock();
    // When it falls silent, or may start things again, that is looked after at once.
    const bool silent = silent_since_.has_value();
    wake_.wait_for(lock, silent ? kWatchful : settings_.engine_look,
                   [&] { return ending_ || silent_since_.has_value() != silent; });
  }
}

/// What is up, by name; nothing while the engine does not answer.
std::vector<std::string> Agent::look_at_engine() {
  const auto listed = engine_.list(Deadline::after(kListLimit));
  std::vector<std::string> up;
  std::map<std::string, std::string> running;
  std::set<std::string> ids;
  if (listed) {
    for (const auto& instance : *listed) {
      ids.insert(instance.engine_id);
      if (!is_up(instance.status)) continue;
      up.push_back(instance.name);
      running.emplace(instance.name, instance.engine_id);
    }
  }
  const Lock lock(mutex_);
  engine_answers_ = listed.has_value();
  if (!listed) return {};
  // What runs without a lease is not what is to run.
  if (!keeper_.must_be_silent(boot_clock_now()) && !silent_since_) seen_running_ = std::move(running);
  Memory::Content content = memory_.content();
  content.ids = std::move(ids);
  remember(lock, std::move(content));
  return up;
}

void Agent::stop_through_engine(const std::vector<std::string>& names) {
  std::atomic<std::size_t> next{0};
  const auto grace = std::chrono::ceil<std::chrono::seconds>(settings_.grace);
  const auto work = [&] {
    for (std::size_t i = next++; i < names.size() && is_silent(); i = next++) {
      const auto stopped = engine_.stop(names[i], grace, EngineProgress{}, Deadline::after(kStopLimit));
      if (!stopped) log::warning("agent", "stopping {}: {}", names[i], stopped.error().describe());
    }
  };
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < std::min(kAtOnce, names.size()); ++i) threads.emplace_back(work);
}

void Agent::take_policies_through_engine() {
  std::vector<std::string> names;
  {
    const Lock lock(mutex_);
    if (!engine_answers_) {
      // It may have written what it had in memory as it ended.
      disarmed_.clear();
      if (silent_since_) take_policies(lock);
      return;
    }
    for (const auto& [name, policy] : memory_.content().taken) {
      if (!disarmed_.contains(name)) names.push_back(name);
    }
  }
  compute::ContainerAbility* ability = engine_.containers();
  for (const auto& name : names) {
    if (ability == nullptr || !is_silent()) return;
    const auto taken = ability->set_restart_policy(name, compute::RestartPolicy::no, Deadline::after(kListLimit));
    if (!taken && taken.error().code() != ErrorCode::not_found) {
      log::warning("agent", "taking the restart policy of {}: {}", name, taken.error().describe());
      continue;
    }
    const Lock lock(mutex_);
    disarmed_.insert(name);
  }
}

bool Agent::may_act() const {
  const Lock lock(mutex_);
  // After a start it is not known yet what lives elsewhere.
  return answered_ && engine_answers_ && !keeper_.must_be_silent(boot_clock_now());
}

void Agent::make_good() {
  give_policies_back();
  start_again();
}

void Agent::give_policies_back() {
  std::map<std::string, compute::RestartPolicy> taken;
  {
    const Lock lock(mutex_);
    taken = memory_.content().taken;
  }
  compute::ContainerAbility* ability = engine_.containers();
  for (const auto& [name, policy] : taken) {
    if (ability == nullptr || !may_act()) return;
    if (lives_elsewhere(name)) {
      forget_taken(name);
      continue;
    }
    const auto given = ability->set_restart_policy(name, policy, Deadline::after(kListLimit));
    if (given || given.error().code() == ErrorCode::not_found) {
      forget_taken(name);
    } else {
      log::warning("agent", "giving {} its restart policy back: {}", name, given.error().describe());
    }
  }
}

void Agent::forget_taken(const std::string& name) {
  const Lock lock(mutex_);
  Memory::Content content = memory_.content();
  content.taken.erase(name);
  remember(lock, std::move(content));
}

bool Agent::lives_elsewhere(const std::string& name) const {
  // It may go by another name than the one that Berth knew last.
  const auto found = engine_.get(name, Deadline::after(kListLimit));
  const Lock lock(mutex_);
  return std::ranges::any_of(elsewhere_, [&](const fleet::LivesElsewhere& one) {
    return one.engine_name == name || (found && !one.engine_id.empty() && one.engine_id == found->engine_id);
  });
}

void Agent::forget_stopped(const std::string& name) {
  const Lock lock(mutex_);
  failed_starts_.erase(name);
  Memory::Content content = memory_.content();
  content.stopped.erase(name);
  remember(lock, std::move(content));
}

void Agent::start_again() {
  std::set<std::string> names;
  {
    const Lock lock(mutex_);
    names = memory_.content().stopped;
  }
  for (const auto& name : names) {
    if (!may_act()) return;
    if (lives_elsewhere(name)) {
      log::info("agent", "{} lives elsewhere now and is not started again", name);
      forget_stopped(name);
      continue;
    }
    const auto started = engine_.start(name, EngineProgress{}, Deadline::after(kStartLimit));
    if (started || started.error().code() == ErrorCode::not_found) {
      log::info("agent", "{} {}", name, started ? "was started again" : "is not there any more");
      forget_stopped(name);
      continue;
    }
    log::warning("agent", "starting {} again: {}", name, started.error().describe());
    {
      const Lock lock(mutex_);
      if (++failed_starts_[name] < kMostStarts) continue;
    }
    forget_stopped(name);
    log::error("agent", "{} is given up: it did not start {} times", name, kMostStarts);
  }
}

}  // namespace berth::agent
