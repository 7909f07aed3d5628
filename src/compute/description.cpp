#include "compute/description.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <utility>
#include <vector>

#include "base/encoding.h"

namespace berth::compute {
namespace {

constexpr std::size_t kWords = 5;
constexpr std::size_t kMaximumPassword = 128;

struct Words {
  std::array<std::string_view, kWords> word;
  std::size_t count = 0;  ///< of all words, also of those beyond the fifth
};

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

Words split(std::string_view text) {
  Words words;
  std::size_t at = 0;
  while (at < text.size()) {
    while (at < text.size() && is_space(text[at])) ++at;
    const std::size_t begin = at;
    while (at < text.size() && !is_space(text[at])) ++at;
    if (at == begin) break;
    if (words.count < kWords) words.word[words.count] = text.substr(begin, at - begin);
    ++words.count;
  }
  return words;
}

bool all_digits(std::string_view word) {
  return !word.empty() && std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<std::uint16_t> port(std::string_view word) {
  std::uint16_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (!all_digits(word) || error != std::errc{} || value == 0) return std::nullopt;
  return value;
}

/// Whether the first five words are the form rather than prose.
bool has_form(const Words& words) {
  if (words.count < kWords) return false;
  const auto digits = static_cast<int>(all_digits(words.word[1])) + static_cast<int>(all_digits(words.word[3])) +
                      static_cast<int>(all_digits(words.word[4]));
  // Words behind the form make prose likelier, so that all three ports must then be numbers.
  return words.count == kWords ? digits > 0 : digits == 3;
}

}  // namespace

InstanceAccess parse_description(std::string_view description) {
  const Words words = split(description);
  if (words.count != kWords || !has_form(words)) return {};
  InstanceAccess access;
  access.ssh_port = port(words.word[1]);
  access.root_password = std::string(words.word[2]);
  const auto first = port(words.word[3]);
  const auto last = port(words.word[4]);
  if (first && last && *first <= *last) access.nat_ports = fmt::format("{}-{}", *first, *last);
  return access;
}

std::string mask_password(std::string_view description) {
  const Words words = split(description);
  if (!has_form(words)) return std::string(description);
  const auto begin = static_cast<std::size_t>(words.word[2].data() - description.data());
  std::string masked(description.substr(0, begin));
  masked += "***";
  masked += description.substr(begin + words.word[2].size());
  return masked;
}

Result<std::string> make_description(const AccessWish& wish) {
  std::vector<FieldError> errors;
  const Text port_range{"端口必须在 1 到 65535 之间", "A port is between 1 and 65535"};
  if (wish.name.empty() || std::ranges::any_of(wish.name, is_space)) {
    errors.push_back({"name", {"名称必须是一个词", "The name must be one word"}});
  }
  if (wish.ssh_port == 0) errors.push_back({"ssh_port", port_range});
  if (wish.nat_first == 0) errors.push_back({"nat_first", port_range});
  if (wish.nat_last == 0) {
    errors.push_back({"nat_last", port_range});
  } else if (wish.nat_last < wish.nat_first) {
    errors.push_back({"nat_last", {"结束端口不能小于起始端口", "The last port must not be below the first"}});
  }
  const auto unprintable = [](char c) {
    return static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) == 0x7f;
  };
  const std::string& password = wish.root_password;
  if (password.empty() || password.size() > kMaximumPassword || !is_utf8(password) ||
      std::ranges::any_of(password, unprintable)) {
    errors.push_back({"root_password",
                      {"密码必须是 1 到 128 字节且不含空白的一个词",
                       "The password is one word of 1 to 128 bytes without white space"}});
  }
  if (!errors.empty()) {
    return Error(ErrorCode::invalid_argument, "instance.access", {"访问信息无效", "The access details are not valid"})
        .with_fields(std::move(errors));
  }
  return fmt::format("{} {} {} {} {}", wish.name, wish.ssh_port, password, wish.nat_first, wish.nat_last);
}

}  // namespace berth::compute
