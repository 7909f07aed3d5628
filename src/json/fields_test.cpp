#include "json/fields.h"

#include <gtest/gtest.h>

#include "json/read.h"

namespace berth::json {
namespace {

Result<void> check_lower_case(std::string_view text) {
  for (const char c : text) {
    if (c < 'a' || c > 'z') {
      return Error(ErrorCode::invalid_argument, "name", {"总体", "overall"})
          .with_field("name", {"只能用小写字母", "Lower-case letters only, not " + std::string(text)});
    }
  }
  return {};
}

struct Account {
  std::optional<std::string> name;
  std::optional<std::string> password;
  std::optional<int> even;
  std::optional<double> share;
  std::optional<std::vector<std::string>> distinct;
  std::optional<std::map<std::string, int>> limits;
  std::optional<std::uint64_t> big;
};
BOOST_DESCRIBE_STRUCT(Account, (), (name, password, even, share, distinct, limits, big))
void describe_fields(Fields<Account>& fields) {
  fields("name").length(2, 4).check(check_lower_case);
  fields("password").secret().check(check_lower_case);
  fields("even").check([](int value) { return value % 2 == 0; }, {"应为偶数", "Must be even"});
  fields("share").range(0.5, 99.5);
  fields("distinct")
      .items(1, 3)
      .check([](const std::vector<std::string>& values) { return values.size() < 2 || values[0] != values[1]; },
             {"不应重复", "Must not repeat"});
  fields("limits").items(0, 1).max(10);
  fields("big").max(18446744073709551615.0L);
}

struct Forms {
  std::optional<std::string> uuid, time, email, host, label, four, six;
};
BOOST_DESCRIBE_STRUCT(Forms, (), (uuid, time, email, host, label, four, six))
void describe_fields(Fields<Forms>& fields) {
  fields("uuid").pattern_name("uuid");
  fields("time").pattern_name("date-time");
  fields("email").pattern_name("email");
  fields("host").pattern_name("hostname");
  fields("label").pattern_name("dns-label");
  fields("four").pattern_name("ipv4");
  fields("six").pattern_name("ipv6");
}

struct Misnamed {
  int port = 0;
};
BOOST_DESCRIBE_STRUCT(Misnamed, (), (port))
void describe_fields(Fields<Misnamed>& fields) {
  fields("prot").required();
}

struct Misfit {
  int port = 0;
};
BOOST_DESCRIBE_STRUCT(Misfit, (), (port))
void describe_fields(Fields<Misfit>& fields) {
  fields("port").length(1, 2);
}

struct Miscast {
  std::string name;
};
BOOST_DESCRIBE_STRUCT(Miscast, (), (name))
void describe_fields(Fields<Miscast>& fields) {
  fields("name").check([](int value) { return value > 0; }, {"", ""});
}

struct Mispattern {
  std::string name;
};
BOOST_DESCRIBE_STRUCT(Mispattern, (), (name))
void describe_fields(Fields<Mispattern>& fields) {
  fields("name").pattern_name("zip");
}

/// The only complaint about a text, as "field: message"; empty if there is none.
template <class T>
std::string complaint(const std::string& text) {
  const auto value = from_json<T>(text);
  if (value) return "";
  if (value.error().fields().size() != 1) return value.error().describe();
  return value.error().fields()[0].field + ": " + value.error().fields()[0].message.en;
}

TEST(Rules, LengthCountsCharactersNotBytes) {
  EXPECT_EQ(complaint<Account>(R"({"name":"abcd"})"), "");
  EXPECT_EQ(complaint<Account>(R"({"name":"a"})"), "name: Must be 2 to 4 characters long");
  EXPECT_EQ(complaint<Account>(R"({"name":"abcde"})"), "name: Must be 2 to 4 characters long");
  // Four characters of twelve bytes pass the length, and fail only the check after it.
  EXPECT_EQ(complaint<Account>(R"({"name":"实例实例"})"), "name: Lower-case letters only, not 实例实例");
}

TEST(Rules, ACheckMayReturnAnError) {
  EXPECT_EQ(complaint<Account>(R"({"name":"AB"})"), "name: Lower-case letters only, not AB");
}

TEST(Rules, ASecretIsNeverRepeatedInAMessage) {
  EXPECT_EQ(complaint<Account>(R"({"password":"HUNTER2"})"), "password: This value is not acceptable");
}

TEST(Rules, ACheckMayTakeANumber) {
  EXPECT_EQ(complaint<Account>(R"({"even":4})"), "");
  EXPECT_EQ(complaint<Account>(R"({"even":5})"), "even: Must be even");
}

TEST(Rules, RangesIncludeTheirEnds) {
  EXPECT_EQ(complaint<Account>(R"({"share":0.5})"), "");
  EXPECT_EQ(complaint<Account>(R"({"share":99.5})"), "");
  EXPECT_EQ(complaint<Account>(R"({"share":0.49})"), "share: Must be between 0.5 and 99.5");
  EXPECT_EQ(complaint<Account>(R"({"share":99.51})"), "share: Must be between 0.5 and 99.5");
}

TEST(Rules, BoundsOfSixtyFourBitsAreExact) {
  EXPECT_EQ(complaint<Account>(R"({"big":18446744073709551615})"), "");
}

TEST(Rules, ACheckMayTakeTheWholeMember) {
  EXPECT_EQ(complaint<Account>(R"({"distinct":["a","b"]})"), "");
  EXPECT_EQ(complaint<Account>(R"({"distinct":["a","a"]})"), "distinct: Must not repeat");
}

TEST(Rules, ItemsConcernTheContainerAndBoundsItsElements) {
  EXPECT_EQ(complaint<Account>(R"({"distinct":[]})"), "distinct: Must have 1 to 3 items");
  EXPECT_EQ(complaint<Account>(R"({"distinct":["a","b","c","d"]})"), "distinct: Must have 1 to 3 items");
  EXPECT_EQ(complaint<Account>(R"({"limits":{"a":1,"b":2}})"), "limits: Must have at most 1 items");
  EXPECT_EQ(complaint<Account>(R"({"limits":{"a":11}})"), "limits.a: Must be at most 10");
}

TEST(Rules, AnEmptyOptionalSatisfiesThem) {
  EXPECT_EQ(complaint<Account>(R"({"name":null,"even":null,"distinct":null})"), "");
}

TEST(Rules, NamedPatterns) {
  struct Case {
    std::string_view member;
    std::vector<std::string> good;
    std::vector<std::string> bad;
  };
  const std::string long_label(64, 'a');
  const std::vector<Case> table = {
      {"uuid", {"0f8fad5b-d9cb-469f-a165-70867728950e"}, {"", "0f8fad5bd9cb469fa16570867728950e"}},
      {"time", {"2026-01-23T11:30:00Z"}, {"", "2026-01-23", "tomorrow"}},
      {"email",
       {"a@b", "first.last+tag@example.com"},
       {"", "a", "@b", "a@", "a b@c", "a@@b", ".a@b", "a..b@c", "a@b_c", "a@-b", "a\\u0001@b", "\\\"a\\\"@b"}},
      {"host", {"a", "example.com", "A-1.b"}, {"", ".", "a.", "-a", "a-", "a..b", "a_b", long_label + ".com"}},
      {"label", {"a", "test-1", "1"}, {"", "-a", "a-", "a.b", "a_b", long_label}},
      {"four", {"10.0.0.1"}, {"", "10.0.0", "256.1.1.1", "1.1.1.1\\n", "::1"}},
      {"six", {"::", "2001:db8::1"}, {"", "1.1.1.1", ":::", "2001:db8::1/64"}},
  };
  for (const auto& [member, good, bad] : table) {
    const auto text = [&](const std::string& value) { return "{\"" + std::string(member) + "\":\"" + value + "\"}"; };
    for (const auto& value : good) EXPECT_EQ(complaint<Forms>(text(value)), "");
    for (const auto& value : bad) EXPECT_NE(complaint<Forms>(text(value)), "") << member << " took " << value;
  }
}

TEST(RulesDeathTest, NamingAMemberThatDoesNotExistAborts) {
  EXPECT_DEATH(field_table<Misnamed>(), "\"prot\", which is no member of berth::json::.*Misnamed");
}

TEST(RulesDeathTest, ARuleThatDoesNotSuitTheTypeAborts) {
  EXPECT_DEATH(field_table<Misfit>(), "rule length does not suit the member \"port\" of type int");
  EXPECT_DEATH(field_table<Miscast>(), "rule check does not suit the member \"name\"");
  EXPECT_DEATH(field_table<Mispattern>(), "no pattern called \"zip\"");
}

}  // namespace
}  // namespace berth::json
