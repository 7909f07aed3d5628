#pragma once

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "fleet/server_registry.h"

namespace berth::fleet {

/// Asks several servers the same at once, each on its own pool, so that one that hangs or is busy holds up none of the
/// others; yields an answer for each, in their order. A server that gave none by the time that it had is
/// deadline_exceeded "engine.timeout"; one that was down at the last look gets `knock` instead of `limit`. The question
/// may still run afterwards, so it must own what it uses.
template <class T>
std::vector<Result<T>> ask_all(const std::vector<UnitPointer>& units,
                               std::function<Result<T>(ServerUnit& unit, Deadline deadline)> question,
                               std::chrono::milliseconds limit, std::chrono::milliseconds knock) {
  struct Answers {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::optional<Result<T>>> answers;
    std::size_t missing = 0;
  };
  const auto shared = std::make_shared<Answers>();
  shared->answers.resize(units.size());
  shared->missing = units.size();
  const auto answer = [](Answers& all, std::size_t index, Result<T> result) {
    const std::lock_guard lock(all.mutex);
    all.answers[index] = std::move(result);
    if (--all.missing == 0) all.changed.notify_all();
  };
  std::chrono::milliseconds patience{0};
  for (std::size_t index = 0; index < units.size(); ++index) {
    const UnitPointer& unit = units[index];
    const auto time = unit->inventory->snapshot()->health.connected ? limit : std::min(knock, limit);
    patience = std::max(patience, time);
    const bool taken = unit->pool->submit([shared, answer, question, unit, index, deadline = Deadline::after(time)] {
      // Nobody waits for it any more if it has stood in the queue for too long.
      if (!deadline.expired()) answer(*shared, index, question(*unit, deadline));
    });
    if (taken) continue;
    answer(*shared, index,
           Error(ErrorCode::exhausted, "operation.queue_full",
                 {"服务器繁忙，请稍后重试", "The server is busy; try again shortly"}));
  }
  std::unique_lock lock(shared->mutex);
  // A moment more than the calls have, so that they say themselves what was wrong.
  constexpr std::chrono::milliseconds kMoment{50};
  shared->changed.wait_until(lock, Deadline::after(patience + kMoment).at(), [&] { return shared->missing == 0; });
  std::vector<Result<T>> results;
  for (auto& one : shared->answers) {
    if (one) {
      results.push_back(std::move(*one));
    } else {
      results.push_back(Error(ErrorCode::deadline_exceeded, "engine.timeout",
                              {"引擎未在限定时间内应答", "The engine did not answer in time"}));
    }
  }
  return results;
}

}  // namespace berth::fleet
