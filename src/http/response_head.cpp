#include "http/response_head.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <ctime>

namespace berth::http {
namespace {

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

void append_number(std::string& out, std::size_t number) {
  std::array<char, 20> digits{};
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  out.append(digits.data(), end);
}

/// A value from elsewhere must not begin another field.
bool is_field_safe(std::string_view text) {
  for (const char c : text) {
    if (c == '\r' || c == '\n' || c == '\0') return false;
  }
  return true;
}

}  // namespace

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 422:
      return "Unprocessable Content";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 507:
      return "Insufficient Storage";
    default:
      return "Status";
  }
}

void append_head(std::string& out, const Response& response, const HeadOptions& options) {
  out.reserve(out.size() + 384);
  out += "HTTP/1.1 ";
  append_number(out, static_cast<std::size_t>(response.status));
  out.push_back(' ');
  out += reason_phrase(response.status);
  out += "\r\n";
  append_field(out, "Date", options.date);
  const bool has_body = response.status != 204 && response.status != 304;
  if (has_body) {
    const std::string& type = response.content ? response.content->type() : response.content_type;
    if (!type.empty()) append_field(out, "Content-Type", type);
    out += "Content-Length: ";
    append_number(out, options.content_length);
    out += "\r\n";
    if (options.gzip) append_field(out, "Content-Encoding", "gzip");
  }
  if (!options.etag.empty()) append_field(out, "ETag", options.etag);
  if (!response.headers.find("Cache-Control")) {
    append_field(out, "Cache-Control", options.etag.empty() ? "no-store" : "private, no-cache");
  }
  append_field(out, "X-Content-Type-Options", "nosniff");
  append_field(out, "X-Request-Id", options.request_id);
  if (options.vary_encoding) append_field(out, "Vary", "Accept-Encoding");
  if (!options.allowed_origin.empty()) {
    append_field(out, "Access-Control-Allow-Origin", options.allowed_origin);
    append_field(out, "Access-Control-Expose-Headers", "ETag, Location, Retry-After, X-Request-Id");
    append_field(out, "Vary", "Origin");
  }
  if (!options.keep_alive) append_field(out, "Connection", "close");
  for (const auto& field : response.headers) {
    if (is_field_safe(field.name) && is_field_safe(field.value)) append_field(out, field.name, field.value);
  }
  out += "\r\n";
}

std::string http_date(Timestamp time) {
  static constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto raw = static_cast<std::time_t>(std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count());
  std::tm fields{};
  gmtime_r(&raw, &fields);
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[static_cast<std::size_t>(fields.tm_wday)],
                     fields.tm_mday, kMonths[static_cast<std::size_t>(fields.tm_mon)], fields.tm_year + 1900,
                     fields.tm_hour, fields.tm_min, fields.tm_sec);
}

bool etag_matches(std::string_view if_none_match, std::string_view etag) {
  const auto opaque = [](std::string_view tag) { return tag.starts_with("W/") ? tag.substr(2) : tag; };
  while (!if_none_match.empty()) {
    const std::size_t comma = if_none_match.find(',');
    std::string_view candidate = if_none_match.substr(0, comma);
    if_none_match = comma == std::string_view::npos ? std::string_view() : if_none_match.substr(comma + 1);
    while (!candidate.empty() && candidate.front() == ' ') candidate.remove_prefix(1);
    while (!candidate.empty() && candidate.back() == ' ') candidate.remove_suffix(1);
    if (candidate == "*" || opaque(candidate) == opaque(etag)) return true;
  }
  return false;
}

}  // namespace berth::http
