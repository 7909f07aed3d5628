#include "json/schema.h"

#include <gtest/gtest.h>

#include "json/document.h"

namespace berth::json {
namespace {

enum class State { running, stopped };
BOOST_DESCRIBE_ENUM(State, running, stopped)

struct Port {
  std::uint16_t number = 0;
};
BOOST_DESCRIBE_STRUCT(Port, (), (number))

struct NewThing {
  std::string name;
  std::optional<std::string> note;
  std::optional<State> state;
  std::optional<Port> main;
  std::vector<Port> ports;
  std::map<std::string, std::int64_t> counts;
  int tries = 3;
  std::string password;
  std::variant<int, std::string> either;
  Raw anything;
  std::vector<std::string> tags;
};
BOOST_DESCRIBE_STRUCT(NewThing, (), (name, note, state, main, ports, counts, tries, password, either, anything, tags))
void describe_fields(Fields<NewThing>& fields) {
  fields.doc({"新的", "A new thing"});
  fields("name").length(1, 63).pattern_name("dns-label").doc({"名称", "Its name"}).example("web-1");
  fields("tries").has_default().range(1, 10);
  fields("password").secret().length(8, 128).example("never shown");
  fields("ports").items(1, 9).doc({"端口", "Its ports"}).example(R"([{"number": 80}])");
  fields("tags").has_default().one_of({"a", "b"});
}

struct Query {
  std::optional<int> limit;
  std::string name;
  bool force = false;
};
BOOST_DESCRIBE_STRUCT(Query, (), (limit, name, force))
void describe_fields(Fields<Query>& fields) {
  fields("limit").range(1, 500).doc({"数量", "How many"});
  fields("force").has_default();
}

struct Node {
  std::vector<Node> children;
};
BOOST_DESCRIBE_STRUCT(Node, (), (children))

template <class T>
struct Page {
  std::vector<T> items;
  BOOST_DESCRIBE_CLASS(Page, (), (items), (), ())
};

namespace other {
struct Port {
  std::string name;
};
BOOST_DESCRIBE_STRUCT(Port, (), (name))
}  // namespace other

TEST(Schema, SimpleKindsStandInPlace) {
  Schemas schemas;
  EXPECT_EQ(schemas.reference<bool>(), R"({"type":"boolean"})");
  EXPECT_EQ(schemas.reference<int>(), R"({"type":"integer","format":"int32"})");
  EXPECT_EQ(schemas.reference<std::int64_t>(), R"({"type":"integer","format":"int64"})");
  EXPECT_EQ(schemas.reference<std::uint64_t>(), R"({"type":"integer","format":"int64","minimum":0})");
  EXPECT_EQ(schemas.reference<std::int8_t>(), R"({"type":"integer","format":"int32","minimum":-128,"maximum":127})");
  EXPECT_EQ(schemas.reference<double>(), R"({"type":"number","format":"double"})");
  EXPECT_EQ(schemas.reference<std::string>(), R"({"type":"string"})");
  EXPECT_EQ(schemas.reference<std::nullptr_t>(), R"({"type":"null"})");
  EXPECT_EQ(schemas.reference<UserId>(), R"({"type":"integer","format":"int64"})");
  EXPECT_EQ(schemas.reference<Raw>(), "{}");
  EXPECT_EQ(schemas.reference<State>(), R"({"type":"string","enum":["running","stopped"]})");
  EXPECT_EQ(schemas.components(), "{}");
}

TEST(Schema, OptionalsAllowNull) {
  Schemas schemas;
  EXPECT_EQ(schemas.reference<std::optional<int>>(), R"({"type":["integer","null"],"format":"int32"})");
  EXPECT_EQ(schemas.reference<std::optional<std::optional<State>>>(),
            R"({"type":["string","null"],"enum":["running","stopped",null]})");
  EXPECT_EQ(schemas.reference<std::optional<Port>>(),
            R"({"anyOf":[{"$ref":"#/components/schemas/Port"},{"type":"null"}]})");
}

TEST(Schema, ContainersNameTheirElements) {
  Schemas schemas;
  EXPECT_EQ(schemas.reference<std::vector<Port>>(), R"({"type":"array","items":{"$ref":"#/components/schemas/Port"}})");
  EXPECT_EQ(schemas.reference<std::vector<std::vector<bool>>>(),
            R"({"type":"array","items":{"type":"array","items":{"type":"boolean"}}})");
  EXPECT_EQ((schemas.reference<std::map<std::string, bool>>()),
            R"({"type":"object","additionalProperties":{"type":"boolean"}})");
}

TEST(Schema, AStructTellsItsRules) {
  Schemas schemas;
  EXPECT_EQ(schemas.reference<NewThing>(), R"({"$ref":"#/components/schemas/NewThing"})");
  EXPECT_EQ(
      schemas.components(),
      R"({"NewThing":{"type":"object","properties":{)"
      R"("name":{"type":"string","minLength":1,"maxLength":63,"pattern":"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$",)"
      R"("description":"Its name","examples":["web-1"]},)"
      R"("note":{"type":["string","null"]},)"
      R"("state":{"type":["string","null"],"enum":["running","stopped",null]},)"
      R"("main":{"anyOf":[{"$ref":"#/components/schemas/Port"},{"type":"null"}]},)"
      R"("ports":{"type":"array","items":{"$ref":"#/components/schemas/Port"},"minItems":1,"maxItems":9,)"
      R"("description":"Its ports","examples":[[{"number":80}]]},)"
      R"("counts":{"type":"object","additionalProperties":{"type":"integer","format":"int64"}},)"
      R"("tries":{"type":"integer","format":"int32","minimum":1,"maximum":10,"default":3},)"
      R"("password":{"type":"string","minLength":8,"maxLength":128,"writeOnly":true,"format":"password"},)"
      R"("either":{"anyOf":[{"type":"integer","format":"int32"},{"type":"string"}]},)"
      R"("anything":{},)"
      R"("tags":{"type":"array","items":{"type":"string","enum":["a","b"]},"default":[]}},)"
      R"("required":["name","ports","counts","password","either","anything"],"description":"A new thing"},)"
      R"("Port":{"type":"object","properties":{"number":{"type":"integer","format":"int32","minimum":0,"maximum":65535}},)"
      R"("required":["number"]}})");
  EXPECT_TRUE(Document::parse(schemas.components()));
}

TEST(Schema, DescriptionsFollowTheLanguage) {
  Schemas schemas(Language::zh);
  schemas.reference<NewThing>();
  EXPECT_EQ(Document::parse(schemas.components())->root()["NewThing"]["description"].string(), "新的");
}

TEST(Schema, ParametersTellNameNeedAndMeaning) {
  Schemas schemas;
  const auto parameters = schemas.parameters<Query>();
  ASSERT_EQ(parameters.size(), 3U);
  EXPECT_EQ(parameters[0].name, "limit");
  EXPECT_FALSE(parameters[0].required);
  EXPECT_EQ(parameters[0].schema,
            R"({"type":"integer","format":"int32","minimum":1,"maximum":500,"description":"How many"})");
  EXPECT_EQ(parameters[0].description, "How many");
  EXPECT_EQ(parameters[1].name, "name");
  EXPECT_TRUE(parameters[1].required);
  EXPECT_EQ(parameters[2].schema, R"({"type":"boolean","default":false})");
  EXPECT_EQ(schemas.components(), "{}");
}

TEST(Schema, ATypeThatContainsItselfEnds) {
  Schemas schemas;
  schemas.reference<Node>();
  EXPECT_EQ(schemas.components(), R"({"Node":{"type":"object","properties":{"children":{"type":"array",)"
                                  R"("items":{"$ref":"#/components/schemas/Node"}}},"required":["children"]}})");
}

TEST(Schema, TypesOfOneNameGetTheirNamespaces) {
  Schemas schemas;
  EXPECT_EQ(schemas.reference<Port>(), R"({"$ref":"#/components/schemas/Port"})");
  EXPECT_EQ(schemas.reference<other::Port>(), R"({"$ref":"#/components/schemas/berth_json_other_Port"})");
  EXPECT_EQ(schemas.reference<other::Port>(), R"({"$ref":"#/components/schemas/berth_json_other_Port"})");
}

TEST(Schema, NamesAreThoseOfTheTypes) {
  EXPECT_EQ(schema_name<NewThing>(), "NewThing");
  EXPECT_EQ(schema_name<other::Port>(), "Port");
  EXPECT_EQ(schema_name<Page<NewThing>>(), "Page_NewThing");
}

}  // namespace
}  // namespace berth::json
