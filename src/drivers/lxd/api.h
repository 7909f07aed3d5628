#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "http/client.h"
#include "json/document.h"

namespace berth::drivers::lxd {

/// What a call is about, so that the engine's "not found" becomes the right error.
struct Subject {
  enum class Kind { engine, instance, snapshot, image, operation } kind = Kind::engine;
  std::string name;      ///< the instance, image or operation; for a snapshot the instance
  std::string snapshot;  ///< for a snapshot only

  static Subject of_instance(std::string name) { return {Kind::instance, std::move(name), {}}; }
  static Subject of_snapshot(std::string instance, std::string snapshot) {
    return {Kind::snapshot, std::move(instance), std::move(snapshot)};
  }
  static Subject of_image(std::string name) { return {Kind::image, std::move(name), {}}; }
  static Subject of_operation(std::string id) { return {Kind::operation, std::move(id), {}}; }
};

/// What the engine said: a sync answer's metadata, or the operation that it began.
class Answer {
 public:
  Answer(json::Document document, std::string etag) : document_(std::move(document)), etag_(std::move(etag)) {}
  json::View metadata() const { return document_.root()["metadata"]; }
  /// Id of the operation; "" for a sync answer.
  std::string operation() const;
  const std::string& etag() const { return etag_; }

 private:
  json::Document document_;
  std::string etag_;
};

/// Turns a refusal of the engine's (its own code and words, from an answer or from a failed operation) into
/// ours: the one place where that happens.
Error translate(std::int64_t code, std::string_view words, const Subject& subject);
/// Turns a transport error of http::Client or http::WebSocketClient into the engine's.
Error translate(const Error& transport);
Error nonsense(std::string detail);
Error cancelled();

/// Whether that is how the engine refuses to stop what does not run.
bool says_already_stopped(const Error& error);

/// The REST API 1.0 of LXD and Incus: envelope, project, errors. Thread-safe.
class Api {
 public:
  Api(http::Endpoint endpoint, std::string project);

  /// `path` begins behind "/1.0" and may carry a query; its parts are already encoded. The body is JSON or
  /// "". `etag`, if not "", must still be the resource's (else conflict "engine.changed").
  Result<Answer> call(http::Method method, std::string_view path, const std::string& body, const Subject& subject,
                      Deadline deadline, const std::string& etag = {});
  Result<Answer> get(std::string_view path, const Subject& subject, Deadline deadline) {
    return call(http::Method::get, path, {}, subject, deadline);
  }

  const http::Endpoint& endpoint() const { return endpoint_; }
  /// "/1.0" and `path` with the project in its query.
  std::string target(std::string_view path) const;
  const std::string& project() const { return project_; }
  /// Ends running calls and refuses later ones.
  void stop() { client_.stop(); }

 private:
  http::Endpoint endpoint_;
  std::string project_;
  http::Client client_;
};

/// Whether `name` can be one part of a path: the engine would read "", "." and ".." as another path.
bool is_path_part(std::string_view name);
/// Instances have host names everywhere, so that any other name is nobody's: not_found "instance.not_found".
Result<void> check_instance(const std::string& name);
/// "/instances/NAME", encoded.
std::string instance_path(std::string_view name);
std::string snapshot_path(std::string_view instance, std::string_view snapshot);

}  // namespace berth::drivers::lxd
