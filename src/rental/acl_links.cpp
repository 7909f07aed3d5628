#include "rental/acl_links.h"

#include <fmt/format.h>
#include <sodium.h>

#include <charconv>
#include <optional>
#include <stdexcept>
#include <utility>

#include "base/encoding.h"

namespace berth::rental {
namespace {

constexpr std::string_view kBeginning = "acl-";
constexpr std::string_view kEnd = ".json";

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string file_of(UserId user) {
  return fmt::format("{}{}{}", kBeginning, user.value(), kEnd);
}

std::optional<UserId> user_of(std::string_view file) {
  if (!file.starts_with(kBeginning) || !file.ends_with(kEnd)) return std::nullopt;
  file.remove_prefix(kBeginning.size());
  file.remove_suffix(kEnd.size());
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(file.data(), file.data() + file.size(), id);
  if (error != std::errc() || end != file.data() + file.size() || id <= 0) return std::nullopt;
  return UserId(id);
}

std::int64_t seconds_of(Timestamp time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

}  // namespace

AclLinks::AclLinks(Secret key, const Clock& clock, std::chrono::seconds lifetime)
    : key_(std::move(key)), clock_(clock), lifetime_(lifetime) {
  if (key_.reveal().size() != crypto_auth_KEYBYTES) throw std::logic_error("the key of links must have 32 bytes");
}

std::string AclLinks::signature_of(std::string_view file, std::int64_t expires) const {
  const std::string signed_text = fmt::format("acl-file\n{}\n{}", file, expires);
  std::string code(crypto_auth_BYTES, '\0');
  crypto_auth(reinterpret_cast<unsigned char*>(code.data()), bytes_of(signed_text), signed_text.size(),
              bytes_of(key_.reveal()));
  return to_base64url(code);
}

AclLink AclLinks::sign(UserId user) const {
  AclLink link{.file = file_of(user), .expires = seconds_of(clock_.now() + lifetime_), .signature = {}};
  link.signature = signature_of(link.file, link.expires);
  return link;
}

Result<UserId> AclLinks::check(std::string_view file, std::int64_t expires, std::string_view signature) const {
  const Secret right(signature_of(file, expires));
  const auto user = user_of(file);
  if (!right.matches(signature) || !user) {
    return Error(ErrorCode::permission_denied, "acl.link_invalid", {"下载链接无效", "The download link is not valid"});
  }
  if (seconds_of(clock_.now()) >= expires) {
    return Error(ErrorCode::permission_denied, "acl.link_expired", {"下载链接已过期", "The download link has expired"});
  }
  return *user;
}

}  // namespace berth::rental
