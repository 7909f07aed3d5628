#include <pthread.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "operations/operation_record.h"
#include "operations/service.h"

// What the service does by itself: progress into the store, outcomes that the store did not take, what an earlier
// run left open.

namespace berth::operations {
namespace {

constexpr std::int64_t kOpenAtOnce = 10'000;

}  // namespace

Result<void> Service::find_left_open() {
  const auto open = BERTH_TRY(
      database_.read([&](store::Transaction& transaction) { return record::open(transaction, kOpenAtOnce); }));
  for (const Operation& operation : open) {
    auto run =
        std::make_shared<Run>(*this, operation, Deadline::after(std::chrono::milliseconds(0)), "{\"reconciled\":true}");
    {
      const std::lock_guard lock(mutex_);
      if (draining_) return {};
      if (by_id_.contains(operation.id) || !by_resource_.try_emplace(key_of(operation), run).second) continue;
      by_id_.emplace(operation.id, run);
      left_open_.insert(operation.id);
      running_gauge_.add(1);
    }
    run->release();
    (void)run->begin();
    reconciliation_.take(std::move(run));
  }
  return {};
}

void Service::progressed(const RunPointer& run) {
  bool first = false;
  {
    const std::lock_guard lock(house_mutex_);
    first = with_progress_.empty();
    with_progress_.insert(run);
  }
  if (first) wake();
}

void Service::call_later(std::function<void()> action) {
  {
    const std::lock_guard lock(house_mutex_);
    calls_.push_back(std::move(action));
  }
  wake();
}

void Service::wake() {
  {
    const std::lock_guard lock(house_mutex_);
    woken_ = true;
  }
  house_wake_.notify_one();
}

void Service::flush_progress() {
  std::set<RunPointer> runs;
  {
    const std::lock_guard lock(house_mutex_);
    runs.swap(with_progress_);
  }
  if (runs.empty()) return;
  const auto flushed = database_.write([&](store::Transaction& transaction) -> Result<void> {
    for (const auto& run : runs) {
      const Operation operation = run->current();
      if (operation.state == State::running) BERTH_CHECK(record::update_progress(transaction, operation));
    }
    return {};
  });
  // Progress is shown from memory; that the store missed a step of it harms nothing.
  if (!flushed) log::debug("operations", "progress is not stored: {}", flushed.error().describe());
}

void Service::retry_outcomes(bool all) {
  std::deque<Unstored> due;
  const Instant now = std::chrono::steady_clock::now();
  {
    const std::lock_guard lock(house_mutex_);
    const auto later = std::stable_partition(unstored_.begin(), unstored_.end(),
                                             [&](const Unstored& one) { return all || one.due <= now; });
    due.assign(std::make_move_iterator(unstored_.begin()), std::make_move_iterator(later));
    unstored_.erase(unstored_.begin(), later);
  }
  for (Unstored& one : due) {
    if (store_outcome(one.run, one.outcome) || all) continue;
    one.retry = std::min(one.retry * 2, rhythm_.last_retry);
    one.due = std::chrono::steady_clock::now() + one.retry;
    const std::lock_guard lock(house_mutex_);
    unstored_.push_back(std::move(one));
  }
}

void Service::keep_house() {
  pthread_setname_np(pthread_self(), "operations");
  Instant next_flush = std::chrono::steady_clock::now() + rhythm_.progress;
  Instant next_scan = std::chrono::steady_clock::now() + rhythm_.rescan;
  while (true) {
    Instant next = reconciliation_.advance();
    std::deque<std::function<void()>> calls;
    bool scan = false;
    bool stopping = false;
    {
      std::unique_lock lock(house_mutex_);
      if (!with_progress_.empty()) next = std::min(next, next_flush);
      if (reconciling_) next = std::min(next, next_scan);
      for (const Unstored& one : unstored_) next = std::min(next, one.due);
      house_wake_.wait_until(lock, next, [this] { return woken_ || stopping_; });
      woken_ = false;
      stopping = stopping_;
      scan = reconciling_ && std::chrono::steady_clock::now() >= next_scan;
      calls.swap(calls_);
    }
    for (auto& call : calls) call();
    if (stopping) return;
    retry_outcomes(false);
    if (std::chrono::steady_clock::now() >= next_flush) {
      flush_progress();
      next_flush = std::chrono::steady_clock::now() + rhythm_.progress;
    }
    if (scan) {
      if (const auto found = find_left_open(); !found) {
        log::warning("operations", "cannot look for open operations: {}", found.error().describe());
      }
      next_scan = std::chrono::steady_clock::now() + rhythm_.rescan;
    }
  }
}

}  // namespace berth::operations
