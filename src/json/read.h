#pragma once

#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "json/describe.h"
#include "json/document.h"
#include "json/fields.h"

namespace berth::json {

/// Decodes JSON into T, which must be default-constructible.
///
/// A member is required unless it is a std::optional or its rules say `has_default` (see
/// json/fields.h); null and absence both make an optional empty, while `optional<optional<U>>`
/// tells them apart (absent: empty; null: an empty inner). Unknown members are ignored; of repeated
/// ones the last counts. Strings with a NUL are refused. Errors: malformed "json.malformed" if it
/// is no JSON; too_large "json.too_large"; else invalid_argument "request.invalid" with one
/// FieldError per bad value, all of them at once (at most 100), under dotted paths
/// ("rules.0.port"); "body" where the whole text is of the wrong kind.
template <class T>
Result<T> from_json(std::string_view text, const ReadLimits& limits = {});

/// The same for a value that is already parsed.
template <class T>
Result<T> from_view(View view);

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// Decodes a described struct from the text values of a query or a path, under the same rules and
/// errors. Booleans are true/false, 1/0, yes/no, on/off in any case; a vector takes repeated names
/// and comma lists (empty pieces are dropped); of a repeated single value the last counts. Members
/// may be booleans, numbers, strings, ids, enums, optionals and vectors of those. A struct without
/// members accepts anything.
template <class T>
Result<T> from_pairs(const Pairs& pairs);

namespace detail {

/// Collects what is wrong, and knows where in the input the reader is.
class Problems {
 public:
  /// Steps into a member or an element; `leave` with the value returned steps out again.
  std::size_t enter(std::string_view name);
  std::size_t enter(std::size_t index);
  void leave(std::size_t mark) { path_.resize(mark); }

  void add(Text message);
  void missing(std::string_view name);
  void wrong_type(std::string_view zh, std::string_view en);
  void not_integer();
  void out_of_range(long double min, long double max);
  void not_in_enum(const EnumName* names, std::size_t count);

  bool empty() const { return count_ == 0; }
  std::size_t count() const { return count_; }
  /// Forgets what was added since `count` was the given value.
  void rewind(std::size_t count);
  Error error() &&;

 private:
  std::string path_;
  std::vector<FieldError> problems_;
  std::size_t count_ = 0;  // also of those beyond the limit
};

bool read_bool(View view, bool& value, Problems& problems);
bool read_string(View view, std::string& value, Problems& problems);
bool read_number(View view, double& value, Problems& problems);
bool read_signed(View view, std::int64_t min, std::int64_t max, std::int64_t& value, Problems& problems);
bool read_unsigned(View view, std::uint64_t max, std::uint64_t& value, Problems& problems);

bool parse_bool(std::string_view text, bool& value, Problems& problems);
bool parse_string(std::string_view text, std::string& value, Problems& problems);
bool parse_number(std::string_view text, double& value, Problems& problems);
bool parse_signed(std::string_view text, std::int64_t min, std::int64_t max, std::int64_t& value, Problems& problems);
bool parse_unsigned(std::string_view text, std::uint64_t max, std::uint64_t& value, Problems& problems);

/// The values of one name, or the pieces of its comma list.
std::vector<std::string_view> values_of(const Pairs& pairs, std::string_view name);
std::vector<std::string_view> split_list(const std::vector<std::string_view>& values);

inline void report(std::optional<Text> message, Problems& problems) {
  if (message) problems.add(std::move(*message));
}

/// Applies the rules of a member to one of its leaves.
template <class T>
void judge_leaf(const T& value, const FieldRules* rules, Problems& problems) {
  if (rules == nullptr) return;
  if constexpr (std::is_same_v<T, std::string>) {
    report(rules->judge_text(value), problems);
  } else if constexpr (!std::is_same_v<T, bool>) {
    report(rules->judge_number(static_cast<long double>(value)), problems);
  }
}

template <class T>
void read(View view, T& value, const FieldRules* rules, Problems& problems);

template <class T, class ReadSigned, class ReadUnsigned>
bool convert_integer(T& value, ReadSigned read_signed, ReadUnsigned read_unsigned) {
  using Limits = std::numeric_limits<T>;
  if constexpr (std::is_signed_v<T>) {
    std::int64_t wide = 0;
    if (!read_signed(Limits::min(), Limits::max(), wide)) return false;
    value = static_cast<T>(wide);
  } else {
    std::uint64_t wide = 0;
    if (!read_unsigned(Limits::max(), wide)) return false;
    value = static_cast<T>(wide);
  }
  return true;
}

/// Refuses what a float cannot hold.
template <class T>
bool narrow(double wide, T& value, Problems& problems) {
  using Limits = std::numeric_limits<T>;
  if (wide < static_cast<double>(Limits::lowest()) || wide > static_cast<double>(Limits::max())) {
    problems.out_of_range(Limits::lowest(), Limits::max());
    return false;
  }
  value = static_cast<T>(wide);
  return true;
}

template <class T>
void read_scalar(View view, T& value, const FieldRules* rules, Problems& problems) {
  bool good = false;
  if constexpr (std::is_same_v<T, bool>) {
    good = read_bool(view, value, problems);
  } else if constexpr (std::is_floating_point_v<T>) {
    double wide = 0;
    good = read_number(view, wide, problems) && narrow(wide, value, problems);
  } else if constexpr (std::is_same_v<T, std::string>) {
    good = read_string(view, value, problems);
  } else {
    good = convert_integer(
        value, [&](auto min, auto max, auto& wide) { return read_signed(view, min, max, wide, problems); },
        [&](auto max, auto& wide) { return read_unsigned(view, max, wide, problems); });
  }
  if (good) judge_leaf(value, rules, problems);
}

template <class T>
void read_enum(std::optional<std::string_view> text, T& value, Problems& problems) {
  const auto known = text ? enum_value<T>(*text) : std::nullopt;
  if (known) {
    value = *known;
  } else {
    problems.not_in_enum(kEnumNames<T>.data(), kEnumNames<T>.size());
  }
}

template <class T>
void read_sequence(View view, T& values, const FieldRules* rules, Problems& problems) {
  if (!view.is_array()) return problems.wrong_type("数组", "an array");
  if (rules != nullptr) report(rules->judge_items(view.size()), problems);
  std::size_t index = 0;
  if constexpr (kIsVector<T>) {
    values.clear();
    values.reserve(view.size());
  } else if (view.size() != values.size()) {
    return problems.wrong_type("长度正确的数组", "an array of the right length");
  }
  for (const View element : view.elements()) {
    const auto mark = problems.enter(index);
    typename T::value_type item{};
    read(element, item, rules, problems);
    if constexpr (kIsVector<T>) {
      values.push_back(std::move(item));
    } else {
      values[index] = std::move(item);
    }
    problems.leave(mark);
    ++index;
  }
}

template <class T>
void read_map(View view, T& values, const FieldRules* rules, Problems& problems) {
  if (!view.is_object()) return problems.wrong_type("对象", "an object");
  if (rules != nullptr) report(rules->judge_items(view.size()), problems);
  values.clear();
  for (const auto& [key, element] : view.members()) {
    const auto mark = problems.enter(key);
    read(element, values[std::string(key)], rules, problems);
    problems.leave(mark);
  }
}

/// Takes the first alternative that fits; if none does, the complaints are those of the last.
template <class T, std::size_t Index = 0>
void read_variant(View view, T& value, const FieldRules* rules, Problems& problems) {
  const std::size_t before = problems.count();
  std::variant_alternative_t<Index, T> held{};
  read(view, held, rules, problems);
  if (problems.count() == before) {
    value = std::move(held);
  } else if constexpr (Index + 1 < std::variant_size_v<T>) {
    problems.rewind(before);
    read_variant<T, Index + 1>(view, value, rules, problems);
  }
}

/// Runs the checks that take the whole member.
template <class T>
void judge_member(const T& value, const FieldRules& rules, Problems& problems) {
  if constexpr (kIsOptional<T>) {
    if (value) judge_member(*value, rules, problems);
  } else {
    report(rules.judge_exact(&value, typeid(T)), problems);
  }
}

template <class T>
void read_struct(View view, T& value, Problems& problems) {
  if (!view.is_object()) return problems.wrong_type("对象", "an object");
  const FieldTable& table = field_table<T>();
  std::size_t index = 0;
  for_each_member<T>([&]<class D>() {
    const FieldRules& rules = table[index++];
    const View member = view[rules.name()];
    if (!member.exists()) {
      if (rules.mandatory()) problems.missing(rules.name());
      return;
    }
    const auto mark = problems.enter(rules.name());
    const std::size_t before = problems.count();
    read(member, value.*D::pointer, &rules, problems);
    if (problems.count() == before) judge_member(value.*D::pointer, rules, problems);
    problems.leave(mark);
  });
}

template <class T>
void read(View view, T& value, const FieldRules* rules, Problems& problems) {
  if constexpr (kIsOptional<T>) {
    using Inner = typename T::value_type;
    if (view.is_null() && !kIsOptional<Inner>) {
      value.reset();
    } else {
      read(view, value.emplace(), rules, problems);
    }
  } else if constexpr (std::is_same_v<T, Raw>) {
    value.text = view.text();
  } else if constexpr (std::is_same_v<T, std::monostate> || std::is_same_v<T, std::nullptr_t>) {
    if (!view.is_null()) problems.wrong_type("null", "null");
  } else if constexpr (std::is_same_v<T, bool> || Integer<T> || std::is_floating_point_v<T> ||
                       std::is_same_v<T, std::string>) {
    read_scalar(view, value, rules, problems);
  } else if constexpr (DescribedEnum<T>) {
    read_enum(view.string(), value, problems);
  } else if constexpr (kIsId<T>) {
    std::remove_cvref_t<decltype(value.value())> held{};
    read(view, held, rules, problems);
    value = T(std::move(held));
  } else if constexpr (kIsSequence<T>) {
    read_sequence(view, value, rules, problems);
  } else if constexpr (kIsMap<T>) {
    read_map(view, value, rules, problems);
  } else if constexpr (kIsVariant<T>) {
    read_variant(view, value, rules, problems);
  } else {
    static_assert(DescribedStruct<T>, "describe the type with BOOST_DESCRIBE_STRUCT or BOOST_DESCRIBE_ENUM");
    read_struct(view, value, problems);
  }
}

template <class T>
void parse_scalar(std::string_view text, T& value, const FieldRules& rules, Problems& problems) {
  bool good = false;
  if constexpr (std::is_same_v<T, bool>) {
    good = parse_bool(text, value, problems);
  } else if constexpr (std::is_floating_point_v<T>) {
    double wide = 0;
    good = parse_number(text, wide, problems) && narrow(wide, value, problems);
  } else if constexpr (std::is_same_v<T, std::string>) {
    good = parse_string(text, value, problems);
  } else {
    static_assert(Integer<T>, "a query or a path holds single values and lists of them only");
    good = convert_integer(
        value, [&](auto min, auto max, auto& wide) { return parse_signed(text, min, max, wide, problems); },
        [&](auto max, auto& wide) { return parse_unsigned(text, max, wide, problems); });
  }
  if (good) judge_leaf(value, &rules, problems);
}

template <class T>
void parse_text(std::string_view text, T& value, const FieldRules& rules, Problems& problems) {
  if constexpr (kIsId<T>) {
    std::remove_cvref_t<decltype(value.value())> held{};
    parse_scalar(text, held, rules, problems);
    value = T(std::move(held));
  } else if constexpr (DescribedEnum<T>) {
    read_enum(text, value, problems);
  } else {
    parse_scalar(text, value, rules, problems);
  }
}

template <class T>
void parse_member(const std::vector<std::string_view>& values, T& value, const FieldRules& rules, Problems& problems) {
  if constexpr (kIsOptional<T>) {
    parse_member(values, value.emplace(), rules, problems);
  } else if constexpr (kIsVector<T>) {
    const auto pieces = split_list(values);
    report(rules.judge_items(pieces.size()), problems);
    value.clear();
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const auto mark = problems.enter(i);
      typename T::value_type item{};
      parse_text(pieces[i], item, rules, problems);
      value.push_back(std::move(item));
      problems.leave(mark);
    }
  } else {
    parse_text(values.back(), value, rules, problems);
  }
}

}  // namespace detail

template <class T>
Result<T> from_view(View view) {
  T value{};
  detail::Problems problems;
  detail::read(view, value, nullptr, problems);
  if (!problems.empty()) return std::move(problems).error();
  return value;
}

template <class T>
Result<T> from_json(std::string_view text, const ReadLimits& limits) {
  const Document document = BERTH_TRY(Document::parse(text, limits));
  return from_view<T>(document.root());
}

template <class T>
Result<T> from_pairs(const Pairs& pairs) {
  T value{};
  detail::Problems problems;
  const FieldTable& table = field_table<T>();
  std::size_t index = 0;
  for_each_member<T>([&]<class D>() {
    const FieldRules& rules = table[index++];
    const auto values = detail::values_of(pairs, rules.name());
    if (values.empty()) {
      if (rules.mandatory()) problems.missing(rules.name());
      return;
    }
    const auto mark = problems.enter(rules.name());
    const std::size_t before = problems.count();
    detail::parse_member(values, value.*D::pointer, rules, problems);
    if (problems.count() == before) detail::judge_member(value.*D::pointer, rules, problems);
    problems.leave(mark);
  });
  if (!problems.empty()) return std::move(problems).error();
  return value;
}

}  // namespace berth::json
