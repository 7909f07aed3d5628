#include "drivers/docker/words.h"

#include <fmt/format.h>

#include <algorithm>

#include "compute/instance.h"
#include "drivers/docker/api.h"

namespace berth::drivers::docker {
namespace {

constexpr std::size_t kLongestShown = 500;

Error image_not_found(std::string_view name) {
  return Error(ErrorCode::not_found, "image.not_found",
               {fmt::format("镜像 {} 不存在", name), fmt::format("Image {} does not exist", name)});
}

Error state(Text message) {
  return Error(ErrorCode::conflict, "instance.state", std::move(message));
}

/// Engine words may name files of the server; such words stay in the log.
Error refused(ErrorCode code, std::string_view reason, std::string_view words) {
  if (words.empty() || words.size() > 300 || words.find('/') != std::string_view::npos) {
    return Error(code, reason, {"引擎拒绝了该操作", "The engine refused"});
  }
  return Error(
      code, reason,
      {fmt::format("引擎拒绝了该操作：{}", shown(words)), fmt::format("The engine refused: {}", shown(words))});
}

/// Of a pull people are told the engine's reason: what a registry said is nobody's secret.
Error translate_pull(int status, std::string_view words, const Subject& subject) {
  const std::string reason = shown(words);
  const auto told = [&](ErrorCode code, std::string_view id, std::string_view zh, std::string_view en) {
    return Error(code, id,
                 {fmt::format("拉取镜像 {} 失败（{}）：{}", subject.name, zh, reason),
                  fmt::format("Image {} could not be pulled ({}): {}", subject.name, en, reason)});
  };
  const bool ambiguous = contains(words, "repository does not exist or may require");
  if ((ambiguous && !subject.credentials) ||
      contains_any(words, {"manifest unknown", "not found: manifest", "name unknown", "repository name not known",
                           "no matching manifest", "manifest for "})) {
    return told(ErrorCode::not_found, "image.not_found", "镜像不存在", "there is no such image");
  }
  if (ambiguous || contains_any(words, {"unauthorized", "access denied", "denied:", "authentication required",
                                        "no basic auth credentials", "forbidden", "incorrect username or password"})) {
    return told(ErrorCode::permission_denied, "registry.denied", "镜像仓库拒绝访问", "the registry denies access");
  }
  if (contains_any(words, {"no space left", "disk quota exceeded"})) {
    return Error(ErrorCode::exhausted, "engine.exhausted", {"引擎的空间已用尽", "The engine has no room left"});
  }
  if (status == 400 && contains_any(words, {"invalid reference", "invalid tag", "invalid repository"})) {
    return told(ErrorCode::invalid_argument, "instance.image", "镜像名称无效", "not an image's name");
  }
  if (status == 404) return told(ErrorCode::not_found, "image.not_found", "镜像不存在", "there is no such image");
  return told(ErrorCode::unavailable, "registry.unavailable", "镜像仓库不可用", "the registry does not serve it");
}

Error missing(std::string_view words, const Subject& subject) {
  // A call about a container may miss its image, a volume or a network.
  if (contains(words, "no such image")) return image_not_found(subject.name);
  if (contains(words, "network") && contains(words, "not found")) {
    return Error(ErrorCode::not_found, "network.not_found", {"网络不存在", "The network does not exist"});
  }
  if (contains(words, "sandbox")) {
    return state({"引擎丢失了该容器的网络，请停止后重试",
                  "The engine lost track of the container's network; stop the container first"});
  }
  switch (subject.kind) {
    case Subject::Kind::container:
      return compute::instance_not_found(subject.name);
    case Subject::Kind::path:
      if (contains(words, "no such container")) return compute::instance_not_found(subject.name);
      return Error(ErrorCode::not_found, "archive.path",
                   {fmt::format("容器中没有路径 {}", subject.path),
                    fmt::format("There is no path {} in the container", subject.path)});
    case Subject::Kind::image:
    case Subject::Kind::pull:
      return image_not_found(subject.name);
    case Subject::Kind::volume:
      return Error(ErrorCode::not_found, "volume.not_found",
                   {fmt::format("卷 {} 不存在", subject.name), fmt::format("Volume {} does not exist", subject.name)});
    case Subject::Kind::network:
      return Error(
          ErrorCode::not_found, "network.not_found",
          {fmt::format("网络 {} 不存在", subject.name), fmt::format("Network {} does not exist", subject.name)});
    case Subject::Kind::exec:
      return state({"命令已不存在", "The command is gone"});
    case Subject::Kind::engine:
      break;
  }
  return nonsense("not found: " + std::string(words));
}

Error conflict(std::string_view words, const Subject& subject) {
  if (contains(words, "is already in use by") || contains(words, "already exists")) {
    if (subject.kind == Subject::Kind::network) {
      return Error(
          ErrorCode::already_exists, "network.exists",
          {fmt::format("网络 {} 已存在", subject.name), fmt::format("Network {} already exists", subject.name)});
    }
    return Error(
        ErrorCode::already_exists, "instance.exists",
        {fmt::format("容器 {} 已存在", subject.name), fmt::format("Container {} already exists", subject.name)});
  }
  if (contains_any(words, {"cannot remove a running", "cannot remove a paused", "container is running",
                           "cannot be removed without force"})) {
    return Error(ErrorCode::conflict, "instance.running", {"容器正在运行", "The container is running"});
  }
  switch (subject.kind) {
    case Subject::Kind::image:
      return Error(ErrorCode::conflict, "image.in_use", {"镜像正在使用", "The image is in use"});
    case Subject::Kind::volume:
      return Error(ErrorCode::conflict, "volume.in_use", {"卷正在使用", "The volume is in use"});
    case Subject::Kind::network:
      return Error(ErrorCode::conflict, "network.in_use", {"网络正在使用", "The network is in use"});
    default:
      break;
  }
  if (contains_any(words, {"not running", "container state improper"}))
    return state({"容器未在运行", "The container is not running"});
  if (contains(words, "is paused") || contains(words, "paused container")) {
    return state({"容器已暂停", "The container is paused"});
  }
  return refused(ErrorCode::conflict, "instance.state", words);
}

}  // namespace

bool contains(std::string_view text, std::string_view part) {
  const auto same = [](char a, char b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return lower(a) == lower(b);
  };
  return std::search(text.begin(), text.end(), part.begin(), part.end(), same) != text.end();
}

bool contains_any(std::string_view text, std::initializer_list<std::string_view> parts) {
  return std::ranges::any_of(parts, [text](std::string_view part) { return contains(text, part); });
}

std::string shown(std::string_view words) {
  std::size_t end = std::min(words.size(), kLongestShown);
  // Not in the middle of a character.
  while (end > 0 && end < words.size() && (static_cast<unsigned char>(words[end]) & 0xc0U) == 0x80U) --end;
  std::string text(words.substr(0, end));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = ' ';
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

Error nonsense(std::string detail) {
  return Error(ErrorCode::internal, "engine.protocol", {"引擎的应答无法理解", "The engine's answer makes no sense"})
      .with_detail(std::move(detail));
}

Error cancelled() {
  return Error(ErrorCode::cancelled, "engine.cancelled", {"操作已取消", "The operation was cancelled"});
}

Error timed_out() {
  return Error(ErrorCode::deadline_exceeded, "engine.timeout",
               {"引擎未在限定时间内应答", "The engine did not answer in time"});
}

Error unsupported(Text message) {
  return Error(ErrorCode::unsupported, "engine.unsupported", std::move(message));
}

Error translate(const Error& transport) {
  if (transport.reason() == "http.cancelled") return cancelled();
  if (transport.reason() == "http.file") return transport;
  switch (transport.code()) {
    case ErrorCode::unavailable:
    case ErrorCode::cancelled:
      return compute::engine_unavailable().with_detail(transport.describe());
    case ErrorCode::deadline_exceeded:
      return timed_out().with_detail(transport.describe());
    case ErrorCode::exhausted:
      return transport;
    default:
      return nonsense(transport.describe());
  }
}

Error translate(int status, std::string_view words, const Subject& subject) {
  const auto finish = [&](Error error) {
    return std::move(error).with_detail(fmt::format("engine said {}: {}", status, shown(words)));
  };
  if (subject.kind == Subject::Kind::pull) return finish(translate_pull(status, words, subject));
  // Words come first: many failures are 500, whatever went wrong.
  if (contains_any(
          words, {"no space left", "disk quota exceeded", "cannot allocate memory", "all predefined address pools"})) {
    return finish(Error(ErrorCode::exhausted, "engine.exhausted",
                        {"引擎的空间或配额已用尽", "The engine has no room or quota left"}));
  }
  if (contains(words, "storage-opt")) {
    return finish(unsupported(
        {"该引擎的存储不能限制容器的磁盘大小", "The storage of this engine cannot limit the disk of a container"}));
  }
  if (contains_any(words, {"port is already allocated", "address already in use"})) {
    return finish(Error(ErrorCode::conflict, "instance.port", {"主机端口已被占用", "A host port is taken already"}));
  }
  if (subject.kind == Subject::Kind::image && contains_any(words, {"invalid tar header", "processing tar file"})) {
    return finish(
        Error(ErrorCode::invalid_argument, "image.archive", {"不是完整的 tar 归档", "This is no whole tar archive"}));
  }
  if (contains(words, "extraction point is not a directory")) return finish(missing("not a directory", subject));
  // Podman says these with status 500.
  if (contains_any(words, {"is already paused", "is not paused", "is not running", "cannot start a paused",
                           "is already in use by", "container state improper", "cannot be removed without force"})) {
    return finish(conflict(words, subject));
  }
  switch (status) {
    case 400:
      return finish(refused(ErrorCode::invalid_argument, "engine.refused", words));
    case 401:
      return finish(Error(ErrorCode::unavailable, "engine.unavailable",
                          {"引擎不信任本机的证书", "The engine does not trust this machine's certificate"}));
    case 403:
      if (contains(words, "active endpoints")) return finish(conflict(words, subject));
      if (contains(words, "pre-defined network")) {
        return finish(Error(ErrorCode::conflict, "network.built_in",
                            {"引擎自带的网络不能删除", "A network of the engine's own cannot be removed"}));
      }
      return finish(refused(ErrorCode::conflict, "engine.refused", words));
    case 404:
      return finish(missing(words, subject));
    case 409:
      return finish(conflict(words, subject));
    case 501:
      return finish(unsupported({"该引擎不支持此操作", "This engine cannot do that"}));
    case 503:
      return finish(compute::engine_unavailable());
    default:
      break;
  }
  return finish(refused(ErrorCode::internal, "engine.failed", words));
}

}  // namespace berth::drivers::docker
