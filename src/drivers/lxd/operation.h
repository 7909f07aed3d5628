#pragma once

#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "compute/engine.h"
#include "drivers/lxd/api.h"

namespace berth::drivers::lxd {

/// Follows an operation of the engine to its end: hands its id to `progress.adopt`, reports its percentages
/// scaled to [`from`, `to`], and asks the engine to end it once `progress.cancelled` says so. Its failure is
/// translated with `subject`. If the engine forgot the operation before its end was seen: not_found
/// "engine.operation_gone", and the caller looks at what became of the thing itself.
struct FollowSteps {
  int from = 0;
  int to = 100;
  std::string stage;
};
Result<void> follow(Api& api, const std::string& operation, const Subject& subject,
                    const compute::EngineProgress& progress, const FollowSteps& steps, Deadline deadline);

/// Follows what `answer` began; a sync answer is done already.
Result<void> follow(Api& api, const Answer& answer, const Subject& subject, const compute::EngineProgress& progress,
                    const FollowSteps& steps, Deadline deadline);

/// Whether the engine knows the operation and it has not ended.
Result<bool> is_running(Api& api, const std::string& operation, Deadline deadline);

}  // namespace berth::drivers::lxd
