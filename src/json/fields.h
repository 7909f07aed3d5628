#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <vector>

#include "base/result.h"
#include "base/text.h"
#include "json/describe.h"

namespace berth::json {

namespace detail {

/// What a member holds once optional, list and map are taken off it.
enum class Leaf { text, number, boolean, enumeration, object, other };

/// What the rules must know of a member's type.
struct MemberFacts {
  std::string_view name;
  Leaf leaf;
  bool optional;
  bool container;
  const std::type_info* type;  // without the optional
};

template <class Signature>
struct CheckArgument;
template <class R, class A>
struct CheckArgument<std::function<R(A)>> {
  using Argument = std::remove_cvref_t<A>;
};

/// A bound as a person writes it, which is also JSON: no fraction for whole numbers.
std::string bound_text(long double bound);

enum class CheckKind { text, number, exact };

/// A check with its argument's type erased: a string_view for `text`, a long double (which holds
/// every 64-bit integer) for `number`, the member itself for `exact`.
struct Check {
  CheckKind kind;
  const std::type_info* type;
  std::function<std::optional<Text>(const void*)> function;
};

}  // namespace detail

/// What one member must satisfy, and what the API's description says of it. For a list or a map
/// `length`, `pattern_name`, `one_of`, `range` and the checks of strings and numbers concern each
/// element; `items` and a check that takes the member's own type concern the whole. An empty
/// optional satisfies every rule but `required`. A rule that does not suit the member's type aborts
/// at the first use: it is a bug.
class FieldRules {
 public:
  explicit FieldRules(const detail::MemberFacts& facts) : facts_(facts) {}

  /// Must be present even if it is a std::optional (which may still be null).
  FieldRules& required();
  /// May be absent: the member keeps its initial value.
  FieldRules& has_default();
  /// Length of a string in characters (code points), both ends included.
  FieldRules& length(std::size_t min, std::size_t max);
  /// A well-known form of string: "uuid", "date-time", "email", "hostname", "dns-label", "ipv4",
  /// "ipv6".
  FieldRules& pattern_name(std::string_view name);
  FieldRules& one_of(std::vector<std::string> values);
  /// Both ends included.
  FieldRules& range(long double min, long double max);
  FieldRules& min(long double value);
  FieldRules& max(long double value);
  /// Number of elements of a list or map, both ends included.
  FieldRules& items(std::size_t min, std::size_t max);
  /// Its value never appears in an error, nor in the API's description.
  FieldRules& secret();
  FieldRules& doc(Text text);
  /// Text of a string, or JSON for any other kind.
  FieldRules& example(std::string text);

  /// `function` takes a string_view, a number or the member's own type, and returns whether it is
  /// good.
  template <class Function>
  FieldRules& check(Function function, Text message) {
    return add_check(std::move(function),
                     [message](bool good) { return good ? std::nullopt : std::optional<Text>(message); });
  }
  /// `function` returns a Result<void>, whose error's message is given (that of its first field, if
  /// it has one).
  template <class Function>
  FieldRules& check(Function function) {
    return add_check(std::move(function), [](const Result<void>& result) -> std::optional<Text> {
      if (result) return std::nullopt;
      const Error& error = result.error();
      return error.fields().empty() ? error.message() : error.fields().front().message;
    });
  }

  struct Bounds {
    std::size_t min;
    std::size_t max;
  };

  std::string_view name() const { return facts_.name; }
  const detail::MemberFacts& facts() const { return facts_; }
  /// Whether its absence is an error.
  bool mandatory() const;
  bool keeps_default() const { return presence_ == Presence::has_default; }
  bool is_secret() const { return secret_; }
  const std::optional<Bounds>& length_bounds() const { return length_; }
  const std::optional<Bounds>& item_bounds() const { return items_; }
  const std::optional<long double>& lowest() const { return min_; }
  const std::optional<long double>& highest() const { return max_; }
  const std::vector<std::string>& allowed() const { return one_of_; }
  std::string_view pattern_name() const { return pattern_name_; }
  const std::optional<Text>& documentation() const { return doc_; }
  const std::string& example_text() const { return example_; }

  /// What is wrong with a value, if anything is: the first rule broken.
  std::optional<Text> judge_text(std::string_view value) const;
  std::optional<Text> judge_number(long double value) const;
  std::optional<Text> judge_items(std::size_t count) const;
  /// Runs the checks that take the member's own type.
  std::optional<Text> judge_exact(const void* value, const std::type_info& type) const;

 private:
  enum class Presence { by_type, required, has_default };

  template <class Function, class Verdict>
  FieldRules& add_check(Function function, Verdict verdict) {
    using Argument = typename detail::CheckArgument<decltype(std::function{function})>::Argument;
    detail::Check check{detail::CheckKind::exact, &typeid(Argument), {}};
    if constexpr (std::is_same_v<Argument, std::string_view> || std::is_same_v<Argument, std::string>) {
      check.kind = detail::CheckKind::text;
      check.function = [function, verdict](const void* value) {
        return verdict(function(Argument(*static_cast<const std::string_view*>(value))));
      };
    } else if constexpr (std::is_arithmetic_v<Argument> && !std::is_same_v<Argument, bool>) {
      check.kind = detail::CheckKind::number;
      check.function = [function, verdict](const void* value) {
        return verdict(function(static_cast<Argument>(*static_cast<const long double*>(value))));
      };
    } else {
      check.function = [function, verdict](const void* value) {
        return verdict(function(*static_cast<const Argument*>(value)));
      };
    }
    return add_check(std::move(check));
  }
  FieldRules& add_check(detail::Check check);
  void expect(bool suits, std::string_view rule) const;
  std::optional<Text> run_checks(detail::CheckKind kind, const void* value, const std::type_info* type) const;
  /// Keeps a secret value out of a message that a check made.
  Text discreet(Text message, std::string_view value) const;

  detail::MemberFacts facts_;
  Presence presence_ = Presence::by_type;
  bool secret_ = false;
  std::optional<Bounds> length_;
  std::optional<Bounds> items_;
  std::optional<long double> min_;
  std::optional<long double> max_;
  std::vector<std::string> one_of_;
  std::string pattern_name_;
  std::optional<Text> doc_;
  std::string example_;
  std::vector<detail::Check> checks_;
};

/// The rules of every member of one struct, in the order of Members<T>.
class FieldTable {
 public:
  explicit FieldTable(std::string_view type_name) : type_name_(type_name) {}

  void add(const detail::MemberFacts& facts) { rules_.emplace_back(facts); }
  /// Aborts with a clear message if there is no such member.
  FieldRules& find(std::string_view name);
  const FieldRules& operator[](std::size_t index) const { return rules_[index]; }
  std::size_t size() const { return rules_.size(); }
  void set_documentation(Text text) { doc_ = std::move(text); }
  const std::optional<Text>& documentation() const { return doc_; }

 private:
  std::string type_name_;
  std::vector<FieldRules> rules_;
  std::optional<Text> doc_;
};

/// Where a struct's rules are given: beside the struct stands
/// `inline void describe_fields(berth::json::Fields<NewUser>& fields) { fields("name").length(1,
/// 63); }`. The rules of described bases are applied first. Names are wire names.
template <class T>
class Fields {
 public:
  explicit Fields(FieldTable& table) : table_(table) {}
  FieldRules& operator()(std::string_view name) { return table_.find(name); }
  /// What the API's description says of the struct itself.
  Fields& doc(Text text) {
    table_.set_documentation(std::move(text));
    return *this;
  }

 private:
  FieldTable& table_;
};

namespace detail {

template <class T>
constexpr Leaf leaf_of() {
  if constexpr (std::is_same_v<T, bool>) {
    return Leaf::boolean;
  } else if constexpr (Integer<T> || std::is_floating_point_v<T>) {
    return Leaf::number;
  } else if constexpr (std::is_same_v<T, std::string>) {
    return Leaf::text;
  } else if constexpr (std::is_enum_v<T>) {
    return Leaf::enumeration;
  } else if constexpr (kIsOptional<T>) {
    return leaf_of<typename T::value_type>();
  } else if constexpr (kIsSequence<T>) {
    return leaf_of<std::remove_cv_t<typename T::value_type>>();
  } else if constexpr (kIsMap<T>) {
    return leaf_of<typename T::mapped_type>();
  } else if constexpr (kIsId<T>) {
    return leaf_of<std::remove_cvref_t<decltype(std::declval<T>().value())>>();
  } else if constexpr (DescribedStruct<T>) {
    return Leaf::object;
  } else {
    return Leaf::other;
  }
}

template <class T>
struct WithoutOptional {
  using Type = T;
};
template <class T>
struct WithoutOptional<std::optional<T>> : WithoutOptional<T> {};

template <class T>
void apply_rules(FieldTable& table) {
  for_each_descriptor(std::type_identity<boost::describe::describe_bases<T, boost::describe::mod_any_access>>{},
                      [&table]<class D>() { apply_rules<typename D::type>(table); });
  Fields<T> fields(table);
  if constexpr (requires { describe_fields(fields); }) describe_fields(fields);
}

}  // namespace detail

/// The rules of a described struct, made once, at the first use.
template <DescribedStruct T>
const FieldTable& field_table() {
  static const FieldTable table = [] {
    FieldTable made(typeid(T).name());
    for_each_member<T>([&made]<class D>() {
      using Member = std::remove_cvref_t<decltype(std::declval<T&>().*D::pointer)>;
      using Value = typename detail::WithoutOptional<Member>::Type;
      made.add({wire_name(D::name), detail::leaf_of<Value>(), kIsOptional<Member>, kIsSequence<Value> || kIsMap<Value>,
                &typeid(Value)});
    });
    detail::apply_rules<T>(made);
    return made;
  }();
  return table;
}

}  // namespace berth::json
