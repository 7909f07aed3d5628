#include "api/container_rental/container_rental.h"

namespace berth::api::container_rental {

fleet::Caller caller_of(const identity::Principal& principal) {
  return {.user = principal.user_id,
          .sees_all = !principal.owned_only(),
          .host_paths = principal.allows(identity::permissions::kServersManage),
          .origin = {}};
}

fleet::Caller caller_of(const Call& call) {
  fleet::Caller caller = caller_of(*call.principal);
  caller.origin = call.origin();
  return caller;
}

}  // namespace berth::api::container_rental
