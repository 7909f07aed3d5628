#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "compute/instance.h"

namespace berth::compute {

/// What an engine can do, as data. Services branch on this, never on an engine's name.
struct Capabilities {
  bool snapshots = false;
  bool images = false;
  bool exec = false;
  bool console = false;
  bool limits = false;
  bool rename = false;
  bool events = false;        ///< `watch` reports changes made outside
  bool descriptions = false;  ///< an instance's description can be changed
};

struct EngineInfo {
  std::string product;  ///< "LXD", "Incus", "Docker"
  std::string version;
  std::string host;  ///< the engine's own name of its machine
  double cpus = 0;   ///< cores of its machine; 0 where it does not tell
  Capabilities capabilities;
};

/// Something that changed inside the engine, whoever did it.
struct EngineEvent {
  enum class Kind { changed, removed, renamed } kind = Kind::changed;
  std::string instance;
  std::string new_name;  ///< for `renamed`
};

/// Receives an engine's events. Calls come from one thread of the driver's and must not block.
class EngineWatcher {
 public:
  virtual ~EngineWatcher() = default;
  virtual void on_event(const EngineEvent& event) = 0;
  /// Events may have been missed (connected anew): read everything again.
  virtual void on_gap() = 0;
};

/// Ends the watching when destroyed; after that no watcher call is running or will come.
class EngineWatch {
 public:
  virtual ~EngineWatch() = default;
};

/// Reports a step of long engine work.
struct EngineProgress {
  std::function<void(int percent, std::string stage)> report = [](int, std::string) {};
  /// The engine's handle of the work, before it is waited for; an error ends the work.
  std::function<Result<void>(std::string handle)> adopt = [](std::string) { return Result<void>(); };
  std::function<bool()> cancelled = [] { return false; };
};

class SnapshotAbility;
class ImageAbility;
class TerminalAbility;
// Those of compute/container_engine.h.
class ContainerAbility;
class RegistryAbility;
class LogAbility;
class ArchiveAbility;
class VolumeAbility;
class NetworkAbility;
class CapacityAbility;

/// One engine that runs instances: the core that every engine has. Calls block until done or until the
/// deadline, are thread-safe, and are harmless to repeat. The errors of every call: unavailable
/// "engine.unavailable" (not reachable), deadline_exceeded "engine.timeout", not_found "instance.not_found",
/// already_exists "instance.exists", conflict "instance.state", invalid_argument, exhausted, internal
/// "engine.protocol" (an answer that makes no sense).
class InstanceEngine {
 public:
  virtual ~InstanceEngine() = default;

  /// Whether an instance of this engine can have that name. Errors: invalid_argument "instance.name".
  virtual Result<void> check_name(std::string_view name) const { return check_instance_name(name); }

  /// Asks the engine who it is; also the health check.
  virtual Result<EngineInfo> info(Deadline deadline) = 0;

  /// Every instance with status, limits and counters, in as few engine calls as the engine allows. One that
  /// does not answer within its share of the time comes back `unresponsive` and does not hold up the others.
  virtual Result<std::vector<Instance>> list(Deadline deadline) = 0;
  virtual Result<Instance> get(const std::string& name, Deadline deadline) = 0;

  virtual Result<void> create(const NewInstance& instance, const EngineProgress& progress, Deadline deadline) = 0;
  /// Starting a running one and stopping a stopped one succeed.
  virtual Result<void> start(const std::string& name, const EngineProgress& progress, Deadline deadline) = 0;
  /// Asks the guest to end; after `grace` it is ended by force. `grace` zero: by force at once.
  virtual Result<void> stop(const std::string& name, std::chrono::seconds grace, const EngineProgress& progress,
                            Deadline deadline) = 0;
  virtual Result<void> restart(const std::string& name, std::chrono::seconds grace, const EngineProgress& progress,
                               Deadline deadline) = 0;
  /// Only a stopped one: conflict "instance.running". Removing what is not there succeeds.
  virtual Result<void> remove(const std::string& name, const EngineProgress& progress, Deadline deadline) = 0;
  virtual Result<void> rename(const std::string& name, const std::string& new_name, Deadline deadline) = 0;
  virtual Result<void> update(const std::string& name, const InstanceChange& change, Deadline deadline) = 0;

  /// Starts reporting changes; reconnects by itself. Null if the engine has no events.
  virtual std::unique_ptr<EngineWatch> watch(EngineWatcher& watcher) = 0;

  /// Whether work that was adopted under `handle` still runs in the engine.
  virtual Result<bool> still_working(const std::string& handle, Deadline deadline) = 0;

  /// The optional abilities; null where the engine has none. They live as long as the engine.
  virtual SnapshotAbility* snapshots() { return nullptr; }
  virtual ImageAbility* images() { return nullptr; }
  virtual TerminalAbility* terminals() { return nullptr; }
  virtual ContainerAbility* containers() { return nullptr; }
  virtual RegistryAbility* registry() { return nullptr; }
  virtual LogAbility* logs() { return nullptr; }
  virtual ArchiveAbility* archives() { return nullptr; }
  virtual VolumeAbility* volumes() { return nullptr; }
  virtual NetworkAbility* networks() { return nullptr; }
  virtual CapacityAbility* capacities() { return nullptr; }
};

/// Errors beside the engine's: not_found "snapshot.not_found", already_exists "snapshot.exists".
class SnapshotAbility {
 public:
  virtual ~SnapshotAbility() = default;
  virtual Result<std::vector<InstanceSnapshot>> list_snapshots(const std::string& instance, Deadline deadline) = 0;
  virtual Result<void> create_snapshot(const std::string& instance, const std::string& snapshot, bool stateful,
                                       const EngineProgress& progress, Deadline deadline) = 0;
  virtual Result<void> restore_snapshot(const std::string& instance, const std::string& snapshot,
                                        const EngineProgress& progress, Deadline deadline) = 0;
  virtual Result<void> remove_snapshot(const std::string& instance, const std::string& snapshot,
                                       const EngineProgress& progress, Deadline deadline) = 0;
};

/// Errors beside the engine's: not_found "image.not_found", conflict "image.in_use".
class ImageAbility {
 public:
  virtual ~ImageAbility() = default;
  virtual Result<std::vector<Image>> list_images(Deadline deadline) = 0;
  /// `image` is an alias or a fingerprint (whole, or a beginning that only one has).
  virtual Result<void> remove_image(const std::string& image, Deadline deadline) = 0;
};

struct TerminalSize {
  std::uint16_t columns = 80;
  std::uint16_t rows = 24;
};

/// A running command or console with a terminal. Thread-safe; calls return at once.
class Terminal {
 public:
  virtual ~Terminal() = default;
  virtual void write(std::string_view bytes) = 0;
  virtual void resize(TerminalSize size) = 0;
  /// Stops taking output from the guest until `resume_output`: the browser does not keep up.
  virtual void pause_output() = 0;
  virtual void resume_output() = 0;
  /// Ends it: hangs up, and ends the command.
  virtual void close() = 0;
};

/// What comes out of a terminal. Calls come from one thread of the driver's and must not block.
class TerminalOutput {
 public:
  virtual ~TerminalOutput() = default;
  virtual void on_output(std::string_view bytes) = 0;
  /// The last call. `exit_code` is the command's; nothing if it was cut off or is a console.
  virtual void on_end(std::optional<int> exit_code) = 0;
};

struct ExecRequest {
  std::vector<std::string> command;  ///< argv; never passed through a shell of ours
  std::map<std::string, std::string> environment;
  std::string working_directory;  ///< "" for the engine's default
  std::optional<std::uint32_t> user_id;
  TerminalSize size;
};

struct ExecOutcome {
  int exit_code = 0;
  std::string standard_output;
  std::string standard_error;
  bool truncated = false;  ///< output beyond 1 MiB was dropped
};

class TerminalAbility {
 public:
  virtual ~TerminalAbility() = default;
  virtual Result<std::shared_ptr<Terminal>> exec(const std::string& instance, const ExecRequest& request,
                                                 std::shared_ptr<TerminalOutput> output, Deadline deadline) = 0;
  /// Runs a command without a terminal and waits for its end.
  virtual Result<ExecOutcome> run(const std::string& instance, const ExecRequest& request, Deadline deadline) = 0;
  virtual Result<std::shared_ptr<Terminal>> console(const std::string& instance, TerminalSize size,
                                                    std::shared_ptr<TerminalOutput> output, Deadline deadline) = 0;
};

}  // namespace berth::compute
