#include "json/write.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "json/read.h"

namespace berth::json {
namespace {

enum class Mode { fast, slow, delete_, unnamed };
BOOST_DESCRIBE_ENUM(Mode, fast, slow, delete_)

struct Empty {};
BOOST_DESCRIBE_STRUCT(Empty, (), ())

struct Point {
  int x = 0;
  std::optional<std::string> delete_;
};
BOOST_DESCRIBE_STRUCT(Point, (), (x, delete_))

struct Named : Point {
  std::string name;
};
BOOST_DESCRIBE_STRUCT(Named, (Point), (name))

struct Patch {
  std::optional<std::optional<int>> limit;
  std::optional<std::optional<int>> other;
};
BOOST_DESCRIBE_STRUCT(Patch, (), (limit, other))

template <class T>
class Hidden {
 public:
  int shown = 1;

 private:
  int hidden_ = 2;
  BOOST_DESCRIBE_CLASS(Hidden, (), (shown), (), (hidden_))
};

TEST(Write, BooleansAndNullsAreWords) {
  EXPECT_EQ(to_json(true), "true");
  EXPECT_EQ(to_json(false), "false");
  EXPECT_EQ(to_json(nullptr), "null");
  EXPECT_EQ(to_json(std::monostate{}), "null");
  EXPECT_EQ(to_json(std::optional<int>{}), "null");
  EXPECT_EQ(to_json(std::optional<int>{7}), "7");
}

TEST(Write, IntegersOfEveryWidthAreExact) {
  EXPECT_EQ(to_json(std::int8_t{-128}), "-128");
  EXPECT_EQ(to_json(std::uint8_t{255}), "255");
  EXPECT_EQ(to_json(std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
  EXPECT_EQ(to_json(std::numeric_limits<std::int64_t>::max()), "9223372036854775807");
  EXPECT_EQ(to_json(std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
}

TEST(Write, NumbersAreShortestPlainDecimalsWithAFraction) {
  const std::vector<std::pair<double, std::string_view>> table = {
      {0.0, "0.0"},
      {-0.0, "-0.0"},
      {50.0, "50.0"},
      {35.2, "35.2"},
      {47.5, "47.5"},
      {0.1, "0.1"},
      {1.0 / 3, "0.3333333333333333"},
      {100.0, "100.0"},
      {-12.25, "-12.25"},
      {1e6, "1000000.0"},
      {123456789012345680.0, "123456789012345680.0"},
      {1e20, "100000000000000000000.0"},
      {0.000001, "0.000001"},
      {1e21, "1e+21"},
      {1e-9, "1e-09"},
      {1.7976931348623157e308, "1.7976931348623157e+308"},
      {5e-324, "5e-324"},
  };
  for (const auto& [value, text] : table) EXPECT_EQ(to_json(value), text);
  EXPECT_EQ(to_json(35.2F), "35.2");
}

TEST(Write, NumbersReadBackAsTheSameValue) {
  std::uint64_t state = 88172645463325252U;
  for (int i = 0; i < 20000; ++i) {
    state ^= state << 13U;
    state ^= state >> 7U;
    state ^= state << 17U;
    double value = 0;
    static_assert(sizeof value == sizeof state);
    std::memcpy(&value, &state, sizeof value);
    if (!std::isfinite(value)) continue;
    const auto read = from_json<double>(to_json(value));
    ASSERT_TRUE(read) << to_json(value);
    ASSERT_EQ(*read, value);
  }
}

TEST(Write, WhatIsNoNumberIsNull) {
  EXPECT_EQ(to_json(std::nan("")), "null");
  EXPECT_EQ(to_json(std::numeric_limits<double>::infinity()), "null");
  EXPECT_EQ(to_json(-std::numeric_limits<float>::infinity()), "null");
}

TEST(Write, StringsOfEveryKindAreQuoted) {
  EXPECT_EQ(to_json(std::string("a")), R"("a")");
  EXPECT_EQ(to_json(std::string_view("a")), R"("a")");
  EXPECT_EQ(to_json("a"), R"("a")");
  const char* pointer = "a";
  EXPECT_EQ(to_json(pointer), R"("a")");
  EXPECT_EQ(to_json(std::string()), R"("")");
}

TEST(Write, ControlCharactersQuotesAndBackslashesAreEscaped) {
  using namespace std::string_view_literals;
  EXPECT_EQ(to_json("\"\\/\b\f\n\r\t"sv), R"("\"\\/\b\f\n\r\t")");
  EXPECT_EQ(to_json("\0\x01\x1f\x7f"sv), "\"\\u0000\\u0001\\u001f\x7f\"");
  EXPECT_EQ(to_json("middle\nand\"end"sv), R"("middle\nand\"end")");
}

TEST(Write, Utf8IsKept) {
  for (const std::string_view text :
       {"实例 test1 启动成功", "é", "\U0001F600", "\u0800", "\uD7FF", "\uE000", "\U0010FFFF"}) {
    EXPECT_EQ(to_json(text), "\"" + std::string(text) + "\"");
  }
}

TEST(Write, InvalidUtf8BecomesReplacementCharacters) {
  const std::string mark = "\xEF\xBF\xBD";
  const std::vector<std::pair<std::string_view, std::string>> table = {
      {"\xFF", mark},
      {"a\x80z", "a" + mark + "z"},
      {"\xC0\xAF", mark + mark},                        // overlong '/'
      {"\xE0\x80\xAF", mark + mark + mark},             // overlong
      {"\xED\xA0\x80", mark + mark + mark},             // surrogate
      {"\xF4\x90\x80\x80", mark + mark + mark + mark},  // beyond U+10FFFF
      {"\xE5\xAE", mark},                               // cut off at the end
      {"\xE5\xAE\"", mark + "\\\""},                    // cut off by a quote, which is still escaped
      {"\xF0\x9F\x98", mark},
      {"\xC3(", mark + "("},
  };
  for (const auto& [text, expected] : table) EXPECT_EQ(to_json(text), "\"" + expected + "\"");
}

TEST(Write, ListsKeepTheirOrder) {
  EXPECT_EQ(to_json(std::vector<int>{}), "[]");
  EXPECT_EQ(to_json(std::vector<int>{3, 1, 2}), "[3,1,2]");
  EXPECT_EQ(to_json(std::array<double, 2>{1, 2.5}), "[1.0,2.5]");
  const std::vector<int> values = {1, 2};
  EXPECT_EQ(to_json(std::span<const int>(values)), "[1,2]");
  EXPECT_EQ(to_json(std::vector<bool>{true, false}), "[true,false]");
  EXPECT_EQ(to_json(std::vector<std::vector<std::string>>{{"a"}, {}}), R"([["a"],[]])");
}

TEST(Write, MapsAreObjectsWithEscapedKeys) {
  EXPECT_EQ(to_json(std::map<std::string, int>{}), "{}");
  EXPECT_EQ(to_json(std::map<std::string, int>{{"b", 2}, {"a\"", 1}}), R"({"a\"":1,"b":2})");
  EXPECT_EQ(to_json(std::map<std::string, std::optional<bool>, std::less<>>{{"x", {}}}), R"({"x":null})");
}

TEST(Write, EnumsAreTheirNames) {
  EXPECT_EQ(to_json(Mode::fast), R"("fast")");
  EXPECT_EQ(to_json(Mode::delete_), R"("delete")");
  EXPECT_EQ(to_json(Mode::unnamed), "null");
}

TEST(Write, StructsAreObjectsInTheOrderOfTheirDescription) {
  EXPECT_EQ(to_json(Empty{}), "{}");
  EXPECT_EQ(to_json(Point{1, "now"}), R"({"x":1,"delete":"now"})");
  EXPECT_EQ(to_json(Point{}), R"({"x":0,"delete":null})");
}

TEST(Write, MembersOfBasesComeFirst) {
  Named named;
  named.x = 4;
  named.name = "n";
  EXPECT_EQ(to_json(named), R"({"x":4,"delete":null,"name":"n"})");
}

TEST(Write, PrivateMembersStayHidden) {
  EXPECT_EQ(to_json(Hidden<int>{}), R"({"shown":1})");
}

TEST(Write, AnAbsentMemberOfAPatchIsLeftOut) {
  EXPECT_EQ(to_json(Patch{}), "{}");
  EXPECT_EQ(to_json(Patch{.limit = {}, .other = 5}), R"({"other":5})");
  EXPECT_EQ(to_json(Patch{.limit = std::optional<int>{}, .other = 5}), R"({"limit":null,"other":5})");
}

TEST(Write, VariantsWriteWhatTheyHold) {
  using Either = std::variant<std::monostate, int, std::string, Point>;
  EXPECT_EQ(to_json(Either{}), "null");
  EXPECT_EQ(to_json(Either{3}), "3");
  EXPECT_EQ(to_json(Either{std::string("s")}), R"("s")");
  EXPECT_EQ(to_json(Either{Point{}}), R"({"x":0,"delete":null})");
}

TEST(Write, RawIsVerbatimAndNullWhenEmpty) {
  EXPECT_EQ(to_json(Raw{R"({"a" : 1})"}), R"({"a" : 1})");
  EXPECT_EQ(to_json(Raw{}), "null");
  EXPECT_EQ(to_json(std::vector<Raw>{{"1"}, {"2"}}), "[1,2]");
}

TEST(Write, IdsAreTheirValues) {
  EXPECT_EQ(to_json(UserId(7)), "7");
  EXPECT_EQ(to_json(EngineId("lxd")), R"("lxd")");
}

TEST(Write, AppendAddsToWhatIsThere) {
  std::string out = "data: ";
  append(out, 1);
  append(out, "x");
  EXPECT_EQ(out, R"(data: 1"x")");
}

TEST(EnumNames, AreFoundInBothDirections) {
  static_assert(enum_name(Mode::slow) == "slow");
  static_assert(enum_value<Mode>("delete") == Mode::delete_);
  static_assert(!enum_value<Mode>("delete_").has_value());
  static_assert(!enum_value<Mode>("").has_value());
}

}  // namespace
}  // namespace berth::json
