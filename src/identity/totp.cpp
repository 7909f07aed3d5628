#include "identity/totp.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>

#include <array>

namespace berth::identity::totp {
namespace {

constexpr std::int64_t kStepSeconds = 30;
constexpr std::size_t kDigits = 6;

std::string percent_encoded(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    if (plain) {
      encoded.push_back(c);
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

}  // namespace

std::string to_base32(std::string_view bytes) {
  static constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  std::string text;
  unsigned buffer = 0;
  unsigned bits = 0;
  for (const char c : bytes) {
    buffer = (buffer << 8U) | static_cast<unsigned char>(c);
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text.push_back(kAlphabet[(buffer >> bits) & 31U]);
    }
    buffer &= (1U << bits) - 1U;
  }
  if (bits > 0) text.push_back(kAlphabet[(buffer << (5 - bits)) & 31U]);
  return text;
}

std::int64_t step_at(Timestamp now) {
  return std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count() / kStepSeconds;
}

std::string code_at(std::string_view secret, std::int64_t step) {
  std::array<unsigned char, 8> counter{};
  auto rest = static_cast<std::uint64_t>(step);
  for (auto byte = counter.rbegin(); byte != counter.rend(); ++byte) {
    *byte = static_cast<unsigned char>(rest & 0xFFU);
    rest >>= 8U;
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  unsigned size = 0;
  HMAC(EVP_sha1(), secret.data(), static_cast<int>(secret.size()), counter.data(), counter.size(), mac.data(), &size);
  const std::size_t at = mac[size - 1] & 0x0FU;
  const unsigned number = ((mac[at] & 0x7FU) << 24U) | (static_cast<unsigned>(mac[at + 1]) << 16U) |
                          (static_cast<unsigned>(mac[at + 2]) << 8U) | mac[at + 3];
  return fmt::format("{:06}", number % 1'000'000);
}

std::optional<std::int64_t> match(std::string_view secret, std::string_view code, Timestamp now,
                                  std::int64_t last_used) {
  if (code.size() != kDigits) return std::nullopt;
  const std::int64_t present = step_at(now);
  std::optional<std::int64_t> matched;
  for (const std::int64_t step : {present + 1, present, present - 1}) {
    const bool same = sodium_memcmp(code_at(secret, step).data(), code.data(), kDigits) == 0;
    if (same && step > last_used) matched = step;
  }
  return matched;
}

std::string sealing_context(std::string_view user_uuid) {
  return fmt::format("totp:{}", user_uuid);
}

std::string uri(std::string_view issuer, std::string_view account, std::string_view base32_secret) {
  return fmt::format("otpauth://totp/{}:{}?secret={}&issuer={}&algorithm=SHA1&digits={}&period={}",
                     percent_encoded(issuer), percent_encoded(account), base32_secret, percent_encoded(issuer), kDigits,
                     kStepSeconds);
}

}  // namespace berth::identity::totp
