#include "drivers/fake/faults.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "compute/instance.h"

namespace berth::drivers::fake {
namespace {

constexpr std::chrono::milliseconds kStep{5};

Error timeout() {
  return Error(ErrorCode::deadline_exceeded, "engine.timeout",
               {"引擎未在规定时间内应答", "The engine did not answer in time"});
}

}  // namespace

void Faults::refuse_connections(bool on) {
  {
    const std::lock_guard lock(mutex_);
    refused_ = on;
  }
  changed_.notify_all();
  if (!on) on_connectable_();
}

void Faults::hang(bool on) {
  const std::lock_guard lock(mutex_);
  hanging_ = on;
  changed_.notify_all();
}

void Faults::hang_instance(const std::string& name, bool on) {
  const std::lock_guard lock(mutex_);
  if (on) {
    hanging_instances_.insert(name);
  } else {
    hanging_instances_.erase(name);
  }
  changed_.notify_all();
}

void Faults::hang_call(const std::string& call, bool on) {
  const std::lock_guard lock(mutex_);
  if (on) {
    hanging_calls_.insert(call);
  } else {
    hanging_calls_.erase(call);
  }
  changed_.notify_all();
}

void Faults::delay(std::chrono::milliseconds by) {
  const std::lock_guard lock(mutex_);
  delay_ = by;
}

void Faults::answer_garbage(bool on) {
  const std::lock_guard lock(mutex_);
  garbage_ = on;
}

void Faults::fail(const std::string& call, int nth, Error error) {
  const std::lock_guard lock(mutex_);
  failures_.emplace(call, Failure{nth, std::move(error)});
}

void Faults::drop_events(bool on) {
  const std::lock_guard lock(mutex_);
  drop_events_ = on;
}

std::uint64_t Faults::calls(const std::string& call) const {
  const std::lock_guard lock(mutex_);
  const auto at = calls_.find(call);
  return at == calls_.end() ? 0 : at->second;
}

std::size_t Faults::waiting_calls() const {
  const std::lock_guard lock(mutex_);
  return waiting_;
}

bool Faults::hangs(std::string_view call, const std::string& instance) const {
  return hanging_ || hanging_calls_.contains(call) || hanging_instances_.contains(instance);
}

bool Faults::instance_hangs(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  return hanging_instances_.contains(name);
}

bool Faults::events_get_lost() const {
  const std::lock_guard lock(mutex_);
  return drop_events_ || refused_;
}

void Faults::on_call(std::function<void(std::string_view call)> action) {
  const std::lock_guard lock(mutex_);
  on_call_ = std::move(action);
}

void Faults::judge_calls(Judge judge) {
  const std::lock_guard lock(mutex_);
  judge_ = std::move(judge);
}

Result<void> Faults::leave(std::string_view call, const std::string& instance) {
  Judge judge;
  {
    const std::lock_guard lock(mutex_);
    judge = judge_;
  }
  return judge ? judge(call, instance, Moment::after) : Result<void>();
}

Result<void> Faults::enter(std::string_view call, const std::string& instance, Deadline deadline) {
  std::unique_lock lock(mutex_);
  if (const auto judge = judge_) {
    lock.unlock();
    BERTH_CHECK(judge(call, instance, Moment::before));
    lock.lock();
  }
  if (const auto action = on_call_) {
    lock.unlock();
    action(call);
    lock.lock();
  }
  ++calls_[std::string(call)];
  ++waiting_;
  changed_.wait_until(lock, deadline.at(), [&] { return refused_ || !hangs(call, instance); });
  const Instant answered = std::chrono::steady_clock::now() + delay_;
  if (delay_.count() > 0) {
    changed_.wait_until(lock, std::min(answered, deadline.at()), [&] { return refused_; });
  }
  --waiting_;
  if (refused_) return compute::engine_unavailable();
  if (hangs(call, instance) || answered > deadline.at() || deadline.expired()) return timeout();
  if (garbage_) {
    return Error(ErrorCode::internal, "engine.protocol", {"引擎的应答无法理解", "The engine's answer makes no sense"});
  }
  std::optional<Error> failure;
  const auto [begin, end] = failures_.equal_range(call);
  for (auto at = begin; at != end;) {
    if (--at->second.left == 0) {
      failure = std::move(at->second.error);
      at = failures_.erase(at);
    } else {
      ++at;
    }
  }
  if (failure) return *failure;
  return {};
}

Result<void> Faults::spend(std::chrono::milliseconds time, Deadline deadline, const std::function<bool()>& cancelled) {
  const Instant end = std::chrono::steady_clock::now() + time;
  while (true) {
    if (cancelled()) {
      return Error(ErrorCode::cancelled, "operation.cancelled", {"操作已取消", "The operation was cancelled"});
    }
    const Instant now = std::chrono::steady_clock::now();
    std::unique_lock lock(mutex_);
    if (refused_) return compute::engine_unavailable();
    if (now >= deadline.at()) return timeout();
    if (now >= end && !hanging_) return {};
    changed_.wait_until(lock, std::min(now + kStep, deadline.at()));
  }
}

}  // namespace berth::drivers::fake
