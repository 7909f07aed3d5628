#include "identity/auth_errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace berth::identity {

Error invalid_credential(std::string detail) {
  return Error(ErrorCode::unauthenticated, "auth.invalid", {"凭证无效", "The credential is not valid"})
      .with_detail(std::move(detail));
}

Error expired_credential() {
  return {ErrorCode::unauthenticated, "auth.expired", {"凭证已过期", "The credential has expired"}};
}

Error revoked_credential() {
  return {ErrorCode::unauthenticated, "auth.revoked", {"凭证已被撤销", "The credential was revoked"}};
}

Error bad_credentials() {
  return {ErrorCode::unauthenticated, "auth.bad_credentials", {"用户名或密码错误", "Wrong user name or password"}};
}

Error otp_required() {
  return {ErrorCode::unauthenticated, "auth.otp_required", {"需要动态验证码", "A one-time code is needed"}};
}

Error otp_invalid() {
  return {ErrorCode::unauthenticated,
          "auth.otp_invalid",
          {"动态验证码错误或已使用", "The one-time code is wrong or was used before"}};
}

Error throttled(std::chrono::microseconds wait) {
  const auto seconds = std::max(std::chrono::ceil<std::chrono::seconds>(wait), std::chrono::seconds(1));
  return Error(ErrorCode::rate_limited, "auth.throttled",
               {fmt::format("尝试次数过多，请在 {} 秒后重试", seconds.count()),
                fmt::format("Too many attempts; try again in {} s", seconds.count())})
      .with_retry_after(seconds);
}

Error user_not_found() {
  return {ErrorCode::not_found, "user.not_found", {"用户不存在", "The user does not exist"}};
}

Error key_not_found() {
  return {ErrorCode::not_found, "api_key.not_found", {"API 密钥不存在", "The API key does not exist"}};
}

}  // namespace berth::identity
