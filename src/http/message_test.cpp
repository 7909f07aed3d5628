#include "http/message.h"

#include <gtest/gtest.h>
#include <zlib.h>

namespace berth::http {
namespace {

TEST(HeadersTest, FindsNamesWithoutRegardToCase) {
  Headers headers;
  headers.add("Content-Type", "text/plain");
  EXPECT_EQ(headers.find("content-TYPE"), "text/plain");
  EXPECT_FALSE(headers.find("Content-Typ"));
}

TEST(HeadersTest, SetReplacesEveryFieldOfTheName) {
  Headers headers;
  headers.add("A", "1");
  headers.add("b", "2");
  headers.add("a", "3");
  headers.set("A", "4");
  EXPECT_EQ(headers.size(), 2U);
  EXPECT_EQ(headers.find("a"), "4");
  EXPECT_EQ(headers.find("B"), "2");
}

TEST(HeadersTest, ForgetsEverythingWhenCleared) {
  Headers headers;
  headers.add("A", "1");
  headers.clear();
  EXPECT_FALSE(headers.find("A"));
  headers.add("B", "2");
  EXPECT_EQ(headers.begin()->name, "B");
}

struct Decoding {
  const char* text;
  std::optional<std::string> expected;
};

TEST(PercentTest, DecodesOrRefuses) {
  const std::vector<Decoding> table = {
      {"", ""},
      {"abc", "abc"},
      {"a%20b", "a b"},
      {"%E5%AE%9E", "实"},
      {"a+b", "a+b"},
      {"%", std::nullopt},
      {"%4", std::nullopt},
      {"%zz", std::nullopt},
      {"%00", std::nullopt},
      {"%ff", std::nullopt},
      {"%c0%80", std::nullopt},
      {"%2525", "%25"},
  };
  for (const auto& row : table) EXPECT_EQ(percent_decode(row.text), row.expected) << row.text;
  EXPECT_EQ(percent_decode("a+b", true), "a b");
}

TEST(PercentTest, EncodesSoThatDecodingGivesTheSame) {
  const std::string text = "实例 /?#[]@!$&'()*+,;=%~-._";
  const std::string encoded = percent_encode(text);
  EXPECT_EQ(encoded.find_first_of("/?#&+ %="), encoded.find('%'));
  EXPECT_EQ(percent_decode(encoded), text);
}

TEST(QueryTest, ReadsPairsInOrder) {
  const auto pairs = parse_query("a=1&b=x%20y&&a=2&flag&c=");
  ASSERT_TRUE(pairs);
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"a", "1"}, {"b", "x y"}, {"a", "2"}, {"flag", ""}, {"c", ""}};
  EXPECT_EQ(*pairs, expected);
}

TEST(QueryTest, RefusesBrokenEncoding) {
  EXPECT_FALSE(parse_query("a=%"));
  EXPECT_FALSE(parse_query("%ff=1"));
}

TEST(ContentTest, HasTheSameETagForTheSameBytesOnly) {
  const Content a("text/plain", "one");
  const Content b("text/plain", "one");
  const Content c("text/plain", "two");
  EXPECT_EQ(a.etag(), b.etag());
  EXPECT_NE(a.etag(), c.etag());
  EXPECT_TRUE(a.etag().starts_with("W/\""));
}

TEST(ContentTest, CompressesWhatGetsSmaller) {
  const std::string text(10'000, 'x');
  const Content content("text/plain", text);
  const std::string* small = content.gzip();
  ASSERT_NE(small, nullptr);
  std::string out(text.size(), '\0');
  z_stream stream{};
  ASSERT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(small->data()));
  stream.avail_in = static_cast<uInt>(small->size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  inflateEnd(&stream);
  EXPECT_EQ(out, text);
  EXPECT_EQ(Content("text/plain", "x").gzip(), nullptr);
}

}  // namespace
}  // namespace berth::http
