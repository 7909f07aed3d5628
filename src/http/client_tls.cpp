#include "http/client_tls.h"

#include <boost/asio/ssl/host_name_verification.hpp>

#include "http/server_trust.h"

namespace berth::http {
namespace {

namespace asio = boost::asio;

Error unusable(std::string detail) {
  return Error(ErrorCode::unavailable, "http.unreachable",
               Text{"无法使用连接所需的证书", "a certificate for the connection cannot be used"})
      .with_detail(std::move(detail));
}

}  // namespace

Result<TlsContextPointer> make_client_tls_context(const Endpoint& endpoint, const std::string& host) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
  boost::system::error_code failure;
  context->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 |
                       asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1);
  context->set_verify_mode(asio::ssl::verify_peer);
  bool pinned = false;
  if (endpoint.server_certificate.empty()) {
    context->set_default_verify_paths(failure);
  } else {
    pinned = BERTH_TRY(read_server_trust(endpoint.server_certificate)).pinned;
    context->load_verify_file(endpoint.server_certificate, failure);
    // A leaf that is trusted by itself ends the chain; nothing above it is asked for.
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context->native_handle()), X509_V_FLAG_PARTIAL_CHAIN);
  }
  if (failure) return unusable("server certificate: " + failure.message());
  // Only the pinned certificate itself (or what it signed, which a leaf may not) verifies, so its name may differ.
  if (!pinned) context->set_verify_callback(asio::ssl::host_name_verification(host));
  if (!endpoint.client_certificate.empty()) {
    context->use_certificate_chain_file(endpoint.client_certificate, failure);
    if (!failure) context->use_private_key_file(endpoint.client_key, asio::ssl::context::pem, failure);
    if (failure) return unusable("client certificate: " + failure.message());
  }
  return context;
}

}  // namespace berth::http
