#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace berth::compute {

/// When the engine starts a container again by itself.
enum class RestartPolicy { no, on_failure, always, unless_stopped };
enum class Protocol { tcp, udp };

/// The engine's words ("unless-stopped", "tcp"); nothing if there is no such word.
std::string_view name(RestartPolicy policy);
std::string_view name(Protocol protocol);
std::optional<RestartPolicy> parse_restart_policy(std::string_view word);
std::optional<Protocol> parse_protocol(std::string_view word);

/// A port of a container that its server answers on.
struct PublishedPort {
  std::uint16_t container_port = 0;
  Protocol protocol = Protocol::tcp;
  std::optional<std::uint16_t> host_port = {};  ///< nothing: the engine chooses a free one
  std::string host_address = {};                ///< "" for every address
  bool operator==(const PublishedPort&) const = default;
};

/// A folder of a container that outlives it.
struct Mount {
  std::string source = {};  ///< a volume's name, or an absolute path of the server
  std::string target = {};  ///< absolute path in the container
  bool read_only = false;
  bool operator==(const Mount&) const = default;

  bool is_host_path() const { return source.starts_with('/'); }
};

/// What a container is made with beside its image, name and limits: complete, so that it can be made again
/// elsewhere. Empty means the image's own or the engine's default.
struct ContainerSettings {
  std::vector<std::string> command = {};     ///< argv
  std::vector<std::string> entrypoint = {};  ///< argv
  std::map<std::string, std::string> environment = {};
  std::vector<PublishedPort> ports = {};
  std::vector<Mount> mounts = {};
  std::vector<std::string> networks = {};
  RestartPolicy restart_policy = RestartPolicy::no;
  std::map<std::string, std::string> labels = {};  ///< without those that begin with kReservedLabel
  std::string working_directory = {};
  std::string user = {};  ///< "uid", "uid:gid" or names of the image
  std::string hostname = {};
  bool operator==(const ContainerSettings&) const = default;
};

/// Labels under which Berth keeps its own notes on a container.
inline constexpr std::string_view kReservedLabel = "berth.";

/// Ports above 0 and none published twice, mount targets absolute, distinct and without "..", sources a volume's
/// name or an absolute path, environment names without '=' or NUL, no reserved label, at most 256 of each and
/// 64 KiB of environment and labels. Errors: invalid_argument "container.settings"; each bad field is named as in the
/// struct ("ports", "mounts", "environment", …).
Result<void> check_container_settings(const ContainerSettings& settings);

/// Whether it is a container's full id, as Docker and Podman give them: 64 hexadecimal digits in lower case.
bool is_container_id(std::string_view text);

/// 2 to 128 letters, digits, '_', '.' and '-', beginning with a letter or digit: Docker's rule, bounded; and nothing
/// that could be an id. Errors: invalid_argument "instance.name" with the field "name".
Result<void> check_container_name(std::string_view name);

/// A reference of an image: [registry[:port]/]path[:tag][@digest], at most 512 bytes (the distribution
/// specification's grammar, in lower case but for the tag). Errors: invalid_argument "instance.image" with the field
/// "image".
Result<void> check_image_reference(std::string_view reference);

/// The registry of Docker's that a reference without another one means.
inline constexpr std::string_view kDefaultRegistry = "docker.io";

/// The registry that an image of that reference comes from: its first part where that has a dot or a port or is
/// "localhost", as Docker tells it apart from a path, in lower case; else kDefaultRegistry.
std::string registry_of(std::string_view reference);

/// A registry as references name it, host or host:port, in lower case; what people paste ("https://…/", Docker Hub's
/// other names) is understood. Errors: invalid_argument "registry.name" with the field "registry".
Result<std::string> parse_registry(std::string_view text);

/// A reference as engines show it: without Docker Hub's name, with the tag "latest" where it has neither tag nor
/// digest.
std::string familiar_reference(std::string_view reference);

/// A container as its engine knows it, with what it was made from.
struct ContainerDetail {
  std::string id;        ///< the engine's own
  std::string image;     ///< the reference it was made from
  std::string image_id;  ///< what that was then
  ContainerSettings settings;
  std::optional<int> exit_code;  ///< of the last run that ended
  std::string health;            ///< "healthy", "unhealthy", "starting"; "" without a check
  std::optional<Timestamp> started_at;
  std::optional<Timestamp> finished_at;
  std::uint32_t restarts = 0;
};

struct Volume {
  std::string name;
  std::map<std::string, std::string> labels;
  std::optional<Timestamp> created_at;
};

struct ContainerNetwork {
  std::string name;
  std::string driver;
  bool built_in = false;  ///< the engine's own, which cannot be removed
};

}  // namespace berth::compute
