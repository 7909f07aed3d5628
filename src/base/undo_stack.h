#pragma once

#include <functional>
#include <utility>
#include <vector>

namespace berth {

/// Each thing made pushes how to unmake it; destruction runs them in reverse order, unless success cleared
/// the stack. An action must not throw. Not thread-safe.
class UndoStack {
 public:
  UndoStack() = default;
  UndoStack(const UndoStack&) = delete;
  UndoStack& operator=(const UndoStack&) = delete;
  ~UndoStack() { unwind(); }

  void push(std::move_only_function<void()> action) { actions_.push_back(std::move(action)); }
  /// What was made stays.
  void clear() { actions_.clear(); }
  /// Unmakes everything now.
  void unwind() {
    while (!actions_.empty()) {
      auto action = std::move(actions_.back());
      actions_.pop_back();
      action();
    }
  }

 private:
  std::vector<std::move_only_function<void()>> actions_;
};

}  // namespace berth
