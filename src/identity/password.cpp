#include "identity/password.h"

#include <fmt/format.h>
#include <sodium.h>

#include <array>

#include "base/encoding.h"
#include "identity/auth_errors.h"

namespace berth::identity {
namespace {

/// The hash of no password: well-formed, of the cost that is set, with random bytes for salt and
/// result.
std::string unmatched_hash(std::size_t memory_bytes, unsigned passes) {
  const auto plain = [](std::string text) {
    while (!text.empty() && text.back() == '=') text.pop_back();
    return text;
  };
  return fmt::format("$argon2id$v=19$m={},t={},p=1${}${}", memory_bytes / 1024, passes,
                     plain(to_base64(random_bytes(crypto_pwhash_SALTBYTES))), plain(to_base64(random_bytes(32))));
}

}  // namespace

/// Holds one of the places in which a hash is computed.
class PasswordHasher::Slot {
 public:
  explicit Slot(PasswordHasher& hasher) : hasher_(hasher) {}
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  ~Slot() { hasher_.leave(); }

 private:
  PasswordHasher& hasher_;
};

PasswordHasher::PasswordHasher(const Settings& settings)
    : settings_(settings), nobody_(unmatched_hash(settings.memory_bytes, settings.passes)) {}

Result<std::string> PasswordHasher::hash(const Secret& password) {
  BERTH_CHECK(enter());
  const Slot slot(*this);
  std::array<char, crypto_pwhash_STRBYTES> text{};
  if (crypto_pwhash_str_alg(text.data(), password.reveal().data(), password.reveal().size(), settings_.passes,
                            settings_.memory_bytes, crypto_pwhash_ALG_ARGON2ID13) != 0) {
    return Error(ErrorCode::exhausted, "password.memory",
                 {"内存不足，暂时无法处理密码", "Not enough memory to process the password now"});
  }
  return std::string(text.data());
}

Result<bool> PasswordHasher::verify(const std::string& stored, const Secret& password) {
  BERTH_CHECK(enter());
  const Slot slot(*this);
  const bool possible = !stored.empty() && password.reveal().size() <= kLongest;
  const std::string& compared = possible ? stored : nobody_;
  const std::string_view given = possible ? password.reveal() : std::string_view("nobody");
  return crypto_pwhash_str_verify(compared.c_str(), given.data(), given.size()) == 0 && possible;
}

bool PasswordHasher::outdated(const std::string& stored) const {
  return crypto_pwhash_str_needs_rehash(stored.c_str(), settings_.passes, settings_.memory_bytes) != 0;
}

Result<void> PasswordHasher::enter() {
  std::unique_lock lock(mutex_);
  if (busy_ >= settings_.at_once) {
    if (in_line_ >= settings_.waiting) return throttled(std::chrono::seconds(1));
    ++in_line_;
    const bool entered = freed_.wait_for(lock, settings_.wait, [this] { return busy_ < settings_.at_once; });
    --in_line_;
    if (!entered) return throttled(std::chrono::seconds(1));
  }
  ++busy_;
  return {};
}

void PasswordHasher::leave() {
  {
    const std::lock_guard lock(mutex_);
    --busy_;
  }
  freed_.notify_one();
}

}  // namespace berth::identity
