#pragma once

#include <string>
#include <string_view>

#include "http/message.h"

namespace berth::http {

/// What of an answer depends on its connection rather than on the application.
struct HeadOptions {
  std::string_view date;  ///< of the Date field
  std::string_view request_id;
  bool keep_alive = true;
  bool gzip = false;           ///< the body goes out compressed
  bool vary_encoding = false;  ///< it could have gone out either way
  std::size_t content_length = 0;
  std::string_view etag;            ///< "" for none
  std::string_view allowed_origin;  ///< CORS; "" for none
};

/// Appends the status line and the fields of an answer, up to and with the empty line.
void append_head(std::string& out, const Response& response, const HeadOptions& options);

/// The reason phrase of a status, RFC 9110 section 15.
std::string_view reason_phrase(int status);

/// The Date field's form of a time (IMF-fixdate, RFC 9110 section 5.6.7).
std::string http_date(Timestamp time);

/// True if an If-None-Match field names `etag`, compared weakly (RFC 9110 section 13.1.2).
bool etag_matches(std::string_view if_none_match, std::string_view etag);

}  // namespace berth::http
