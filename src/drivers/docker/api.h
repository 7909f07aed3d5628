#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "drivers/docker/link.h"
#include "http/client.h"
#include "http/stream_client.h"
#include "json/document.h"

namespace berth::drivers::docker {

/// What a call is about, so that the engine's refusal becomes the right error.
struct Subject {
  enum class Kind { engine, container, image, pull, volume, network, path, exec } kind = Kind::engine;
  std::string name;          ///< the container, image, volume or network
  std::string path;          ///< in the container, for a path only
  bool credentials = false;  ///< whether a pull had some

  static Subject of_container(std::string name) { return {Kind::container, std::move(name), {}, false}; }
  static Subject of_image(std::string name) { return {Kind::image, std::move(name), {}, false}; }
  static Subject of_pull(std::string name, bool credentials) { return {Kind::pull, std::move(name), {}, credentials}; }
  static Subject of_volume(std::string name) { return {Kind::volume, std::move(name), {}, false}; }
  static Subject of_network(std::string name) { return {Kind::network, std::move(name), {}, false}; }
  static Subject of_path(std::string container, std::string path) {
    return {Kind::path, std::move(container), std::move(path), false};
  }
  static Subject of_exec() { return {Kind::exec, {}, {}, false}; }
};

/// Turns a refusal of the engine's (its status and words) into ours: the one place where that happens. The engine's
/// words are the detail, and where people need them, of a pull above all, in the message too.
Error translate(int status, std::string_view words, const Subject& subject);
/// Turns a transport error of http::Client or http::StreamClient into the engine's.
Error translate(const Error& transport);
Error nonsense(std::string detail);
Error cancelled();
Error timed_out();
Error unsupported(Text message);

/// Who answers, as its /version says.
struct ServerVersion {
  std::string product;       ///< "Docker", "Podman"
  std::string version;       ///< "20.10.24"
  std::string api;           ///< the version of the API that is spoken with it, "1.41"
  std::string architecture;  ///< as uname says it: "x86_64"
};

/// The oldest and newest version of the API that the driver speaks.
inline constexpr std::string_view kOldestApi = "1.40";
inline constexpr std::string_view kNewestApi = "1.47";

/// Reads an answer to /version and settles on the newest API that both sides know. Errors: unsupported
/// "engine.version", internal "engine.protocol".
Result<ServerVersion> decode_version(json::View version);
/// -1, 0 or 1, for "1.9" and "1.41"; what is no version is the oldest.
int compare_versions(std::string_view a, std::string_view b);

/// The Engine API over a unix socket, TCP or TLS: version, errors, bodies. Thread-safe.
class Api {
 public:
  /// `link`: what must stand before the endpoint is there; null for nothing.
  explicit Api(http::Endpoint endpoint, std::shared_ptr<Link> link = nullptr);

  /// Who answers; asked once, and again after a failure to answer.
  Result<ServerVersion> version(Deadline deadline);
  /// Asks anew.
  Result<ServerVersion> ask_version(Deadline deadline);

  /// `path` begins behind the version and may carry a query; its parts are already encoded. The body is JSON or "".
  /// Any status of success; the document is null where the answer has no body (status 204, and 304: already so).
  Result<json::Document> call(http::Method method, std::string_view path, const std::string& body,
                              const Subject& subject, Deadline deadline, const std::vector<http::Header>& headers = {});
  Result<json::Document> get(std::string_view path, const Subject& subject, Deadline deadline) {
    return call(http::Method::get, path, {}, subject, deadline);
  }

  /// Writes an answer's body to a new file.
  Result<void> download(std::string_view path, const std::string& file, const Subject& subject,
                        const http::Client::Progress& progress, Deadline deadline);
  /// Sends a tar file; gives the answer's body.
  Result<std::string> upload(http::Method method, std::string_view path, const std::string& file,
                             const Subject& subject, const http::Client::Progress& progress, Deadline deadline);

  /// Opens an answer in pieces, or, with `upgrade`, a connection of raw bytes.
  Result<std::shared_ptr<http::StreamClient::Stream>> open(http::StreamClient& client, http::Method method,
                                                           std::string_view path, const std::string& body, bool upgrade,
                                                           std::shared_ptr<http::StreamHandler> handler,
                                                           const Subject& subject, Deadline deadline,
                                                           std::vector<http::Header> headers = {});

  /// The path of a container that has exactly that name, or that id: an engine takes the beginning of an id for a name
  /// too.
  Result<std::string> container_path(const std::string& name, Deadline deadline);

  /// The network of a container for which none was wished: "default", or "none" with an engine that has no default, for
  /// Docker takes its own for one and loses track of it. Asked once, and again after a failure to answer.
  Result<std::string> default_network(Deadline deadline);

  const http::Endpoint& endpoint() const { return endpoint_; }
  const std::shared_ptr<Link>& link() const { return link_; }
  /// Ends running calls and refuses later ones.
  void stop();

 private:
  /// "/v1.41" and `path`.
  Result<std::string> target(std::string_view path, Deadline deadline);
  Result<void> reach(Deadline deadline);
  Error failed(const Error& transport);

  http::Endpoint endpoint_;
  std::shared_ptr<Link> link_;
  std::stop_source stopping_;
  http::Client client_;
  std::mutex mutex_;
  std::optional<ServerVersion> version_;
  std::string default_network_;
};

/// "/containers/NAME", encoded.
std::string path_of_container(std::string_view name);

}  // namespace berth::drivers::docker
