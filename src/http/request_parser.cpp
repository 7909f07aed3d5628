#include "http/request_parser.h"

#include <charconv>

namespace berth::http {
namespace {

namespace beast = boost::beast;

Method method_of(beast::http::verb verb) {
  switch (verb) {
    case beast::http::verb::get:
      return Method::get;
    case beast::http::verb::head:
      return Method::head;
    case beast::http::verb::post:
      return Method::post;
    case beast::http::verb::put:
      return Method::put;
    case beast::http::verb::patch:
      return Method::patch;
    case beast::http::verb::delete_:
      return Method::delete_;
    case beast::http::verb::options:
      return Method::options;
    default:
      return Method::other;
  }
}

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// One element of a comma list with its quality: "en;q=0.8".
struct Weighted {
  std::string_view value;
  double quality = 1;
};

/// Calls `each` for every element of a weighted list.
template <class Each>
void for_each_weighted(std::string_view field, Each each) {
  while (!field.empty()) {
    const std::size_t comma = field.find(',');
    std::string_view element = trim(field.substr(0, comma));
    field = comma == std::string_view::npos ? std::string_view() : field.substr(comma + 1);
    if (element.empty()) continue;
    Weighted weighted;
    const std::size_t semicolon = element.find(';');
    weighted.value = trim(element.substr(0, semicolon));
    if (semicolon != std::string_view::npos) {
      const std::string_view parameter = trim(element.substr(semicolon + 1));
      if (parameter.starts_with("q=")) {
        const auto digits = parameter.substr(2);
        if (std::from_chars(digits.data(), digits.data() + digits.size(), weighted.quality).ec != std::errc{}) {
          weighted.quality = 0;
        }
      }
    }
    each(weighted);
  }
}

bool starts_with_ignoring_case(std::string_view text, std::string_view lower_prefix) {
  if (text.size() < lower_prefix.size()) return false;
  for (std::size_t i = 0; i < lower_prefix.size(); ++i) {
    const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] - 'A' + 'a') : text[i];
    if (c != lower_prefix[i]) return false;
  }
  return true;
}

}  // namespace

RequestParser::RequestParser(Request& request, std::size_t header_limit,
                             std::function<std::size_t(const Request&)> body_limit)
    : request_(request), ask_body_limit_(std::move(body_limit)) {
  this->header_limit(static_cast<std::uint32_t>(header_limit));
  basic_parser::body_limit(boost::none);
  eager(true);
}

void RequestParser::on_request_impl(Verb method, View, View target, int version, ErrorCode&) {
  version_ = version;
  request_.method = method_of(method);
  std::string_view text = view(target);
  // The absolute form (RFC 9112 section 3.2.2) names the authority too; the path is what counts here.
  if (text.starts_with("http://") || text.starts_with("https://")) {
    const std::size_t path = text.find('/', text.find("//") + 2);
    text = path == std::string_view::npos ? std::string_view("/") : text.substr(path);
  }
  request_.target.assign(text);
  const std::size_t question = text.find('?');
  request_.path.assign(text.substr(0, question));
  request_.query.assign(question == std::string_view::npos ? std::string_view() : text.substr(question + 1));
}

void RequestParser::on_response_impl(int, View, int, ErrorCode&) {}

void RequestParser::on_field_impl(Field field, View name, View value, ErrorCode&) {
  request_.headers.add(view(name), view(value));
  if (field == Field::accept_language) request_.language = preferred_language(view(value));
  if (field == Field::expect) wants_continue_ = starts_with_ignoring_case(view(value), "100-continue");
}

void RequestParser::on_header_impl(ErrorCode& error) {
  body_limit_ = ask_body_limit_(request_);
  const auto length = content_length();
  if (length && *length > body_limit_) error = beast::http::error::body_limit;
}

void RequestParser::on_body_init_impl(boost::optional<std::uint64_t> const& length, ErrorCode&) {
  if (length) request_.body.reserve(static_cast<std::size_t>(*length));
}

std::size_t RequestParser::append_body(View body, ErrorCode& error) {
  if (request_.body.size() + body.size() > body_limit_) {
    error = beast::http::error::body_limit;
    return 0;
  }
  request_.body.append(body.data(), body.size());
  return body.size();
}

std::size_t RequestParser::on_body_impl(View body, ErrorCode& error) {
  return append_body(body, error);
}

void RequestParser::on_chunk_header_impl(std::uint64_t, View, ErrorCode&) {}

std::size_t RequestParser::on_chunk_body_impl(std::uint64_t, View body, ErrorCode& error) {
  return append_body(body, error);
}

void RequestParser::on_finish_impl(ErrorCode&) {}

std::optional<Language> preferred_language(std::string_view field) {
  std::optional<Language> best;
  double best_quality = 0;
  for_each_weighted(field, [&](const Weighted& weighted) {
    std::optional<Language> language;
    if (starts_with_ignoring_case(weighted.value, "zh")) language = Language::zh;
    if (starts_with_ignoring_case(weighted.value, "en")) language = Language::en;
    if (language && weighted.quality > best_quality) {
      best = language;
      best_quality = weighted.quality;
    }
  });
  return best;
}

bool accepts_gzip(std::string_view field) {
  bool accepted = false;
  for_each_weighted(field, [&](const Weighted& weighted) {
    if (weighted.value == "gzip" || weighted.value == "x-gzip") accepted = weighted.quality > 0;
  });
  return accepted;
}

}  // namespace berth::http
