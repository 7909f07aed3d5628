#include "agent/lease_keeper.h"

namespace berth::agent {

using fleet::Grant;
using fleet::Holding;

Holding LeaseKeeper::holding(Instant now) const {
  if (!kept_.bound) return Holding::unbound;
  if (kept_.standing) return Holding::standing;
  return now < kept_.until ? Holding::timed : Holding::nothing;
}

fleet::LeaseRequest LeaseKeeper::request(Instant now, std::uint32_t running, std::uint32_t owes, bool leaving) const {
  return {holding(now), running, owes, leaving, last_answer_};
}

void LeaseKeeper::take(const fleet::LeaseAnswer& answer, Instant sent) {
  last_answer_ = answer.number;
  switch (answer.grant) {
    case Grant::refused:
      kept_ = {.bound = true};
      return;
    case Grant::timed:
      kept_ = {.bound = true, .standing = false, .until = sent + answer.terms.duration};
      return;
    case Grant::standing:
      kept_ = {.bound = true, .standing = true, .until = {}};
      return;
    case Grant::released:
      kept_ = {};
      return;
  }
}

}  // namespace berth::agent
