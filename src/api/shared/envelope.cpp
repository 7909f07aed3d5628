#include "api/shared/envelope.h"

namespace berth::api {

int status_of(ErrorCode code, int field_status) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return field_status;
    case ErrorCode::malformed:
      return 400;
    case ErrorCode::unauthenticated:
      return 401;
    case ErrorCode::permission_denied:
      return 403;
    case ErrorCode::not_found:
      return 404;
    case ErrorCode::method_not_allowed:
      return 405;
    case ErrorCode::already_exists:
    case ErrorCode::conflict:
    case ErrorCode::cancelled:
      return 409;
    case ErrorCode::too_large:
      return 413;
    case ErrorCode::unsupported_media:
      return 415;
    case ErrorCode::rate_limited:
      return 429;
    case ErrorCode::unsupported:
      return 501;
    case ErrorCode::unavailable:
    case ErrorCode::exhausted:
      return 503;
    case ErrorCode::deadline_exceeded:
      return 504;
    case ErrorCode::internal:
      return 500;
  }
  return 500;
}

std::vector<BadField> spell_out_fields(const Error& error, Language language, std::string& words) {
  std::vector<BadField> fields;
  for (const FieldError& field : error.fields()) {
    words += (fields.empty() ? ": " : "; ") + field.field + " " + field.message.in(language);
    fields.push_back({field.field, field.message.in(language)});
  }
  return fields;
}

Error error_of_status(int status) {
  switch (status) {
    case 404:
      return {ErrorCode::not_found, "http.not_found", {"路径不存在", "No such path"}};
    case 408:
      return {ErrorCode::deadline_exceeded, "http.slow_request", {"请求发送超时", "The request was sent too slowly"}};
    case 413:
      return {ErrorCode::too_large, "http.body_too_large", {"请求体过大", "The request body is too large"}};
    case 431:
      return {ErrorCode::too_large, "http.header_too_large", {"请求头过大", "The request header is too large"}};
    case 500:
      return internal_error("see the log");
    default:
      return {ErrorCode::malformed, "http.malformed", {"请求格式错误", "The request is malformed"}};
  }
}

void add_error_headers(const Error& error, http::Response& response) {
  if (error.retry_after()) response.headers.add("Retry-After", std::to_string(error.retry_after()->count()));
  if (error.code() == ErrorCode::unauthenticated) response.headers.add("WWW-Authenticate", "Bearer");
}

}  // namespace berth::api
