#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <cstddef>
#include <functional>
#include <string_view>

#include "http/message.h"

namespace berth::http {

/// Reads one request straight into a Request. Beast's parser checks the syntax (RFC 9112: field names, lengths,
/// chunks, no length beside chunks); this class keeps what it finds and the limits. Not thread-safe.
class RequestParser : public boost::beast::http::basic_parser<true> {
 public:
  /// `body_limit` is asked once, when the header is complete.
  RequestParser(Request& request, std::size_t header_limit, std::function<std::size_t(const Request&)> body_limit);

  /// 10 or 11.
  int version() const { return version_; }
  bool wants_continue() const { return wants_continue_; }
  void continue_sent() { wants_continue_ = false; }

 private:
  using ErrorCode = boost::beast::error_code;
  using View = boost::beast::string_view;
  using Verb = boost::beast::http::verb;
  using Field = boost::beast::http::field;

  void on_request_impl(Verb method, View method_text, View target, int version, ErrorCode& error) override;
  void on_response_impl(int status, View reason, int version, ErrorCode& error) override;
  void on_field_impl(Field field, View name, View value, ErrorCode& error) override;
  void on_header_impl(ErrorCode& error) override;
  void on_body_init_impl(boost::optional<std::uint64_t> const& length, ErrorCode& error) override;
  std::size_t on_body_impl(View body, ErrorCode& error) override;
  void on_chunk_header_impl(std::uint64_t size, View extensions, ErrorCode& error) override;
  std::size_t on_chunk_body_impl(std::uint64_t remain, View body, ErrorCode& error) override;
  void on_finish_impl(ErrorCode& error) override;

  std::size_t append_body(View body, ErrorCode& error);

  Request& request_;
  std::function<std::size_t(const Request&)> ask_body_limit_;
  std::size_t body_limit_ = 0;
  int version_ = 11;
  bool wants_continue_ = false;
};

/// The language that an Accept-Language field (RFC 9110 section 12.5.4) prefers among ours, if any.
std::optional<Language> preferred_language(std::string_view field);
/// True if an Accept-Encoding field takes gzip.
bool accepts_gzip(std::string_view field);

}  // namespace berth::http
