#include "drivers/docker/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "drivers/docker/api.h"
#include "drivers/docker/decode.h"
#include "json/write.h"

namespace berth::drivers::docker {
namespace {

using compute::ContainerSettings;
using StringMap = std::map<std::string, std::string>;

constexpr std::int64_t kCpuPeriod = 100'000;  // microseconds
/// Docker cannot take a limit of memory away; one beyond every machine comes to the same.
constexpr std::int64_t kNoMemoryLimit = 2LL << 50;

// The engine's names, as they go over the wire.
struct Nothing {};
BOOST_DESCRIBE_STRUCT(Nothing, (), ())

struct PortBinding {
  std::string HostIp;
  std::string HostPort;
};
BOOST_DESCRIBE_STRUCT(PortBinding, (), (HostIp, HostPort))

struct MountPoint {
  std::string Type;
  std::string Source;
  std::string Target;
  bool ReadOnly = false;
};
BOOST_DESCRIBE_STRUCT(MountPoint, (), (Type, Source, Target, ReadOnly))

struct Restart {
  std::string Name;
};
BOOST_DESCRIBE_STRUCT(Restart, (), (Name))

struct RestartUpdate {
  Restart RestartPolicy;
};
BOOST_DESCRIBE_STRUCT(RestartUpdate, (), (RestartPolicy))

using Integer = std::optional<std::optional<std::int64_t>>;

struct HostSettings {
  Integer CpuPeriod;
  Integer CpuQuota;
  Integer Memory;
  Integer MemorySwap;
  std::optional<StringMap> StorageOpt;
  std::map<std::string, std::vector<PortBinding>> PortBindings;
  std::vector<MountPoint> Mounts;
  std::string NetworkMode;
  Restart RestartPolicy;
};
BOOST_DESCRIBE_STRUCT(HostSettings, (),
                      (CpuPeriod, CpuQuota, Memory, MemorySwap, StorageOpt, PortBindings, Mounts, NetworkMode,
                       RestartPolicy))

struct Creation {
  std::string Image;
  std::string Hostname;
  std::string User;
  std::string WorkingDir;
  std::optional<std::vector<std::string>> Cmd;
  std::optional<std::vector<std::string>> Entrypoint;
  std::vector<std::string> Env;
  StringMap Labels;
  std::map<std::string, Nothing> ExposedPorts;
  /// A console finds somebody who listens, and a shell without a terminal waits instead of ending at once.
  bool OpenStdin = true;
  HostSettings HostConfig;
};
BOOST_DESCRIBE_STRUCT(Creation, (),
                      (Image, Hostname, User, WorkingDir, Cmd, Entrypoint, Env, Labels, ExposedPorts, OpenStdin,
                       HostConfig))

struct Update {
  Integer CpuPeriod;
  Integer CpuQuota;
  Integer NanoCpus;
  Integer Memory;
  Integer MemorySwap;
};
BOOST_DESCRIBE_STRUCT(Update, (), (CpuPeriod, CpuQuota, NanoCpus, Memory, MemorySwap))

std::int64_t quota_of(double cpus) {
  return std::llround(cpus * static_cast<double>(kCpuPeriod));
}

std::string write_port(std::uint16_t port, compute::Protocol protocol) {
  return fmt::format("{}/{}", port, compute::name(protocol));
}

std::optional<std::vector<std::string>> unless_empty(const std::vector<std::string>& words) {
  if (words.empty()) return std::nullopt;
  return words;
}

void write_container(const ContainerSettings& settings, Creation& body) {
  body.Hostname = settings.hostname;
  body.User = settings.user;
  body.WorkingDir = settings.working_directory;
  body.Cmd = unless_empty(settings.command);
  body.Entrypoint = unless_empty(settings.entrypoint);
  for (const auto& [name, value] : settings.environment) body.Env.push_back(name + "=" + value);
  body.Labels = settings.labels;
  HostSettings& host = body.HostConfig;
  for (const auto& port : settings.ports) {
    const std::string inside = write_port(port.container_port, port.protocol);
    body.ExposedPorts.try_emplace(inside);
    host.PortBindings[inside].push_back(
        {.HostIp = port.host_address, .HostPort = port.host_port ? std::to_string(*port.host_port) : ""});
  }
  for (const auto& mount : settings.mounts) {
    host.Mounts.push_back({.Type = mount.is_host_path() ? "bind" : "volume",
                           .Source = mount.source,
                           .Target = mount.target,
                           .ReadOnly = mount.read_only});
  }
  if (!settings.networks.empty()) host.NetworkMode = settings.networks.front();
  host.RestartPolicy.Name = compute::name(settings.restart_policy);
}

std::vector<std::string> words_of(json::View list) {
  std::vector<std::string> words;
  for (const auto word : list.elements()) words.push_back(word.string_or(""));
  return words;
}

StringMap pairs_of(json::View object) {
  StringMap pairs;
  for (const auto& [key, value] : object.members()) pairs.emplace(key, value.string_or(""));
  return pairs;
}

StringMap environment_of(json::View list) {
  StringMap environment;
  for (const auto entry : list.elements()) {
    const std::string_view text = entry.string().value_or("");
    const std::size_t sign = text.find('=');
    if (sign == 0 || sign == std::string_view::npos) continue;
    environment.insert_or_assign(std::string(text.substr(0, sign)), std::string(text.substr(sign + 1)));
  }
  return environment;
}

/// What is in `all` but not in the image's.
StringMap beyond(StringMap all, const StringMap& image) {
  std::erase_if(all, [&](const auto& entry) {
    const auto same = image.find(entry.first);
    return same != image.end() && same->second == entry.second;
  });
  return all;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (failure != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

std::vector<compute::PublishedPort> decode_ports(json::View bindings) {
  std::vector<compute::PublishedPort> ports;
  for (const auto& [inside, hosts] : bindings.members()) {
    const std::size_t slash = inside.find('/');
    const auto port = parse_port(inside.substr(0, slash));
    const auto protocol =
        slash == std::string_view::npos ? compute::Protocol::tcp : compute::parse_protocol(inside.substr(slash + 1));
    if (!port || !protocol) continue;  // a range, or SCTP: nobody here made that
    for (const auto host : hosts.elements()) {
      ports.push_back({.container_port = *port,
                       .protocol = *protocol,
                       .host_port = parse_port(host["HostPort"].string().value_or("")),
                       .host_address = host["HostIp"].string_or("")});
    }
  }
  return ports;
}

std::vector<compute::Mount> decode_mounts(json::View mounts) {
  std::vector<compute::Mount> decoded;
  for (const auto mount : mounts.elements()) {
    const auto type = mount["Type"].string();
    if (type != "volume" && type != "bind") continue;  // what is in memory only
    decoded.push_back({.source = mount[type == "volume" ? "Name" : "Source"].string_or(""),
                       .target = mount["Destination"].string_or(""),
                       .read_only = !mount["RW"].boolean().value_or(true)});
  }
  std::ranges::sort(decoded, {}, &compute::Mount::target);
  return decoded;
}

/// The network of the mode comes first, as it was wished first; of the engine's default nothing is said.
std::vector<std::string> decode_networks(json::View container) {
  const std::string mode = container["HostConfig"]["NetworkMode"].string_or("default");
  if (mode.starts_with("container:")) return {};
  const bool by_default =
      mode == "default" || mode.empty() || container["Config"]["Labels"][kDefaultNetworkLabel].string() == mode;
  std::vector<std::string> networks;
  if (!by_default) networks.push_back(mode);
  for (const auto& [name, settings] : container["NetworkSettings"]["Networks"].members()) {
    if (name == mode || (by_default && (name == "bridge" || name == "none" || name == "podman"))) continue;
    networks.emplace_back(name);
  }
  // One more than the default: then the default counts as wished too.
  if (by_default && !networks.empty()) networks.insert(networks.begin(), mode == "none" ? mode : "bridge");
  return networks;
}

/// Docker names a container after the beginning of its id, or as its machine where it shares the network.
std::string decode_hostname(json::View container) {
  const std::string hostname = container["Config"]["Hostname"].string_or("");
  const std::string_view id = container["Id"].string().value_or("");
  if (!hostname.empty() && id.starts_with(hostname)) return {};
  return container["HostConfig"]["NetworkMode"].string() == "host" ? "" : hostname;
}

std::optional<Timestamp> past(json::View text) {
  const auto time = parse_timestamp(text.string().value_or(""));
  if (!time || time->time_since_epoch().count() <= 0) return std::nullopt;
  return *time;
}

}  // namespace

std::string write_creation(const compute::NewInstance& wish, const std::string& creation,
                           const std::string& default_network) {
  Creation body;
  body.Image = wish.image;
  if (wish.container) write_container(*wish.container, body);
  body.Labels[std::string(kCreationLabel)] = creation;
  if (!wish.owner.empty()) body.Labels[std::string(kOwnerLabel)] = wish.owner;
  if (!wish.description.empty()) body.Labels[std::string(kDescriptionLabel)] = wish.description;
  HostSettings& host = body.HostConfig;
  if (host.NetworkMode.empty()) {
    host.NetworkMode = default_network;
    body.Labels[std::string(kDefaultNetworkLabel)] = default_network;
  }
  if (wish.limits.cpus) {
    // Not NanoCpus, which Docker cannot take away again.
    host.CpuPeriod = kCpuPeriod;
    host.CpuQuota = quota_of(*wish.limits.cpus);
  }
  if (wish.limits.memory_bytes) {
    host.Memory = static_cast<std::int64_t>(*wish.limits.memory_bytes);
    host.MemorySwap = 2 * static_cast<std::int64_t>(*wish.limits.memory_bytes);
  }
  if (wish.limits.disk_bytes) host.StorageOpt = StringMap{{"size", std::to_string(*wish.limits.disk_bytes)}};
  return json::to_json(body);
}

std::string write_restart_policy(compute::RestartPolicy policy) {
  return json::to_json(RestartUpdate{{std::string(compute::name(policy))}});
}

Result<std::string> write_update(const compute::InstanceChange& change, json::View host) {
  const compute::InstanceLimits present = decode_limits(host);
  if (change.disk_bytes && *change.disk_bytes != present.disk_bytes) {
    return unsupported(
        {"Docker 不能修改现有容器的磁盘大小", "Docker cannot change the disk of a container that exists"});
  }
  Update body;
  bool any = false;
  if (change.cpus && *change.cpus != present.cpus) {
    any = true;
    if (host["NanoCpus"].integer().value_or(0) > 0) {
      if (!*change.cpus) {
        return unsupported(
            {"该容器的 CPU 限制只能修改，不能取消", "The CPU limit of this container can only be changed"});
      }
      body.NanoCpus = std::llround(**change.cpus * 1e9);
    } else if (*change.cpus) {
      body.CpuPeriod = kCpuPeriod;
      body.CpuQuota = quota_of(**change.cpus);
    } else {
      body.CpuQuota = -1;
    }
  }
  if (change.memory_bytes && *change.memory_bytes != present.memory_bytes) {
    any = true;
    const auto wished = *change.memory_bytes;
    body.Memory = wished ? static_cast<std::int64_t>(*wished) : kNoMemoryLimit;
    body.MemorySwap = wished ? 2 * static_cast<std::int64_t>(*wished) : kNoMemoryLimit;
  }
  return any ? json::to_json(body) : std::string();
}

compute::InstanceLimits decode_limits(json::View host) {
  compute::InstanceLimits limits;
  const std::int64_t nano = host["NanoCpus"].integer().value_or(0);
  const std::int64_t quota = host["CpuQuota"].integer().value_or(0);
  const std::int64_t period = host["CpuPeriod"].integer().value_or(0);
  if (nano > 0) {
    limits.cpus = static_cast<double>(nano) / 1e9;
  } else if (quota > 0) {
    limits.cpus = static_cast<double>(quota) / static_cast<double>(period > 0 ? period : kCpuPeriod);
  }
  const auto memory = host["Memory"].integer().value_or(0);
  if (memory > 0 && static_cast<std::uint64_t>(memory) <= compute::kMaximumBytes) {
    limits.memory_bytes = static_cast<std::uint64_t>(memory);
  }
  if (const auto size = host["StorageOpt"]["size"].string()) {
    std::uint64_t bytes = 0;
    const auto [end, failure] = std::from_chars(size->data(), size->data() + size->size(), bytes);
    if (failure == std::errc() && end == size->data() + size->size() && bytes > 0) limits.disk_bytes = bytes;
  }
  return limits;
}

ContainerSettings decode_settings(json::View container, json::View image) {
  const json::View config = container["Config"];
  const json::View host = container["HostConfig"];
  const json::View own = image["Config"];
  ContainerSettings settings;
  settings.entrypoint = words_of(config["Entrypoint"]);
  settings.command = words_of(config["Cmd"]);
  // With an entrypoint of its own a container has no command of the image's.
  if (settings.entrypoint == words_of(own["Entrypoint"])) {
    settings.entrypoint.clear();
    if (settings.command == words_of(own["Cmd"])) settings.command.clear();
  }
  settings.environment = beyond(environment_of(config["Env"]), environment_of(own["Env"]));
  settings.labels = beyond(pairs_of(config["Labels"]), pairs_of(own["Labels"]));
  std::erase_if(settings.labels, [](const auto& label) { return label.first.starts_with(compute::kReservedLabel); });
  settings.ports = decode_ports(host["PortBindings"]);
  settings.mounts = decode_mounts(container["Mounts"]);
  settings.networks = decode_networks(container);
  settings.restart_policy = compute::parse_restart_policy(host["RestartPolicy"]["Name"].string().value_or(""))
                                .value_or(compute::RestartPolicy::no);
  settings.working_directory = config["WorkingDir"].string_or("");
  if (settings.working_directory == own["WorkingDir"].string_or("")) settings.working_directory.clear();
  settings.user = config["User"].string_or("");
  if (settings.user == own["User"].string_or("")) settings.user.clear();
  settings.hostname = decode_hostname(container);
  return settings;
}

Result<compute::ContainerDetail> decode_detail(json::View container, json::View image) {
  compute::ContainerDetail detail;
  detail.id = container["Id"].string_or("");
  const json::View state = container["State"];
  if (detail.id.empty() || !state.is_object()) return nonsense("a container without an id or a state");
  detail.image = container["Config"]["Image"].string_or("");
  detail.image_id = container["Image"].string_or("");
  detail.settings = decode_settings(container, image);
  detail.health = state["Health"]["Status"].string_or("");
  if (detail.health == "none") detail.health.clear();
  detail.started_at = past(state["StartedAt"]);
  detail.finished_at = past(state["FinishedAt"]);
  if (detail.finished_at && !state["Running"].boolean().value_or(false)) {
    detail.exit_code = static_cast<int>(state["ExitCode"].integer().value_or(0));
  }
  detail.restarts =
      static_cast<std::uint32_t>(std::max<std::int64_t>(0, container["RestartCount"].integer().value_or(0)));
  return detail;
}

}  // namespace berth::drivers::docker
