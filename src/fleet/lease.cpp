#include "fleet/lease.h"

namespace berth::fleet {

std::string_view name(Holding holding) {
  switch (holding) {
    case Holding::unbound:
      return "unbound";
    case Holding::nothing:
      return "nothing";
    case Holding::timed:
      return "timed";
    case Holding::standing:
      return "standing";
  }
  return "unbound";
}

std::string_view name(Grant grant) {
  switch (grant) {
    case Grant::refused:
      return "refused";
    case Grant::timed:
      return "timed";
    case Grant::standing:
      return "standing";
    case Grant::released:
      return "released";
  }
  return "refused";
}

std::string_view name(Bond bond) {
  switch (bond) {
    case Bond::none:
      return "none";
    case Bond::timed:
      return "timed";
    case Bond::standing:
      return "standing";
  }
  return "none";
}

}  // namespace berth::fleet
