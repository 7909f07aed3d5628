#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"
#include "compute/container.h"
#include "compute/engine.h"

// What engines of Docker's kind can do beside the core of compute/engine.h. Calls block until done or until the
// deadline, are thread-safe, and fail as those of InstanceEngine do.
namespace berth::compute {

/// The whole settings of a container, and the states that only containers have. An engine with this ability takes an
/// id (`Instance::engine_id`) wherever it takes the name of a container.
class ContainerAbility {
 public:
  virtual ~ContainerAbility() = default;
  virtual Result<ContainerDetail> inspect(const std::string& name, Deadline deadline) = 0;
  /// Pausing a paused one and resuming a running one succeed. Errors: conflict "instance.state".
  virtual Result<void> pause(const std::string& name, Deadline deadline) = 0;
  virtual Result<void> resume(const std::string& name, Deadline deadline) = 0;
  /// When the engine starts it again by itself from now on.
  virtual Result<void> set_restart_policy(const std::string& name, RestartPolicy policy, Deadline deadline) = 0;
};

/// Who we are to a registry.
struct RegistryCredentials {
  std::string username;
  Secret password;
};

class RegistryAbility {
 public:
  virtual ~RegistryAbility() = default;
  /// Whether the engine has the image already.
  virtual Result<bool> has_image(const std::string& reference, Deadline deadline) = 0;
  /// Brings an image from its registry, with progress in bytes of all layers; cut off, it goes on where it was
  /// when it is called again. Errors: not_found "image.not_found", unavailable "registry.unavailable",
  /// permission_denied "registry.denied"; the detail is the engine's own reason.
  virtual Result<void> pull(const std::string& reference, const std::optional<RegistryCredentials>& credentials,
                            const EngineProgress& progress, Deadline deadline) = 0;
};

struct LogQuery {
  std::optional<std::uint32_t> tail;  ///< lines from the end; nothing: all
  std::optional<Timestamp> since;
  std::optional<Timestamp> until;
  bool timestamps = false;  ///< each line begins with its time (RFC 3339)
};

/// Takes lines while a log is followed. Calls come from one thread of the driver's and must not block.
class LogReader {
 public:
  enum class Stream { standard_output, standard_error };
  virtual ~LogReader() = default;
  /// Bytes of one stream, not parted at line ends.
  virtual void on_log(Stream stream, std::string_view bytes) = 0;
  /// The last call. Success where the container ended or was removed; unavailable "engine.unavailable" where the engine
  /// went away, or another error of the engine's.
  virtual void on_end(const Result<void>& outcome) = 0;
};

/// Ends the following when destroyed; after that no reader call is running or will come. Thread-safe; calls return at
/// once.
class LogFollowing {
 public:
  virtual ~LogFollowing() = default;
  /// Takes nothing more from the engine until `resume`: the reader does not keep up. Nothing is lost, and the container
  /// does not wait.
  virtual void pause() = 0;
  virtual void resume() = 0;
};

class LogAbility {
 public:
  virtual ~LogAbility() = default;
  /// Both streams in the order of writing; at most the last 1 MiB.
  virtual Result<std::string> read_log(const std::string& name, const LogQuery& query, Deadline deadline) = 0;
  virtual Result<std::unique_ptr<LogFollowing>> follow_log(const std::string& name, const LogQuery& query,
                                                           std::shared_ptr<LogReader> reader, Deadline deadline) = 0;
};

/// Files of a container in and out as tar archives, also of a stopped one.
class ArchiveAbility {
 public:
  virtual ~ArchiveAbility() = default;
  /// Writes the tar of `path` in the container to `file`, a new file that is complete when this succeeds and absent
  /// when it fails. Errors: not_found "archive.path", exhausted where the disk is full.
  virtual Result<void> save_path(const std::string& name, const std::string& path, const std::string& file,
                                 const EngineProgress& progress, Deadline deadline) = 0;
  /// Unpacks a tar file below the folder `path`.
  virtual Result<void> load_path(const std::string& name, const std::string& path, const std::string& file,
                                 const EngineProgress& progress, Deadline deadline) = 0;
  /// Writes the container's whole file system, without its mounts, as a tar of one root.
  virtual Result<void> save_root(const std::string& name, const std::string& file, const EngineProgress& progress,
                                 Deadline deadline) = 0;
  /// Makes an image of such a tar. Errors: invalid_argument "image.archive".
  virtual Result<void> import_root(const std::string& file, const std::string& reference,
                                   const EngineProgress& progress, Deadline deadline) = 0;
};

class VolumeAbility {
 public:
  virtual ~VolumeAbility() = default;
  virtual Result<std::vector<Volume>> list_volumes(Deadline deadline) = 0;
  /// Creating one that is there, and removing one that is not, succeed. Errors: conflict "volume.in_use".
  virtual Result<void> create_volume(const std::string& name, Deadline deadline) = 0;
  virtual Result<void> remove_volume(const std::string& name, Deadline deadline) = 0;
};

class NetworkAbility {
 public:
  virtual ~NetworkAbility() = default;
  virtual Result<std::vector<ContainerNetwork>> list_networks(Deadline deadline) = 0;
  virtual Result<void> create_network(const std::string& name, Deadline deadline) = 0;
  virtual Result<void> remove_network(const std::string& name, Deadline deadline) = 0;
};

/// How much an engine's machine has, for placing.
struct EngineCapacity {
  double cpus = 0;  ///< cores
  std::uint64_t memory_bytes = 0;
  std::uint64_t disk_bytes = 0;  ///< of the engine's storage; 0 where it cannot tell
  std::uint64_t disk_free_bytes = 0;
  std::optional<Timestamp> clock;  ///< the machine's, when it answered
};

class CapacityAbility {
 public:
  virtual ~CapacityAbility() = default;
  virtual Result<EngineCapacity> capacity(Deadline deadline) = 0;
};

}  // namespace berth::compute
