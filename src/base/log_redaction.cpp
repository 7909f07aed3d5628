#include <algorithm>
#include <array>

#include "base/log.h"

namespace berth::log {
namespace {

constexpr std::string_view kRedacted = "[redacted]";

/// What names a secret, in lower case, at the end of a name ("root_password", "X-API-Key").
constexpr std::array<std::string_view, 16> kSecretNames = {
    "password", "passwd",      "passphrase",  "pwd",        "secret",        "token",        "api_key", "api-key",
    "apikey",   "private_key", "private-key", "privatekey", "preshared_key", "presharedkey", "otp",     "psk"};
/// Names of headers of which the whole line is secret.
constexpr std::array<std::string_view, 2> kSecretHeaders = {"authorization", "cookie"};

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}
bool is_token(char c) {
  return is_word(c) || c == '-' || c == '.' || c == '+' || c == '/' || c == '=' || c == '~';
}
bool is_line_end(char c) {
  return c == '\n' || c == '\r';
}
bool ends_value(char c) {
  return c == ' ' || c == '\t' || is_line_end(c) || std::string_view("\"',&;})]<>").find(c) != std::string_view::npos;
}

/// Walks over a message once and copies it, leaving out what is secret.
class Redaction {
 public:
  explicit Redaction(std::string_view message) : text_(message), lower_(message) {
    std::transform(lower_.begin(), lower_.end(), lower_.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    out_.reserve(message.size());
  }

  std::string run() {
    while (at_ < text_.size()) {
      if (!(hide_private_key() || hide_user_info() || hide_bearer() || hide_shaped() || hide_named())) keep(1);
    }
    return std::move(out_);
  }

 private:
  bool follows(std::string_view word) const { return std::string_view(lower_).substr(at_).starts_with(word); }
  bool begins_word() const { return at_ == 0 || !is_word(text_[at_ - 1]); }
  void keep(std::size_t count) {
    out_.append(text_.substr(at_, count));
    at_ += count;
  }
  void hide_until(std::size_t end) {
    if (end > at_) out_ += kRedacted;
    at_ = end;
  }
  template <class Predicate>
  std::size_t find_end(std::size_t from, Predicate ends) const {
    while (from < text_.size() && !ends(text_[from])) ++from;
    return from;
  }

  /// A PEM block, up to its end mark or, if that was cut off, to the end of the message.
  bool hide_private_key() {
    if (!follows("-----begin ")) return false;
    const std::size_t head = lower_.find("-----", at_ + 11);
    if (head == std::string::npos || lower_.substr(at_, head - at_).find("private key") == std::string::npos)
      return false;
    keep(head + 5 - at_);
    const std::size_t end = lower_.find("-----end ", at_);
    hide_until(end == std::string::npos ? text_.size() : end);
    return true;
  }

  /// The password of "scheme://user:password@host".
  bool hide_user_info() {
    if (!follows("://")) return false;
    const std::size_t begin = at_ + 3;
    const std::size_t end = find_end(begin, [](char c) { return c == '/' || c == '?' || c == '#' || ends_value(c); });
    const std::string_view authority = text_.substr(begin, end - begin);
    const std::size_t host = authority.rfind('@');
    const std::size_t colon = authority.find(':');
    if (host == std::string_view::npos || colon >= host) return false;
    keep(3 + colon + 1);
    hide_until(begin + host);
    return true;
  }

  bool hide_bearer() {
    if (!begins_word() || !follows("bearer ")) return false;
    keep(7);
    hide_until(find_end(at_, [](char c) { return !is_token(c); }));
    return true;
  }

  /// A JSON Web Token or one of Berth's own API keys, known by its shape wherever it stands.
  bool hide_shaped() {
    if (!begins_word()) return false;
    if (text_.substr(at_).starts_with("eyJ")) {
      const std::size_t end = find_end(at_, [](char c) { return !is_word(c) && c != '-' && c != '.'; });
      const std::string_view token = text_.substr(at_, end - at_);
      if (token.size() < 24 || std::count(token.begin(), token.end(), '.') < 2) return false;
      hide_until(end);
      return true;
    }
    constexpr std::size_t kPrefix = 15;  // "berth_", eight digits, '_': it only names the key
    if (!follows("berth_") || text_.size() < at_ + kPrefix || text_[at_ + kPrefix - 1] != '_') return false;
    const std::size_t end = find_end(at_ + kPrefix, [](char c) { return !is_word(c); });
    if (end - at_ < kPrefix + 16) return false;
    keep(kPrefix);
    hide_until(end);
    return true;
  }

  /// The value after a telling name: `name=value`, `name: value`, `"name": "value"`, also inside of
  /// a JSON string.
  bool hide_named() {
    const auto matches = [this](std::string_view name) { return follows(name); };
    const auto* header = std::find_if(kSecretHeaders.begin(), kSecretHeaders.end(), matches);
    const auto* name = std::find_if(kSecretNames.begin(), kSecretNames.end(), matches);
    const bool is_header = header != kSecretHeaders.end();
    if (!is_header && name == kSecretNames.end()) return false;
    std::size_t next = at_ + (is_header ? header->size() : name->size());
    next = skip(next, "\\\"'");
    next = skip(next, " ");
    if (next >= text_.size() || (text_[next] != ':' && text_[next] != '=')) return false;
    next = skip(next + 1, " ");
    const std::size_t open = next;
    next = skip(next, "\\");
    const char quote = next < text_.size() && (text_[next] == '"' || text_[next] == '\'') ? text_[next] : '\0';
    if (quote != '\0') {
      keep(next + 1 - at_);
      hide_until(find_closing(at_, quote, next > open));
    } else {
      keep(open - at_);
      hide_until(is_header ? find_end(at_, is_line_end) : find_end(at_, ends_value));
    }
    return true;
  }

  std::size_t skip(std::size_t from, std::string_view characters) const {
    return std::min(text_.find_first_not_of(characters, from), text_.size());
  }

  /// Where a quoted value ends. In a value that was itself quoted as `\"…\"` the closing quote is
  /// the escaped one.
  std::size_t find_closing(std::size_t from, char quote, bool escaped) const {
    while (from < text_.size() && text_[from] != quote) {
      if (text_[from] != '\\') {
        ++from;
      } else if (escaped && from + 1 < text_.size() && text_[from + 1] == quote) {
        return from;
      } else {
        from += 2;
      }
    }
    return std::min(from, text_.size());
  }

  std::string_view text_;
  std::string lower_;
  std::string out_;
  std::size_t at_ = 0;
};

}  // namespace

std::string redact(std::string_view message) {
  return Redaction(message).run();
}

}  // namespace berth::log
