#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/worker_pool.h"
#include "http/message.h"
#include "http/websocket.h"
#include "metrics/registry.h"

namespace berth::http {

/// An answer that a worker thread makes. The request stays valid until `work` has returned.
struct Deferred {
  WorkerPool* pool;
  std::move_only_function<Response()> work;
  /// The answer if the pool's queue is full.
  std::function<Response()> overloaded;
};

/// The connection becomes a WebSocket.
struct Upgrade {
  std::shared_ptr<WebSocketHandler> handler;
};

using Dispatch = std::variant<Response, Deferred, Upgrade>;

/// What a mount serves. Called on I/O threads, so it must not block and must be thread-safe.
class Application {
 public:
  virtual ~Application() = default;
  /// Decides about one complete request. HEAD arrives as HEAD; the server drops the body.
  virtual Dispatch dispatch(Request& request) = 0;
  /// The answer to what never became a request: `status` is 400, 404, 408, 413, 431 or
  /// 500.
  virtual Response refuse(int status, Language language) = 0;
  /// The largest body that the request's path takes from its caller, in bytes; asked when its header is complete.
  virtual std::size_t body_limit(const Request& request) const = 0;
};

struct Mount {
  std::string prefix;  ///< "" or "/lxd-panel"; the longest prefix that fits wins
  std::shared_ptr<Application> application;
};

struct TlsFiles {
  std::filesystem::path certificate;  ///< PEM chain
  std::filesystem::path key;          ///< PEM
};

struct ListenerSettings {
  std::string address;          ///< "127.0.0.1", "::1", "0.0.0.0", "::"
  std::uint16_t port = 0;       ///< 0: any free one, see Server::ports
  std::optional<TlsFiles> tls;  ///< TLS 1.2 and 1.3
  std::vector<Mount> mounts;
};

struct Limits {
  std::size_t header_bytes = 16 * 1024;
  std::size_t connections = 10'000;             ///< per process; further ones wait in the kernel's backlog
  std::size_t connections_per_address = 2'000;  ///< 0: no limit
  std::chrono::milliseconds header_time{10'000};
  std::chrono::milliseconds body_time{60'000};
  std::chrono::milliseconds write_time{60'000};
  std::chrono::milliseconds idle_time{75'000};
};

struct ServerSettings {
  std::vector<ListenerSettings> listeners;
  std::size_t threads = 0;  ///< 0: one per core
  Limits limits;
  std::vector<std::string> trusted_proxies;  ///< addresses or networks in CIDR form
  std::vector<std::string> allowed_origins;  ///< CORS; "*" allows every origin without credentials
  std::string access_log;                    ///< a file, "-" for standard error, "" for none
  std::size_t compress_from = 1024;          ///< bytes; smaller answers go out as they are
  std::chrono::seconds websocket_ping{30};
};

/// The HTTP/1.1 and WebSocket server: one I/O thread per core, each with its own acceptor, connections that
/// never change threads, keep-alive and pipelining.
class Server {
 public:
  /// Opens every listener; nothing is accepted yet. Errors: unavailable "http.listen" naming the address,
  /// invalid_argument "http.tls" naming the file.
  static Result<std::unique_ptr<Server>> create(ServerSettings settings, metrics::Registry& metrics);
  virtual ~Server() = default;

  virtual void start() = 0;
  /// The port of each listener, in the order of the settings.
  virtual std::vector<std::uint16_t> ports() const = 0;
  /// Reads certificates and keys again; connections that are open keep theirs. On an error the old stay.
  virtual Result<void> reload_tls() = 0;
  /// Opens the access log's file anew, after it was rotated.
  virtual void reopen_access_log() = 0;
  /// Accepts nothing more, lets running requests finish until the deadline, closes the rest, joins.
  virtual void drain(Deadline deadline) = 0;
  virtual std::size_t connections() const = 0;
  virtual std::size_t websockets() const = 0;
};

}  // namespace berth::http
