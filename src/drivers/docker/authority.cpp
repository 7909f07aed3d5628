#include "drivers/docker/authority.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace berth::drivers::docker {
namespace {

constexpr std::size_t kLongestHost = 253;

bool is_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), port);
  return failure == std::errc() && end == text.data() + text.size() && port > 0;
}

bool is_host(std::string_view host) {
  if (host.empty() || host.size() > kLongestHost || host.starts_with('-')) return false;
  const bool v6 = host.starts_with('[') && host.ends_with(']') && host.size() > 2;
  if (v6) host = host.substr(1, host.size() - 2);
  return std::ranges::all_of(host, [v6](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_' || (v6 && c == ':');
  });
}

}  // namespace

std::optional<Authority> parse_authority(std::string_view text, std::string_view default_port) {
  const std::size_t bracket = text.rfind(']');
  const std::size_t colon = text.rfind(':');
  const bool has_port = colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  const std::string_view host = has_port ? text.substr(0, colon) : text;
  const std::string_view port = has_port ? text.substr(colon + 1) : default_port;
  if (!is_host(host) || !is_port(port)) return std::nullopt;
  return Authority{std::string(host), std::string(port)};
}

}  // namespace berth::drivers::docker
