#include "notify/mail.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "base/encoding.h"

namespace berth::notify {
namespace {

/// So many bytes make 60 characters of base64: with "=?UTF-8?B?" and "?=" 72 of the 75 that a word may have.
constexpr std::size_t kWordBytes = 45;
constexpr std::size_t kPlainHeader = 60;
constexpr std::size_t kBodyLine = 76;
constexpr std::size_t kLongestHeader = 1000;

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

bool continues_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

std::string without_controls(std::string_view text) {
  std::string clean(text.substr(0, kLongestHeader));
  while (clean.size() < text.size() && !clean.empty() && continues_character(text[clean.size()])) clean.pop_back();
  std::ranges::replace_if(clean, is_control, ' ');
  return clean;
}

/// Whether the text may stand in a header as it is. "=?" would be taken for the beginning of an encoded word, and a
/// phrase must not hold RFC 5322's specials.
bool is_plain(std::string_view text) {
  static constexpr std::string_view kSpecials = "()<>[]:;@\\,\"=?";
  return text.size() <= kPlainHeader && !text.starts_with(' ') && !text.ends_with(' ') &&
         std::ranges::all_of(
             text, [](char c) { return c >= 0x20 && c < 0x7f && kSpecials.find(c) == std::string_view::npos; });
}

}  // namespace

std::string encode_header(std::string_view text) {
  const std::string clean = without_controls(text);
  if (is_plain(clean)) return clean;
  std::string out;
  std::string_view rest = clean;
  while (!rest.empty()) {
    std::size_t count = std::min(kWordBytes, rest.size());
    while (count > 1 && count < rest.size() && continues_character(rest[count])) --count;
    if (!out.empty()) out += "\r\n ";
    out += fmt::format("=?UTF-8?B?{}?=", to_base64(rest.substr(0, count)));
    rest.remove_prefix(count);
  }
  return out;
}

std::string format_mail_date(Timestamp time) {
  static constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} +0000", kDays.at(static_cast<std::size_t>(parts.tm_wday)),
                     parts.tm_mday, kMonths.at(static_cast<std::size_t>(parts.tm_mon)), parts.tm_year + 1900,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::string compose(const Mail& mail, std::string_view sender, std::string_view sender_name) {
  std::string out;
  out += fmt::format("From: {} <{}>\r\n", encode_header(sender_name), sender);
  out += fmt::format("To: <{}>\r\n", mail.to);
  out += fmt::format("Subject: {}\r\n", encode_header(mail.subject));
  out += fmt::format("Date: {}\r\n", format_mail_date(mail.date));
  out += fmt::format("Message-ID: <{}>\r\n", mail.message_id);
  out += fmt::format("X-Berth-Delivery: {}\r\n", mail.delivery);
  // Keeps out-of-office robots from answering.
  out += "Auto-Submitted: auto-generated\r\n";
  out += "MIME-Version: 1.0\r\n";
  out += "Content-Type: text/plain; charset=utf-8\r\n";
  out += "Content-Transfer-Encoding: base64\r\n\r\n";
  const std::string body = to_base64(mail.body);
  for (std::size_t at = 0; at < body.size(); at += kBodyLine) {
    out += body.substr(at, kBodyLine);
    out += "\r\n";
  }
  return out;
}

}  // namespace berth::notify
