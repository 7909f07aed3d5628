#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/message.h"

namespace berth::http {

/// An IP address in 16 bytes; IPv4 is kept in its IPv6-mapped form, so both compare alike.
struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};

  static std::optional<IpAddress> parse(std::string_view text);
  bool is_loopback() const;
  /// Dotted or RFC 5952 text; a mapped IPv4 address comes out dotted.
  std::string text() const;
  bool operator==(const IpAddress&) const = default;
};

/// The proxies whose word about the client is believed. Immutable, thread-safe.
class TrustedProxies {
 public:
  /// Addresses or networks in CIDR form. Errors: invalid_argument "http.trusted_proxy" naming the entry.
  static Result<TrustedProxies> create(const std::vector<std::string>& entries);

  bool trusts(const IpAddress& address) const;
  /// The client behind `peer`: the last address of X-Forwarded-For that no trusted proxy added, and the scheme
  /// of X-Forwarded-Proto, if `peer` is trusted; else `peer` itself.
  Peer resolve(const IpAddress& peer, bool secure, const Headers& headers) const;

 private:
  struct Network {
    IpAddress address;
    unsigned bits;
  };
  std::vector<Network> networks_;
};

}  // namespace berth::http
