#include "api/container_rental/container_rental.h"

namespace berth::api::container_rental {

fleet::Caller caller_of(const Call& call) {
  return {.user = call.principal->user_id,
          .sees_all = !call.principal->owned_only(),
          .host_paths = call.allows(identity::permissions::kServersManage),
          .origin = call.origin()};
}

}  // namespace berth::api::container_rental
