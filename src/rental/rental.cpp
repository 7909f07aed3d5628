#include "rental/rental.h"

namespace berth::rental {

std::string_view name(State state) {
  switch (state) {
    case State::active:
      return "active";
    case State::expired:
      return "expired";
    case State::archived:
      return "archived";
    case State::removed:
      return "removed";
  }
  return "active";
}

std::string_view name(Step step) {
  switch (step) {
    case Step::none:
      return "";
    case Step::stop:
      return "stop";
    case Step::archive:
      return "archive";
    case Step::bring_back:
      return "bring_back";
  }
  return "";
}

std::optional<State> parse_state(std::string_view word) {
  for (const State state : {State::active, State::expired, State::archived, State::removed}) {
    if (word == name(state)) return state;
  }
  return std::nullopt;
}

std::optional<Step> parse_step(std::string_view word) {
  for (const Step step : {Step::none, Step::stop, Step::archive, Step::bring_back}) {
    if (word == name(step)) return step;
  }
  return std::nullopt;
}

}  // namespace berth::rental
