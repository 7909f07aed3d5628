#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>

#include "base/result.h"
#include "http/server.h"

namespace berth::http {

using TlsContextPointer = std::shared_ptr<boost::asio::ssl::context>;

/// A server context for TLS 1.2 and 1.3 with forward secrecy only. Errors: invalid_argument "http.tls" naming
/// the file.
Result<TlsContextPointer> make_tls_context(const TlsFiles& files);

}  // namespace berth::http
