#include "http/client_address.h"

#include <gtest/gtest.h>

namespace berth::http {
namespace {

IpAddress address(std::string_view text) {
  const auto parsed = IpAddress::parse(text);
  EXPECT_TRUE(parsed) << text;
  return parsed.value_or(IpAddress{});
}

TrustedProxies trusting(const std::vector<std::string>& entries) {
  auto proxies = TrustedProxies::create(entries);
  EXPECT_TRUE(proxies);
  return std::move(*proxies);
}

Headers forwarded_for(std::string_view value) {
  Headers headers;
  headers.add("x-forwarded-for", value);
  return headers;
}

TEST(IpAddressTest, ComparesAnIPv4AddressWithItsMappedForm) {
  EXPECT_EQ(address("192.0.2.1"), address("::ffff:192.0.2.1"));
  EXPECT_EQ(address("::ffff:192.0.2.1").text(), "192.0.2.1");
}

TEST(IpAddressTest, KnowsLoopback) {
  for (const auto* text : {"127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"}) {
    EXPECT_TRUE(address(text).is_loopback()) << text;
  }
  for (const auto* text : {"128.0.0.1", "0.0.0.0", "::", "::2", "fe80::1"}) {
    EXPECT_FALSE(address(text).is_loopback()) << text;
  }
}

TEST(IpAddressTest, RefusesWhatIsNoAddress) {
  for (const auto* text : {"", "localhost", "1.2.3", "1.2.3.4.5", "1.2.3.400", ":::", "12345::", "1.2.3.4 "}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
}

TEST(TrustedProxiesTest, TrustsAddressesAndNetworks) {
  const auto proxies = trusting({"192.0.2.1", "198.51.100.0/24", "2001:db8::/33"});
  EXPECT_TRUE(proxies.trusts(address("192.0.2.1")));
  EXPECT_FALSE(proxies.trusts(address("192.0.2.2")));
  EXPECT_TRUE(proxies.trusts(address("198.51.100.255")));
  EXPECT_FALSE(proxies.trusts(address("198.51.101.0")));
  EXPECT_TRUE(proxies.trusts(address("2001:db8:7fff::1")));
  EXPECT_FALSE(proxies.trusts(address("2001:db8:8000::1")));
}

TEST(TrustedProxiesTest, AnIPv4NetworkTrustsNoIPv6Address) {
  EXPECT_FALSE(trusting({"0.0.0.0/0"}).trusts(address("2001:db8::1")));
  EXPECT_TRUE(trusting({"0.0.0.0/0"}).trusts(address("203.0.113.1")));
}

TEST(TrustedProxiesTest, NamesABadEntry) {
  for (const auto* entry :
       {"", "proxy.example", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/", "::/129", "10.0.0.0/8x"}) {
    const auto proxies = TrustedProxies::create({entry});
    ASSERT_FALSE(proxies) << entry;
    EXPECT_EQ(proxies.error().reason(), "http.trusted_proxy");
    EXPECT_NE(proxies.error().message().en.find(entry), std::string::npos);
  }
}

TEST(TrustedProxiesTest, BelievesNobodyElse) {
  const auto proxies = trusting({"192.0.2.1"});
  EXPECT_EQ(proxies.resolve(address("203.0.113.5"), false, forwarded_for("127.0.0.1")).address, "203.0.113.5");
}

TEST(TrustedProxiesTest, TakesTheLastAddressThatNoProxyAdded) {
  const auto proxies = trusting({"192.0.2.0/24"});
  const auto client = [&](std::string_view field) {
    return proxies.resolve(address("192.0.2.1"), false, forwarded_for(field)).address;
  };
  EXPECT_EQ(client("203.0.113.5"), "203.0.113.5");
  EXPECT_EQ(client("127.0.0.1, 203.0.113.5, 192.0.2.9"), "203.0.113.5");
  EXPECT_EQ(client("203.0.113.5:4711"), "203.0.113.5");
  EXPECT_EQ(client("[2001:db8::7]:4711"), "2001:db8::7");
}

TEST(TrustedProxiesTest, StopsAtWhatItCannotRead) {
  const auto proxies = trusting({"192.0.2.0/24"});
  EXPECT_EQ(proxies.resolve(address("192.0.2.1"), false, forwarded_for("127.0.0.1, unknown")).address, "192.0.2.1");
}

}  // namespace
}  // namespace berth::http
