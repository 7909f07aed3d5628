#pragma once

#include <string>

#include "base/result.h"

namespace berth::http {

/// Where a client connects to, taken from its endpoint's base address.
struct EndpointAddress {
  bool tls = false;
  std::string host;
  std::string port;
  std::string authority;  ///< as the Host field says it
};

/// Errors: unavailable "http.unreachable" for what is not an http or https address.
Result<EndpointAddress> parse_endpoint_address(const std::string& base_url);

}  // namespace berth::http
