#include "http/client_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace berth::http {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool is_mapped(const IpAddress& address) {
  return std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), address.bytes.begin());
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

/// An entry of X-Forwarded-For may carry a port: "192.0.2.1:4711", "[2001:db8::1]:4711".
std::optional<IpAddress> parse_forwarded(std::string_view text) {
  text = trim(text);
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    return IpAddress::parse(text.substr(1, end - 1));
  }
  if (std::count(text.begin(), text.end(), ':') == 1) text = text.substr(0, text.find(':'));
  return IpAddress::parse(text);
}

bool same_network(const IpAddress& a, const IpAddress& b, unsigned bits) {
  const unsigned whole = bits / 8;
  if (std::memcmp(a.bytes.data(), b.bytes.data(), whole) != 0) return false;
  const unsigned rest = bits % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xffU << (8 - rest));
  return ((a.bytes[whole] ^ b.bytes[whole]) & mask) == 0;
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string owned(text);
  IpAddress address;
  in_addr v4{};
  if (inet_pton(AF_INET, owned.c_str(), &v4) == 1) {
    std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), address.bytes.begin());
    std::memcpy(address.bytes.data() + 12, &v4, 4);
    return address;
  }
  if (inet_pton(AF_INET6, owned.c_str(), address.bytes.data()) == 1) return address;
  return std::nullopt;
}

bool IpAddress::is_loopback() const {
  if (is_mapped(*this)) return bytes[12] == 127;
  return std::all_of(bytes.begin(), bytes.end() - 1, [](std::uint8_t b) { return b == 0; }) && bytes[15] == 1;
}

std::string IpAddress::text() const {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (is_mapped(*this)) {
    inet_ntop(AF_INET, bytes.data() + 12, buffer.data(), buffer.size());
  } else {
    inet_ntop(AF_INET6, bytes.data(), buffer.data(), buffer.size());
  }
  return buffer.data();
}

Result<TrustedProxies> TrustedProxies::create(const std::vector<std::string>& entries) {
  TrustedProxies proxies;
  for (const std::string& entry : entries) {
    const Error wrong(ErrorCode::invalid_argument, "http.trusted_proxy",
                      {fmt::format("可信代理 {} 不是地址或 CIDR 网段", entry),
                       fmt::format("The trusted proxy {} is neither an address nor a network in CIDR form", entry)});
    const std::size_t slash = entry.find('/');
    const auto address = IpAddress::parse(std::string_view(entry).substr(0, slash));
    if (!address) return wrong;
    const unsigned widest = is_mapped(*address) ? 32 : 128;
    unsigned bits = widest;
    if (slash != std::string::npos) {
      const char* end = entry.data() + entry.size();
      const auto parsed = std::from_chars(entry.data() + slash + 1, end, bits);
      if (parsed.ec != std::errc{} || parsed.ptr != end || bits > widest) return wrong;
    }
    proxies.networks_.push_back({*address, bits + (128 - widest)});
  }
  return proxies;
}

bool TrustedProxies::trusts(const IpAddress& address) const {
  return std::any_of(networks_.begin(), networks_.end(),
                     [&](const Network& network) { return same_network(address, network.address, network.bits); });
}

Peer TrustedProxies::resolve(const IpAddress& peer, bool secure, const Headers& headers) const {
  IpAddress client = peer;
  if (!networks_.empty() && trusts(peer)) {
    if (const auto forwarded = headers.find("X-Forwarded-For")) {
      std::string_view rest = *forwarded;
      while (!rest.empty() && trusts(client)) {
        const std::size_t comma = rest.rfind(',');
        const auto next = parse_forwarded(comma == std::string_view::npos ? rest : rest.substr(comma + 1));
        if (!next) break;
        client = *next;
        rest = comma == std::string_view::npos ? std::string_view() : rest.substr(0, comma);
      }
    }
    if (const auto scheme = headers.find("X-Forwarded-Proto")) secure = *scheme == "https";
  }
  return {client.text(), client.is_loopback(), secure};
}

}  // namespace berth::http
