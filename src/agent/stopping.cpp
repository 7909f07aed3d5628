// How an agent lets nothing run while it has no lease.
#include <algorithm>
#include <utility>

#include "agent/agent.h"
#include "agent/container_processes.h"
#include "agent/restart_policies.h"
#include "base/log.h"

namespace berth::agent {
namespace {

/// Between rounds without a lease: what begins behind our back lives about as long.
constexpr std::chrono::milliseconds kRound{25};
/// Between rounds with one, where nothing changes.
constexpr std::chrono::milliseconds kCalm{1000};

}  // namespace

std::set<std::string> Agent::ids() const {
  std::set<std::string> all = container_ids_in(settings_.containers);
  const Lock lock(mutex_);
  all.insert(memory_.content().ids.begin(), memory_.content().ids.end());
  all.insert(seen_running_.begin(), seen_running_.end());
  return all;
}

void Agent::keep_order() {
  Lock lock(mutex_);
  while (!ending_) {
    const Instant now = boot_clock_now();
    order_kept_at_ = std::chrono::nanoseconds(now.time_since_epoch()).count();
    if (!keeper_.must_be_silent(now)) {
      if (std::exchange(silent_since_, std::nullopt)) tell_change(lock);
      quiet_rounds_ = 0;
      resorted_ = false;
      auto time = kCalm;
      if (keeper_.holding(now) == fleet::Holding::timed) {
        // Not a moment after its end.
        time = std::min(time, std::chrono::ceil<std::chrono::milliseconds>(keeper_.kept().until - now));
      }
      rest(lock, time);
      continue;
    }
    if (!silent_since_) begin_silence(lock, now);
    lock.unlock();
    silence(now);
    lock.lock();
    wake_.wait_for(lock, kRound, [this] { return ending_; });
  }
}

void Agent::begin_silence(const Lock& lock, Instant now) {
  silent_since_ = now;
  ++silences_;
  log::warning("agent", "no lease: stopping everything ({} containers ran)", seen_running_.size());
  owe(lock, seen_running_);
  // Also what was started since the engine was looked at.
  owe(lock, ContainerProcesses::running(container_ids_in(settings_.containers)));
  disarmed_.clear();
  take_policies(lock);
  tell_change(lock);
}

void Agent::owe(const Lock& lock, const std::set<std::string>& ids) {
  Memory::Content content = memory_.content();
  content.stopped.insert(ids.begin(), ids.end());
  remember(lock, std::move(content));
}

void Agent::take_policies(const Lock& lock) {
  const auto taken = take_restart_policies(settings_.containers);
  if (taken.empty()) return;
  Memory::Content content = memory_.content();
  for (const auto& [id, policy] : taken) {
    content.taken[id] = policy.policy;
    if (policy.starts) content.stopped.insert(id);
  }
  remember(lock, std::move(content));
}

void Agent::silence(Instant now) {
  const std::set<std::string> all = ids();
  bool asked_first = false;
  Instant since;
  {
    const Lock lock(mutex_);
    since = *silent_since_;
    asked_first = engine_answers_ && now < since + settings_.grace;
  }
  // The engine stops them meanwhile, as they would like to be stopped.
  const auto running = asked_first ? ContainerProcesses::running(all) : ContainerProcesses::kill(all);
  const std::size_t left = running.size();
  {
    const Lock lock(mutex_);
    // What is begun meanwhile by others is to run later too, unless Berth says otherwise.
    owe(lock, running);
    quiet_rounds_ = left == 0 ? quiet_rounds_ + 1 : 0;
  }
  if (left > 0 && now >= since + terms_.stopping) use_last_resort(left);
}

void Agent::use_last_resort(std::size_t left) {
  {
    const Lock lock(mutex_);
    // What is begun behind our back long after is killed like everything else.
    if (std::exchange(resorted_, true)) return;
  }
  log::error("agent", "{} containers do not end although they were killed", left);
  settings_.last_resort();
}

}  // namespace berth::agent
