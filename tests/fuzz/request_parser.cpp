// The server's own part of reading a request: limits, target, fields, query.
#include "http/request_parser.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <cstdlib>

#include "base/encoding.h"

namespace {

constexpr std::size_t kBodyLimit = 512;

void parse_in_pieces(std::string_view text, std::size_t piece) {
  berth::http::Request request;
  berth::http::RequestParser parser(request, 2048, [](const auto&) { return kBodyLimit; });
  std::string buffer;
  boost::system::error_code error;
  while (!parser.is_done() && !text.empty()) {
    buffer.append(text.substr(0, piece));
    text.remove_prefix(std::min(piece, text.size()));
    const std::size_t used = parser.put(boost::asio::buffer(buffer), error);
    buffer.erase(0, used);
    if (error && error != boost::beast::http::error::need_more) break;
  }
  if (request.body.size() > kBodyLimit) std::abort();
  const auto pairs = berth::http::parse_query(request.query);
  if (pairs) {
    for (const auto& [key, value] : *pairs) {
      if (!berth::is_utf8(key) || !berth::is_utf8(value)) std::abort();
    }
  }
  berth::http::percent_decode(request.path);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = 1 + data[0];
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  parse_in_pieces(text, piece);
  berth::http::preferred_language(text);
  berth::http::accepts_gzip(text);
  return 0;
}
