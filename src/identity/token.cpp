#include "identity/token.h"

#include <jwt.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <utility>

#include "base/encoding.h"
#include "identity/auth_errors.h"

namespace berth::identity {
namespace {

struct FreeToken {
  void operator()(jwt_t* token) const { jwt_free(token); }
};
using TokenPointer = std::unique_ptr<jwt_t, FreeToken>;

struct FreeText {
  void operator()(char* text) const { std::free(text); }
};

/// The end of the year 9999: no time beyond it is one of ours, and it fits a Timestamp.
constexpr long kLatest = 253'402'300'799;

/// Three parts in base64url, so that the library never sees anything else.
bool looks_like_token(std::string_view text) {
  if (text.empty() || text.size() > TokenCodec::kLongest || std::ranges::count(text, '.') != 2) return false;
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
}

std::string text_claim(jwt_t* token, const char* name) {
  const char* value = jwt_get_grant(token, name);
  return value == nullptr ? std::string() : std::string(value);
}

long whole_seconds(Timestamp time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

const unsigned char* key_bytes(const Secret& key) {
  return reinterpret_cast<const unsigned char*>(key.reveal().data());
}

}  // namespace

TokenCodec::TokenCodec(Secret key, std::string issuer) : key_(std::move(key)), issuer_(std::move(issuer)) {
  if (key_.reveal().size() != 32) throw std::logic_error("a token key must have 32 bytes");
}

Result<std::string> TokenCodec::issue(const TokenClaims& claims) const {
  jwt_t* made = nullptr;
  if (jwt_new(&made) != 0) throw std::bad_alloc();
  const TokenPointer token(made);
  const bool complete = jwt_add_grant(made, "iss", issuer_.c_str()) == 0 &&
                        jwt_add_grant(made, "sub", claims.user_uuid.c_str()) == 0 &&
                        jwt_add_grant(made, "sid", claims.session_id.c_str()) == 0 &&
                        jwt_add_grant(made, "jti", claims.token_id.c_str()) == 0 &&
                        jwt_add_grant_int(made, "iat", whole_seconds(claims.issued_at)) == 0 &&
                        jwt_add_grant_int(made, "exp", whole_seconds(claims.expires_at)) == 0 &&
                        jwt_set_alg(made, JWT_ALG_HS256, key_bytes(key_), static_cast<int>(key_.reveal().size())) == 0;
  const std::unique_ptr<char, FreeText> text(complete ? jwt_encode_str(made) : nullptr);
  if (text == nullptr) return internal_error("libjwt could not encode a token");
  return std::string(text.get());
}

Result<TokenClaims> TokenCodec::parse(std::string_view text, Timestamp now) const {
  if (!looks_like_token(text)) return invalid_credential("not a token");
  jwt_t* read = nullptr;
  const int outcome =
      jwt_decode(&read, std::string(text).c_str(), key_bytes(key_), static_cast<int>(key_.reveal().size()));
  const TokenPointer token(read);
  if (outcome != 0 || read == nullptr) return invalid_credential("malformed or not signed by us");
  if (jwt_get_alg(read) != JWT_ALG_HS256) return invalid_credential("algorithm");
  if (text_claim(read, "iss") != issuer_) return invalid_credential("issuer");

  const long issued = jwt_get_grant_int(read, "iat");
  const long expires = jwt_get_grant_int(read, "exp");
  TokenClaims claims{.user_uuid = text_claim(read, "sub"),
                     .session_id = text_claim(read, "sid"),
                     .token_id = text_claim(read, "jti"),
                     .issued_at = {},
                     .expires_at = {}};
  if (!is_uuid(claims.user_uuid) || !is_uuid(claims.session_id) || !is_uuid(claims.token_id) || issued <= 0 ||
      expires < issued || expires > kLatest) {
    return invalid_credential("claims");
  }
  claims.issued_at = Timestamp(std::chrono::seconds(issued));
  claims.expires_at = Timestamp(std::chrono::seconds(expires));
  if (now >= claims.expires_at) return expired_credential();
  return claims;
}

}  // namespace berth::identity
