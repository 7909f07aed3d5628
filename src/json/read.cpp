#include "json/read.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/encoding.h"

namespace berth::json::detail {
namespace {

constexpr std::size_t kMostProblems = 100;
constexpr std::size_t kLongestName = 64;

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

/// Reads all of `text` as a whole number; tells one that does not fit from what is no number.
enum class Parsed { good, no_number, too_big };

template <class T>
Parsed parse_all(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || error == std::errc::invalid_argument) return Parsed::no_number;
  return error == std::errc{} ? Parsed::good : Parsed::too_big;
}

/// Cuts a name that a stranger chose, at the start of a character.
std::string_view shorten(std::string_view name) {
  if (name.size() <= kLongestName) return name;
  std::size_t size = kLongestName;
  while (size > 0 && (static_cast<unsigned char>(name[size]) & 0xC0U) == 0x80U) --size;
  return name.substr(0, size);
}

}  // namespace

std::size_t Problems::enter(std::string_view name) {
  const std::size_t mark = path_.size();
  if (mark > 0) path_.push_back('.');
  path_.append(shorten(name));
  return mark;
}

std::size_t Problems::enter(std::size_t index) {
  const std::size_t mark = path_.size();
  fmt::format_to(std::back_inserter(path_), "{}{}", mark > 0 ? "." : "", index);
  return mark;
}

void Problems::add(Text message) {
  ++count_;
  if (problems_.size() < kMostProblems) problems_.push_back({path_.empty() ? "body" : path_, std::move(message)});
}

void Problems::missing(std::string_view name) {
  const std::size_t mark = enter(name);
  add({"缺少此字段", "This field is required"});
  leave(mark);
}

void Problems::wrong_type(std::string_view zh, std::string_view en) {
  add({fmt::format("应为{}", zh), fmt::format("Must be {}", en)});
}

void Problems::not_integer() {
  wrong_type("整数", "an integer");
}

void Problems::out_of_range(long double min, long double max) {
  add({fmt::format("应在 {} 到 {} 之间", bound_text(min), bound_text(max)),
       fmt::format("Must be between {} and {}", bound_text(min), bound_text(max))});
}

void Problems::not_in_enum(const EnumName* names, std::size_t count) {
  std::string zh;
  std::string en;
  for (std::size_t i = 0; i < count; ++i) {
    zh += fmt::format("{}{}", i > 0 ? "、" : "", names[i].name);
    en += fmt::format("{}{}", i > 0 ? ", " : "", names[i].name);
  }
  add({"应为以下之一：" + zh, "Must be one of: " + en});
}

void Problems::rewind(std::size_t count) {
  count_ = count;
  if (problems_.size() > count) problems_.resize(count);
}

Error Problems::error() && {
  return Error(ErrorCode::invalid_argument, "request.invalid", {"请求参数无效", "The request is not valid"})
      .with_fields(std::move(problems_));
}

bool read_bool(View view, bool& value, Problems& problems) {
  const auto read = view.boolean();
  if (!read) {
    problems.wrong_type("布尔值", "a boolean");
    return false;
  }
  value = *read;
  return true;
}

bool read_string(View view, std::string& value, Problems& problems) {
  const auto read = view.string();
  if (!read) {
    problems.wrong_type("字符串", "a string");
    return false;
  }
  return parse_string(*read, value, problems);
}

bool read_number(View view, double& value, Problems& problems) {
  const auto read = view.number();
  if (!read || !std::isfinite(*read)) {
    problems.wrong_type("数字", "a number");
    return false;
  }
  value = *read;
  return true;
}

/// True for a number without a fraction, of whatever size.
bool is_whole(View view) {
  const auto number = view.number();
  return number && std::trunc(*number) == *number;
}

bool read_signed(View view, std::int64_t min, std::int64_t max, std::int64_t& value, Problems& problems) {
  const auto read = view.integer();
  if (!read && !is_whole(view)) {
    problems.not_integer();
    return false;
  }
  if (!read || *read < min || *read > max) {
    problems.out_of_range(static_cast<long double>(min), static_cast<long double>(max));
    return false;
  }
  value = *read;
  return true;
}

bool read_unsigned(View view, std::uint64_t max, std::uint64_t& value, Problems& problems) {
  const auto read = view.unsigned_integer();
  if (!read && !is_whole(view)) {
    problems.not_integer();
    return false;
  }
  if (!read || *read > max) {
    problems.out_of_range(0, static_cast<long double>(max));
    return false;
  }
  value = *read;
  return true;
}

bool parse_bool(std::string_view text, bool& value, Problems& problems) {
  const std::string word = lower(text);
  if (word == "true" || word == "1" || word == "yes" || word == "on") {
    value = true;
  } else if (word == "false" || word == "0" || word == "no" || word == "off") {
    value = false;
  } else {
    problems.wrong_type("布尔值（true 或 false）", "a boolean (true or false)");
    return false;
  }
  return true;
}

bool parse_string(std::string_view text, std::string& value, Problems& problems) {
  // No name, address or message holds a NUL; stores and engines cut or refuse the text there.
  if (text.find('\0') != std::string_view::npos) {
    problems.add({"不应含有 NUL 字符", "Must not contain a NUL character"});
    return false;
  }
  if (!is_utf8(text)) {
    problems.add({"应为有效的 UTF-8 文本", "Must be valid UTF-8 text"});
    return false;
  }
  value = text;
  return true;
}

bool parse_number(std::string_view text, double& value, Problems& problems) {
  if (parse_all(text, value) != Parsed::good || !std::isfinite(value)) {
    problems.wrong_type("数字", "a number");
    return false;
  }
  return true;
}

bool parse_signed(std::string_view text, std::int64_t min, std::int64_t max, std::int64_t& value, Problems& problems) {
  const Parsed parsed = parse_all(text, value);
  if (parsed == Parsed::no_number) {
    problems.not_integer();
    return false;
  }
  if (parsed == Parsed::too_big || value < min || value > max) {
    problems.out_of_range(static_cast<long double>(min), static_cast<long double>(max));
    return false;
  }
  return true;
}

bool parse_unsigned(std::string_view text, std::uint64_t max, std::uint64_t& value, Problems& problems) {
  std::int64_t negative = 0;
  const Parsed parsed = parse_all(text, value);
  const bool below_zero = text.starts_with('-') && parse_all(text, negative) != Parsed::no_number;
  if (parsed == Parsed::no_number && !below_zero) {
    problems.not_integer();
    return false;
  }
  if (parsed != Parsed::good || value > max) {
    problems.out_of_range(0, static_cast<long double>(max));
    return false;
  }
  return true;
}

std::vector<std::string_view> values_of(const Pairs& pairs, std::string_view name) {
  std::vector<std::string_view> values;
  for (const auto& [key, value] : pairs) {
    if (key == name) values.emplace_back(value);
  }
  return values;
}

std::vector<std::string_view> split_list(const std::vector<std::string_view>& values) {
  std::vector<std::string_view> pieces;
  for (std::string_view rest : values) {
    while (!rest.empty()) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      if (comma > 0) pieces.push_back(rest.substr(0, comma));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  return pieces;
}

}  // namespace berth::json::detail
