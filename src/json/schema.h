#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "json/describe.h"
#include "json/fields.h"
#include "json/write.h"

namespace berth::json {

/// One query or path parameter of an OpenAPI description.
struct ParameterSchema {
  std::string name;
  bool required = false;
  std::string schema;       ///< JSON text of its schema
  std::string description;  ///< in the language of the collector; may be empty
};

namespace detail {

/// A JSON Schema as an ordered list of keywords and their JSON texts.
class Schema {
 public:
  Schema& set(std::string_view keyword, std::string json);
  Schema& set_text(std::string_view keyword, std::string_view text);
  /// Also allows null.
  Schema& or_null();
  /// Adds what a member's rules say of each leaf.
  Schema& apply_to_leaf(const FieldRules* rules);
  /// Adds what a member's rules say of the member as a whole.
  Schema& apply_to_member(const FieldRules& rules, Language language);
  /// Tells the initial value that an absent member keeps.
  Schema& set_default(const FieldRules& rules, std::string json);
  std::string text() const;

  static Schema of_type(std::string_view type, std::string_view format = {});
  static Schema of_integer(bool is_signed, std::size_t bytes);
  static Schema of_enum(const EnumName* names, std::size_t count);

 private:
  std::string* find(std::string_view keyword);

  std::vector<std::pair<std::string, std::string>> keywords_;
  bool nullable_ = false;
};

/// "Page<berth::api::Instance>" as "Page_Instance": the last part of each name, joined.
std::string short_type_name(std::string_view qualified);
/// The same with its namespaces, for when two short names are equal.
std::string long_type_name(std::string_view qualified);

template <class T>
constexpr std::string_view qualified_type_name() {
  constexpr std::string_view kFunction = __PRETTY_FUNCTION__;
  constexpr std::string_view kStart = "T = ";
  constexpr std::size_t kBegin = kFunction.find(kStart) + kStart.size();
  // g++ lists further aliases after ';'; clang ends with ']'.
  constexpr std::size_t kSemicolon = kFunction.find(';', kBegin);
  constexpr std::size_t kEnd = kSemicolon == std::string_view::npos ? kFunction.rfind(']') : kSemicolon;
  return kFunction.substr(kBegin, kEnd - kBegin);
}

}  // namespace detail

/// The name of a type among the components: its own, without namespaces.
template <class T>
std::string schema_name() {
  return detail::short_type_name(detail::qualified_type_name<T>());
}

/// Collects the schemas of everything that an API takes and gives, as OpenAPI 3.1 describes them.
/// Two types of one name get their namespaces into it. Not thread-safe.
class Schemas {
 public:
  explicit Schemas(Language language = Language::en) : language_(language) {}

  /// JSON text of the type's schema: in place, or for a described struct
  /// {"$ref":"#/components/schemas/Name"}.
  template <class T>
  std::string reference() {
    return schema<T>(nullptr).text();
  }

  /// A struct's members as parameters.
  template <class T>
  std::vector<ParameterSchema> parameters();

  /// The object that stands under "components"/"schemas": {"Name":{…},…}, sorted by name.
  std::string components() const;

 private:
  template <class T>
  detail::Schema schema(const FieldRules* rules);
  template <class T>
  detail::Schema member_schema(const FieldRules& rules);
  template <class... T>
  detail::Schema any_of(std::type_identity<std::variant<T...>> alternatives);
  template <class T>
  std::string component();
  /// The name of a component; `fresh` if it is asked for the first time.
  std::string claim(std::string_view qualified, bool& fresh);
  std::string description(const FieldRules& rules) const;

  Language language_;
  std::map<std::string, std::string, std::less<>> names_;       // qualified type name → component
  std::map<std::string, std::string, std::less<>> components_;  // component → schema text
};

template <class T>
detail::Schema Schemas::schema(const FieldRules* rules) {
  using detail::Schema;
  if constexpr (std::is_same_v<T, bool>) {
    return Schema::of_type("boolean");
  } else if constexpr (Integer<T>) {
    return Schema::of_integer(std::is_signed_v<T>, sizeof(T)).apply_to_leaf(rules);
  } else if constexpr (std::is_floating_point_v<T>) {
    return Schema::of_type("number", sizeof(T) == 4 ? "float" : "double").apply_to_leaf(rules);
  } else if constexpr (std::is_same_v<T, std::nullptr_t> || std::is_same_v<T, std::monostate>) {
    return Schema::of_type("null");
  } else if constexpr (std::is_same_v<T, Raw>) {
    return Schema();
  } else if constexpr (TextLike<T>) {
    return Schema::of_type("string").apply_to_leaf(rules);
  } else if constexpr (DescribedEnum<T>) {
    return Schema::of_enum(kEnumNames<T>.data(), kEnumNames<T>.size());
  } else if constexpr (kIsOptional<T>) {
    return schema<typename T::value_type>(rules).or_null();
  } else if constexpr (kIsId<T>) {
    return schema<std::remove_cvref_t<decltype(std::declval<T>().value())>>(rules);
  } else if constexpr (kIsSequence<T>) {
    return Schema::of_type("array").set("items", schema<std::remove_cv_t<typename T::value_type>>(rules).text());
  } else if constexpr (kIsMap<T>) {
    return Schema::of_type("object").set("additionalProperties", schema<typename T::mapped_type>(rules).text());
  } else if constexpr (kIsVariant<T>) {
    return any_of(std::type_identity<T>{});
  } else {
    static_assert(DescribedStruct<T>, "describe the type with BOOST_DESCRIBE_STRUCT or BOOST_DESCRIBE_ENUM");
    return Schema().set_text("$ref", "#/components/schemas/" + component<T>());
  }
}

template <class... T>
detail::Schema Schemas::any_of(std::type_identity<std::variant<T...>> /*alternatives*/) {
  std::string choices;
  ((choices += (choices.empty() ? "" : ",") + schema<T>(nullptr).text()), ...);
  return detail::Schema().set("anyOf", "[" + choices + "]");
}

template <class T>
std::string Schemas::component() {
  bool fresh = false;
  const std::string name = claim(detail::qualified_type_name<T>(), fresh);
  if (!fresh) return name;
  const FieldTable& table = field_table<T>();
  detail::Schema properties;
  std::string required;
  std::size_t index = 0;
  const T initial{};
  for_each_member<T>([&]<class D>() {
    using Member = std::remove_cvref_t<decltype(initial.*D::pointer)>;
    const FieldRules& rules = table[index++];
    auto member = member_schema<Member>(rules);
    member.set_default(rules, to_json(initial.*D::pointer));
    properties.set(rules.name(), member.text());
    if (rules.mandatory()) {
      if (!required.empty()) required.push_back(',');
      append_string(required, rules.name());
    }
  });
  auto schema = detail::Schema::of_type("object").set("properties", properties.text());
  if (!required.empty()) schema.set("required", "[" + required + "]");
  if (table.documentation()) schema.set_text("description", table.documentation()->in(language_));
  components_[name] = schema.text();
  return name;
}

template <class T>
detail::Schema Schemas::member_schema(const FieldRules& rules) {
  return schema<T>(&rules).apply_to_member(rules, language_);
}

template <class T>
std::vector<ParameterSchema> Schemas::parameters() {
  std::vector<ParameterSchema> parameters;
  const FieldTable& table = field_table<T>();
  std::size_t index = 0;
  const T initial{};
  for_each_member<T>([&]<class D>() {
    using Member = std::remove_cvref_t<decltype(initial.*D::pointer)>;
    using Value = typename detail::WithoutOptional<Member>::Type;
    const FieldRules& rules = table[index++];
    auto schema = member_schema<Value>(rules);
    schema.set_default(rules, to_json(initial.*D::pointer));
    parameters.push_back({std::string(rules.name()), rules.mandatory(), schema.text(), description(rules)});
  });
  return parameters;
}

}  // namespace berth::json
