#include "fleet/server.h"

#include <string_view>

namespace berth::fleet {

std::string_view name(Fence fence) {
  switch (fence) {
    case Fence::none:
      return "none";
    case Fence::agent:
      return "agent";
    case Fence::command:
      return "command";
  }
  return "none";
}

std::string_view name(Placement placement) {
  return placement == Placement::open ? "open" : "draining";
}

std::string_view name(ServerHealth health) {
  switch (health) {
    case ServerHealth::unknown:
      return "unknown";
    case ServerHealth::healthy:
      return "healthy";
    case ServerHealth::degraded:
      return "degraded";
    case ServerHealth::unreachable:
      return "unreachable";
  }
  return "unknown";
}

}  // namespace berth::fleet
