#include "store/value.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <stdexcept>
#include <type_traits>

namespace berth::store {

namespace {

// The largest magnitude below which every integer is exactly a double.
constexpr std::int64_t kExactInDouble = std::int64_t{1} << 53;

std::string_view kind_of(const Scalar& scalar) {
  switch (scalar.index()) {
    case 0:
      return "NULL";
    case 1:
      return "an integer";
    case 2:
      return "a real number";
    default:
      return "text";
  }
}

[[noreturn]] void refuse(std::string_view column, const Scalar& found, std::string_view wanted) {
  throw std::logic_error(fmt::format("column \"{}\" holds {}, not {}", column, kind_of(found), wanted));
}

template <class Number>
std::optional<Number> parse(const std::string& text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<std::int64_t> as_integer(const Scalar& scalar) {
  if (const auto* integer = std::get_if<std::int64_t>(&scalar)) return *integer;
  if (const auto* text = std::get_if<std::string>(&scalar)) return parse<std::int64_t>(*text);
  if (const auto* real = std::get_if<double>(&scalar)) {
    if (std::trunc(*real) == *real && std::abs(*real) <= static_cast<double>(kExactInDouble)) {
      return static_cast<std::int64_t>(*real);
    }
  }
  return std::nullopt;
}

std::optional<double> as_real(const Scalar& scalar) {
  if (const auto* real = std::get_if<double>(&scalar)) return *real;
  if (const auto* text = std::get_if<std::string>(&scalar)) return parse<double>(*text);
  if (const auto* integer = std::get_if<std::int64_t>(&scalar)) {
    if (*integer >= -kExactInDouble && *integer <= kExactInDouble) return static_cast<double>(*integer);
  }
  return std::nullopt;
}

std::optional<std::string> as_text(const Scalar& scalar) {
  if (const auto* text = std::get_if<std::string>(&scalar)) return *text;
  if (const auto* integer = std::get_if<std::int64_t>(&scalar)) return std::to_string(*integer);
  return std::nullopt;
}

}  // namespace

const Scalar& Row::at(std::string_view column) const {
  for (std::size_t index = 0; index < names_->size(); ++index) {
    if ((*names_)[index] == column) return values_[index];
  }
  throw std::logic_error(fmt::format("the answer has no column \"{}\"", column));
}

std::int64_t Row::integer(std::string_view column) const {
  const Scalar& scalar = at(column);
  const auto value = as_integer(scalar);
  if (!value) refuse(column, scalar, "an integer");
  return *value;
}

double Row::real(std::string_view column) const {
  const Scalar& scalar = at(column);
  const auto value = as_real(scalar);
  if (!value) refuse(column, scalar, "a real number");
  return *value;
}

std::string Row::text(std::string_view column) const {
  const Scalar& scalar = at(column);
  auto value = as_text(scalar);
  if (!value) refuse(column, scalar, "text");
  return *std::move(value);
}

bool Row::is_null(std::string_view column) const {
  return std::holds_alternative<std::monostate>(at(column));
}

std::optional<std::int64_t> Row::optional_integer(std::string_view column) const {
  if (is_null(column)) return std::nullopt;
  return integer(column);
}

std::optional<std::string> Row::optional_text(std::string_view column) const {
  if (is_null(column)) return std::nullopt;
  return text(column);
}

std::optional<Timestamp> Row::optional_time(std::string_view column) const {
  if (is_null(column)) return std::nullopt;
  return time(column);
}

}  // namespace berth::store
