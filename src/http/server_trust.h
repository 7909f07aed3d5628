#pragma once

#include <string>

#include "base/result.h"

namespace berth::http {

/// How a client recognises a server by the PEM file that its endpoint names.
struct ServerTrust {
  /// The file holds the server's own certificate, not an authority's: then exactly this key is trusted,
  /// whatever host name the certificate carries (engines sign their own).
  bool pinned = false;
  std::string public_key_pin;  ///< "sha256//" and base64 of the hash of the public key; for `pinned` only
};

/// Errors: unavailable "http.unreachable" if the file cannot be read or holds no certificate.
Result<ServerTrust> read_server_trust(const std::string& file);

}  // namespace berth::http
