#pragma once

#include <array>
#include <chrono>
#include <cstddef>

#include "base/clock.h"

namespace berth::compute {

/// When the full reads of an engine begin. A figure is shown until the read after the one that brought it has ended,
/// and must not be older than `oldest` by then: so that read begins earlier by what it may take, which is what the
/// slowest of the last ones took, and half of it more, at least 50 ms. Between two reads the engine is left alone a
/// quarter of what the first one took, and before one that is only wanted sooner as long as that took, at most a second
/// each: an engine whose reads take more than 4/9 of `oldest` shows older figures. Not thread-safe.
class ReadPace {
 public:
  /// The first read is due `now`.
  ReadPace(std::chrono::milliseconds oldest, Instant now);

  /// A read has brought everything.
  void succeeded(Instant begin, Instant end);
  /// A read has brought nothing: the engine is asked again a second after `begin`.
  void failed(Instant begin, Instant end);

  /// When the next read is due.
  Instant next() const { return next_; }
  /// Before that none begins, however much it is wanted; at the latest `next`.
  Instant earliest() const { return earliest_; }

 private:
  void wait_until(Instant due, Instant begin, Instant end);

  std::chrono::milliseconds oldest_;
  std::array<Instant::duration, 8> last_{};  ///< what reads took, in turn
  std::size_t turn_ = 0;
  Instant next_;
  Instant earliest_;
};

}  // namespace berth::compute
