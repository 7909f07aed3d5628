#include "operations/reconciliation.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace berth::operations {
namespace {

constexpr std::chrono::hours kNothingDue{1};

}  // namespace

Reconciliation::Reconciliation(Rhythm rhythm, Ends ends, std::shared_ptr<Gate> gate)
    : rhythm_(rhythm), ends_(std::move(ends)), gate_(std::move(gate)) {}

void Reconciliation::add_reconciler(std::string kind_prefix, WorkerPool& pool, Reconciler reconciler) {
  {
    const std::lock_guard lock(mutex_);
    auto desk = std::make_unique<Desk>();
    desk->kind_prefix = std::move(kind_prefix);
    desk->pool = &pool;
    desk->reconciler = std::move(reconciler);
    desks_.push_back(std::move(desk));
    for (auto& run : std::exchange(unclaimed_, {})) {
      if (Desk* taker = desk_for(run->operation().kind)) {
        taker->waiting.push_back({std::move(run), Instant{}});
      } else {
        unclaimed_.push_back(std::move(run));
      }
    }
  }
  ends_.wake();
}

Reconciliation::Desk* Reconciliation::desk_for(const std::string& kind) {
  Desk* best = nullptr;
  for (const auto& desk : desks_) {
    if (kind.starts_with(desk->kind_prefix) &&
        (best == nullptr || best->kind_prefix.size() < desk->kind_prefix.size())) {
      best = desk.get();
    }
  }
  return best;
}

void Reconciliation::take(RunPointer run) {
  {
    const std::lock_guard lock(mutex_);
    if (Desk* desk = desk_for(run->operation().kind)) {
      desk->waiting.push_back({std::move(run), Instant{}});
    } else {
      log::warning("operations", "nobody can settle the open operation {} of kind {}", run->operation().id.value(),
                   run->operation().kind);
      unclaimed_.push_back(std::move(run));
    }
  }
  ends_.wake();
}

void Reconciliation::hold_back(Desk& desk) {
  desk.retry = desk.retry.count() == 0 ? rhythm_.first_retry : std::min(desk.retry * 2, rhythm_.last_retry);
  desk.closed_until = std::chrono::steady_clock::now() + desk.retry;
}

Instant Reconciliation::advance() {
  const Instant now = std::chrono::steady_clock::now();
  Instant next = now + kNothingDue;
  const std::lock_guard lock(mutex_);
  if (stopped_) return next;
  for (const auto& desk : desks_) {
    if (desk->busy || desk->waiting.empty()) continue;
    const auto first = std::ranges::min_element(desk->waiting, {}, &Open::due);
    const Instant due = std::max(first->due, desk->closed_until);
    if (due > now) {
      next = std::min(next, due);
      continue;
    }
    const RunPointer run = first->run;
    const bool taken = desk->pool->submit([this, gate = gate_, run, at = desk.get()] {
      if (const auto pass = gate->enter()) examine(*at, run);
    });
    if (!taken) {
      hold_back(*desk);
      next = std::min(next, desk->closed_until);
      continue;
    }
    desk->busy = true;
    desk->waiting.erase(first);
  }
  return next;
}

void Reconciliation::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
}

Result<Verdict> Reconciliation::ask(const Desk& desk, const Operation& operation) const {
  try {
    return desk.reconciler(operation);
  } catch (const std::exception& exception) {
    return internal_error(std::string("a reconciler threw: ") + exception.what());
  }
}

void Reconciliation::examine(Desk& desk, const RunPointer& run) {
  const Operation& opened = run->operation();
  // It may have been settled since it was found; a reconciler that acts must not act on that.
  auto stored = ends_.stored(opened.id);
  std::optional<Result<Verdict>> verdict;
  if (stored && *stored && (*stored)->state == State::running) verdict = ask(desk, **stored);

  const bool gone = stored && (!*stored || (*stored)->state != State::running);
  const bool settled = verdict && *verdict && (*verdict)->state != State::running;
  if (gone) ends_.forget(run, *stored);
  if (settled) ends_.settle(run, **verdict);
  {
    const std::lock_guard lock(mutex_);
    desk.busy = false;
    if (gone || settled || (verdict && *verdict)) {
      desk.retry = {};
      desk.closed_until = {};
    } else {
      hold_back(desk);
      log::warning("operations", "operation {} cannot be settled yet: {}", opened.id.value(),
                   verdict ? verdict->error().describe() : stored.error().describe());
    }
    if (!gone && !settled) {
      desk.waiting.push_back({run, std::chrono::steady_clock::now() + rhythm_.ask_again});
      // Where the engine did not answer, its own pause counts, and the first in line is asked first again.
      if (!(verdict && *verdict)) desk.waiting.back().due = Instant{};
    }
  }
  ends_.wake();
}

}  // namespace berth::operations
