#include "app/process_signals.h"

#include <pthread.h>

namespace berth::app {

ProcessSignals::ProcessSignals() {
  sigemptyset(&set_);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set_, number);
  pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

std::optional<int> ProcessSignals::next(std::optional<std::chrono::microseconds> wait) const {
  const auto limit = wait.value_or(std::chrono::hours(1));
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit);
  const timespec time{seconds.count(), std::chrono::nanoseconds(limit - seconds).count()};
  const int number = sigtimedwait(&set_, nullptr, &time);
  return number > 0 ? std::optional(number) : std::nullopt;
}

}  // namespace berth::app
