#include "http/server_trust.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <cstdio>
#include <memory>

#include "base/encoding.h"

namespace berth::http {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
struct FreeCertificate {
  void operator()(X509* certificate) const { X509_free(certificate); }
};

Error unusable(const std::string& file, const char* why) {
  return Error(ErrorCode::unavailable, "http.unreachable",
               Text{"无法读取服务器证书", "the server's certificate cannot be read"})
      .with_detail(file + ": " + why);
}

}  // namespace

Result<ServerTrust> read_server_trust(const std::string& file) {
  const std::unique_ptr<std::FILE, CloseFile> stream(std::fopen(file.c_str(), "re"));
  if (!stream) return unusable(file, "cannot be opened");
  const std::unique_ptr<X509, FreeCertificate> certificate(PEM_read_X509(stream.get(), nullptr, nullptr, nullptr));
  if (!certificate) return unusable(file, "holds no PEM certificate");

  ServerTrust trust;
  trust.pinned = X509_check_ca(certificate.get()) != 1;
  if (!trust.pinned) return trust;
  unsigned char* encoded = nullptr;
  const int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate.get()), &encoded);
  if (length <= 0) return unusable(file, "holds no public key");
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(encoded, static_cast<std::size_t>(length), digest.data());
  OPENSSL_free(encoded);
  trust.public_key_pin = "sha256//" + to_base64({reinterpret_cast<const char*>(digest.data()), digest.size()});
  return trust;
}

}  // namespace berth::http
