#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "http/message.h"
#include "identity/identity_service.h"
#include "identity/principal.h"

namespace berth::api {

/// Whether requests without credentials are answered.
enum class Anonymous { never, loopback };

/// Settles who sends a request: a bearer token, an API key, or nobody. Thread-safe; answers are remembered per
/// I/O thread for as long as the identity's epoch stands, so a repeated credential costs one hash look-up.
class Authenticator {
 public:
  Authenticator(const identity::IdentityService& identity, const Clock& clock, Anonymous anonymous)
      : identity_(identity), clock_(clock), anonymous_(anonymous) {}

  struct Caller {
    identity::PrincipalPointer principal;  ///< null without credentials where those are needed
    std::string_view credential;           ///< as the request carries it; "" for none
  };
  /// An error if credentials are given and not valid. `query_token` is a WebSocket's "token" parameter.
  Result<Caller> settle(const http::Request& request, std::optional<std::string_view> query_token = {}) const;

  /// Who a caller is now that was settled before, for connections that outlive its access token.
  Result<identity::PrincipalPointer> settle_again(std::string_view credential, const identity::Principal& then) const {
    return identity_.find_again(credential, then);
  }
  /// The same for a credential by itself: long-lived connections ask again now and then.
  Result<identity::PrincipalPointer> settle_credential(std::string_view credential) const;
  std::uint64_t epoch() const { return identity_.epoch(); }

 private:
  Result<Caller> caller_of(std::string_view credential) const;

  const identity::IdentityService& identity_;
  const Clock& clock_;
  Anonymous anonymous_;
};

/// True if a request without credentials comes straight from a program on this machine: from a loopback peer,
/// with a loopback name as its Host, no proxy's marks, and no Origin of another site. A page that a browser here
/// has open elsewhere must not reach the API, nor a name that was rebound to 127.0.0.1.
bool is_local_request(const http::Request& request);

}  // namespace berth::api
