#include "operations/run.h"

#include <algorithm>
#include <utility>

namespace berth::operations {

Run::Run(RunHost& host, Operation operation, Deadline deadline, std::string audit_details)
    : host_(host),
      opened_(std::move(operation)),
      deadline_(deadline),
      audit_details_(std::move(audit_details)),
      current_(opened_) {}

Result<Operation> Run::wait(Deadline deadline) const {
  std::unique_lock lock(mutex_);
  const bool over =
      changed_.wait_until(lock, deadline.at(), [this] { return phase_ == Phase::over || phase_ == Phase::refused; });
  if (refusal_) return *refusal_;
  if (over) return current_;
  return Error(ErrorCode::deadline_exceeded, "operation.running", {"操作仍在进行中", "The operation is still running"})
      .with_detail(opened_.id.value());
}

Operation Run::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

void Run::progress(int percent, std::string stage) {
  const std::lock_guard announcing(announce_mutex_);
  Operation now;
  {
    const std::lock_guard lock(mutex_);
    percent = std::clamp(percent, 0, 100);
    if (phase_ != Phase::working || (current_.progress == percent && current_.stage == stage)) return;
    current_.progress = percent;
    current_.stage = std::move(stage);
    current_.updated_at = host_.now();
    now = current_;
  }
  host_.progressed(shared_from_this());
  host_.announce(now);
}

bool Run::cancel_requested() const {
  const std::lock_guard lock(mutex_);
  return current_.cancel_requested;
}

void Run::on_cancel(std::function<void()> action) {
  bool at_once = false;
  {
    const std::lock_guard cancelling(cancel_mutex_);
    const std::lock_guard lock(mutex_);
    if (phase_ != Phase::working) return;
    cancel_actions_.push_back(std::move(action));
    current_.may_cancel = true;
    at_once = current_.cancel_requested;
  }
  host_.progressed(shared_from_this());
  if (at_once) host_.call_later([self = shared_from_this()] { self->run_cancel_actions(); });
}

Result<void> Run::adopt(std::string handle) {
  Operation now;
  {
    const std::lock_guard lock(mutex_);
    current_.handle = handle;
    current_.updated_at = host_.now();
    now = current_;
  }
  opened_.handle = std::move(handle);
  return host_.store_handle(now);
}

void Run::release() {
  {
    const std::lock_guard lock(mutex_);
    if (phase_ == Phase::recording) phase_ = Phase::queued;
  }
  changed_.notify_all();
}

void Run::refuse(Error error) {
  {
    const std::lock_guard lock(mutex_);
    phase_ = Phase::refused;
    refusal_ = std::move(error);
  }
  changed_.notify_all();
}

Result<void> Run::wait_until_recorded() const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return phase_ != Phase::recording; });
  if (refusal_) return *refusal_;
  return {};
}

Run::Beginning Run::begin() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return phase_ != Phase::recording; });
  if (phase_ != Phase::queued) return Beginning::refused;
  phase_ = Phase::working;
  return current_.cancel_requested ? Beginning::cancelled : Beginning::go;
}

void Run::end_work() {
  const std::lock_guard cancelling(cancel_mutex_);
  cancel_actions_.clear();
  const std::lock_guard lock(mutex_);
  current_.may_cancel = false;
}

Result<void> Run::check_cancellable() const {
  const std::lock_guard lock(mutex_);
  if (current_.cancel_requested) return {};
  switch (phase_) {
    case Phase::recording:
    case Phase::queued:
      return {};
    case Phase::working:
      if (current_.may_cancel) return {};
      return Error(ErrorCode::unsupported, "operation.not_cancellable",
                   {"该操作无法取消", "This operation cannot be cancelled"});
    case Phase::over:
    case Phase::refused:
      break;
  }
  return Error(ErrorCode::conflict, "operation.finished", {"操作已结束", "The operation has ended"});
}

void Run::request_cancel() {
  {
    const std::lock_guard announcing(announce_mutex_);
    Operation now;
    {
      const std::lock_guard lock(mutex_);
      if (phase_ == Phase::over || phase_ == Phase::refused || current_.cancel_requested) return;
      current_.cancel_requested = true;
      current_.updated_at = host_.now();
      now = current_;
    }
    host_.announce(now);
  }
  run_cancel_actions();
}

void Run::run_cancel_actions() {
  const std::lock_guard cancelling(cancel_mutex_);
  for (auto& action : std::exchange(cancel_actions_, {})) action();
}

void Run::finish(Operation operation) {
  const std::lock_guard announcing(announce_mutex_);
  {
    const std::lock_guard lock(mutex_);
    if (phase_ == Phase::over || phase_ == Phase::refused) return;
    phase_ = Phase::over;
    current_ = operation;
  }
  changed_.notify_all();
  host_.announce(operation);
}

void Run::announce_start() {
  const std::lock_guard announcing(announce_mutex_);
  host_.announce(current());
}

}  // namespace berth::operations
