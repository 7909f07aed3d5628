#include "operations/operation.h"

#include <array>
#include <mutex>
#include <set>

namespace berth::operations {
namespace {

constexpr std::array kStates = {State::running, State::succeeded, State::failed, State::cancelled};

/// An Error's reason refers to text that lives forever. The reasons of records are the literals of some
/// version of this program, so the set stays small.
std::string_view immortal(const std::string& reason) {
  static std::mutex mutex;
  static std::set<std::string> reasons;
  const std::lock_guard lock(mutex);
  return *reasons.insert(reason).first;
}

}  // namespace

std::string_view name(State state) {
  switch (state) {
    case State::running:
      return "running";
    case State::succeeded:
      return "succeeded";
    case State::failed:
      return "failed";
    case State::cancelled:
      return "cancelled";
  }
  return "failed";
}

std::optional<State> parse_state(std::string_view text) {
  for (const State state : kStates) {
    if (name(state) == text) return state;
  }
  return std::nullopt;
}

ErrorCode parse_code(std::string_view text) {
  for (int code = 0; code <= static_cast<int>(ErrorCode::internal); ++code) {
    if (berth::name(static_cast<ErrorCode>(code)) == text) return static_cast<ErrorCode>(code);
  }
  return ErrorCode::internal;
}

Failure to_failure(const Error& error) {
  return {error.code(), std::string(error.reason()), error.message()};
}

Error to_error(const Failure& failure) {
  return Error(failure.code, immortal(failure.reason), failure.message);
}

}  // namespace berth::operations
