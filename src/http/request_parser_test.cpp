#include "http/request_parser.h"

#include <gtest/gtest.h>

namespace berth::http {
namespace {

TEST(RequestParserTest, TakesTheTargetApart) {
  Request request;
  RequestParser parser(request, 1024, [](const Request&) { return std::size_t{0}; });
  const std::string text = "GET /a/b?x=1&y=%20 HTTP/1.1\r\nHost: h\r\nAccept-Language: en\r\n\r\n";
  boost::system::error_code error;
  parser.put(boost::asio::const_buffer(text.data(), text.size()), error);
  ASSERT_TRUE(parser.is_done());
  EXPECT_EQ(request.path, "/a/b");
  EXPECT_EQ(request.query, "x=1&y=%20");
  EXPECT_EQ(request.language, Language::en);
  EXPECT_EQ(parser.version(), 11);
}

TEST(RequestParserTest, ReadsTheAbsoluteForm) {
  for (const auto& [target, path] : std::vector<std::pair<std::string, std::string>>{
           {"http://host:8000/a?b", "/a"}, {"http://host", "/"}, {"https://host/", "/"}}) {
    Request request;
    RequestParser parser(request, 1024, [](const Request&) { return std::size_t{0}; });
    const std::string text = "GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n";
    boost::system::error_code error;
    parser.put(boost::asio::const_buffer(text.data(), text.size()), error);
    EXPECT_EQ(request.path, path) << target;
  }
}

TEST(AcceptLanguageTest, PicksTheBestOfOurs) {
  const std::vector<std::pair<const char*, std::optional<Language>>> table = {
      {"en", Language::en},
      {"zh-CN,zh;q=0.9,en;q=0.8", Language::zh},
      {"en;q=0.5, zh;q=0.7", Language::zh},
      {"fr, en;q=0.1", Language::en},
      {"EN-us", Language::en},
      {"fr", std::nullopt},
      {"", std::nullopt},
      {"*", std::nullopt},
      {"en;q=0", std::nullopt},
      {"en;q=abc, zh;q=0.1", Language::zh},
      {",,;;q=,", std::nullopt},
  };
  for (const auto& [field, expected] : table) EXPECT_EQ(preferred_language(field), expected) << field;
}

TEST(AcceptEncodingTest, KnowsWhoTakesGzip) {
  for (const auto* field : {"gzip", "br, gzip", "gzip;q=0.5", "x-gzip", " gzip "})
    EXPECT_TRUE(accepts_gzip(field)) << field;
  for (const auto* field : {"", "br", "gzip;q=0", "identity", "gzipx"}) EXPECT_FALSE(accepts_gzip(field)) << field;
}

}  // namespace
}  // namespace berth::http
