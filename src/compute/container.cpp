#include "compute/container.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <tuple>
#include <utility>

#include "base/encoding.h"

namespace berth::compute {
namespace {

constexpr std::size_t kMost = 256;
constexpr std::size_t kLongestText = 64UL << 10U;
constexpr std::size_t kLongestPath = 4096;
constexpr std::size_t kLongestReference = 512;
constexpr std::size_t kLongestRegistry = 261;  // a host name of 255 bytes and a port

constexpr std::array<std::pair<RestartPolicy, std::string_view>, 4> kPolicies{{
    {RestartPolicy::no, "no"},
    {RestartPolicy::on_failure, "on-failure"},
    {RestartPolicy::always, "always"},
    {RestartPolicy::unless_stopped, "unless-stopped"},
}};

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return is_lower(c) || (c >= 'A' && c <= 'Z');
}

constexpr std::size_t kIdLength = 64;

/// Docker's rule for the names of containers, volumes and networks.
bool is_docker_name(std::string_view name) {
  if (name.size() < 2 || name.size() > 128 || !(is_letter(name.front()) || is_digit(name.front()))) return false;
  return std::ranges::all_of(name,
                             [](char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '.' || c == '-'; });
}

bool is_plain_text(std::string_view text) {
  return is_utf8(text) && text.find('\0') == std::string_view::npos;
}

/// Absolute, without empty, "." and ".." parts.
bool is_clean_path(std::string_view path) {
  if (!path.starts_with('/') || path.size() > kLongestPath || !is_plain_text(path)) return false;
  if (path == "/") return true;
  path.remove_prefix(1);
  for (;;) {
    const std::size_t end = path.find('/');
    const std::string_view part = path.substr(0, end);
    if (part.empty() || part == "." || part == "..") return false;
    if (end == std::string_view::npos) return true;
    path.remove_prefix(end + 1);
  }
}

/// Collects what is wrong, field by field.
class Complaints {
 public:
  void add(std::string field, Text message) { fields_.push_back({std::move(field), std::move(message)}); }
  void limit(std::string field, std::size_t count) {
    if (count > kMost) {
      add(std::move(field), {fmt::format("最多 {} 项", kMost), fmt::format("At most {} entries", kMost)});
    }
  }
  Result<void> result() && {
    if (fields_.empty()) return {};
    return Error(ErrorCode::invalid_argument, "container.settings", {"容器设置无效", "The settings are not valid"})
        .with_fields(std::move(fields_));
  }

 private:
  std::vector<FieldError> fields_;
};

void check_words(const std::vector<std::string>& words, const char* field, Complaints& complaints) {
  complaints.limit(field, words.size());
  std::size_t size = 0;
  for (const auto& word : words) size += word.size();
  if (size > kLongestText || !std::ranges::all_of(words, is_plain_text)) {
    complaints.add(field, {"必须是不含 NUL 的 UTF-8 文本，总长不超过 64 KiB",
                           "Must be UTF-8 text without NUL, 64 KiB in all at most"});
  }
}

void check_pairs(const std::map<std::string, std::string>& pairs, const char* field, Complaints& complaints) {
  complaints.limit(field, pairs.size());
  std::size_t size = 0;
  for (const auto& [key, value] : pairs) {
    size += key.size() + value.size();
    if (key.empty() || key.find('=') != std::string::npos || !is_plain_text(key) || !is_plain_text(value)) {
      complaints.add(fmt::format("{}.{}", field, is_plain_text(key) ? key : "?"),
                     {"名称不能为空或含 '='，名称与值不能含 NUL",
                      "A name must not be empty or contain '=', nor name or value a NUL"});
    }
  }
  if (size > kLongestText) complaints.add(field, {"总长不超过 64 KiB", "64 KiB in all at most"});
}

void check_ports(const std::vector<PublishedPort>& ports, Complaints& complaints) {
  complaints.limit("ports", ports.size());
  std::set<std::tuple<Protocol, std::uint16_t, std::string>> taken;
  for (const PublishedPort& port : ports) {
    if (port.container_port == 0 || port.host_port == 0) {
      complaints.add("ports", {"端口必须在 1 到 65535 之间", "A port must be from 1 to 65535"});
    }
    if (port.host_port && !taken.emplace(port.protocol, *port.host_port, port.host_address).second) {
      complaints.add("ports", {fmt::format("主机端口 {} 重复", *port.host_port),
                               fmt::format("Host port {} is published twice", *port.host_port)});
    }
  }
}

void check_mounts(const std::vector<Mount>& mounts, Complaints& complaints) {
  complaints.limit("mounts", mounts.size());
  std::set<std::string> targets;
  for (const Mount& mount : mounts) {
    if (!(mount.is_host_path() ? is_clean_path(mount.source) : is_docker_name(mount.source))) {
      complaints.add("mounts", {"来源必须是卷名，或不含 .. 的绝对路径",
                                "A source must be a volume's name, or an absolute path without .."});
    }
    if (!is_clean_path(mount.target) || mount.target == "/") {
      complaints.add("mounts", {"挂载点必须是不含 .. 的绝对路径，且不能是 /",
                                "A target must be an absolute path without .., and not /"});
    } else if (!targets.insert(mount.target).second) {
      complaints.add(
          "mounts", {fmt::format("挂载点 {} 重复", mount.target), fmt::format("{} is mounted on twice", mount.target)});
    }
  }
}

/// One part of an image's path: lower case letters and digits, parted by '.', '_', "__" or dashes.
bool is_path_component(std::string_view part) {
  const auto plain = [](char c) { return is_lower(c) || is_digit(c); };
  if (part.empty() || !plain(part.front()) || !plain(part.back())) return false;
  for (std::size_t i = 0; i < part.size(); ++i) {
    const char c = part[i];
    if (plain(c) || c == '-') continue;
    if (c != '.' && c != '_') return false;
    if (plain(part[i + 1])) continue;
    const bool two_underscores = c == '_' && part[i + 1] == '_' && plain(part[i + 2]);
    if (!two_underscores) return false;
    ++i;
  }
  return true;
}

bool is_registry(std::string_view part) {
  const std::size_t colon = part.rfind(':');
  if (colon != std::string_view::npos) {
    const std::string_view port = part.substr(colon + 1);
    if (port.empty() || port.size() > 5 || !std::ranges::all_of(port, is_digit)) return false;
    part = part.substr(0, colon);
  }
  const auto plain = [](char c) { return is_letter(c) || is_digit(c); };
  return !part.empty() && plain(part.front()) && plain(part.back()) && part.find("..") == std::string_view::npos &&
         std::ranges::all_of(part, [](char c) { return is_letter(c) || is_digit(c) || c == '.' || c == '-'; });
}

/// Whether the first of several parts of a reference is a registry and not a folder.
bool names_registry(std::string_view part) {
  return part == "localhost" || part.find_first_of(".:") != std::string_view::npos;
}

bool is_tag(std::string_view tag) {
  return !tag.empty() && tag.size() <= 128 && tag.front() != '.' && tag.front() != '-' &&
         std::ranges::all_of(tag,
                             [](char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '.' || c == '-'; });
}

bool is_digest(std::string_view digest) {
  return digest.size() == 71 && digest.starts_with("sha256:") &&
         std::ranges::all_of(digest.substr(7), [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
}

bool is_reference(std::string_view reference) {
  if (reference.empty() || reference.size() > kLongestReference) return false;
  if (const std::size_t at = reference.find('@'); at != std::string_view::npos) {
    if (!is_digest(reference.substr(at + 1))) return false;
    reference = reference.substr(0, at);
  }
  const std::size_t slash = reference.rfind('/');
  const std::size_t colon = reference.rfind(':');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    if (!is_tag(reference.substr(colon + 1))) return false;
    reference = reference.substr(0, colon);
  }
  bool first = true;
  for (;;) {
    const std::size_t end = reference.find('/');
    const std::string_view part = reference.substr(0, end);
    const bool registry = first && end != std::string_view::npos && is_registry(part) && names_registry(part);
    if (!registry && !is_path_component(part)) return false;
    if (end == std::string_view::npos) return true;
    reference.remove_prefix(end + 1);
    first = false;
  }
}

std::string in_lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return lower;
}

/// Docker Hub goes by several names.
std::string one_name(std::string registry) {
  for (const std::string_view other : {"index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"}) {
    if (registry == other) return std::string(kDefaultRegistry);
  }
  return registry;
}

Error named(std::string_view reason, std::string field, Text message) {
  return Error(ErrorCode::invalid_argument, reason, message).with_field(std::move(field), message);
}

}  // namespace

std::string_view name(RestartPolicy policy) {
  return kPolicies[static_cast<std::size_t>(policy)].second;
}
std::string_view name(Protocol protocol) {
  return protocol == Protocol::udp ? "udp" : "tcp";
}

std::optional<RestartPolicy> parse_restart_policy(std::string_view word) {
  for (const auto& [policy, text] : kPolicies) {
    if (text == word) return policy;
  }
  return std::nullopt;
}

std::optional<Protocol> parse_protocol(std::string_view word) {
  if (word == "tcp") return Protocol::tcp;
  if (word == "udp") return Protocol::udp;
  return std::nullopt;
}

Result<void> check_container_settings(const ContainerSettings& settings) {
  Complaints complaints;
  check_words(settings.command, "command", complaints);
  check_words(settings.entrypoint, "entrypoint", complaints);
  check_pairs(settings.environment, "environment", complaints);
  check_pairs(settings.labels, "labels", complaints);
  for (const auto& [key, value] : settings.labels) {
    if (key.starts_with(kReservedLabel)) {
      complaints.add("labels." + key, {"以 berth. 开头的标签是保留的", "Labels that begin with berth. are reserved"});
    }
  }
  check_ports(settings.ports, complaints);
  check_mounts(settings.mounts, complaints);
  complaints.limit("networks", settings.networks.size());
  if (!std::ranges::all_of(settings.networks, is_docker_name)) {
    complaints.add("networks", {"网络名称无效", "Not a network's name"});
  }
  if (!settings.working_directory.empty() && !is_clean_path(settings.working_directory)) {
    complaints.add("working_directory", {"必须是不含 .. 的绝对路径", "Must be an absolute path without .."});
  }
  if (settings.user.size() > 128 || !is_plain_text(settings.user)) {
    complaints.add("user", {"用户无效", "Not a user"});
  }
  if (!settings.hostname.empty() && (settings.hostname.size() > 63 || !is_docker_name(settings.hostname + "0"))) {
    complaints.add("hostname", {"主机名无效", "Not a host name"});
  }
  return std::move(complaints).result();
}

bool is_container_id(std::string_view text) {
  return text.size() == kIdLength && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Result<void> check_container_name(std::string_view name) {
  if (is_docker_name(name) && !is_container_id(name)) return {};
  return named("instance.name", "name",
               {"名称必须为 2 到 128 个字母、数字、_、. 或 -，以字母或数字开头",
                "A name is 2 to 128 letters, digits, '_', '.' or '-', beginning with a letter or digit"});
}

Result<void> check_image_reference(std::string_view reference) {
  if (is_reference(reference)) return {};
  return named(
      "instance.image", "image",
      {"镜像引用无效，应为 [仓库/]名称[:标签][@摘要]", "Not an image reference: [registry/]name[:tag][@digest]"});
}

std::string registry_of(std::string_view reference) {
  const std::size_t slash = reference.find('/');
  const std::string_view first = reference.substr(0, slash);
  if (slash == std::string_view::npos || !names_registry(first)) return std::string(kDefaultRegistry);
  return one_name(in_lower_case(first));
}

Result<std::string> parse_registry(std::string_view text) {
  std::string_view host = text;
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (!host.starts_with(scheme)) continue;
    host.remove_prefix(scheme.size());
    break;
  }
  // What `docker login` calls Docker Hub.
  for (const std::string_view path : {"/", "/v1", "/v1/", "/v2", "/v2/"}) {
    if (const std::size_t slash = host.find('/'); slash != std::string_view::npos && host.substr(slash) == path) {
      host = host.substr(0, slash);
    }
  }
  if (host.size() > kLongestRegistry || !is_registry(host) || !names_registry(host)) {
    return named("registry.name", "registry",
                 {"应为镜像仓库的主机名，可带端口，例如 docker.io 或 registry.example.com:5000",
                  "This must be a registry's host with or without a port, as docker.io or registry.example.com:5000"});
  }
  return one_name(in_lower_case(host));
}

std::string familiar_reference(std::string_view reference) {
  if (const std::size_t slash = reference.find('/'); slash != std::string_view::npos &&
                                                     names_registry(reference.substr(0, slash)) &&
                                                     registry_of(reference) == kDefaultRegistry) {
    reference.remove_prefix(slash + 1);
  }
  if (constexpr std::string_view kOfficial = "library/"; reference.starts_with(kOfficial)) {
    reference.remove_prefix(kOfficial.size());
  }
  const std::size_t slash = reference.rfind('/');
  const std::size_t mark = reference.find_first_of(":@", slash == std::string_view::npos ? 0 : slash);
  return std::string(reference) + (mark == std::string_view::npos ? ":latest" : "");
}

}  // namespace berth::compute
