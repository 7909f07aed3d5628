#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "api/shared/authenticator.h"
#include "api/shared/call.h"
#include "api/shared/envelope.h"
#include "base/result.h"
#include "base/worker_pool.h"
#include "http/router.h"
#include "http/server.h"
#include "identity/permission.h"
#include "json/read.h"
#include "json/schema.h"
#include "json/write.h"
#include "metrics/registry.h"

namespace berth::api {

/// An answer that is not simply 200 with a body: another status, or fields beside it.
template <class T>
struct Reply {
  T body;
  int status = 200;
  std::vector<http::Header> headers;
};

/// What is declared of a route, once. Everything else is derived from it and from its handler's types.
struct Declaration {
  http::Method method;
  std::string pattern;              ///< "/api/instances/{name}"
  identity::Permission permission;  ///< without one the contract does not start
  Text summary;
  std::string tag;
  WorkerPool* pool = nullptr;            ///< null: inline, answered on the I/O thread from memory
  std::size_t body_limit = 64UL * 1024;  ///< above 1 MiB only for patterns without parameters
};

/// The parts of a route's description that come from its types.
struct RouteSchema {
  std::vector<json::ParameterSchema> path;
  std::vector<json::ParameterSchema> query;
  std::string body;    ///< schema's JSON text; "" for none
  std::string answer;  ///< schema's JSON text; "" for one that is not JSON
};

/// One published API: its routes, its error envelope, its description. Filled while the daemon starts, then
/// sealed and immutable. Dispatches: finds the route, settles the caller, checks the permission, decodes, calls,
/// encodes. Thread-safe once sealed.
class Contract final : public http::Application {
 public:
  struct Settings {
    std::string name;  ///< "lxd-panel"
    Text title;
    std::string version;
  };

  Contract(Settings settings, std::shared_ptr<const Envelope> envelope, const Authenticator& authenticator,
           metrics::Registry& metrics);
  ~Contract() override;

  /// Declares a route with typed input: `handler` is (const Call&, Path, Query, Body) → Result<Answer>, where each
  /// of Path, Query and Body is a described struct or Nothing, and Answer is anything that JSON can be written
  /// from, a Reply of such a thing, or an http::Response.
  template <class Path, class Query, class Body, class Handler>
  void add(Declaration declaration, Handler handler);

  /// Declares a WebSocket: `open` is (const Call&, Path, Query) → Result<shared_ptr<WebSocketHandler>>. Its query
  /// may carry the credential as "token".
  template <class Path, class Query, class Opener>
  void add_websocket(Declaration declaration, Opener open);

  /// Checks every declaration, builds the router and the description. Errors: internal "contract.invalid" naming
  /// every route that lacks a permission or stands twice.
  Result<void> seal();

  const std::string& name() const { return settings_.name; }
  /// OpenAPI 3.1 in the given language; made once.
  const http::ContentPointer& description(Language language) const;
  /// Every route as "GET /path permission", for tests and the documentation.
  std::vector<std::string> inventory() const;

  http::Dispatch dispatch(http::Request& request) override;
  http::Response refuse(int status, Language language) override;
  std::size_t body_limit(const http::Request& request) const override;
  http::Response error(const Error& error, Language language) const { return envelope_->error(error, language); }

 private:
  using Run = std::function<http::Response(const Call&, const http::PathValues&)>;
  using Open = std::function<Result<std::shared_ptr<http::WebSocketHandler>>(const Call&, const http::PathValues&)>;
  using Describe = std::function<RouteSchema(json::Schemas&)>;

  struct Route {
    Declaration declaration;
    Run run;
    Open open;  ///< set for a WebSocket
    Describe describe;
    http::RouteMeter meter;
  };

  void add_route(Declaration declaration, Run run, Open open, Describe describe);
  Result<Call> authorise(const http::Request& request, const Route& route) const;
  http::Dispatch dispatch_found(http::Request& request, const Route& route, http::PathValues values);
  http::Response fail(const Error& error, const Call& call) const;
  std::string make_description(Language language) const;

  template <class Part>
  static Result<Part> decode_path(const http::PathValues& values);
  template <class Part>
  static Result<Part> decode_query(const http::Request& request);
  template <class Part>
  static Result<Part> decode_body(const http::Request& request);
  template <class Answer>
  static http::Response encode(Answer answer);

  Settings settings_;
  std::shared_ptr<const Envelope> envelope_;
  const Authenticator& authenticator_;
  metrics::Registry& metrics_;
  http::Router router_;
  std::vector<std::unique_ptr<Route>> routes_;
  http::RouteMeter unmatched_;
  http::ContentPointer description_zh_;
  http::ContentPointer description_en_;
};

/// permission_denied "auth.permission": what a caller without the permission is told.
Error lacks(identity::Permission permission);
/// Errors: malformed "request.query" if a pair cannot be decoded.
Result<json::Pairs> decode_pairs(const http::Request& request);
/// Errors: unsupported_media "request.content_type" unless it is JSON or absent.
Result<void> check_json_body(const http::Request& request);

namespace detail {

template <class T>
struct AnswerOf;
template <class T>
struct AnswerOf<Result<T>> {
  using Type = T;
};
template <class T>
struct BodyOf {
  using Type = T;
};
template <class T>
struct BodyOf<Reply<T>> {
  using Type = T;
};
template <class T>
inline constexpr bool kIsReply = false;
template <class T>
inline constexpr bool kIsReply<Reply<T>> = true;

}  // namespace detail

template <class Part>
Result<Part> Contract::decode_path(const http::PathValues& values) {
  if constexpr (std::is_same_v<Part, Nothing>) {
    return Part{};
  } else {
    json::Pairs pairs;
    pairs.reserve(values.size());
    for (const auto& [name, value] : values) pairs.emplace_back(name, value);
    return json::from_pairs<Part>(pairs);
  }
}

template <class Part>
Result<Part> Contract::decode_query(const http::Request& request) {
  if constexpr (std::is_same_v<Part, Nothing>) {
    return Part{};
  } else {
    const auto pairs = decode_pairs(request);
    if (!pairs) return pairs.error();
    return json::from_pairs<Part>(*pairs);
  }
}

template <class Part>
Result<Part> Contract::decode_body(const http::Request& request) {
  if constexpr (std::is_same_v<Part, Nothing>) {
    return Part{};
  } else {
    BERTH_CHECK(check_json_body(request));
    return json::from_json<Part>(request.body.empty() ? std::string_view("{}") : std::string_view(request.body));
  }
}

template <class Answer>
http::Response Contract::encode(Answer answer) {
  if constexpr (std::is_same_v<Answer, http::Response>) {
    return answer;
  } else if constexpr (detail::kIsReply<Answer>) {
    http::Response response = http::Response::json(answer.status, json::to_json(answer.body));
    for (const auto& header : answer.headers) response.headers.add(header.name, header.value);
    return response;
  } else {
    return http::Response::json(200, json::to_json(answer));
  }
}

template <class Path, class Query, class Body, class Handler>
void Contract::add(Declaration declaration, Handler handler) {
  using Outcome = std::invoke_result_t<Handler&, const Call&, Path, Query, Body>;
  using Answer = typename detail::AnswerOf<Outcome>::Type;
  auto run = [this, handler = std::move(handler)](const Call& call, const http::PathValues& values) mutable {
    auto path = decode_path<Path>(values);
    if (!path) return fail(path.error(), call);
    auto query = decode_query<Query>(*call.request);
    if (!query) return fail(query.error(), call);
    auto body = decode_body<Body>(*call.request);
    if (!body) return fail(body.error(), call);
    auto answer = handler(call, std::move(*path), std::move(*query), std::move(*body));
    if (!answer) return fail(answer.error(), call);
    return encode(std::move(*answer));
  };
  auto describe = [](json::Schemas& schemas) {
    RouteSchema schema;
    if constexpr (!std::is_same_v<Path, Nothing>) schema.path = schemas.parameters<Path>();
    if constexpr (!std::is_same_v<Query, Nothing>) schema.query = schemas.parameters<Query>();
    if constexpr (!std::is_same_v<Body, Nothing>) schema.body = schemas.reference<Body>();
    if constexpr (!std::is_same_v<Answer, http::Response>) {
      schema.answer = schemas.reference<typename detail::BodyOf<Answer>::Type>();
    }
    return schema;
  };
  add_route(std::move(declaration), std::move(run), nullptr, std::move(describe));
}

template <class Path, class Query, class Opener>
void Contract::add_websocket(Declaration declaration, Opener open) {
  auto decode = [open = std::move(open)](
                    const Call& call,
                    const http::PathValues& values) -> Result<std::shared_ptr<http::WebSocketHandler>> {
    auto path = decode_path<Path>(values);
    if (!path) return path.error();
    auto query = decode_query<Query>(*call.request);
    if (!query) return query.error();
    return open(call, std::move(*path), std::move(*query));
  };
  auto describe = [](json::Schemas& schemas) {
    RouteSchema schema;
    if constexpr (!std::is_same_v<Path, Nothing>) schema.path = schemas.parameters<Path>();
    if constexpr (!std::is_same_v<Query, Nothing>) schema.query = schemas.parameters<Query>();
    return schema;
  };
  add_route(std::move(declaration), nullptr, std::move(decode), std::move(describe));
}

}  // namespace berth::api
