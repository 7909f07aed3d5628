#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace berth::drivers::docker {

/// Where a server listens, as an address has it. The host never begins with '-', so that no program takes it for an
/// option.
struct Authority {
  std::string host;  ///< a name or an IPv4 address, or an IPv6 address in brackets
  std::string port;  ///< 1 to 65535
};

/// Reads "host:port", "[v6]:port" or a host alone, with the port that is then meant. Nothing if it is none.
std::optional<Authority> parse_authority(std::string_view text, std::string_view default_port);

}  // namespace berth::drivers::docker
