#include "simulation/server_agent.h"

#include <algorithm>
#include <utility>

#include "simulation/machine.h"

namespace berth::simulation {
namespace {

using std::chrono::milliseconds;

/// How long it waits for an answer, and between requests while it has no lease.
constexpr milliseconds kAskLimit{1500};
constexpr milliseconds kImpatience{250};
/// Until everything is stopped: less than LeaseTerms::stopping, in which it may be ended and begun anew once.
constexpr int kLongestStop = 500;

}  // namespace

void ServerAgent::die() {
  keeper_.reset();
  begins_at_.reset();
  asked_at_.reset();
  stops_at_.reset();
  not_to_start_ = {};
  leaving_ = answered_ = told_all_ = false;
}

std::optional<Asked> ServerAgent::act(Instant now, Dice& dice) {
  if (!keeper_) {
    if (!begins_at_ || now < *begins_at_) return std::nullopt;
    begins_at_.reset();
    keeper_.emplace(kept_);
    next_ask_ = now;
  }
  const auto processes = machine_.engine().processes();
  const auto holding = keeper_->holding(now);
  if (leaving_ && (holding == fleet::Holding::unbound || (holding == fleet::Holding::nothing && processes.empty()))) {
    die();
    begin(now + milliseconds(500));
    return std::nullopt;
  }
  if (keeper_->must_be_silent(now)) {
    stop_everything(now, dice);
  } else {
    stops_at_.reset();
    start_again();
  }
  if (asked_at_ && now >= *asked_at_ + kAskLimit) {
    asked_at_.reset();
    answered_ = false;
  }
  if (asked_at_ || now < next_ask_) return std::nullopt;
  asked_at_ = now;
  next_ask_ = now + (keeper_->must_be_silent(now) ? kImpatience : terms_.renewal);
  asked_owing_ = !stopped_.empty();
  const auto running = static_cast<std::uint32_t>(machine_.engine().processes().size());
  return Asked{++last_number_, keeper_->request(now, running, static_cast<std::uint32_t>(stopped_.size()), leaving_)};
}

void ServerAgent::hear(std::uint64_t number, const fleet::LeaseAnswer& answer, Instant now) {
  if (!keeper_ || !asked_at_ || number != last_number_ || now >= *asked_at_ + kAskLimit) return;
  keeper_->take(answer, *asked_at_);
  kept_ = keeper_->kept();
  terms_ = answer.terms;
  not_to_start_ = answer.not_to_start;
  told_all_ = asked_owing_;
  asked_at_.reset();
  answered_ = true;
}

void ServerAgent::stop_everything(Instant now, Dice& dice) {
  const auto processes = machine_.engine().processes();
  if (processes.empty()) return;
  if (!stops_at_) stops_at_ = now + milliseconds(dice.below(kLongestStop));
  if (now < *stops_at_) return;
  for (const auto& process : processes) {
    stopped_.insert(process.engine_id);
    machine_.tell("its agent stops " + process.container);
    if (machine_.engine_answers()) {
      machine_.engine().stop_outside(process.container);
    } else {
      machine_.engine().kill_processes(process.container);
    }
  }
  stops_at_.reset();
}

void ServerAgent::start_again() {
  // After a start it is not known yet what lives elsewhere.
  if (stopped_.empty() || !answered_ || !told_all_ || !machine_.engine_answers()) return;
  std::erase_if(stopped_, [&](const std::string& id) {
    const auto name = machine_.engine().name_of(id);
    if (!name) return true;
    const auto is_among = [&](const std::vector<fleet::ContainerThere>& containers) {
      return std::ranges::any_of(containers, [&](const fleet::ContainerThere& one) {
        return one.engine_id.empty() ? one.engine_name == *name : one.engine_id == id;
      });
    };
    if (is_among(not_to_start_.changing)) return false;
    if (!is_among(not_to_start_.elsewhere) && !is_among(not_to_start_.unwanted)) {
      machine_.engine().start_outside(id);
      machine_.tell("its agent starts " + *name + " again");
    }
    return true;
  });
}

}  // namespace berth::simulation
