#pragma once

#include <string>

#include "audit/audit_log.h"
#include "base/text.h"
#include "http/message.h"
#include "identity/principal.h"

namespace berth::api {

/// One authorised request on its way through a handler. The request outlives it.
struct Call {
  const http::Request* request = nullptr;
  identity::PrincipalPointer principal;  ///< null only on public routes without credentials
  Language language = Language::zh;
  std::string contract;
  std::string credential;  ///< as given; "" for anonymous. WebSockets check it again later

  /// How the audit log names this caller.
  audit::Origin origin() const;
  bool allows(identity::Permission permission) const { return principal && principal->allows(permission); }
};

/// The parts of a request that a handler does not use.
struct Nothing {};

}  // namespace berth::api
