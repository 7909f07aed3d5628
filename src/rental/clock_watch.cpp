#include "rental/clock_watch.h"

#include "base/log.h"

namespace berth::rental {

bool ClockWatch::trusts(Timestamp now, Instant instant) {
  if (last_) {
    const auto off = std::chrono::duration_cast<std::chrono::seconds>((now - last_->now) - (instant - last_->instant));
    if (std::chrono::abs(off) > settings_.tolerance) {
      log::warning("rental", "the clock jumped by {} s; nothing expires for {} s", off.count(),
                   settings_.settle.count());
      distrust(instant);
    }
  }
  last_ = Reading{now, instant};
  if (held_until_ && instant >= *held_until_) held_until_.reset();
  return !held_until_;
}

}  // namespace berth::rental
