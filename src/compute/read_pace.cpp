#include "compute/read_pace.h"

#include <algorithm>

namespace berth::compute {
namespace {

/// How often an engine that does not answer is asked, and the longest that one which answers is left alone.
constexpr std::chrono::milliseconds kRetry{1000};
/// The least pause between full reads.
constexpr std::chrono::milliseconds kPause{20};
/// For a thread that wakes late and a snapshot that is put together.
constexpr std::chrono::milliseconds kLeastSpare{50};

}  // namespace

ReadPace::ReadPace(std::chrono::milliseconds oldest, Instant now) : oldest_(oldest), next_(now), earliest_(now) {}

void ReadPace::succeeded(Instant begin, Instant end) {
  last_[turn_++ % last_.size()] = end - begin;
  const Instant::duration slowest = *std::ranges::max_element(last_);
  const Instant::duration spare = std::max<Instant::duration>(slowest / 2, kLeastSpare);
  wait_until(begin + oldest_ - slowest - spare, begin, end);
}

void ReadPace::failed(Instant begin, Instant end) {
  wait_until(begin + std::min(oldest_, kRetry), begin, end);
}

void ReadPace::wait_until(Instant due, Instant begin, Instant end) {
  const Instant::duration took = end - begin;
  next_ = std::max(due, end + std::clamp<Instant::duration>(took / 4, kPause, kRetry));
  earliest_ = std::min(next_, end + std::clamp<Instant::duration>(took, kPause, kRetry));
}

}  // namespace berth::compute
