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

/// Ids of what is up; nothing while the engine does not answer.
std::set<std::string> Agent::look_at_engine() {
  const auto listed = engine_.list(Deadline::after(kListLimit));
  std::set<std::string> up;
  std::set<std::string> ids;
  if (listed) {
    for (const auto& instance : *listed) {
      ids.insert(instance.engine_id);
      if (is_up(instance.status)) up.insert(instance.engine_id);
    }
  }
  const Lock lock(mutex_);
  engine_answers_ = listed.has_value();
  if (!listed) return {};
  // What runs without a lease is not what is to run.
  if (!keeper_.must_be_silent(boot_clock_now()) && !silent_since_) seen_running_ = up;
  Memory::Content content = memory_.content();
  content.ids = std::move(ids);
  remember(lock, std::move(content));
  return up;
}

void Agent::stop_through_engine(const std::set<std::string>& ids) {
  const std::vector<std::string> all(ids.begin(), ids.end());
  {
    const Lock lock(mutex_);
    if (!silent_since_) return;
    owe(lock, ids);
  }
  std::atomic<std::size_t> next{0};
  const auto grace = std::chrono::ceil<std::chrono::seconds>(settings_.grace);
  const auto work = [&] {
    for (std::size_t i = next++; i < all.size() && is_silent(); i = next++) {
      const auto stopped = engine_.stop(all[i], grace, EngineProgress{}, Deadline::after(kStopLimit));
      if (!stopped) log::warning("agent", "stopping {}: {}", all[i], stopped.error().describe());
    }
  };
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < std::min(kAtOnce, all.size()); ++i) threads.emplace_back(work);
}

void Agent::take_policies_through_engine() {
  std::vector<std::string> armed;
  {
    const Lock lock(mutex_);
    if (!engine_answers_) {
      // It may have written what it had in memory as it ended.
      disarmed_.clear();
      if (silent_since_) take_policies(lock);
      return;
    }
    for (const auto& [id, policy] : memory_.content().taken) {
      if (!disarmed_.contains(id)) armed.push_back(id);
    }
  }
  compute::ContainerAbility* ability = engine_.containers();
  for (const auto& id : armed) {
    if (ability == nullptr || !is_silent()) return;
    const auto taken = ability->set_restart_policy(id, compute::RestartPolicy::no, Deadline::after(kListLimit));
    if (!taken && taken.error().code() != ErrorCode::not_found) {
      log::warning("agent", "taking the restart policy of {}: {}", id, taken.error().describe());
      continue;
    }
    const Lock lock(mutex_);
    disarmed_.insert(id);
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

bool Agent::is_among(const std::vector<fleet::ContainerThere>& containers, const compute::Instance& instance) {
  return std::ranges::any_of(containers, [&](const fleet::ContainerThere& one) {
    return one.engine_id.empty() ? one.engine_name == instance.name : one.engine_id == instance.engine_id;
  });
}

std::uint64_t Agent::silences() const {
  const Lock lock(mutex_);
  return silences_;
}

void Agent::give_policies_back() {
  std::map<std::string, compute::RestartPolicy> taken;
  {
    const Lock lock(mutex_);
    taken = memory_.content().taken;
  }
  compute::ContainerAbility* ability = engine_.containers();
  for (const auto& [id, policy] : taken) {
    const auto before = silences();
    if (ability == nullptr || !may_act()) return;
    const auto given = give_policy_back(*ability, id, policy);
    if (given || given.error().code() == ErrorCode::not_found) {
      forget_taken(id, before);
    } else {
      log::warning("agent", "giving {} its restart policy back: {}", id, given.error().describe());
    }
  }
}

Result<void> Agent::give_policy_back(compute::ContainerAbility& ability, const std::string& id,
                                     compute::RestartPolicy policy) {
  const auto found = BERTH_TRY(engine_.get(id, Deadline::after(kListLimit)));
  {
    const Lock lock(mutex_);
    if (is_among(not_to_start_.elsewhere, found)) return {};
  }
  return ability.set_restart_policy(id, policy, Deadline::after(kListLimit));
}

void Agent::forget_taken(const std::string& id, std::uint64_t silences) {
  const Lock lock(mutex_);
  if (silences != silences_) return;
  Memory::Content content = memory_.content();
  content.taken.erase(id);
  remember(lock, std::move(content));
}

void Agent::forget_stopped(const std::string& id, std::uint64_t silences) {
  const Lock lock(mutex_);
  if (silences != silences_) return;
  failed_starts_.erase(id);
  Memory::Content content = memory_.content();
  content.stopped.erase(id);
  remember(lock, std::move(content));
}

void Agent::start_again() {
  std::set<std::string> ids;
  {
    const Lock lock(mutex_);
    if (!told_all_) return;
    ids = memory_.content().stopped;
  }
  for (const auto& id : ids) start_one(id);
}

void Agent::start_one(const std::string& id) {
  const auto before = silences();
  if (!may_act()) return;
  // It may go by another name than it did.
  const auto found = engine_.get(id, Deadline::after(kListLimit));
  if (!found && found.error().code() == ErrorCode::not_found) return forget_stopped(id, before);
  if (!found) return count_failed_start(id, id, found.error(), before);
  bool given_up = false;
  {
    const Lock lock(mutex_);
    if (is_among(not_to_start_.changing, *found)) return;
    given_up = is_among(not_to_start_.elsewhere, *found) || is_among(not_to_start_.unwanted, *found);
  }
  if (given_up) {
    log::info("agent", "{} is to be stopped, or lives elsewhere now, and is not started again", found->name);
    return forget_stopped(id, before);
  }
  const auto started = engine_.start(id, EngineProgress{}, Deadline::after(kStartLimit));
  if (!started) return count_failed_start(id, found->name, started.error(), before);
  log::info("agent", "{} was started again", found->name);
  forget_stopped(id, before);
}

void Agent::count_failed_start(const std::string& id, const std::string& name, const Error& error,
                               std::uint64_t silences) {
  log::warning("agent", "starting {} again: {}", name, error.describe());
  {
    const Lock lock(mutex_);
    if (++failed_starts_[id] < kMostStarts) return;
  }
  forget_stopped(id, silences);
  log::error("agent", "{} is given up: it did not start {} times", name, kMostStarts);
}

}  // namespace berth::agent
