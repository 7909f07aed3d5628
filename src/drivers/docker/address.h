#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/secret.h"
#include "drivers/docker/link.h"
#include "http/client.h"

namespace berth::drivers::docker {

/// How a server's engine is reached, as a person configures it.
struct Address {
  /// "unix:///run/docker.sock", "tcp://192.0.2.1:2376" (port left out: 2375, TLS: 2376),
  /// "ssh://user@192.0.2.1:22/run/docker.sock" (port and path may be left out)
  std::string url = {};
  std::string ca_certificate = {};  ///< PEM of an authority, or of the server itself; any of the three: TLS
  std::string certificate = {};     ///< PEM, our own, with `key`
  Secret key = {};                  ///< PEM, of the certificate or of SSH
  std::string host_key = {};        ///< the server's, of SSH: lines of known_hosts
};

/// An endpoint with what it refers to: keys rest in memory alone, never on a disk.
struct Connection {
  http::Endpoint endpoint;
  bool same_machine = false;              ///< a unix socket, so that the engine's folders are this machine's
  std::shared_ptr<void> owner = nullptr;  ///< keeps the certificates while the endpoint is used
  std::shared_ptr<Link> link = nullptr;   ///< what must stand before the endpoint is there; null for nothing
};

/// `folder` is where SSH connections may have their sockets; it need not be there yet, and without one SSH is refused.
/// Errors: invalid_argument "server.address" naming the field ("url", "certificate", "key", "host_key").
Result<Connection> make_connection(const Address& address, const std::filesystem::path& folder = {});
/// The endpoint of an engine's unix socket.
http::Endpoint unix_endpoint(std::string socket_path);

}  // namespace berth::drivers::docker
