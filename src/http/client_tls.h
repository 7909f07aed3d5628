#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>

#include "base/result.h"
#include "http/client.h"
#include "http/tls.h"

namespace berth::http {

/// The client's side of TLS 1.2 and 1.3 towards an endpoint, whose server has to prove that it is `host` or holds
/// the certificate that the endpoint names. Errors: unavailable "http.unreachable" naming the unusable file.
Result<TlsContextPointer> make_client_tls_context(const Endpoint& endpoint, const std::string& host);

}  // namespace berth::http
