#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/id.h"
#include "base/result.h"
#include "base/secret.h"

namespace berth::fleet {

using ServerId = Id<struct ServerTag, std::int64_t>;

/// How a server's engine is reached.
struct ServerAddress {
  /// "unix:///run/docker.sock", "tcp://192.0.2.1:2376" or "ssh://user@192.0.2.1:22/run/docker.sock"; "fake://N" makes
  /// an engine in memory with N containers, for scale and for faults.
  std::string url;
  std::string ca_certificate;  ///< PEM, for tcp with TLS; "" for none
  std::string certificate;     ///< PEM, our own
  Secret key;                  ///< PEM, of our certificate, or of SSH; rests sealed
  std::string host_key;        ///< of SSH, as a line of known_hosts
};

/// How it is made certain that nothing of a lost server runs any more.
enum class Fence {
  none,     ///< nothing: failover waits for a person's word
  agent,    ///< `berth agent` on it holds a lease and stops the containers itself when it cannot renew
  command,  ///< a program of the configuration ends the machine
};

/// Whether new containers are placed on it.
enum class Placement { open, draining };

struct Server {
  ServerId id;
  std::string name;  ///< a host name label, unique
  ServerAddress address;
  std::map<std::string, std::string> labels;
  Placement placement = Placement::open;
  Fence fence = Fence::none;
  std::string fence_command;  ///< name of a command of the configuration, for Fence::command
  Timestamp created_at;
};

/// What is known of a server's state. `unknown` before the first answer.
enum class ServerHealth { unknown, healthy, degraded, unreachable };

/// One measurement after another, with hysteresis: it takes several failures to become unreachable and several
/// answers to become healthy again.
struct ServerStatus {
  ServerHealth health = ServerHealth::unknown;
  std::string reason;                                  ///< why not healthy, in words for an operator
  std::optional<std::chrono::milliseconds> latency;    ///< of the last answer
  std::optional<std::chrono::milliseconds> clock_off;  ///< its clock against ours
  std::optional<Timestamp> answered_at;
  std::string product;  ///< "Docker 20.10.24"
  double cpus = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t disk_bytes = 0;
  std::uint64_t disk_free_bytes = 0;
  std::uint32_t containers = 0;
  std::uint32_t running = 0;
  double cpus_reserved = 0;  ///< by the limits of its containers
  std::uint64_t memory_reserved_bytes = 0;
};

std::string_view name(Fence fence);
std::string_view name(Placement placement);
std::string_view name(ServerHealth health);

}  // namespace berth::fleet
