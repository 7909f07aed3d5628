#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "http/message.h"

namespace berth::http {

/// How to reach a server: over TCP, with or without TLS, or over a unix socket.
struct Endpoint {
  std::string base_url;            ///< "http://localhost" (with a unix socket), "https://192.0.2.1:8443"
  std::string unix_socket;         ///< path; "" for TCP
  std::string client_certificate;  ///< PEM file; "" for none
  std::string client_key;          ///< PEM file
  std::string server_certificate;  ///< PEM file that is trusted instead of the system's; "" for the system's
};

struct ClientRequest {
  Method method = Method::get;
  std::string target;  ///< path and query, encoded
  std::vector<Header> headers;
  std::string body;
};

struct ClientResponse {
  int status = 0;
  std::vector<Header> headers;
  std::string body;
};

/// A blocking HTTP client for one endpoint over libcurl, with kept-alive connections. Thread-safe: each call
/// borrows a handle. Errors: unavailable "http.unreachable" (refused, no socket, TLS),
/// deadline_exceeded "http.timeout", too_large "http.too_large", internal "http.protocol" (garbage, cut off).
class Client {
 public:
  struct Settings {
    Endpoint endpoint;
    std::size_t response_limit = 64UL << 20U;  ///< bytes of one answer
    std::chrono::milliseconds connect_time{3000};
    std::size_t idle_connections = 64;  ///< kept alive between calls, at most
  };
  explicit Client(Settings settings);
  ~Client();

  Result<ClientResponse> send(const ClientRequest& request, Deadline deadline);
  /// Called now and then during a long transfer with the bytes done and in all (0: nobody knows); false ends the
  /// transfer with cancelled "http.cancelled".
  using Progress = std::function<bool(std::uint64_t done, std::uint64_t all)>;
  /// Sends a file as the body (image upload).
  Result<ClientResponse> upload(const ClientRequest& request, const std::string& file, Deadline deadline,
                                const Progress& progress);
  /// Writes the body of a successful answer (2xx) to `file`, which must not be there yet (mode 0600), however large it
  /// is; any other answer's body comes with the answer. After a failure or a refusal there is no file. Errors beside
  /// those above: already_exists "http.file", exhausted "http.disk_full".
  Result<ClientResponse> download(const ClientRequest& request, const std::string& file, Deadline deadline,
                                  const Progress& progress);

  /// Ends every running call and refuses later ones, with cancelled "http.stopped": for shutting down.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace berth::http
