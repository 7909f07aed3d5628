#include "json/read.h"

#include <gtest/gtest.h>

#include <map>

#include "json/write.h"

namespace berth::json {
namespace {

enum class Action { start, stop, delete_ };
BOOST_DESCRIBE_ENUM(Action, start, stop, delete_)

struct Rule {
  std::uint16_t port = 0;
  std::string protocol = "tcp";
};
BOOST_DESCRIBE_STRUCT(Rule, (), (port, protocol))
void describe_fields(Fields<Rule>& fields) {
  fields("port").min(1);
  fields("protocol").has_default().one_of({"tcp", "udp"});
}

struct Request {
  std::string name;
  Action action = Action::start;
  std::optional<std::string> description;
  std::vector<Rule> rules;
  std::map<std::string, std::vector<int>> ports;
};
BOOST_DESCRIBE_STRUCT(Request, (), (name, action, description, rules, ports))
void describe_fields(Fields<Request>& fields) {
  fields("name").length(1, 5);
  fields("rules").has_default().items(1, 2);
  fields("ports").has_default();
}

struct Based : Rule {
  std::int64_t id = 0;
};
BOOST_DESCRIBE_STRUCT(Based, (Rule), (id))

struct Patch {
  std::optional<std::optional<int>> limit;
  std::optional<std::optional<std::string>> owner;
};
BOOST_DESCRIBE_STRUCT(Patch, (), (limit, owner))

struct Everything {
  bool flag = false;
  std::int8_t small = 0;
  std::uint64_t big = 0;
  float ratio = 0;
  double share = 0;
  std::array<int, 2> pair{};
  std::variant<int, std::string, Rule> either;
  Raw raw;
  UserId user;
  EngineId engine;
  std::monostate nothing;
};
BOOST_DESCRIBE_STRUCT(Everything, (), (flag, small, big, ratio, share, pair, either, raw, user, engine, nothing))

struct Empty {};
BOOST_DESCRIBE_STRUCT(Empty, (), ())

struct Tree {
  std::string name;
  std::vector<Tree> children;
};
BOOST_DESCRIBE_STRUCT(Tree, (), (name, children))

struct Needed {
  std::optional<int> value;
};
BOOST_DESCRIBE_STRUCT(Needed, (), (value))
void describe_fields(Fields<Needed>& fields) {
  fields("value").required();
}

/// The complaints of a failed result, field by field.
template <class T>
std::map<std::string, std::string> complaints(const Result<T>& result) {
  std::map<std::string, std::string> found;
  if (result) return found;
  EXPECT_EQ(result.error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(result.error().reason(), "request.invalid");
  for (const auto& field : result.error().fields()) {
    EXPECT_FALSE(field.message.zh.empty());
    found[field.field] = field.message.en;
  }
  return found;
}
using Complaints = std::map<std::string, std::string>;

TEST(Read, AWholeRequest) {
  const auto request = from_json<Request>(
      R"({"name":"test1","action":"delete","description":"d","rules":[{"port":80},{"port":53,"protocol":"udp"}],
          "ports":{"a":[1,2]},"unknown":{"x":1}})");
  ASSERT_TRUE(request) << request.error().describe();
  EXPECT_EQ(request->name, "test1");
  EXPECT_EQ(request->action, Action::delete_);
  EXPECT_EQ(request->description, "d");
  ASSERT_EQ(request->rules.size(), 2U);
  EXPECT_EQ(request->rules[0].port, 80);
  EXPECT_EQ(request->rules[0].protocol, "tcp");
  EXPECT_EQ(request->rules[1].protocol, "udp");
  EXPECT_EQ(request->ports.at("a"), (std::vector<int>{1, 2}));
}

TEST(Read, EveryBadFieldIsReportedAtOnceUnderItsPath) {
  const auto request = from_json<Request>(
      R"({"name":"","action":"jump","description":5,"rules":[{"port":0,"protocol":"icmp"},{"port":65536}],
          "ports":{"a":[1,"x",1.5]}})");
  EXPECT_EQ(complaints(request), (Complaints{{"name", "Must be 1 to 5 characters long"},
                                             {"action", "Must be one of: start, stop, delete"},
                                             {"description", "Must be a string"},
                                             {"rules.0.port", "Must be at least 1"},
                                             {"rules.0.protocol", "Must be one of: tcp, udp"},
                                             {"rules.1.port", "Must be between 0 and 65535"},
                                             {"ports.a.1", "Must be an integer"},
                                             {"ports.a.2", "Must be an integer"}}));
}

TEST(Read, ErrorsSpeakBothLanguages) {
  const auto request = from_json<Request>(R"({"action":"start"})");
  ASSERT_FALSE(request);
  ASSERT_EQ(request.error().fields().size(), 1U);
  EXPECT_EQ(request.error().fields()[0].field, "name");
  EXPECT_EQ(request.error().fields()[0].message, (Text{"缺少此字段", "This field is required"}));
  EXPECT_EQ(request.error().message(), (Text{"请求参数无效", "The request is not valid"}));
}

TEST(Read, MissingMembersAreReportedUnlessOptionalOrDefaulted) {
  EXPECT_EQ(complaints(from_json<Request>("{}")),
            (Complaints{{"name", "This field is required"}, {"action", "This field is required"}}));
  EXPECT_EQ(complaints(from_json<Tree>(R"({"name":"a"})")), (Complaints{{"children", "This field is required"}}));
}

TEST(Read, NullIsNoValueForWhatIsNotOptional) {
  EXPECT_EQ(complaints(from_json<Request>(R"({"name":null,"action":null,"rules":null})")),
            (Complaints{{"name", "Must be a string"},
                        {"action", "Must be one of: start, stop, delete"},
                        {"rules", "Must be an array"}}));
}

TEST(Read, AnOptionalIsEmptyWhenAbsentOrNull) {
  EXPECT_FALSE(from_json<Request>(R"({"name":"a","action":"stop"})")->description);
  EXPECT_FALSE(from_json<Request>(R"({"name":"a","action":"stop","description":null})")->description);
}

TEST(Read, ARequiredOptionalMustBePresentButMayBeNull) {
  EXPECT_EQ(complaints(from_json<Needed>("{}")), (Complaints{{"value", "This field is required"}}));
  EXPECT_TRUE(from_json<Needed>(R"({"value":null})"));
  EXPECT_EQ(from_json<Needed>(R"({"value":3})")->value, 3);
}

TEST(Read, AbsentAndNullAreToldApartInAPatch) {
  const auto absent = from_json<Patch>("{}");
  ASSERT_TRUE(absent);
  EXPECT_FALSE(absent->limit.has_value());
  const auto null = from_json<Patch>(R"({"limit":null})");
  ASSERT_TRUE(null);
  ASSERT_TRUE(null->limit.has_value());
  EXPECT_FALSE(null->limit->has_value());
  const auto given = from_json<Patch>(R"({"limit":4,"owner":"me"})");
  ASSERT_TRUE(given);
  EXPECT_EQ(**given->limit, 4);
  EXPECT_EQ(**given->owner, "me");
  EXPECT_EQ(complaints(from_json<Patch>(R"({"limit":"4"})")), (Complaints{{"limit", "Must be an integer"}}));
}

TEST(Read, EveryKindOfMember) {
  const auto value = from_json<Everything>(
      R"({"flag":true,"small":-128,"big":18446744073709551615,"ratio":0.5,"share":35.2,"pair":[1,2],"either":"s",
          "raw":{"a":[1.50,null]},"user":7,"engine":"lxd","nothing":null})");
  ASSERT_TRUE(value) << value.error().describe();
  EXPECT_TRUE(value->flag);
  EXPECT_EQ(value->small, -128);
  EXPECT_EQ(value->big, UINT64_MAX);
  EXPECT_EQ(value->ratio, 0.5F);
  EXPECT_EQ(value->share, 35.2);
  EXPECT_EQ(value->pair, (std::array<int, 2>{1, 2}));
  EXPECT_EQ(std::get<std::string>(value->either), "s");
  EXPECT_EQ(value->raw.text, R"({"a":[1.50,null]})");
  EXPECT_EQ(value->user, UserId(7));
  EXPECT_EQ(value->engine, EngineId("lxd"));
}

TEST(Read, EveryKindOfMemberRefusesAnother) {
  const auto value = from_json<Everything>(
      R"({"flag":1,"small":128,"big":-1,"ratio":1e39,"share":"1","pair":[1],"either":[],"raw":1,
          "user":"7","engine":7,"nothing":0})");
  EXPECT_EQ(complaints(value),
            (Complaints{{"flag", "Must be a boolean"},
                        {"small", "Must be between -128 and 127"},
                        {"big", "Must be between 0 and 18446744073709551615"},
                        {"ratio", "Must be between -3.4028234663852886e+38 and 3.4028234663852886e+38"},
                        {"share", "Must be a number"},
                        {"pair", "Must be an array of the right length"},
                        {"either", "Must be an object"},
                        {"user", "Must be an integer"},
                        {"engine", "Must be a string"},
                        {"nothing", "Must be null"}}));
}

TEST(Read, IntegersAreStrictButAcceptAWholeFraction) {
  EXPECT_EQ(from_json<int>("5.0").value(), 5);
  EXPECT_EQ(from_json<int>("2e3").value(), 2000);
  EXPECT_EQ(from_json<std::int64_t>("-9223372036854775808").value(), INT64_MIN);
  for (const std::string_view text : {"5.5", "\"5\"", "true", "null", "[]", "{}"}) {
    EXPECT_EQ(complaints(from_json<int>(text)), (Complaints{{"body", "Must be an integer"}})) << text;
  }
  for (const std::string_view text : {"2147483648", "-2147483649", "1e300", "99999999999999999999"}) {
    EXPECT_EQ(complaints(from_json<int>(text)), (Complaints{{"body", "Must be between -2147483648 and 2147483647"}}))
        << text;
  }
  EXPECT_EQ(complaints(from_json<std::int64_t>("9223372036854775808")),
            (Complaints{{"body", "Must be between -9223372036854775808 and 9223372036854775807"}}));
}

TEST(Read, ANumberBeyondADoubleIsRefused) {
  EXPECT_EQ(complaints(from_json<double>("1e400")), (Complaints{{"body", "Must be a number"}}));
}

TEST(Read, ABodyOfTheWrongKindIsAnInvalidArgument) {
  for (const std::string_view text : {"[]", "null", "1", "\"{}\"", "true"}) {
    EXPECT_EQ(complaints(from_json<Request>(text)), (Complaints{{"body", "Must be an object"}})) << text;
  }
  EXPECT_EQ(complaints(from_json<std::vector<int>>("{}")), (Complaints{{"body", "Must be an array"}}));
}

TEST(Read, MalformedTextIsMalformed) {
  const auto request = from_json<Request>(R"({"name":)");
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().code(), ErrorCode::malformed);
  EXPECT_EQ(request.error().reason(), "json.malformed");
}

TEST(Read, LimitsAreTheCallers) {
  EXPECT_EQ(from_json<Raw>("[[1]]", {.depth = 1}).error().code(), ErrorCode::malformed);
  EXPECT_EQ(from_json<Raw>("[[1]]", {.bytes = 3}).error().code(), ErrorCode::too_large);
}

TEST(Read, AnEmptyStructTakesAnyObject) {
  EXPECT_TRUE(from_json<Empty>(R"({"a":1})"));
  EXPECT_FALSE(from_json<Empty>("[]"));
}

TEST(Read, TheLastOfRepeatedMembersCounts) {
  EXPECT_EQ(from_json<Rule>(R"({"port":"x","port":81})")->port, 81);
}

TEST(Read, RulesOfABaseHoldForWhatDerivesFromIt) {
  EXPECT_EQ(from_json<Based>(R"({"port":1,"id":2})")->protocol, "tcp");
  EXPECT_EQ(
      complaints(from_json<Based>(R"({"port":0,"id":"x","protocol":"x"})")),
      (Complaints{
          {"port", "Must be at least 1"}, {"id", "Must be an integer"}, {"protocol", "Must be one of: tcp, udp"}}));
}

TEST(Read, RecursiveTypesAreFollowed) {
  const auto tree = from_json<Tree>(R"({"name":"a","children":[{"name":"b","children":[]}]})");
  ASSERT_TRUE(tree);
  EXPECT_EQ(tree->children[0].name, "b");
  EXPECT_EQ(complaints(from_json<Tree>(R"({"name":"a","children":[{"name":"b","children":[{}]}]})")),
            (Complaints{{"children.0.children.0.name", "This field is required"},
                        {"children.0.children.0.children", "This field is required"}}));
}

TEST(Read, VariantsTakeTheFirstAlternativeThatFits) {
  using Either = std::variant<int, std::string, Rule>;
  EXPECT_EQ(std::get<int>(*from_json<Either>("3")), 3);
  EXPECT_EQ(std::get<std::string>(*from_json<Either>("\"x\"")), "x");
  EXPECT_EQ(std::get<Rule>(*from_json<Either>(R"({"port":9})")).port, 9);
  EXPECT_EQ(complaints(from_json<std::vector<Either>>("[1.5]")), (Complaints{{"0", "Must be an object"}}));
}

TEST(Read, StringsWithANulAreRefused) {
  EXPECT_EQ(complaints(from_json<Tree>(R"({"name":"a\u0000b","children":[]})")),
            (Complaints{{"name", "Must not contain a NUL character"}}));
}

TEST(Read, AFloodOfErrorsIsCutAtAHundred) {
  std::string text = "[";
  for (int i = 0; i < 1000; ++i) text += "\"x\",";
  const auto values = from_json<std::vector<int>>(text + "0]");
  ASSERT_FALSE(values);
  EXPECT_EQ(values.error().fields().size(), 100U);
}

TEST(Read, LongNamesAreShortenedInPaths) {
  const auto values = from_json<std::map<std::string, int>>("{\"" + std::string(63, 'k') + "实例\":\"x\"}");
  ASSERT_FALSE(values);
  EXPECT_EQ(values.error().fields()[0].field, std::string(63, 'k'));
}

TEST(Read, WhatWasWrittenReadsBack) {
  const std::string text =
      R"({"flag":true,"small":-1,"big":5,"ratio":0.25,"share":1.5,"pair":[3,4],"either":{"port":7,"protocol":"udp"},)"
      R"("raw":[1],"user":2,"engine":"e","nothing":null})";
  const auto value = from_json<Everything>(text);
  ASSERT_TRUE(value);
  EXPECT_EQ(to_json(*value), text);
}

}  // namespace
}  // namespace berth::json
