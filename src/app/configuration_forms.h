#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "app/configuration_keys.h"
#include "app/configuration_values.h"

// How the tables of keys say what a value may be and where it goes. For those tables only.
namespace berth::app {

/// What a value may be, and how it gets to its place.
struct Form {
  Shape shape;
  Text allowed;
  std::function<bool(const Scope&, const Written&)> assign;
};

template <class Part, class Value>
auto at(Part Configuration::*part, Value Part::*value) {
  return [part, value](const Scope& scope) -> Value& { return scope.configuration.*part.*value; };
}

template <class Value>
auto at(Value Configuration::Listener::*value) {
  return [value](const Scope& scope) -> Value& { return scope.listener->*value; };
}

template <class Value>
auto at(Value Configuration::Engine::*value) {
  return [value](const Scope& scope) -> Value& { return scope.engine->*value; };
}

template <class Place>
Form integer(Place place, std::int64_t least, std::int64_t most) {
  return {Shape::integer,
          {fmt::format("{} 到 {} 的整数", least, most), fmt::format("a whole number from {} to {}", least, most)},
          [=](const Scope& scope, const Written& written) {
            const auto* value = std::get_if<std::int64_t>(&written);
            if (value == nullptr || *value < least || *value > most) return false;
            place(scope) = static_cast<std::decay_t<decltype(place(scope))>>(*value);
            return true;
          }};
}

template <class Place>
Form duration(Place place, std::chrono::milliseconds least, std::chrono::milliseconds most) {
  using Target = std::decay_t<decltype(place(std::declval<const Scope&>()))>;
  const auto range = std::pair(format_duration(least), format_duration(most));
  return {Shape::text,
          {fmt::format("时长，如 \"10s\"，范围 {} 到 {}", range.first, range.second),
           fmt::format("a duration such as \"10s\", from {} to {}", range.first, range.second)},
          [=](const Scope& scope, const Written& written) {
            const auto* text = std::get_if<std::string>(&written);
            const auto value = text == nullptr ? std::nullopt : parse_duration(*text);
            if (!value || *value < least || *value > most || *value % Target(1) != std::chrono::milliseconds(0)) return false;
            place(scope) = std::chrono::duration_cast<Target>(*value);
            return true;
          }};
}

template <class Place>
Form size(Place place, std::uint64_t least, std::uint64_t most) {
  return {Shape::text,
          {fmt::format("大小，如 \"16KiB\"，范围 {} 到 {}", format_size(least), format_size(most)),
           fmt::format("a size such as \"16KiB\", from {} to {}", format_size(least), format_size(most))},
          [=](const Scope& scope, const Written& written) {
            const auto* text = std::get_if<std::string>(&written);
            const auto value = text == nullptr ? std::nullopt : parse_size(*text);
            if (!value || *value < least || *value > most) return false;
            place(scope) = *value;
            return true;
          }};
}

template <class Place, class Check>
Form text(Place place, Text allowed, Check check) {
  return {Shape::text, std::move(allowed), [=](const Scope& scope, const Written& written) {
            const auto* value = std::get_if<std::string>(&written);
            if (value == nullptr || !check(*value)) return false;
            place(scope) = *value;
            return true;
          }};
}

template <class Place>
Form path(Place place) {
  return text(place, {"绝对路径", "an absolute path"}, [](const std::string& value) {
    return value.empty() || (value.starts_with('/') && value.find('\0') == std::string::npos);
  });
}

template <class Place, class Value>
Form choice(Place place, std::vector<std::pair<std::string, Value>> choices) {
  Text allowed;
  for (const auto& [name, value] : choices) {
    allowed.zh += fmt::format("{}\"{}\"", allowed.zh.empty() ? "" : "、", name);
    allowed.en += fmt::format("{}\"{}\"", allowed.en.empty() ? "" : ", ", name);
  }
  allowed = {allowed.zh + " 之一", "one of " + allowed.en};
  return {Shape::text, std::move(allowed), [=](const Scope& scope, const Written& written) {
            const auto* text = std::get_if<std::string>(&written);
            if (text == nullptr) return false;
            for (const auto& [name, value] : choices) {
              if (name != *text) continue;
              place(scope) = value;
              return true;
            }
            return false;
          }};
}

template <class Place, class Check>
Form list(Place place, Text allowed, Check check) {
  return {Shape::list, std::move(allowed), [=](const Scope& scope, const Written& written) {
            const auto* values = std::get_if<std::vector<std::string>>(&written);
            if (values == nullptr || !std::all_of(values->begin(), values->end(), check)) return false;
            place(scope) = *values;
            return true;
          }};
}

template <class T>
constexpr std::int64_t most_of() {
  return static_cast<std::int64_t>(
      std::min<std::uint64_t>(std::numeric_limits<T>::max(), std::numeric_limits<std::int64_t>::max()));
}

inline Key key(std::string_view section, std::string_view name, std::string_view fallback, Form form, Reload reload,
               std::string_view meaning) {
  return {section, name, fallback, form.shape, std::move(form.allowed), std::move(form.assign), reload, meaning};
}

}  // namespace berth::app
