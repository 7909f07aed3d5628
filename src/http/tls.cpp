#include "http/tls.h"

#include <fmt/format.h>
#include <openssl/ssl.h>

namespace berth::http {

Result<TlsContextPointer> make_tls_context(const TlsFiles& files) {
  namespace ssl = boost::asio::ssl;
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  SSL_CTX* native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_options(native, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                  SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_cipher_list(native, "ECDHE+AESGCM:ECDHE+CHACHA20");

  const auto wrong = [](const std::filesystem::path& file, const boost::system::error_code& error) {
    return Error(ErrorCode::invalid_argument, "http.tls",
                 {fmt::format("无法使用 TLS 文件 {}", file.string()),
                  fmt::format("Cannot use the TLS file {}", file.string())})
        .with_detail(error.message());
  };
  boost::system::error_code error;
  context->use_certificate_chain_file(files.certificate.string(), error);
  if (error) return wrong(files.certificate, error);
  context->use_private_key_file(files.key.string(), ssl::context::pem, error);
  if (error) return wrong(files.key, error);
  if (SSL_CTX_check_private_key(native) != 1) {
    return wrong(files.key, boost::system::error_code(EINVAL, boost::system::generic_category()));
  }
  return context;
}

}  // namespace berth::http
