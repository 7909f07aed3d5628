// Connections of the Docker driver over the tests' own SSH server.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>

#include "drivers/docker/address.h"
#include "engines/ssh_server.h"

namespace berth::testing {

/// Where the local sockets of these connections lie.
inline const TemporaryFolder& ssh_sockets() {
  static const TemporaryFolder folder;
  return folder;
}

inline drivers::docker::Address address_over_ssh(const SshServer& server, const std::string& socket) {
  return {.url = server.url(socket), .key = server.key(), .host_key = server.host_key()};
}

inline drivers::docker::Connection connection_of(const drivers::docker::Address& address) {
  auto connection = drivers::docker::make_connection(address, ssh_sockets().path());
  if (!connection) throw std::runtime_error(connection.error().describe());
  return std::move(*connection);
}

inline drivers::docker::Connection connection_over_ssh(const SshServer& server, const std::string& socket) {
  return connection_of(address_over_ssh(server, socket));
}

}  // namespace berth::testing
