#include "api/shared/authenticator.h"

#include <gtest/gtest.h>

namespace berth::api {
namespace {

struct LocalCase {
  const char* what;
  bool loopback;
  std::vector<http::Header> headers;
  bool local;
};

TEST(LocalRequestTest, IsLocalOnlyWithoutAnySignOfSomebodyElse) {
  const std::vector<LocalCase> table = {
      {"curl", true, {{"Host", "localhost:8000"}}, true},
      {"IPv4 name", true, {{"Host", "127.0.0.1:8000"}}, true},
      {"IPv6 name", true, {{"Host", "[::1]:8000"}}, true},
      {"no host", true, {}, false},
      {"from elsewhere", false, {{"Host", "localhost"}}, false},
      {"a name that was rebound", true, {{"Host", "evil.example:8000"}}, false},
      {"a name that only begins so", true, {{"Host", "localhost.evil.example"}}, false},
      {"the same page", true, {{"Host", "localhost:8000"}, {"Origin", "http://localhost:8000"}}, true},
      {"another site", true, {{"Host", "localhost:8000"}, {"Origin", "https://evil.example"}}, false},
      {"another port", true, {{"Host", "localhost:8000"}, {"Origin", "http://localhost:3000"}}, false},
      {"a sandboxed page", true, {{"Host", "localhost:8000"}, {"Origin", "null"}}, false},
      {"a link from another site", true, {{"Host", "localhost"}, {"Sec-Fetch-Site", "cross-site"}}, false},
      {"a form of a sibling site", true, {{"Host", "localhost"}, {"Sec-Fetch-Site", "same-site"}}, false},
      {"typed into the browser", true, {{"Host", "localhost"}, {"Sec-Fetch-Site", "none"}}, true},
      {"through a proxy", true, {{"Host", "localhost"}, {"X-Forwarded-For", "203.0.113.1"}}, false},
      {"through another proxy", true, {{"Host", "localhost"}, {"Via", "1.1 proxy"}}, false},
      {"through a third", true, {{"Host", "localhost"}, {"Forwarded", "for=203.0.113.1"}}, false},
  };
  for (const LocalCase& row : table) {
    http::Request request;
    request.peer.loopback = row.loopback;
    for (const auto& header : row.headers) request.headers.add(header.name, header.value);
    EXPECT_EQ(is_local_request(request), row.local) << row.what;
  }
}

}  // namespace
}  // namespace berth::api
