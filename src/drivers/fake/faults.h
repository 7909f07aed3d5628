#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace berth::drivers::fake {

/// What is wrong with the fake engine. Every knob works while calls run; calls that wait notice it.
/// Calls are named after the functions of compute/engine.h ("list", "start", "create_snapshot"). Thread-safe.
class Faults {
 public:
  /// Connections are refused: unavailable "engine.unavailable", and no events come.
  void refuse_connections(bool on);
  /// Calls wait until this ends or their deadline: deadline_exceeded "engine.timeout".
  void hang(bool on);
  /// Calls about this instance hang; `list` shows it unresponsive.
  void hang_instance(const std::string& name, bool on);
  /// Calls of one name hang.
  void hang_call(const std::string& call, bool on);
  /// Every call takes this much longer.
  void delay(std::chrono::milliseconds by);
  /// Every answer makes no sense: internal "engine.protocol".
  void answer_garbage(bool on);
  /// The `nth` call of this name from now on (1 is the next) fails.
  void fail(const std::string& call, int nth, Error error);
  /// Events get lost while this is on; nobody is told of a gap.
  void drop_events(bool on);

  /// Called with the name of each call before it is let in, on its own thread; null for nothing.
  void on_call(std::function<void(std::string_view call)> action);

  /// When a call is judged: before it is let in, and once what it changes has been changed.
  enum class Moment { before, after };
  /// Decides about every call: its error is what the caller gets instead, so one of `Moment::after` loses the answer
  /// of a call that has taken effect.
  using Judge = std::function<Result<void>(std::string_view call, const std::string& instance, Moment moment)>;
  /// Asked on the thread of each call; null for nobody.
  void judge_calls(Judge judge);

  /// How often a call was made.
  std::uint64_t calls(const std::string& call) const;
  /// How many calls wait now because of a hang or a delay.
  std::size_t waiting_calls() const;

  // For the engine.

  /// Lets a call in after the time that it takes, or says why it fails.
  Result<void> enter(std::string_view call, const std::string& instance, Deadline deadline);
  /// What a call that has changed something answers. To be called without locks.
  Result<void> leave(std::string_view call, const std::string& instance);
  /// Waits as work does; an error at the deadline or when `cancelled`.
  Result<void> spend(std::chrono::milliseconds time, Deadline deadline, const std::function<bool()>& cancelled);
  bool instance_hangs(const std::string& name) const;
  bool events_get_lost() const;
  /// Called, on the thread that turns the knob, when connections are accepted again.
  void on_connectable(std::function<void()> action) { on_connectable_ = std::move(action); }

 private:
  struct Failure {
    int left;
    Error error;
  };
  bool hangs(std::string_view call, const std::string& instance) const;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool refused_ = false;
  bool hanging_ = false;
  bool garbage_ = false;
  bool drop_events_ = false;
  std::chrono::milliseconds delay_{0};
  std::set<std::string, std::less<>> hanging_instances_;
  std::set<std::string, std::less<>> hanging_calls_;
  std::multimap<std::string, Failure, std::less<>> failures_;
  std::map<std::string, std::uint64_t, std::less<>> calls_;
  std::size_t waiting_ = 0;
  std::function<void()> on_connectable_ = [] {};
  std::function<void(std::string_view)> on_call_;
  Judge judge_;
};

}  // namespace berth::drivers::fake
