#include "http/response_head.h"

#include <gtest/gtest.h>

namespace berth::http {
namespace {

std::string head_of(const Response& response, const HeadOptions& options = {}) {
  std::string out;
  append_head(out, response, options);
  return out;
}

TEST(ResponseHeadTest, StatesLengthTypeAndNoStoring) {
  HeadOptions options;
  options.content_length = 12;
  const std::string head = head_of(Response::json(201, "{}"), options);
  EXPECT_TRUE(head.starts_with("HTTP/1.1 201 Created\r\n"));
  EXPECT_NE(head.find("Content-Length: 12\r\n"), std::string::npos);
  EXPECT_NE(head.find("Content-Type: application/json; charset=utf-8\r\n"), std::string::npos);
  EXPECT_NE(head.find("Cache-Control: no-store\r\n"), std::string::npos);
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
}

TEST(ResponseHeadTest, LetsNoValueBeginAnotherField) {
  Response response = Response::json(200, "{}");
  response.headers.add("X-Name", "a\r\nSet-Cookie: evil=1");
  EXPECT_EQ(head_of(response).find("evil"), std::string::npos);
}

TEST(ResponseHeadTest, GivesNoLengthToAnswersWithoutBody) {
  Response response;
  response.status = 304;
  EXPECT_EQ(head_of(response).find("Content-Length"), std::string::npos);
}

TEST(ResponseHeadTest, WritesTheDateAsRfc9110Wants) {
  EXPECT_EQ(http_date(Timestamp(std::chrono::seconds(784111777))), "Sun, 06 Nov 1994 08:49:37 GMT");
}

TEST(ETagTest, MatchesWeaklyAndInLists) {
  EXPECT_TRUE(etag_matches("\"a\"", "W/\"a\""));
  EXPECT_TRUE(etag_matches("W/\"x\", W/\"a\"", "W/\"a\""));
  EXPECT_TRUE(etag_matches("*", "W/\"a\""));
  EXPECT_FALSE(etag_matches("\"b\"", "W/\"a\""));
  EXPECT_FALSE(etag_matches("", "W/\"a\""));
  EXPECT_FALSE(etag_matches("a", "W/\"a\""));
}

}  // namespace
}  // namespace berth::http
