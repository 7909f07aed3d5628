#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"

namespace berth::drivers::docker {

/// Where an engine's socket is that is reached over SSH, and what is needed to get there; checked, so that nothing of
/// it can be taken for an option or for more than one line.
struct SshAddress {
  std::string user;
  std::string host;  ///< a name or an address, without brackets
  std::string port;
  std::string socket;       ///< path on the server
  std::string known_hosts;  ///< the server's keys, as a file of known_hosts that knows of kSshHostAlias alone
  Secret key;               ///< ours, as ssh reads it from a file
};

/// Under which name a server's keys are known, whatever its address is.
inline constexpr std::string_view kSshHostAlias = "server";

/// Reads "ssh://user@host[:port][/path of the socket]"; the path is Docker's own if it is left out. `host_key` is what
/// ssh-keyscan prints, or a host's public key alone; for which host a line says that it is does not matter. `key` is a
/// private key without a passphrase. Errors: invalid_argument "server.address" naming the field ("url", "host_key",
/// "key").
Result<SshAddress> parse_ssh_address(std::string_view url, std::string_view host_key, const Secret& key);

/// The command that listens on "engine.sock" in its working folder and leads to the server's socket, until it is ended.
/// It has the key as its standard input and the known hosts as its standard output: ssh closes all other descriptors.
std::vector<std::string> ssh_command(const SshAddress& address);

/// What ssh said, as the reason why an engine is unavailable.
struct SshTrouble {
  Error error;                  ///< unavailable "engine.unavailable"; ssh's last line is the detail
  bool needs_a_person = false;  ///< trying again changes nothing
};
SshTrouble ssh_trouble(std::string_view words, const SshAddress& address);

}  // namespace berth::drivers::docker
