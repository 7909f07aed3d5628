#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"

namespace berth::identity {

/// What an access token says. Times are kept in whole seconds.
struct TokenClaims {
  std::string user_uuid;   ///< "sub"
  std::string session_id;  ///< "sid", a UUID
  std::string token_id;    ///< "jti", a UUID
  Timestamp issued_at;
  Timestamp expires_at;
};

/// Writes and reads access tokens: JWT with HS256 and nothing else. Immutable and thread-safe.
class TokenCodec {
 public:
  /// No token of ours comes near this; anything longer is refused unread.
  static constexpr std::size_t kLongest = 4096;

  /// `key` has 32 bytes.
  TokenCodec(Secret key, std::string issuer);

  Result<std::string> issue(const TokenClaims& claims) const;
  /// Checks form, algorithm, signature, issuer and expiry of untrusted text; says nothing about
  /// revocation. Errors: unauthenticated "auth.invalid", and "auth.expired" for what was valid
  /// once.
  Result<TokenClaims> parse(std::string_view token, Timestamp now) const;

 private:
  Secret key_;
  std::string issuer_;
};

}  // namespace berth::identity
