#include "fleet/placement.h"

#include <algorithm>
#include <tuple>

namespace berth::fleet {
namespace {

/// The fuller of memory and cores, with the container on it, in thousandths, so that a hair does not decide.
int share_taken(const PlacementCandidate& candidate, const compute::InstanceLimits& limits) {
  double share = 0;
  if (candidate.memory_bytes > 0) {
    const auto wanted = static_cast<double>(candidate.memory_reserved_bytes + limits.memory_bytes.value_or(0));
    share = wanted / static_cast<double>(candidate.memory_bytes);
  }
  if (candidate.cpus > 0) {
    share = std::max(share, (candidate.cpus_reserved + limits.cpus.value_or(0)) / candidate.cpus);
  }
  return static_cast<int>(std::min(share, 1000.0) * 1000);
}

bool is_usable(const PlacementCandidate& candidate, bool degraded_too) {
  if (candidate.placement != Placement::open || !candidate.connected) return false;
  switch (candidate.health) {
    case ServerHealth::healthy:
    case ServerHealth::unknown:
      return true;
    case ServerHealth::degraded:
      return degraded_too;
    case ServerHealth::unreachable:
      return false;
  }
  return false;
}

}  // namespace

bool has_room(const PlacementCandidate& candidate, const compute::InstanceLimits& limits) {
  if (candidate.memory_bytes > 0 && limits.memory_bytes &&
      candidate.memory_reserved_bytes + *limits.memory_bytes > candidate.memory_bytes) {
    return false;
  }
  return candidate.cpus <= 0 || limits.cpus.value_or(0) <= candidate.cpus;
}

std::optional<ServerId> choose_server(const std::vector<PlacementCandidate>& candidates,
                                      const compute::InstanceLimits& limits) {
  for (const bool degraded_too : {false, true}) {
    const PlacementCandidate* best = nullptr;
    const auto rank = [&](const PlacementCandidate& one) {
      return std::tuple(share_taken(one, limits), one.containers, one.id);
    };
    for (const auto& candidate : candidates) {
      if (!is_usable(candidate, degraded_too) || !has_room(candidate, limits)) continue;
      if (best == nullptr || rank(candidate) < rank(*best)) best = &candidate;
    }
    if (best != nullptr) return best->id;
  }
  return std::nullopt;
}

}  // namespace berth::fleet
