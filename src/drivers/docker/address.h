#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/secret.h"
#include "http/client.h"

namespace berth::drivers::docker {

/// How a server's engine is reached, as a person configures it.
struct Address {
  std::string url;             ///< "unix:///run/docker.sock", "tcp://192.0.2.1:2376" (port left out: 2375, TLS: 2376)
  std::string ca_certificate;  ///< PEM of an authority, or of the server itself; any of the three: TLS
  std::string certificate;     ///< PEM, our own, with `key`
  Secret key;
};

/// An endpoint with what it refers to: keys rest in memory alone, never on a disk.
struct Connection {
  http::Endpoint endpoint;
  bool same_machine = false;              ///< a unix socket, so that the engine's folders are this machine's
  std::shared_ptr<void> owner = nullptr;  ///< keeps the certificates while the endpoint is used
};

/// Errors: invalid_argument "server.address" naming the field ("url", "certificate", "key").
Result<Connection> make_connection(const Address& address);
/// The endpoint of an engine's unix socket.
http::Endpoint unix_endpoint(std::string socket_path);

}  // namespace berth::drivers::docker
