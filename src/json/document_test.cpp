#include "json/document.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace berth::json {
namespace {

Document parse(std::string_view text) {
  auto document = Document::parse(text);
  if (!document) throw std::runtime_error(document.error().describe());
  return std::move(*document);
}

TEST(Document, RefusesWhatIsNoJson) {
  for (const std::string_view text : {"",
                                      " ",
                                      "{",
                                      "[1,]",
                                      "{\"a\":}",
                                      "{\"a\" 1}",
                                      "{a:1}",
                                      "'a'",
                                      "\"a",
                                      "01",
                                      "1.",
                                      ".5",
                                      "+1",
                                      "1e",
                                      "nul",
                                      "tru",
                                      "NaN",
                                      "Infinity",
                                      "[1]x",
                                      "1 2",
                                      "{} {}",
                                      "[1 2]",
                                      "\"\x01\"",
                                      "\"\\x\"",
                                      "\"\\u12\"",
                                      "\"\\ud800\"",
                                      "\"\xff\"",
                                      "\"\xc0\xaf\"",
                                      "\xef\xbb\xbf{}",
                                      "// c\n1",
                                      "{\"a\":1,}"}) {
    const auto document = Document::parse(text);
    ASSERT_FALSE(document) << text;
    EXPECT_EQ(document.error().code(), ErrorCode::malformed);
    EXPECT_EQ(document.error().reason(), "json.malformed");
  }
}

TEST(Document, TellsNearWhichByteItStopped) {
  EXPECT_EQ(Document::parse(R"({"a":x})").error().message().en, "Not valid JSON (near byte 6)");
  EXPECT_EQ(Document::parse("[1] 2").error().message().en, "Not valid JSON (near byte 5)");
}

TEST(Document, RefusesTooDeepNesting) {
  EXPECT_TRUE(Document::parse(std::string(32, '[') + std::string(32, ']')));
  const auto document = Document::parse(std::string(33, '[') + std::string(33, ']'));
  ASSERT_FALSE(document);
  EXPECT_EQ(document.error().reason(), "json.malformed");
  EXPECT_EQ(document.error().message().en, "The JSON is nested deeper than 32 levels");
  EXPECT_FALSE(Document::parse(std::string(1'000'000, '[')));
}

TEST(Document, RefusesTooLongText) {
  const auto document = Document::parse("[1,2,3]", {.bytes = 6});
  ASSERT_FALSE(document);
  EXPECT_EQ(document.error().code(), ErrorCode::too_large);
}

TEST(Document, KnowsTheKindOfEachValue) {
  const Document document = parse(R"({"n":null,"b":true,"i":1,"s":"x","a":[],"o":{}})");
  const View root = document.root();
  EXPECT_EQ(root.kind(), Kind::object);
  EXPECT_EQ(root["n"].kind(), Kind::null);
  EXPECT_EQ(root["b"].kind(), Kind::boolean);
  EXPECT_EQ(root["i"].kind(), Kind::number);
  EXPECT_EQ(root["s"].kind(), Kind::string);
  EXPECT_EQ(root["a"].kind(), Kind::array);
  EXPECT_EQ(root["o"].kind(), Kind::object);
  EXPECT_EQ(root["missing"].kind(), Kind::missing);
  EXPECT_TRUE(root["n"].exists());
  EXPECT_FALSE(root["missing"].exists());
}

TEST(Document, AsksOfTheWrongKindYieldNothing) {
  const Document document = parse(R"({"s":"x","n":1,"a":[1]})");
  const View root = document.root();
  EXPECT_FALSE(root["s"].integer());
  EXPECT_FALSE(root["s"].number());
  EXPECT_FALSE(root["s"].boolean());
  EXPECT_FALSE(root["n"].string());
  EXPECT_FALSE(root["n"]["deeper"]["still"].exists());
  EXPECT_FALSE(root["a"]["x"].exists());
  EXPECT_FALSE(root["a"].at(1).exists());
  EXPECT_FALSE(root.at(0).exists());
  EXPECT_EQ(root["n"].size(), 0U);
  EXPECT_TRUE(root.elements().empty());
  EXPECT_TRUE(root["a"].members().empty());
  EXPECT_EQ(View().text(), "");
  EXPECT_EQ(View().string_or("fallback"), "fallback");
  EXPECT_EQ(root["s"].string_or("fallback"), "x");
}

TEST(Document, ReadsWholeNumbersHoweverTheyAreWritten) {
  const Document document = parse(
      "[5,5.0,1e3,-0,9223372036854775807,9223372036854775808,-9223372036854775808,-"
      "9223372036854775809,"
      "18446744073709551615,18446744073709551616,1.5,1e400,-1,9.3e18,-1.0]");
  const View root = document.root();
  const std::vector<std::optional<std::int64_t>> signed_values = {5,  5,  1000, 0,  INT64_MAX, {}, INT64_MIN, {},
                                                                  {}, {}, {},   {}, -1,        {}, -1};
  const std::vector<std::optional<std::uint64_t>> unsigned_values = {
      5, 5, 1000, 0, INT64_MAX, 9223372036854775808U, {}, {}, UINT64_MAX, {}, {}, {}, {}, 9300000000000000000U, {}};
  ASSERT_EQ(root.size(), signed_values.size());
  for (std::size_t i = 0; i < root.size(); ++i) {
    EXPECT_EQ(root.at(i).integer(), signed_values[i]) << root.at(i).text();
    EXPECT_EQ(root.at(i).unsigned_integer(), unsigned_values[i]) << root.at(i).text();
  }
}

TEST(Document, ReadsDecimalsExactly) {
  for (const double value : {35.2, 47.5, 0.1, 1.0 / 3, 123456.789, 5e-324, 1.7976931348623157e308}) {
    const Document document = parse(fmt::format("{}", value));
    EXPECT_EQ(document.root().number(), value);
  }
}

TEST(Document, UnescapesStringsAndKeys) {
  const Document document = parse(R"({"a\u0041\n":"\u5b9e\u4f8b \ud83d\ude00 \"\\\/\b\f\r\t \u0000."})");
  using namespace std::string_view_literals;
  EXPECT_EQ(document.root()["aA\n"].string(), "实例 😀 \"\\/\b\f\r\t \0."sv);
}

TEST(Document, KeepsLongEscapedTextWhole) {
  std::string text;
  std::string expected;
  for (int i = 0; i < 20000; ++i) {
    text += "ab\\n";
    expected += "ab\n";
  }
  const Document document = parse("{\"" + text + "\":\"" + text + "\"}");
  EXPECT_EQ(document.root()[expected].string(), expected);
}

TEST(Document, WalksElementsAndMembersInOrder) {
  const Document document = parse(R"({"z":[3,1,2],"a":{"k":"v"},"":0})");
  std::string keys;
  for (const auto& [key, value] : document.root().members()) keys += std::string(key) + ";";
  EXPECT_EQ(keys, "z;a;;");
  std::vector<std::int64_t> numbers;
  for (const View element : document.root()["z"].elements()) numbers.push_back(*element.integer());
  EXPECT_EQ(numbers, (std::vector<std::int64_t>{3, 1, 2}));
  EXPECT_EQ(document.root()[""].integer(), 0);
}

TEST(Document, TheLastOfRepeatedKeysCounts) {
  const Document document = parse(R"({"a":1,"b":2,"a":{"x":1,"x":2},"c":3,"a":[9]})");
  EXPECT_EQ(document.root().size(), 3U);
  EXPECT_EQ(document.root().text(), R"({"a":[9],"b":2,"c":3})");
}

TEST(Document, RepeatedKeysOfAHugeObjectCostNoMoreThanSorting) {
  std::string text = "{";
  for (int i = 0; i < 200'000; ++i) text += "\"k\":" + std::to_string(i) + ",";
  text += "\"last\":1}";
  const Document document = parse(text);
  EXPECT_EQ(document.root().size(), 2U);
  EXPECT_EQ(document.root()["k"].integer(), 199'999);
}

TEST(Document, WritesValuesAgainWithTheirNumbersUntouched) {
  const Document document = parse(
      " { \"a\" : [ 1.50 , 1e5, 123456789012345678901234567890 ], \"s\" : \"\\u00e9\\n\", \"t\": "
      "true, \"n\": null } ");
  EXPECT_EQ(document.root().text(),
            "{\"a\":[1.50,1e5,123456789012345678901234567890],\"s\":\"é\\n\",\"t\":true,\"n\":null}");
}

TEST(Document, OutlivesTheTextAndSurvivesAMove) {
  std::string text = R"({"name":"test1"})";
  Document document = parse(text);
  const View before = document.root();
  text.assign(text.size(), '#');
  const Document moved = std::move(document);
  EXPECT_EQ(before["name"].string(), "test1");
  EXPECT_EQ(moved.root()["name"].string(), "test1");
}

}  // namespace
}  // namespace berth::json
