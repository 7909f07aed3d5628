#include "app/api_client.h"

#include <fmt/format.h>

#include <boost/describe/class.hpp>
#include <charconv>

#include "json/document.h"
#include "json/read.h"
#include "json/write.h"

namespace berth::app {
namespace {

constexpr std::string_view kDefaultServer = "http://127.0.0.1:8000";

struct RefreshRequest {
  std::string refresh_token;
};
BOOST_DESCRIBE_STRUCT(RefreshRequest, (), (refresh_token))

struct RefreshAnswer {
  std::string access_token;
  std::string refresh_token;
};
BOOST_DESCRIBE_STRUCT(RefreshAnswer, (), (access_token, refresh_token))

ErrorCode code_of_status(int status) {
  switch (status) {
    case 400:
      return ErrorCode::malformed;
    case 401:
      return ErrorCode::unauthenticated;
    case 403:
      return ErrorCode::permission_denied;
    case 404:
      return ErrorCode::not_found;
    case 405:
      return ErrorCode::method_not_allowed;
    case 409:
      return ErrorCode::conflict;
    case 413:
      return ErrorCode::too_large;
    case 415:
      return ErrorCode::unsupported_media;
    case 422:
      return ErrorCode::invalid_argument;
    case 429:
      return ErrorCode::rate_limited;
    case 501:
      return ErrorCode::unsupported;
    case 502:
    case 503:
      return ErrorCode::unavailable;
    case 504:
      return ErrorCode::deadline_exceeded;
    default:
      return ErrorCode::internal;
  }
}

std::optional<std::chrono::seconds> retry_after(const std::vector<http::Header>& headers) {
  for (const auto& header : headers) {
    if (header.name != "Retry-After" && header.name != "retry-after") continue;
    std::int64_t seconds = 0;
    const auto& text = header.value;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (problem == std::errc() && end == text.data() + text.size()) return std::chrono::seconds(seconds);
  }
  return std::nullopt;
}

}  // namespace

void add_client_options(Command& command, ClientOptions& options) {
  command.option("--server", options.server, "URL of the daemon (default: $BERTH_SERVER or http://127.0.0.1:8000)");
  command.file_option("--token-file", options.token_file,
                      "File of mode 0600 with a token or key (default: $BERTH_TOKEN or the stored login)");
  command.file_option("--server-certificate", options.server_certificate,
                      "PEM certificate to trust instead of the system's authorities");
}

Result<ServerAddress> ServerAddress::parse(std::string_view url) {
  const auto invalid = [&] {
    return Error(ErrorCode::invalid_argument, "cli.server",
                 {fmt::format("服务器地址应形如 {}", kDefaultServer),
                  fmt::format("a server's address looks like {}", kDefaultServer)});
  };
  const auto scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos) return invalid();
  const auto scheme = url.substr(0, scheme_end);
  if (scheme != "http" && scheme != "https") return invalid();
  const auto path = url.find('/', scheme_end + 3);
  ServerAddress address;
  address.base = url.substr(0, path);
  if (path != std::string_view::npos) address.prefix = url.substr(path);
  while (address.prefix.ends_with('/')) address.prefix.pop_back();
  const bool plain = address.base.size() > scheme_end + 3 && address.base.find('@') == std::string::npos &&
                     url.find_first_of("?# \t\r\n") == std::string_view::npos;
  if (!plain) return invalid();
  return address;
}

ApiClient::ApiClient(ServerAddress address, http::Endpoint endpoint, Language language)
    : address_(std::move(address)), endpoint_(std::move(endpoint)), language_(language) {
  http::Client::Settings settings;
  settings.endpoint = endpoint_;
  client_ = std::make_unique<http::Client>(std::move(settings));
}

Result<ApiClient> ApiClient::create_unsigned(const ClientOptions& options, const Console& console) {
  auto server = options.server.empty() ? console.variable("BERTH_SERVER") : options.server;
  if (server.empty()) server = kDefaultServer;
  auto address = BERTH_TRY(ServerAddress::parse(server));
  http::Endpoint endpoint;
  endpoint.base_url = address.base;
  endpoint.server_certificate = options.server_certificate;
  return ApiClient(std::move(address), std::move(endpoint), console.language);
}

Result<ApiClient> ApiClient::create(const ClientOptions& options, const Console& console) {
  auto client = BERTH_TRY(create_unsigned(options, console));
  if (!options.token_file.empty()) {
    client.token_ = BERTH_TRY(read_secret_file(options.token_file)).reveal();
    return client;
  }
  client.token_ = console.variable("BERTH_TOKEN");
  if (!client.token_.empty()) return client;
  // Without a home there is no stored login; the server may still answer without one.
  auto credentials = CredentialFile::of(console.environment);
  if (!credentials) return client;
  if (auto login = BERTH_TRY(credentials->find(client.address_.url()))) {
    client.token_ = std::move(login->access_token);
    client.credentials_ = std::move(*credentials);
  }
  return client;
}

std::vector<http::Header> ApiClient::headers() const {
  std::vector<http::Header> headers = {{"Accept", "application/json"},
                                       {"Accept-Language", language_ == Language::zh ? "zh" : "en"}};
  if (!token_.empty()) headers.push_back({"Authorization", "Bearer " + token_});
  return headers;
}

Result<http::ClientResponse> ApiClient::send(http::Method method, const std::string& path, const std::string& body,
                                             std::chrono::milliseconds wait) {
  http::ClientRequest request;
  request.method = method;
  request.target = target(path);
  request.headers = headers();
  request.body = body;
  if (!body.empty()) request.headers.push_back({"Content-Type", "application/json"});
  auto response = client_->send(request, Deadline::after(wait));
  if (response) return response;
  const auto& error = response.error();
  return Error(error.code(), "cli.server",
               {fmt::format("{} 没有应答：{}", address_.url(), error.message().zh),
                fmt::format("{} does not answer: {}", address_.url(), error.message().en)})
      .with_detail(error.detail());
}

Result<std::string> ApiClient::call(http::Method method, const std::string& path, const std::string& body,
                                    std::chrono::milliseconds wait) {
  auto response = BERTH_TRY(send(method, path, body, wait));
  if (response.status == 401 && credentials_) {
    BERTH_CHECK(renew());
    response = BERTH_TRY(send(method, path, body, wait));
  }
  if (response.status >= 200 && response.status < 300) return std::move(response.body);
  return error_of_answer(response.status, response.body, response.headers);
}

Result<void> ApiClient::renew_if_needed() {
  if (!credentials_) return {};
  const auto response = BERTH_TRY(send(http::Method::get, "/auth/me", "", std::chrono::seconds(15)));
  return response.status == 401 ? renew() : Result<void>();
}

Result<void> ApiClient::renew() {
  const auto guard = BERTH_TRY(credentials_->lock());
  const auto stored = BERTH_TRY(credentials_->find(address_.url()));
  if (!stored) {
    return Error(ErrorCode::unauthenticated, "cli.signed_out",
                 {"尚未登录，请运行 berth login", "not signed in; run berth login"});
  }
  // Another command may have renewed it while this one waited for the lock.
  if (stored->access_token != token_) {
    token_ = stored->access_token;
    return {};
  }
  const auto response = BERTH_TRY(send(http::Method::post, "/auth/refresh",
                                       json::to_json(RefreshRequest{stored->refresh_token}), std::chrono::seconds(15)));
  if (response.status != 200) {
    return Error(ErrorCode::unauthenticated, "cli.signed_out",
                 {"登录已失效，请重新运行 berth login", "the login has run out; run berth login again"});
  }
  const auto answer = BERTH_TRY(json::from_json<RefreshAnswer>(response.body));
  token_ = answer.access_token;
  return credentials_->store(address_.url(), {stored->username, answer.access_token, answer.refresh_token});
}

Error error_of_answer(int status, const std::string& body, const std::vector<http::Header>& headers) {
  std::string words = fmt::format("HTTP {}", status);
  std::vector<FieldError> fields;
  if (const auto document = json::Document::parse(body)) {
    // Each contract has a name of its own for the words.
    for (const char* name : {"detail", "error"}) {
      if (const auto text = document->root()[name].string()) words = std::string(*text);
    }
    for (const auto& field : document->root()["errors"].elements()) {
      const auto message = field["message"].string_or("");
      fields.push_back({field["field"].string_or(""), {message, message}});
    }
  }
  Error error(code_of_status(status), "cli.refused", {words, words});
  if (!fields.empty()) error = std::move(error).with_fields(std::move(fields));
  if (const auto wait = retry_after(headers)) error = std::move(error).with_retry_after(*wait);
  return error;
}

}  // namespace berth::app
