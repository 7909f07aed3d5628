#include "identity/throttle.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sodium.h>

#include <algorithm>
#include <array>

#include "base/encoding.h"

namespace berth::identity {
namespace {

/// One subscriber commands a whole IPv6 /64, so that is what counts as one address.
std::string address_subject(std::string_view address) {
  if (address.empty()) return {};
  in6_addr parsed{};
  const std::string text(address.substr(0, INET6_ADDRSTRLEN));
  if (::inet_pton(AF_INET6, text.c_str(), &parsed) != 1 || IN6_IS_ADDR_V4MAPPED(&parsed)) {
    return fmt::format("address:{}", text);
  }
  std::fill(std::begin(parsed.s6_addr) + 8, std::end(parsed.s6_addr), std::uint8_t{0});
  std::array<char, INET6_ADDRSTRLEN> network{};
  ::inet_ntop(AF_INET6, &parsed, network.data(), network.size());
  return fmt::format("address:{}/64", network.data());
}

}  // namespace

LoginThrottle::Attempt LoginThrottle::attempt_on(UserId account, std::string_view address) {
  return {fmt::format("account:{}", account.value()), address_subject(address)};
}

LoginThrottle::Attempt LoginThrottle::attempt_on(std::string_view unknown_login, std::string_view address) {
  std::string hash(crypto_generichash_BYTES, '\0');
  crypto_generichash(reinterpret_cast<unsigned char*>(hash.data()), hash.size(),
                     reinterpret_cast<const unsigned char*>(unknown_login.data()), unknown_login.size(), nullptr, 0);
  return {fmt::format("unknown:{}", to_base64url(hash)), address_subject(address)};
}

std::chrono::seconds LoginThrottle::wait_after(std::int64_t failures, std::int64_t free) {
  if (failures < free) return std::chrono::seconds(0);
  const std::int64_t doublings = std::min<std::int64_t>(failures - free, 10);
  return std::min(std::chrono::seconds(std::int64_t{1} << doublings), kLongestWait);
}

Result<std::optional<LoginThrottle::Block>> LoginThrottle::blocked(store::Transaction& transaction,
                                                                   const Attempt& attempt, Timestamp now) const {
  const auto rows = BERTH_TRY(
      transaction.query("SELECT subject, blocked_until FROM login_throttle WHERE subject IN (:account, :address) AND "
                        "blocked_until > :now ORDER BY blocked_until DESC",
                        {{"account", attempt.account}, {"address", attempt.address}, {"now", now}}));
  if (rows.empty()) return std::optional<Block>();
  return std::optional<Block>(Block{rows.front().text("subject"), rows.front().time("blocked_until")});
}

Result<void> LoginThrottle::failed(store::Transaction& transaction, const Attempt& attempt, Timestamp now) const {
  BERTH_CHECK(count(transaction, attempt.account, free_attempts_, now));
  if (attempt.address.empty()) return {};
  return count(transaction, attempt.address, free_attempts_ * kAddressFactor, now);
}

Result<void> LoginThrottle::count(store::Transaction& transaction, const std::string& subject, std::int64_t free,
                                  Timestamp now) const {
  BERTH_CHECK(
      transaction.execute("INSERT INTO login_throttle (subject, failures, last_failure_at, blocked_until) "
                          "VALUES (:subject, 1, :now, 0) ON CONFLICT (subject) DO UPDATE SET "
                          "failures = CASE WHEN login_throttle.last_failure_at <= :forgotten THEN 1 "
                          "ELSE login_throttle.failures + 1 END, last_failure_at = excluded.last_failure_at",
                          {{"subject", subject}, {"now", now}, {"forgotten", now - kForgottenAfter}}));
  const auto rows = BERTH_TRY(
      transaction.query("SELECT failures FROM login_throttle WHERE subject = :subject", {{"subject", subject}}));
  const auto wait = wait_after(rows.front().integer("failures"), free);
  BERTH_CHECK(transaction.execute("UPDATE login_throttle SET blocked_until = :until WHERE subject = :subject",
                                  {{"until", now + wait}, {"subject", subject}}));
  return {};
}

Result<void> LoginThrottle::succeeded(store::Transaction& transaction, const Attempt& attempt) const {
  BERTH_CHECK(
      transaction.execute("DELETE FROM login_throttle WHERE subject = :subject", {{"subject", attempt.account}}));
  return {};
}

Result<void> LoginThrottle::sweep(store::Transaction& transaction, Timestamp now) {
  BERTH_CHECK(transaction.execute("DELETE FROM login_throttle WHERE last_failure_at <= :forgotten",
                                  {{"forgotten", now - kForgottenAfter}}));
  return {};
}

}  // namespace berth::identity
