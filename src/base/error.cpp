#include "base/error.h"

#include <fmt/format.h>

namespace berth {

std::string_view name(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "invalid_argument";
    case ErrorCode::unauthenticated:
      return "unauthenticated";
    case ErrorCode::permission_denied:
      return "permission_denied";
    case ErrorCode::not_found:
      return "not_found";
    case ErrorCode::already_exists:
      return "already_exists";
    case ErrorCode::conflict:
      return "conflict";
    case ErrorCode::too_large:
      return "too_large";
    case ErrorCode::unsupported_media:
      return "unsupported_media";
    case ErrorCode::method_not_allowed:
      return "method_not_allowed";
    case ErrorCode::malformed:
      return "malformed";
    case ErrorCode::rate_limited:
      return "rate_limited";
    case ErrorCode::cancelled:
      return "cancelled";
    case ErrorCode::deadline_exceeded:
      return "deadline_exceeded";
    case ErrorCode::unavailable:
      return "unavailable";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::exhausted:
      return "exhausted";
    case ErrorCode::internal:
      return "internal";
  }
  return "internal";
}

Error Error::with_detail(std::string detail) && {
  detail_ = std::move(detail);
  return std::move(*this);
}

Error Error::with_field(std::string field, Text message) && {
  fields_.push_back({std::move(field), std::move(message)});
  return std::move(*this);
}

Error Error::with_fields(std::vector<FieldError> fields) && {
  fields_ = std::move(fields);
  return std::move(*this);
}

Error Error::with_retry_after(std::chrono::seconds wait) && {
  retry_after_ = wait;
  return std::move(*this);
}

std::string Error::describe() const {
  std::string text = fmt::format("{} {}: {}", name(code_), reason_, message_.en);
  for (const auto& field : fields_) text += fmt::format("; {}: {}", field.field, field.message.en);
  if (!detail_.empty()) text += fmt::format(" [{}]", detail_);
  return text;
}

Error internal_error(std::string detail) {
  return Error(ErrorCode::internal, "internal", {"服务器内部错误", "Internal server error"})
      .with_detail(std::move(detail));
}

}  // namespace berth
