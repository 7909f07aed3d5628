#pragma once

#include <string>
#include <string_view>

#include "json/describe.h"

namespace berth::json {

template <class T>
void append(std::string& out, const T& value);

/// Writes a value as compact JSON straight from the struct.
///
/// Known kinds: bool, integers, float and double (plain decimal, always with a fraction: 50.0; NaN
/// and infinities become null), anything that reads as a string_view (invalid UTF-8 becomes
/// U+FFFD), optional (null when empty; a member that is an empty `optional<optional<T>>` is left
/// out), nullptr, monostate, vector, array, span, map with string keys, variant, Id, Raw, described
/// enums and described structs.
template <class T>
std::string to_json(const T& value) {
  std::string out;
  append(out, value);
  return out;
}

/// Writes a quoted, escaped string.
void append_string(std::string& out, std::string_view text);
void append_integer(std::string& out, std::int64_t value);
void append_unsigned(std::string& out, std::uint64_t value);
/// Writes the shortest decimal that reads back as the same value.
void append_number(std::string& out, double value);
void append_number(std::string& out, float value);

namespace detail {

/// `,"name":` made at compile time; a first member skips the comma.
template <class D>
struct MemberKey {
  static constexpr std::string_view kName = wire_name(D::name);
  static constexpr auto kText = [] {
    std::array<char, kName.size() + 4> text{};
    text[0] = ',';
    text[1] = '"';
    for (std::size_t i = 0; i < kName.size(); ++i) text[i + 2] = kName[i];
    text[kName.size() + 2] = '"';
    text[kName.size() + 3] = ':';
    return text;
  }();
};

template <class D, class M>
void append_member(std::string& out, const M& member, bool& first) {
  constexpr auto& kKey = MemberKey<D>::kText;
  const std::size_t skip = first ? 1 : 0;
  if constexpr (kIsOptional<M>) {
    if constexpr (kIsOptional<typename M::value_type>) {
      if (!member) return;
    }
  }
  out.append(kKey.data() + skip, kKey.size() - skip);
  first = false;
  append(out, member);
}

template <class T>
void append_struct(std::string& out, const T& value) {
  out.push_back('{');
  bool first = true;
  for_each_member<T>([&]<class D>() { append_member<D>(out, value.*D::pointer, first); });
  out.push_back('}');
}

template <class T>
void append_sequence(std::string& out, const T& values) {
  out.push_back('[');
  bool first = true;
  for (const auto& value : values) {
    if (!first) out.push_back(',');
    first = false;
    append(out, static_cast<const typename T::value_type&>(value));
  }
  out.push_back(']');
}

template <class T>
void append_map(std::string& out, const T& values) {
  out.push_back('{');
  bool first = true;
  for (const auto& [key, value] : values) {
    if (!first) out.push_back(',');
    first = false;
    append_string(out, key);
    out.push_back(':');
    append(out, value);
  }
  out.push_back('}');
}

template <class T>
inline constexpr bool kUnsupported = false;

}  // namespace detail

template <class T>
void append(std::string& out, const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    out.append(value ? "true" : "false");
  } else if constexpr (Integer<T> && std::is_signed_v<T>) {
    append_integer(out, value);
  } else if constexpr (Integer<T>) {
    append_unsigned(out, value);
  } else if constexpr (std::is_floating_point_v<T>) {
    append_number(out, value);
  } else if constexpr (std::is_same_v<T, std::nullptr_t> || std::is_same_v<T, std::monostate>) {
    out.append("null");
  } else if constexpr (std::is_same_v<T, Raw>) {
    out.append(value.text.empty() ? std::string_view("null") : std::string_view(value.text));
  } else if constexpr (TextLike<T>) {
    append_string(out, value);
  } else if constexpr (DescribedEnum<T>) {
    const std::string_view name = enum_name(value);
    if (name.empty()) {
      out.append("null");
    } else {
      append_string(out, name);
    }
  } else if constexpr (kIsOptional<T>) {
    if (value) {
      append(out, *value);
    } else {
      out.append("null");
    }
  } else if constexpr (kIsId<T>) {
    append(out, value.value());
  } else if constexpr (kIsSequence<T>) {
    detail::append_sequence(out, value);
  } else if constexpr (kIsMap<T>) {
    detail::append_map(out, value);
  } else if constexpr (kIsVariant<T>) {
    std::visit([&out](const auto& held) { append(out, held); }, value);
  } else if constexpr (DescribedStruct<T>) {
    detail::append_struct(out, value);
  } else {
    static_assert(detail::kUnsupported<T>, "describe the type with BOOST_DESCRIBE_STRUCT or BOOST_DESCRIBE_ENUM");
  }
}

}  // namespace berth::json
