#include "json/fields.h"

#include <arpa/inet.h>
#include <cxxabi.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/clock.h"
#include "base/encoding.h"

namespace berth::json {
namespace {

[[noreturn]] void abort_with(const std::string& message) {
  std::fprintf(stderr, "berth::json: %s\n", message.c_str());
  std::abort();
}

std::string readable(std::string_view mangled) {
  int status = 0;
  char* text = abi::__cxa_demangle(std::string(mangled).c_str(), nullptr, nullptr, &status);
  std::string name = status == 0 ? text : std::string(mangled);
  std::free(text);
  return name;
}

std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_label(std::string_view text) {
  return !text.empty() && text.size() <= 63 && is_letter_or_digit(text.front()) && is_letter_or_digit(text.back()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_letter_or_digit(c) || c == '-'; });
}

bool is_hostname(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  while (true) {
    const std::size_t dot = text.find('.');
    if (!is_label(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

/// The shape that every real address has (RFC 5321's limits); only a mail to it can prove more.
bool is_email(std::string_view text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos || at == 0 || at > 64 || text.size() > 254) return false;
  const std::string_view local = text.substr(0, at);
  const auto allowed = [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && c != 0x7f &&
           std::string_view("()<>[]:;@\\,\"").find(c) == std::string_view::npos;
  };
  return std::all_of(local.begin(), local.end(), allowed) && local.front() != '.' && local.back() != '.' &&
         local.find("..") == std::string_view::npos && is_hostname(text.substr(at + 1));
}

bool is_address(int family, std::string_view text) {
  std::array<unsigned char, 16> bytes{};
  return text.find('\0') == std::string_view::npos && ::inet_pton(family, std::string(text).c_str(), bytes.data()) == 1;
}

struct Pattern {
  std::string_view name;
  bool (*matches)(std::string_view text);
  std::string_view zh;
  std::string_view en;
};

constexpr std::array kPatterns = {
    Pattern{"uuid", is_uuid, "UUID", "a UUID"},
    Pattern{"date-time", [](std::string_view text) { return parse_timestamp(text).has_value(); },
            "RFC 3339 时间，例如 2026-01-23T11:30:00Z", "an RFC 3339 time such as 2026-01-23T11:30:00Z"},
    Pattern{"email", is_email, "电子邮件地址", "an e-mail address"},
    Pattern{"hostname", is_hostname, "主机名", "a host name"},
    Pattern{"dns-label", is_label, "由字母、数字和连字符组成的名称（1 到 63 个字符，首尾不能是连字符）",
            "letters, digits and hyphens, 1 to 63 of them, with no hyphen at either end"},
    Pattern{"ipv4", [](std::string_view text) { return is_address(AF_INET, text); }, "IPv4 地址", "an IPv4 address"},
    Pattern{"ipv6", [](std::string_view text) { return is_address(AF_INET6, text); }, "IPv6 地址", "an IPv6 address"},
};

const Pattern* find_pattern(std::string_view name) {
  const auto found = std::find_if(kPatterns.begin(), kPatterns.end(), [&](const Pattern& p) { return p.name == name; });
  return found == kPatterns.end() ? nullptr : &*found;
}

/// "1 to 5 <unit>", "at least 1 <unit>" or "at most 5 <unit>", whichever the bounds mean.
Text describe_bounds(const FieldRules::Bounds& bounds, std::string_view zh_unit, std::string_view en_unit) {
  constexpr auto kOpen = static_cast<std::size_t>(-1);
  if (bounds.max == kOpen) {
    return {fmt::format("至少 {} {}", bounds.min, zh_unit), fmt::format("at least {} {}", bounds.min, en_unit)};
  }
  if (bounds.min == 0) {
    return {fmt::format("至多 {} {}", bounds.max, zh_unit), fmt::format("at most {} {}", bounds.max, en_unit)};
  }
  if (bounds.min == bounds.max) {
    return {fmt::format("{} {}", bounds.min, zh_unit), fmt::format("exactly {} {}", bounds.min, en_unit)};
  }
  return {fmt::format("{} 到 {} {}", bounds.min, bounds.max, zh_unit),
          fmt::format("{} to {} {}", bounds.min, bounds.max, en_unit)};
}

bool outside(const FieldRules::Bounds& bounds, std::size_t count) {
  return count < bounds.min || count > bounds.max;
}

}  // namespace

std::string detail::bound_text(long double bound) {
  if (bound == std::trunc(bound) && std::abs(bound) < 1e21L) return fmt::format("{:.0f}", bound);
  return fmt::format("{}", static_cast<double>(bound));
}

void FieldRules::expect(bool suits, std::string_view rule) const {
  if (suits) return;
  abort_with(fmt::format("the rule {} does not suit the member \"{}\" of type {}", rule, facts_.name,
                         readable(facts_.type->name())));
}

FieldRules& FieldRules::required() {
  presence_ = Presence::required;
  return *this;
}

FieldRules& FieldRules::has_default() {
  presence_ = Presence::has_default;
  return *this;
}

FieldRules& FieldRules::length(std::size_t min, std::size_t max) {
  expect(facts_.leaf == detail::Leaf::text && min <= max, "length");
  length_ = Bounds{min, max};
  return *this;
}

FieldRules& FieldRules::pattern_name(std::string_view name) {
  expect(facts_.leaf == detail::Leaf::text, "pattern_name");
  if (find_pattern(name) == nullptr) abort_with(fmt::format("there is no pattern called \"{}\"", name));
  pattern_name_ = name;
  return *this;
}

FieldRules& FieldRules::one_of(std::vector<std::string> values) {
  expect(facts_.leaf == detail::Leaf::text && !values.empty(), "one_of");
  one_of_ = std::move(values);
  return *this;
}

FieldRules& FieldRules::range(long double min, long double max) {
  expect(min <= max, "range");
  return this->min(min).max(max);
}

FieldRules& FieldRules::min(long double value) {
  expect(facts_.leaf == detail::Leaf::number, "min");
  min_ = value;
  return *this;
}

FieldRules& FieldRules::max(long double value) {
  expect(facts_.leaf == detail::Leaf::number, "max");
  max_ = value;
  return *this;
}

FieldRules& FieldRules::items(std::size_t min, std::size_t max) {
  expect(facts_.container && min <= max, "items");
  items_ = Bounds{min, max};
  return *this;
}

FieldRules& FieldRules::secret() {
  secret_ = true;
  return *this;
}

FieldRules& FieldRules::doc(Text text) {
  doc_ = std::move(text);
  return *this;
}

FieldRules& FieldRules::example(std::string text) {
  example_ = std::move(text);
  return *this;
}

FieldRules& FieldRules::add_check(detail::Check check) {
  using detail::CheckKind;
  using detail::Leaf;
  // A member of exactly the type that the check takes is given to it whole, so that a check of a
  // list can look at the list.
  const bool suits = check.kind == CheckKind::text     ? facts_.leaf == Leaf::text
                     : check.kind == CheckKind::number ? facts_.leaf == Leaf::number
                                                       : *check.type == *facts_.type;
  expect(suits, "check");
  checks_.push_back(std::move(check));
  return *this;
}

bool FieldRules::mandatory() const {
  return presence_ == Presence::required || (presence_ == Presence::by_type && !facts_.optional);
}

std::optional<Text> FieldRules::run_checks(detail::CheckKind kind, const void* value,
                                           const std::type_info* type) const {
  for (const auto& check : checks_) {
    if (check.kind != kind || (type != nullptr && *type != *check.type)) continue;
    if (auto message = check.function(value)) return message;
  }
  return std::nullopt;
}

Text FieldRules::discreet(Text message, std::string_view value) const {
  if (!secret_ || value.empty()) return message;
  const bool told = message.zh.find(value) != std::string::npos || message.en.find(value) != std::string::npos;
  return told ? Text{"此值不可接受", "This value is not acceptable"} : std::move(message);
}

std::optional<Text> FieldRules::judge_text(std::string_view value) const {
  if (length_ && outside(*length_, count_characters(value))) {
    const Text bounds = describe_bounds(*length_, "个字符", "characters");
    return Text{"长度应为 " + bounds.zh, "Must be " + bounds.en + " long"};
  }
  if (!one_of_.empty() && std::find(one_of_.begin(), one_of_.end(), value) == one_of_.end()) {
    return Text{fmt::format("应为以下之一：{}", fmt::join(one_of_, "、")),
                fmt::format("Must be one of: {}", fmt::join(one_of_, ", "))};
  }
  if (const Pattern* pattern = pattern_name_.empty() ? nullptr : find_pattern(pattern_name_);
      pattern != nullptr && !pattern->matches(value)) {
    return Text{fmt::format("应为{}", pattern->zh), fmt::format("Must be {}", pattern->en)};
  }
  auto message = run_checks(detail::CheckKind::text, &value, nullptr);
  return message ? std::optional<Text>(discreet(std::move(*message), value)) : std::nullopt;
}

std::optional<Text> FieldRules::judge_number(long double value) const {
  const bool low = min_ && value < *min_;
  const bool high = max_ && value > *max_;
  if (low || high) {
    if (min_ && max_) {
      return Text{fmt::format("应在 {} 到 {} 之间", detail::bound_text(*min_), detail::bound_text(*max_)),
                  fmt::format("Must be between {} and {}", detail::bound_text(*min_), detail::bound_text(*max_))};
    }
    if (low)
      return Text{fmt::format("不应小于 {}", detail::bound_text(*min_)),
                  fmt::format("Must be at least {}", detail::bound_text(*min_))};
    return Text{fmt::format("不应大于 {}", detail::bound_text(*max_)),
                fmt::format("Must be at most {}", detail::bound_text(*max_))};
  }
  auto message = run_checks(detail::CheckKind::number, &value, nullptr);
  return message ? std::optional<Text>(discreet(std::move(*message), detail::bound_text(value))) : std::nullopt;
}

std::optional<Text> FieldRules::judge_items(std::size_t count) const {
  if (!items_ || !outside(*items_, count)) return std::nullopt;
  const Text bounds = describe_bounds(*items_, "项", "items");
  return Text{"应有 " + bounds.zh, "Must have " + bounds.en};
}

std::optional<Text> FieldRules::judge_exact(const void* value, const std::type_info& type) const {
  return run_checks(detail::CheckKind::exact, value, &type);
}

FieldRules& FieldTable::find(std::string_view name) {
  for (auto& rules : rules_) {
    if (rules.name() == name) return rules;
  }
  abort_with(fmt::format("describe_fields names \"{}\", which is no member of {}", name, readable(type_name_)));
}

}  // namespace berth::json
