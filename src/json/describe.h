#pragma once

#include <array>
#include <boost/describe/bases.hpp>
#include <boost/describe/class.hpp>
#include <boost/describe/enum.hpp>
#include <boost/describe/enumerators.hpp>
#include <boost/describe/members.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/id.h"

namespace berth::json {

/// A piece of JSON that is already text. Written verbatim (empty text as null); reading takes any
/// value.
struct Raw {
  std::string text;
  bool operator==(const Raw&) const = default;
};

/// How a member or enumerator is called on the wire: its own name without the one trailing '_' that
/// keeps it from being a keyword.
constexpr std::string_view wire_name(std::string_view name) {
  if (name.size() > 1 && name.back() == '_') name.remove_suffix(1);
  return name;
}

template <class T>
concept DescribedStruct = std::is_class_v<T> && boost::describe::has_describe_members<T>::value;
template <class T>
concept DescribedEnum = std::is_enum_v<T> && boost::describe::has_describe_enumerators<T>::value;
template <class T>
concept Integer =
    std::is_integral_v<T> && !std::is_same_v<T, bool> && !std::is_same_v<T, char> && !std::is_same_v<T, wchar_t> &&
    !std::is_same_v<T, char8_t> && !std::is_same_v<T, char16_t> && !std::is_same_v<T, char32_t>;
template <class T>
concept TextLike = std::is_convertible_v<const T&, std::string_view> && !std::is_same_v<T, std::nullptr_t>;

template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;
template <class T>
inline constexpr bool kIsVector = false;
template <class T, class A>
inline constexpr bool kIsVector<std::vector<T, A>> = true;
template <class T>
inline constexpr bool kIsSequence = kIsVector<T>;
template <class T, std::size_t N>
inline constexpr bool kIsSequence<std::array<T, N>> = true;
template <class T, std::size_t N>
inline constexpr bool kIsSequence<std::span<T, N>> = true;
template <class T>
inline constexpr bool kIsMap = false;
template <class T, class C, class A>
inline constexpr bool kIsMap<std::map<std::string, T, C, A>> = true;
template <class T>
inline constexpr bool kIsVariant = false;
template <class... T>
inline constexpr bool kIsVariant<std::variant<T...>> = true;
template <class T>
inline constexpr bool kIsId = false;
template <class Tag, class Value>
inline constexpr bool kIsId<Id<Tag, Value>> = true;

/// The public members of T, those of its bases first.
template <class T>
using Members = boost::describe::describe_members<T, boost::describe::mod_public | boost::describe::mod_inherited>;

/// Calls `function.template operator()<D>()` for each descriptor D of a list.
template <class Function, template <class...> class List, class... D>
constexpr void for_each_descriptor(std::type_identity<List<D...>> /*list*/, Function&& function) {
  (function.template operator()<D>(), ...);
}

template <class T, class Function>
constexpr void for_each_member(Function&& function) {
  for_each_descriptor(std::type_identity<Members<T>>{}, function);
}

struct EnumName {
  std::int64_t value;
  std::string_view name;
};

template <template <class...> class List, class... D>
constexpr auto make_enum_names(std::type_identity<List<D...>> /*list*/) {
  return std::array<EnumName, sizeof...(D)>{EnumName{static_cast<std::int64_t>(D::value), wire_name(D::name)}...};
}

/// Values and wire names of a described enum, in the order of its description.
template <DescribedEnum E>
inline constexpr auto kEnumNames = make_enum_names(std::type_identity<boost::describe::describe_enumerators<E>>{});

/// The wire name of an enum's value; empty if the value has none.
template <DescribedEnum E>
constexpr std::string_view enum_name(E value) {
  for (const auto& entry : kEnumNames<E>) {
    if (entry.value == static_cast<std::int64_t>(value)) return entry.name;
  }
  return {};
}

/// The value of a wire name; nothing if there is none.
template <DescribedEnum E>
constexpr std::optional<E> enum_value(std::string_view name) {
  for (const auto& entry : kEnumNames<E>) {
    if (entry.name == name) return static_cast<E>(entry.value);
  }
  return std::nullopt;
}

}  // namespace berth::json
