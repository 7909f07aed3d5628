#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "json/describe.h"

// What the store keeps of a container as JSON: the same names for ever, or old rows cannot be read.
namespace berth::fleet::stored {

struct Port {
  std::uint16_t container_port = 0;
  std::string protocol;
  std::optional<std::uint16_t> host_port;
  std::string host_address;
};
BOOST_DESCRIBE_STRUCT(Port, (), (container_port, protocol, host_port, host_address))

struct Mount {
  std::string source;
  std::string target;
  bool read_only = false;
};
BOOST_DESCRIBE_STRUCT(Mount, (), (source, target, read_only))

struct Settings {
  std::vector<std::string> command;
  std::vector<std::string> entrypoint;
  /// Only where it is empty, or was written before environments were sealed.
  std::optional<std::map<std::string, std::string>> environment;
  std::optional<std::string> sealed_environment;
  std::vector<Port> ports;
  std::vector<Mount> mounts;
  std::vector<std::string> networks;
  std::string restart_policy;
  std::map<std::string, std::string> labels;
  std::string working_directory;
  std::string user;
  std::string hostname;
};
BOOST_DESCRIBE_STRUCT(Settings, (),
                      (command, entrypoint, environment, sealed_environment, ports, mounts, networks, restart_policy,
                       labels, working_directory, user, hostname))

struct Desired {
  std::string image;
  Settings settings;
  std::optional<double> cpus;
  std::optional<std::uint64_t> memory_bytes;
  std::optional<std::uint64_t> disk_bytes;
  bool running = true;
};
BOOST_DESCRIBE_STRUCT(Desired, (), (image, settings, cpus, memory_bytes, disk_bytes, running))

struct Pending {
  std::string kind;
  bool decided = false;
  bool was_running = false;
  std::string name;
  std::optional<Desired> desired;
  std::string archive;
  std::int64_t server = 0;
  std::optional<std::vector<std::string>> volumes;
  std::optional<bool> started;
  std::optional<std::vector<Pending>> interrupted;
};
BOOST_DESCRIBE_STRUCT(Pending, (),
                      (kind, decided, was_running, name, desired, archive, server, volumes, started, interrupted))

}  // namespace berth::fleet::stored
