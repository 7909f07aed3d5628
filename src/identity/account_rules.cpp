#include "identity/account_rules.h"

#include <algorithm>
#include <utility>

#include "base/encoding.h"
#include "identity/password.h"
#include "identity/permission.h"

namespace berth::identity {
namespace {

constexpr std::size_t kLongestUsername = 64;
constexpr std::size_t kLongestEmail = 254;
constexpr std::size_t kLongestLocalPart = 64;
constexpr std::size_t kShortestPassword = 8;
constexpr std::size_t kLongestKeyName = 64;
constexpr std::size_t kMostPatterns = 64;

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// RFC 5321's dot-string: neither quotes nor spaces, no dot at an end or beside another.
bool is_local_part(std::string_view text) {
  static constexpr std::string_view kMarks = "!#$%&'*+-/=?^_`{|}~.";
  if (text.empty() || text.size() > kLongestLocalPart || text.front() == '.' || text.back() == '.') return false;
  return text.find("..") == std::string_view::npos && std::ranges::all_of(text, [](char c) {
           return is_alphanumeric(c) || kMarks.find(c) != std::string_view::npos;
         });
}

bool is_domain(std::string_view text) {
  while (true) {
    const std::string_view label = text.substr(0, text.find('.'));
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') return false;
    if (!std::ranges::all_of(label, [](char c) { return is_alphanumeric(c) || c == '-'; })) return false;
    if (label.size() == text.size()) return true;
    text.remove_prefix(label.size() + 1);
  }
}

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::ranges::count_if(utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

bool has_control_characters(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

}  // namespace

bool valid_username(std::string_view text) {
  return !text.empty() && text.size() <= kLongestUsername &&
         std::ranges::all_of(text, [](char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

bool valid_email(std::string_view text) {
  const std::size_t at = text.find('@');
  return text.size() <= kLongestEmail && at != std::string_view::npos && is_local_part(text.substr(0, at)) &&
         is_domain(text.substr(at + 1));
}

void check_username(std::string_view username, std::vector<FieldError>& refused) {
  if (!valid_username(username)) {
    refused.push_back({"username",
                       {"用户名应为 1 到 64 个字母、数字、“.”、“_”或“-”",
                        "A user name is 1 to 64 letters, digits, '.', '_' or '-'"}});
  } else if (without_case(username) == "system") {
    refused.push_back({"username", {"该用户名为系统保留", "This user name is reserved for the system"}});
  }
}

void check_email(std::string_view email, std::vector<FieldError>& refused) {
  if (email.empty() || valid_email(email)) return;
  refused.push_back({"email", {"邮箱地址无效", "This is not a valid e-mail address"}});
}

void check_password(const Secret& password, std::string_view username, std::vector<FieldError>& refused) {
  const std::string_view text = password.reveal();
  if (text.size() < kShortestPassword || text.size() > PasswordHasher::kLongest) {
    refused.push_back({"password", {"密码长度应为 8 到 1024 字节", "A password has 8 to 1024 bytes"}});
  } else if (!is_utf8(text)) {
    refused.push_back({"password", {"密码必须是 UTF-8 文本", "A password must be UTF-8 text"}});
  } else if (without_case(text) == without_case(username)) {
    refused.push_back({"password", {"密码不能与用户名相同", "The password must not be the user name"}});
  }
}

void check_key_name(std::string_view name, std::vector<FieldError>& refused) {
  if (!name.empty() && is_utf8(name) && !has_control_characters(name) && characters(name) <= kLongestKeyName) return;
  refused.push_back({"name", {"密钥名称应为 1 到 64 个字符", "A key's name has 1 to 64 characters"}});
}

void check_key_scope(const std::vector<std::string>& scope, std::vector<FieldError>& refused) {
  if (!scope.empty() && scope.size() <= kMostPatterns && std::ranges::all_of(scope, PermissionSet::valid_pattern)) {
    return;
  }
  refused.push_back({"scope",
                     {"权限范围应为 1 到 64 个“领域:动作”、“领域:*”或“*”",
                      "A scope is 1 to 64 of \"area:verb\", \"area:*\" or \"*\""}});
}

std::string without_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

Error refuse_fields(std::vector<FieldError> refused) {
  return Error(ErrorCode::invalid_argument, "identity.invalid", {"请求的字段无效", "Some fields are not valid"})
      .with_fields(std::move(refused));
}

}  // namespace berth::identity
