#include "api/shared/contract.h"

#include <fmt/format.h>

#include "api/shared/openapi.h"
#include "base/log.h"

namespace berth::api {
namespace {

/// What every caller may send to any path.
constexpr std::size_t kLargeBody = 1UL << 20U;

Error not_found() {
  return error_of_status(404);
}

Error wrong_method() {
  return {
      ErrorCode::method_not_allowed, "http.method", {"此路径不支持该方法", "The path does not support this method"}};
}

Error needs_credentials() {
  return {ErrorCode::unauthenticated, "auth.required", {"需要登录", "Credentials are required"}};
}

Error overloaded() {
  return Error(ErrorCode::exhausted, "server.overloaded",
               {"服务繁忙，请稍后重试", "The server is busy; try again shortly"})
      .with_retry_after(std::chrono::seconds(1));
}

/// Forgetting to declare a permission must not be the same as allowing everyone.
bool is_declared(identity::Permission permission) {
  if (permission == identity::permissions::kPublic || permission == identity::permissions::kSignedIn) return true;
  return permission.name.find('*') == std::string_view::npos && identity::PermissionSet::valid_pattern(permission.name);
}

bool is_upgrade(const http::Request& request) {
  return request.header("Sec-WebSocket-Key").has_value();
}

/// A WebSocket cannot send a header from a browser, so its query may carry the token.
std::optional<std::string> token_of_query(const http::Request& request) {
  const auto pairs = http::parse_query(request.query);
  if (!pairs) return std::nullopt;
  for (const auto& [key, value] : *pairs) {
    if (key == "token") return value;
  }
  return std::nullopt;
}

}  // namespace

Error lacks(identity::Permission permission) {
  return {
      ErrorCode::permission_denied,
      "auth.permission",
      {fmt::format("没有权限（需要 {}）", permission.name), fmt::format("Not permitted (needs {})", permission.name)}};
}

Result<json::Pairs> decode_pairs(const http::Request& request) {
  auto pairs = http::parse_query(request.query);
  if (!pairs) {
    return Error(ErrorCode::malformed, "request.query", {"查询参数编码错误", "The query is not encoded correctly"});
  }
  return std::move(*pairs);
}

Result<void> check_json_body(const http::Request& request) {
  if (request.body.empty()) return {};
  const auto type = request.header("Content-Type");
  if (!type) return {};
  const std::string_view media = type->substr(0, type->find(';'));
  if (media.find("json") != std::string_view::npos) return {};
  return Error(ErrorCode::unsupported_media, "request.content_type",
               {"请求体必须是 application/json", "The body must be application/json"});
}

Contract::Contract(Settings settings, std::shared_ptr<const Envelope> envelope, const Authenticator& authenticator,
                   metrics::Registry& metrics)
    : settings_(std::move(settings)),
      envelope_(std::move(envelope)),
      authenticator_(authenticator),
      metrics_(metrics) {}

Contract::~Contract() = default;

void Contract::add_route(Declaration declaration, Run run, Open open, Describe describe) {
  auto route = std::make_unique<Route>();
  route->declaration = std::move(declaration);
  route->run = std::move(run);
  route->open = std::move(open);
  route->describe = std::move(describe);
  routes_.push_back(std::move(route));
}

Result<void> Contract::seal() {
  std::string problems;
  const auto meter_for = [&](std::string_view method, std::string_view pattern) {
    http::RouteMeter meter;
    const metrics::Labels labels = {
        {"contract", settings_.name}, {"method", std::string(method)}, {"route", std::string(pattern)}};
    meter.duration =
        &metrics_.histogram("berth_http_request_seconds", "Time from a request's first byte to its answer", labels);
    for (int digit = 1; digit <= 5; ++digit) {
      metrics::Labels with_status = labels;
      with_status.emplace_back("status", fmt::format("{}xx", digit));
      meter.outcomes[static_cast<std::size_t>(digit)] =
          &metrics_.counter("berth_http_requests_total", "Requests answered", with_status);
    }
    meter.outcomes[0] = meter.outcomes[5];
    return meter;
  };
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    Route& route = *routes_[i];
    const Declaration& declaration = route.declaration;
    if (!is_declared(declaration.permission)) {
      problems += fmt::format("{} {} declares no permission; ", http::name(declaration.method), declaration.pattern);
    }
    if (const auto added = router_.add(declaration.method, declaration.pattern, i); !added) {
      problems += added.error().describe() + "; ";
    }
    route.meter = meter_for(http::name(declaration.method), declaration.pattern);
  }
  unmatched_ = meter_for("", "unmatched");
  if (!problems.empty()) {
    return Error(ErrorCode::internal, "contract.invalid",
                 {"接口声明有误：" + problems, "The contract is declared wrongly: " + problems});
  }
  description_zh_ = std::make_shared<http::Content>("application/json; charset=utf-8", make_description(Language::zh));
  description_en_ = std::make_shared<http::Content>("application/json; charset=utf-8", make_description(Language::en));
  return {};
}

const http::ContentPointer& Contract::description(Language language) const {
  return language == Language::zh ? description_zh_ : description_en_;
}

std::vector<std::string> Contract::inventory() const {
  std::vector<std::string> lines;
  for (const auto& route : routes_) {
    const Declaration& declaration = route->declaration;
    lines.push_back(
        fmt::format("{} {} {}", http::name(declaration.method), declaration.pattern, declaration.permission.name));
  }
  return lines;
}

std::string Contract::make_description(Language language) const {
  OpenApi document(settings_.title.in(language), settings_.version, language);
  for (const auto& route : routes_) {
    document.add(route->declaration, route->describe(document.schemas()), route->open != nullptr);
  }
  return document.text();
}

http::Response Contract::fail(const Error& error, const Call& call) const {
  if (error.code() == ErrorCode::internal) {
    log::error("api", "{} {} {}", call.request->id.value(), call.request->path, error.describe());
  }
  return envelope_->error(error, call.language);
}

http::Response Contract::refuse(int status, Language language) {
  http::Response response = envelope_->error(error_of_status(status), language);
  response.status = status;
  return response;
}

std::size_t Contract::body_limit(const http::Request& request) const {
  // The mount's prefix still stands before the path here; the widest limit of any route that could be meant is
  // taken, and the route itself is checked when it is found. A large body costs memory before its route is found, so
  // it takes the very path of such a route, and a caller who may call it.
  std::size_t widest = 0;
  for (const auto& route : routes_) {
    const Declaration& declaration = route->declaration;
    if (declaration.method != request.method || declaration.body_limit <= widest) continue;
    if (declaration.body_limit > kLargeBody &&
        !(request.path.ends_with(declaration.pattern) && authorise(request, *route))) {
      continue;
    }
    widest = declaration.body_limit;
  }
  return widest;
}

Result<Call> Contract::authorise(const http::Request& request, const Route& route) const {
  Call call;
  call.request = &request;
  call.language = request.language_or(envelope_->default_language());
  call.contract = settings_.name;
  std::optional<std::string> query_token;
  if (route.open) query_token = token_of_query(request);
  const auto caller = authenticator_.settle(request, query_token);
  const identity::Permission permission = route.declaration.permission;
  if (!caller) {
    // A public route answers whoever asks, also with a token that has run out.
    if (permission == identity::permissions::kPublic) return call;
    return caller.error();
  }
  call.principal = caller->principal;
  if (route.open) call.credential = caller->credential;
  if (permission == identity::permissions::kPublic) return call;
  if (!call.principal) return needs_credentials();
  if (call.principal->allows(permission)) return call;
  if (permission == identity::permissions::kSignedIn) return needs_credentials();
  return lacks(permission);
}

http::Dispatch Contract::dispatch(http::Request& request) {
  http::Router::Match match = router_.find(request.method, request.path);
  using Kind = http::Router::Match::Kind;
  if (match.kind == Kind::found) return dispatch_found(request, *routes_[match.route], std::move(match.values));
  request.meter = &unmatched_;
  const Language language = request.language_or(envelope_->default_language());
  if (match.kind == Kind::malformed) return refuse(400, language);
  if (match.kind == Kind::unknown) return envelope_->error(not_found(), language);
  if (request.method == http::Method::options) {
    http::Response response;
    response.status = 204;
    response.headers.add("Allow", match.allow);
    return response;
  }
  http::Response response = envelope_->error(wrong_method(), language);
  response.headers.add("Allow", match.allow);
  return response;
}

http::Dispatch Contract::dispatch_found(http::Request& request, const Route& route, http::PathValues values) {
  request.meter = &route.meter;
  Result<Call> call = authorise(request, route);
  if (!call) return envelope_->error(call.error(), request.language_or(envelope_->default_language()));
  if (call->principal) request.caller = call->principal->actor;
  if (request.body.size() > route.declaration.body_limit) return refuse(413, call->language);
  if (route.open) {
    if (!is_upgrade(request)) {
      http::Response response = envelope_->error(
          {ErrorCode::malformed, "websocket.required", {"此路径是 WebSocket", "This path is a WebSocket"}},
          call->language);
      response.status = 426;
      response.headers.add("Upgrade", "websocket");
      return response;
    }
    auto handler = route.open(*call, values);
    if (!handler) return fail(handler.error(), *call);
    return http::Upgrade{std::move(*handler)};
  }
  if (route.declaration.pool == nullptr) return route.run(*call, values);
  const Language language = call->language;
  return http::Deferred{
      route.declaration.pool,
      [&route, call = std::move(*call), values = std::move(values)] { return route.run(call, values); },
      [this, language] { return envelope_->error(overloaded(), language); }};
}

}  // namespace berth::api
