#include "drivers/docker/api.h"

#include <fmt/format.h>

#include <charconv>

#include "compute/container.h"
#include "compute/instance.h"
#include "drivers/docker/words.h"

namespace berth::drivers::docker {
namespace {

constexpr std::chrono::milliseconds kVersionTime{10'000};
/// As many as there may be readers of containers, so that they need no new ones for each read.
constexpr std::size_t kIdleConnections = 256;

/// The engine's words in an answer of failure: {"message":…} of Docker's, also {"cause":…} of Podman's.
std::string words_of(const std::string& body) {
  const auto document = json::Document::parse(body);
  if (!document) return body.substr(0, 500);
  return document->root()["message"].string_or(document->root()["cause"].string_or(body.substr(0, 500)));
}

std::string uname_word(std::string_view go_word) {
  if (go_word == "amd64") return "x86_64";
  if (go_word == "arm64") return "aarch64";
  if (go_word == "386") return "i686";
  return std::string(go_word);
}

std::pair<int, int> parse_version(std::string_view text) {
  std::pair<int, int> version{0, 0};
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [point, failure] = std::from_chars(begin, end, version.first);
  if (failure == std::errc() && point != end && *point == '.') std::from_chars(point + 1, end, version.second);
  return version;
}

}  // namespace

int compare_versions(std::string_view a, std::string_view b) {
  const auto left = parse_version(a);
  const auto right = parse_version(b);
  return left < right ? -1 : left > right ? 1 : 0;
}

Result<ServerVersion> decode_version(json::View version) {
  const auto theirs = version["ApiVersion"].string();
  if (!theirs || parse_version(*theirs).first == 0) return nonsense("an engine without a version of its API");
  const std::string oldest = version["MinAPIVersion"].string_or(*theirs);
  if (compare_versions(*theirs, kOldestApi) < 0 || compare_versions(oldest, kNewestApi) > 0) {
    return Error(
        ErrorCode::unsupported, "engine.version",
        {fmt::format("引擎的 API 版本为 {} 至 {}，不受支持", oldest, *theirs),
         fmt::format("The engine speaks versions {} to {} of its API, which are not supported", oldest, *theirs)});
  }
  ServerVersion server;
  server.product = "Docker";
  for (const auto& component : version["Components"].elements()) {
    if (contains(component["Name"].string().value_or(""), "podman")) server.product = "Podman";
  }
  server.version = version["Version"].string_or("");
  server.api = compare_versions(*theirs, kNewestApi) < 0 ? std::string(*theirs) : std::string(kNewestApi);
  server.architecture = uname_word(version["Arch"].string().value_or(""));
  return server;
}

Api::Api(http::Endpoint endpoint, std::shared_ptr<Link> link)
    : endpoint_(std::move(endpoint)),
      link_(std::move(link)),
      client_({.endpoint = endpoint_, .idle_connections = kIdleConnections}) {}

void Api::stop() {
  stopping_.request_stop();
  client_.stop();
}

Result<void> Api::reach(Deadline deadline) {
  if (!link_) return {};
  return link_->wait(deadline, stopping_.get_token());
}

Error Api::failed(const Error& transport) {
  {
    // Whoever answers next may be another version.
    const std::lock_guard lock(mutex_);
    version_.reset();
    default_network_.clear();
  }
  const bool broken = transport.code() == ErrorCode::unavailable || transport.reason() == "http.protocol";
  if (link_ && broken) {
    if (auto trouble = link_->trouble()) return *trouble;
  }
  return translate(transport);
}

Result<ServerVersion> Api::version(Deadline deadline) {
  {
    const std::lock_guard lock(mutex_);
    if (version_) return *version_;
  }
  return ask_version(deadline.sooner(kVersionTime));
}

Result<ServerVersion> Api::ask_version(Deadline deadline) {
  BERTH_CHECK(reach(deadline));
  const auto response =
      client_.send({.method = http::Method::get, .target = "/version", .headers = {}, .body = {}}, deadline);
  if (!response) return failed(response.error());
  if (response->status != 200) return translate(response->status, words_of(response->body), {});
  const auto document = json::Document::parse(response->body);
  if (!document) return nonsense("version: " + document.error().describe());
  ServerVersion version = BERTH_TRY(decode_version(document->root()));
  const std::lock_guard lock(mutex_);
  version_ = version;
  return version;
}

Result<std::string> Api::target(std::string_view path, Deadline deadline) {
  BERTH_CHECK(reach(deadline));
  return "/v" + BERTH_TRY(version(deadline)).api + std::string(path);
}

Result<json::Document> Api::call(http::Method method, std::string_view path, const std::string& body,
                                 const Subject& subject, Deadline deadline, const std::vector<http::Header>& headers) {
  http::ClientRequest request{
      .method = method, .target = BERTH_TRY(target(path, deadline)), .headers = headers, .body = body};
  if (!body.empty()) request.headers.push_back({"Content-Type", "application/json"});
  const auto response = client_.send(request, deadline);
  if (!response) return failed(response.error());
  const bool unchanged = response->status == 304;
  if (!unchanged && (response->status < 200 || response->status > 299)) {
    return translate(response->status, words_of(response->body), subject);
  }
  auto document = json::Document::parse(response->body.empty() ? "null" : response->body);
  if (!document) return nonsense(fmt::format("status {}: {}", response->status, document.error().describe()));
  return std::move(*document);
}

Result<void> Api::download(std::string_view path, const std::string& file, const Subject& subject,
                           const http::Client::Progress& progress, Deadline deadline) {
  const http::ClientRequest request{
      .method = http::Method::get, .target = BERTH_TRY(target(path, deadline)), .headers = {}, .body = {}};
  const auto response = client_.download(request, file, deadline, progress);
  if (!response) return failed(response.error());
  if (response->status < 200 || response->status > 299) {
    return translate(response->status, words_of(response->body), subject);
  }
  return {};
}

Result<std::string> Api::upload(http::Method method, std::string_view path, const std::string& file,
                                const Subject& subject, const http::Client::Progress& progress, Deadline deadline) {
  const http::ClientRequest request{.method = method,
                                    .target = BERTH_TRY(target(path, deadline)),
                                    .headers = {{"Content-Type", "application/x-tar"}},
                                    .body = {}};
  const auto response = client_.upload(request, file, deadline, progress);
  if (!response) return failed(response.error());
  if (response->status < 200 || response->status > 299) {
    return translate(response->status, words_of(response->body), subject);
  }
  return response->body;
}

Result<std::shared_ptr<http::StreamClient::Stream>> Api::open(http::StreamClient& client, http::Method method,
                                                              std::string_view path, const std::string& body,
                                                              bool upgrade,
                                                              std::shared_ptr<http::StreamHandler> handler,
                                                              const Subject& subject, Deadline deadline,
                                                              std::vector<http::Header> headers) {
  http::ClientRequest request{
      .method = method, .target = BERTH_TRY(target(path, deadline)), .headers = std::move(headers), .body = body};
  if (!body.empty()) request.headers.push_back({"Content-Type", "application/json"});
  if (upgrade) {
    request.headers.push_back({"Connection", "Upgrade"});
    request.headers.push_back({"Upgrade", "tcp"});
  }
  auto opened = client.open(endpoint_, request, std::move(handler), deadline);
  if (!opened) return failed(opened.error());
  if (opened->stream == nullptr) return translate(opened->answer.status, words_of(opened->answer.body), subject);
  if (upgrade && opened->answer.status != 101) return nonsense("an engine that does not upgrade");
  return std::move(opened->stream);
}

Result<std::string> Api::default_network(Deadline deadline) {
  {
    const std::lock_guard lock(mutex_);
    if (!default_network_.empty()) return default_network_;
  }
  const auto document = BERTH_TRY(get("/networks", {}, deadline));
  std::string found = "none";
  for (const auto network : document.root().elements()) {
    const auto name = network["Name"].string();
    if (name == "bridge" || name == "podman") found = "default";
  }
  const std::lock_guard lock(mutex_);
  return default_network_ = found;
}

std::string path_of_container(std::string_view name) {
  return "/containers/" + http::percent_encode(name);
}

Result<std::string> Api::container_path(const std::string& name, Deadline deadline) {
  if (compute::is_container_id(name)) return path_of_container(name);
  // Whatever could not be a name is nobody's, and would lead astray in a path ("..").
  if (!compute::check_container_name(name)) return compute::instance_not_found(name);
  if (name.find_first_not_of("0123456789abcdef") != std::string::npos) return path_of_container(name);
  const auto document = BERTH_TRY(get(path_of_container(name) + "/json", Subject::of_container(name), deadline));
  if (document.root()["Name"].string() != "/" + name) return compute::instance_not_found(name);
  return path_of_container(document.root()["Id"].string().value_or(""));
}

}  // namespace berth::drivers::docker
