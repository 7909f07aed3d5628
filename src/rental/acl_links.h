#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/id.h"
#include "base/result.h"
#include "base/secret.h"

namespace berth::rental {

/// A link that shows for itself, without other credentials, that its bearer may read one user's file of grants.
struct AclLink {
  std::string file;          ///< "acl-123.json"
  std::int64_t expires = 0;  ///< seconds since the epoch
  std::string signature;     ///< base64url
};

/// Signs such links and checks them: HMAC-SHA-512/256 over the file's name and the expiry. Immutable, thread-safe.
class AclLinks {
 public:
  /// `key` is 32 bytes derived from the instance's sealing key for this purpose alone ("acl-files").
  AclLinks(Secret key, const Clock& clock, std::chrono::seconds lifetime = std::chrono::minutes(10));

  AclLink sign(UserId user) const;
  /// Whose file it is. Takes the same time for every wrong signature. Errors: permission_denied "acl.link_invalid",
  /// "acl.link_expired".
  Result<UserId> check(std::string_view file, std::int64_t expires, std::string_view signature) const;

 private:
  std::string signature_of(std::string_view file, std::int64_t expires) const;

  Secret key_;
  const Clock& clock_;
  std::chrono::seconds lifetime_;
};

}  // namespace berth::rental
