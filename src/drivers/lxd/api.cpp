#include "drivers/lxd/api.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "compute/instance.h"

namespace berth::drivers::lxd {
namespace {

bool contains(std::string_view text, std::string_view part) {
  const auto same = [](char a, char b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return lower(a) == lower(b);
  };
  return std::search(text.begin(), text.end(), part.begin(), part.end(), same) != text.end();
}

template <std::size_t N>
bool contains_any(std::string_view text, const std::array<std::string_view, N>& parts) {
  return std::ranges::any_of(parts, [text](std::string_view part) { return contains(text, part); });
}

Error snapshot_not_found(const Subject& subject) {
  return Error(
      ErrorCode::not_found, "snapshot.not_found",
      {fmt::format("快照 {} 不存在", subject.snapshot), fmt::format("Snapshot {} does not exist", subject.snapshot)});
}

Error image_not_found(std::string_view name) {
  return Error(ErrorCode::not_found, "image.not_found",
               {fmt::format("镜像 {} 不存在", name), fmt::format("Image {} does not exist", name)});
}

Error missing(std::string_view words, const Subject& subject) {
  switch (subject.kind) {
    case Subject::Kind::instance:
      // A create is about an instance but may miss its image.
      if (contains(words, "image")) return image_not_found(subject.name);
      return compute::instance_not_found(subject.name);
    case Subject::Kind::snapshot:
      if (contains(words, "snapshot")) return snapshot_not_found(subject);
      return compute::instance_not_found(subject.name);
    case Subject::Kind::image:
      return image_not_found(subject.name);
    case Subject::Kind::operation:
      return Error(ErrorCode::not_found, "engine.operation_gone",
                   {"引擎已不再记录该操作", "The engine no longer knows the operation"});
    case Subject::Kind::engine:
      break;
  }
  return nonsense("not found: " + std::string(words));
}

Error taken(const Subject& subject) {
  if (subject.kind == Subject::Kind::snapshot) {
    return Error(
        ErrorCode::already_exists, "snapshot.exists",
        {fmt::format("快照 {} 已存在", subject.snapshot), fmt::format("Snapshot {} already exists", subject.snapshot)});
  }
  return Error(ErrorCode::already_exists, "instance.exists",
               {fmt::format("实例 {} 已存在", subject.name), fmt::format("Instance {} already exists", subject.name)});
}

Error unfit(std::string_view reason, Text message) {
  return Error(ErrorCode::conflict, reason, std::move(message));
}

/// Engine words may name files of the server; such words stay in the log.
bool may_be_shown(std::string_view words) {
  return words.size() < 300 && words.find('/') == std::string_view::npos && words.find('\n') == std::string_view::npos;
}

Error refused(ErrorCode code, std::string_view reason, std::string_view words) {
  if (!may_be_shown(words)) return Error(code, reason, {"引擎拒绝了该操作", "The engine refused"});
  return Error(code, reason,
               {fmt::format("引擎拒绝了该操作：{}", words), fmt::format("The engine refused: {}", words)});
}

constexpr std::string_view kAlreadyRunning = "already running";
constexpr std::string_view kAlreadyStopped = "already stopped";

}  // namespace

Error nonsense(std::string detail) {
  return Error(ErrorCode::internal, "engine.protocol", {"引擎的应答无法理解", "The engine's answer makes no sense"})
      .with_detail(std::move(detail));
}

Error cancelled() {
  return Error(ErrorCode::cancelled, "engine.cancelled", {"操作已取消", "The operation was cancelled"});
}

Error translate(const Error& transport) {
  switch (transport.code()) {
    case ErrorCode::unavailable:
    case ErrorCode::cancelled:
      return compute::engine_unavailable().with_detail(transport.describe());
    case ErrorCode::deadline_exceeded:
      return Error(ErrorCode::deadline_exceeded, "engine.timeout",
                   {"引擎未在限定时间内应答", "The engine did not answer in time"})
          .with_detail(transport.describe());
    default:
      return nonsense(transport.describe());
  }
}

Error translate(std::int64_t code, std::string_view words, const Subject& subject) {
  const auto finish = [&](Error error) {
    return std::move(error).with_detail(fmt::format("engine said {}: {}", code, words));
  };
  // Words come first: a failed operation carries 400 whatever went wrong.
  if (contains(words, kAlreadyRunning)) {
    return finish(unfit("instance.state", {"实例已在运行", "The instance is already running"}));
  }
  if (contains(words, kAlreadyStopped)) {
    return finish(unfit("instance.state", {"实例已停止", "The instance is already stopped"}));
  }
  if (contains_any<2>(words, {"busy running", "non-reusable operation"})) {
    return finish(unfit("instance.state", {"实例正忙于另一项操作", "The instance is busy with another operation"}));
  }
  if (contains_any<3>(words, {"not running", "isn't running", "is stopped"})) {
    return finish(unfit("instance.state", {"实例未在运行", "The instance is not running"}));
  }
  if (contains_any<3>(words, {"is running", "running container not allowed", "running instance not allowed"})) {
    return finish(unfit("instance.running", {"实例正在运行", "The instance is running"}));
  }
  if (contains_any<4>(words, {"already exists", "already in use", "already defined", "UNIQUE constraint"})) {
    return finish(taken(subject));
  }
  if (contains_any<4>(words, {"no space left", "disk quota exceeded", "cannot allocate memory", "limit exceeded"})) {
    return finish(Error(ErrorCode::exhausted, "engine.exhausted",
                        {"引擎的空间或配额已用尽", "The engine has no room or quota left"}));
  }
  if (contains(words, "image not provided")) return finish(image_not_found(subject.name));
  if (subject.kind == Subject::Kind::snapshot && contains(words, "does not exist")) {
    return finish(snapshot_not_found(subject));
  }
  if (contains_any<3>(words, {"instance not found", "snapshot not found", "image not found"})) {
    return finish(missing(words, subject));
  }
  switch (code) {
    case 400:
      return finish(refused(ErrorCode::invalid_argument, "engine.refused", words));
    case 401:
      if (subject.kind == Subject::Kind::operation) return finish(cancelled());
      [[fallthrough]];
    case 403:
      return finish(Error(ErrorCode::unavailable, "engine.unavailable",
                          {"引擎不信任本机的证书", "The engine does not trust this machine's certificate"}));
    case 404:
      return finish(missing(words, subject));
    case 409:
      return finish(refused(ErrorCode::conflict, "instance.state", words));
    case 412:
      return finish(
          unfit("engine.changed", {"实例同时被他人修改", "The instance was changed by someone else meanwhile"}));
    case 503:
      return finish(compute::engine_unavailable());
    default:
      break;
  }
  if (contains(words, "invalid")) return finish(refused(ErrorCode::invalid_argument, "engine.refused", words));
  return finish(refused(ErrorCode::internal, "engine.failed", words));
}

bool says_already_stopped(const Error& error) {
  return error.reason() == "instance.state" && contains(error.detail(), kAlreadyStopped);
}

std::string Answer::operation() const {
  const std::string_view path = document_.root()["operation"].string().value_or("");
  const std::string_view last = path.substr(path.rfind('/') + 1);
  return std::string(last.substr(0, last.find('?')));
}

Api::Api(http::Endpoint endpoint, std::string project)
    : endpoint_(std::move(endpoint)),
      project_(project.empty() ? "default" : std::move(project)),
      client_({.endpoint = endpoint_}) {}

std::string Api::target(std::string_view path) const {
  return fmt::format("/1.0{}{}project={}", path, path.find('?') == std::string_view::npos ? '?' : '&',
                     http::percent_encode(project_));
}

Result<Answer> Api::call(http::Method method, std::string_view path, const std::string& body, const Subject& subject,
                         Deadline deadline, const std::string& etag) {
  http::ClientRequest request{.method = method, .target = target(path), .headers = {}, .body = body};
  if (!body.empty()) request.headers.push_back({"Content-Type", "application/json"});
  if (!etag.empty()) request.headers.push_back({"If-Match", etag});
  auto response = client_.send(request, deadline);
  if (!response) return translate(response.error());

  auto document = json::Document::parse(response->body);
  if (!document) return nonsense(fmt::format("status {}: {}", response->status, document.error().describe()));
  const json::View root = document->root();
  const std::string_view type = root["type"].string().value_or("");
  if (type == "error") {
    const auto code = root["error_code"].integer().value_or(response->status);
    return translate(code, root["error"].string().value_or(""), subject);
  }
  if (type != "sync" && type != "async") return nonsense(fmt::format("an answer of type '{}'", type));
  if (response->status >= 300) return nonsense(fmt::format("status {} of type '{}'", response->status, type));

  std::string found;
  for (const auto& header : response->headers) {
    if (header.name == "ETag" || header.name == "Etag" || header.name == "etag") found = header.value;
  }
  Answer answer(std::move(*document), std::move(found));
  if (type == "async" && answer.operation().empty()) return nonsense("an async answer without operation");
  return answer;
}

bool is_path_part(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos;
}

Result<void> check_instance(const std::string& name) {
  if (compute::check_instance_name(name)) return {};
  return compute::instance_not_found(name);
}

std::string instance_path(std::string_view name) {
  return "/instances/" + http::percent_encode(name);
}

std::string snapshot_path(std::string_view instance, std::string_view snapshot) {
  return instance_path(instance) + "/snapshots/" + http::percent_encode(snapshot);
}

}  // namespace berth::drivers::lxd
