#include "api/shared/call.h"

namespace berth::api {

audit::Origin Call::origin() const {
  audit::Origin origin;
  if (principal) {
    origin.user_id = principal->user_id;
    origin.actor = principal->actor;
  }
  origin.address = request->peer.address;
  origin.contract = contract;
  origin.request_id = request->id;
  return origin;
}

}  // namespace berth::api
