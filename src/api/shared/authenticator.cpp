#include "api/shared/authenticator.h"

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace berth::api {
namespace {

constexpr std::size_t kRemembered = 4096;

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

/// What one I/O thread remembers of one identity service.
struct Memory {
  const identity::IdentityService* identity = nullptr;
  std::uint64_t epoch = 0;
  std::unordered_map<std::string, identity::PrincipalPointer, TextHash, std::equal_to<>> principals;
};

std::string_view without_port(std::string_view authority) {
  if (authority.starts_with('[')) {
    const std::size_t end = authority.find(']');
    return end == std::string_view::npos ? authority : authority.substr(0, end + 1);
  }
  return authority.substr(0, authority.find(':'));
}

bool is_loopback_name(std::string_view authority) {
  std::string host(without_port(authority));
  std::ranges::transform(host, host.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return host == "localhost" || host == "127.0.0.1" || host == "[::1]";
}

Error expired() {
  return {
      ErrorCode::unauthenticated, "auth.expired", {"登录已过期，请重新登录", "The session has expired; sign in again"}};
}

}  // namespace

bool is_local_request(const http::Request& request) {
  if (!request.peer.loopback) return false;
  const auto host = request.header("Host");
  if (!host || !is_loopback_name(*host)) return false;
  for (const std::string_view mark : {"X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"}) {
    if (request.header(mark)) return false;
  }
  if (const auto site = request.header("Sec-Fetch-Site")) {
    if (*site != "same-origin" && *site != "none") return false;
  }
  const auto origin = request.header("Origin");
  if (!origin) return true;
  const std::size_t authority = origin->find("://");
  return authority != std::string_view::npos && origin->substr(authority + 3) == *host;
}

Result<Authenticator::Caller> Authenticator::settle(const http::Request& request,
                                                    std::optional<std::string_view> query_token) const {
  if (const auto authorization = request.header("Authorization")) {
    constexpr std::string_view kScheme = "bearer ";
    bool bearer = authorization->size() > kScheme.size();
    for (std::size_t i = 0; bearer && i < kScheme.size(); ++i) {
      const char c = (*authorization)[i];
      bearer = (c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) == kScheme[i];
    }
    if (!bearer) {
      return Error(ErrorCode::unauthenticated, "auth.invalid",
                   {"Authorization 头应为 Bearer 令牌", "The Authorization header must carry a bearer token"});
    }
    return caller_of(authorization->substr(kScheme.size()));
  }
  if (const auto key = request.header("X-API-Key")) return caller_of(*key);
  if (query_token) return caller_of(*query_token);
  if (anonymous_ == Anonymous::loopback && is_local_request(request)) {
    return Caller{identity::anonymous_loopback_principal(), {}};
  }
  return Caller{};
}

Result<Authenticator::Caller> Authenticator::caller_of(std::string_view credential) const {
  return Caller{BERTH_TRY(settle_credential(credential)), credential};
}

Result<identity::PrincipalPointer> Authenticator::settle_credential(std::string_view credential) const {
  thread_local Memory memory;
  const std::uint64_t epoch = identity_.epoch();
  if (memory.identity != &identity_ || memory.epoch != epoch) {
    memory = {&identity_, epoch, {}};
  }
  if (const auto known = memory.principals.find(credential); known != memory.principals.end()) {
    if (clock_.now() < known->second->expires_at) return known->second;
    memory.principals.erase(known);
    return expired();
  }
  identity::PrincipalPointer principal = BERTH_TRY(identity_.authenticate(credential));
  if (memory.principals.size() >= kRemembered) memory.principals.clear();
  memory.principals.emplace(credential, principal);
  return principal;
}

}  // namespace berth::api
