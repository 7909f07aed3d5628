#pragma once

#include <optional>
#include <stop_token>

#include "base/clock.h"
#include "base/result.h"

namespace berth::drivers::docker {

/// What has to stand before an endpoint leads to an engine, and may break. Thread-safe.
class Link {
 public:
  virtual ~Link() = default;
  /// Waits until it stands, is known not to, or a stop is asked for. Errors: unavailable "engine.unavailable", saying
  /// why.
  virtual Result<void> wait(Deadline deadline, const std::stop_token& stop) = 0;
  /// Why a call on the endpoint has failed just now, where that is the link's doing.
  virtual std::optional<Error> trouble() = 0;
};

}  // namespace berth::drivers::docker
