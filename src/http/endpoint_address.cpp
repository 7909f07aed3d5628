#include "http/endpoint_address.h"

#include <string_view>

namespace berth::http {
namespace {

Error unusable(std::string detail) {
  return Error(ErrorCode::unavailable, "http.unreachable", Text{"无法连接服务器", "the server cannot be reached"})
      .with_detail(std::move(detail));
}

}  // namespace

Result<EndpointAddress> parse_endpoint_address(const std::string& base_url) {
  EndpointAddress address;
  std::string_view rest = base_url;
  if (rest.starts_with("https://")) {
    address.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return unusable("not an http address: " + base_url);
  }
  rest = rest.substr(0, rest.find('/'));
  address.authority = rest;
  std::string_view host = rest;
  std::string_view port;
  if (const std::size_t colon = rest.rfind(':');
      colon != std::string_view::npos && rest.find(']', colon) == rest.npos) {
    host = rest.substr(0, colon);
    port = rest.substr(colon + 1);
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.empty()) return unusable("no host in " + base_url);
  address.host = host;
  address.port = port.empty() ? (address.tls ? "443" : "80") : std::string(port);
  return address;
}

}  // namespace berth::http
