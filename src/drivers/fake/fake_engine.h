#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "compute/container_engine.h"
#include "compute/engine.h"
#include "drivers/fake/dispatcher.h"
#include "drivers/fake/faults.h"
#include "drivers/fake/log_feed.h"
#include "drivers/fake/shell.h"

namespace berth::drivers::fake {

/// An engine in memory, for scale and for faults: every ability, instances that use CPU and traffic, events,
/// and knobs for what goes wrong. Made with `containers` it is an engine of Docker's kind instead: names, settings,
/// images from a registry, logs, files, volumes, networks, and no snapshots. Thread-safe.
class FakeEngine final : public compute::InstanceEngine,
                         public compute::SnapshotAbility,
                         public compute::ImageAbility,
                         public compute::TerminalAbility,
                         public compute::ContainerAbility,
                         public compute::RegistryAbility,
                         public compute::LogAbility,
                         public compute::ArchiveAbility,
                         public compute::VolumeAbility,
                         public compute::NetworkAbility,
                         public compute::CapacityAbility {
 public:
  struct Settings {
    std::size_t instances = 0;               ///< made at the start: inst-00001 …, every tenth stopped
    std::chrono::milliseconds latency{0};    ///< of every call
    std::chrono::milliseconds work_time{0};  ///< that starting, stopping, creating and the like take
    bool moving_counters = true;             ///< off: counters stay, so that nothing changes by itself
    std::uint32_t host_cores = 4;
    bool containers = false;                   ///< an engine of Docker's kind
    std::uint64_t memory_bytes = 64ULL << 30;  ///< of its machine
  };

  FakeEngine() : FakeEngine(Settings{}) {}
  explicit FakeEngine(Settings settings);
  ~FakeEngine() override;

  /// The alias of an image that is there from the start.
  static constexpr const char* kImage = "busybox";

  Faults& faults() { return faults_; }

  // What happens behind the caller's back, as if somebody used the engine's own tools. Events are reported.
  // False if the instance is not there (or, to create, is there already).
  bool create_outside(const std::string& name, bool start = true);
  bool start_outside(const std::string& name);
  bool stop_outside(const std::string& name);
  bool freeze_outside(const std::string& name);
  bool remove_outside(const std::string& name);
  bool rename_outside(const std::string& name, const std::string& new_name);
  bool set_counters(const std::string& name, const compute::InstanceCounters& counters);
  bool set_owner(const std::string& name, const std::string& owner);
  /// Reports an event for each instance although nothing changed.
  void report_everything();

  /// Ends the stream of events; what happens until it is there again is missed, then watchers hear of a gap.
  void disconnect_events();
  void reconnect_events();
  /// Makes `still_working` say so for a handle, as for work that an earlier run of the caller began.
  void keep_working(const std::string& handle, bool on);
  /// A copy of an image, to be removed; yields its alias.
  std::string add_image(const std::string& alias);

  // For engines of Docker's kind.
  /// What its registry has, beside kImage, which the engine has from the start.
  void publish_image(const std::string& reference);
  /// From now on that registry wants these credentials, for whatever is brought from it.
  void want_login(const std::string& registry, const std::string& username, const std::string& password);
  /// Containers of this image end with 1 as soon as they have started.
  void break_image(const std::string& reference);
  bool create_outside(const std::string& name, const std::string& image, compute::ContainerSettings settings,
                      bool start = true, const std::string& owner = "");
  /// The content of a file in a container, in its volume where one is mounted there; nothing if there is none.
  std::optional<std::string> read_file(const std::string& name, const std::string& path);
  bool write_file(const std::string& name, const std::string& path, const std::string& content);
  bool write_log(const std::string& name, const std::string& text);
  /// Ends the following of every log, as an engine that goes away does.
  void cut_logs_off();
  void set_capacity(const compute::EngineCapacity& capacity);
  /// How many containers run.
  std::size_t running() const;

  // What happens on its machine, whether or not it answers. Connections are for `faults` to refuse.
  struct Process {
    std::string container;
    std::string engine_id;
    compute::ContainerSettings settings;
  };
  /// "" for one that is not there.
  std::string engine_id_of(const std::string& name) const;
  /// Nothing if it has none of that id.
  std::optional<std::string> name_of(const std::string& engine_id);
  /// Every container that has processes, the frozen ones too.
  std::vector<Process> processes() const;
  /// Ends processes without the engine's doing: those of one container, or all. False if it had none.
  bool kill_processes(const std::string& name);
  void kill_processes();
  /// The engine begins anew: it starts what its containers' restart policies say. Yields their engine ids.
  std::vector<std::string> begin_anew();
  /// What every file of every volume holds.
  std::set<std::string> volume_contents() const;

  // compute::InstanceEngine
  Result<void> check_name(std::string_view name) const override;
  Result<compute::EngineInfo> info(Deadline deadline) override;
  Result<std::vector<compute::Instance>> list(Deadline deadline) override;
  Result<compute::Instance> get(const std::string& name, Deadline deadline) override;
  Result<void> create(const compute::NewInstance& instance, const compute::EngineProgress& progress,
                      Deadline deadline) override;
  Result<void> start(const std::string& name, const compute::EngineProgress& progress, Deadline deadline) override;
  Result<void> stop(const std::string& name, std::chrono::seconds grace, const compute::EngineProgress& progress,
                    Deadline deadline) override;
  Result<void> restart(const std::string& name, std::chrono::seconds grace, const compute::EngineProgress& progress,
                       Deadline deadline) override;
  Result<void> remove(const std::string& name, const compute::EngineProgress& progress, Deadline deadline) override;
  Result<void> rename(const std::string& name, const std::string& new_name, Deadline deadline) override;
  Result<void> update(const std::string& name, const compute::InstanceChange& change, Deadline deadline) override;
  std::unique_ptr<compute::EngineWatch> watch(compute::EngineWatcher& watcher) override;
  Result<bool> still_working(const std::string& handle, Deadline deadline) override;
  compute::SnapshotAbility* snapshots() override { return settings_.containers ? nullptr : this; }
  compute::ImageAbility* images() override { return this; }
  compute::TerminalAbility* terminals() override { return this; }
  compute::ContainerAbility* containers() override { return settings_.containers ? this : nullptr; }
  compute::RegistryAbility* registry() override { return settings_.containers ? this : nullptr; }
  compute::LogAbility* logs() override { return settings_.containers ? this : nullptr; }
  compute::ArchiveAbility* archives() override { return settings_.containers ? this : nullptr; }
  compute::VolumeAbility* volumes() override { return settings_.containers ? this : nullptr; }
  compute::NetworkAbility* networks() override { return settings_.containers ? this : nullptr; }
  compute::CapacityAbility* capacities() override { return settings_.containers ? this : nullptr; }

  // compute::SnapshotAbility
  Result<std::vector<compute::InstanceSnapshot>> list_snapshots(const std::string& instance,
                                                                Deadline deadline) override;
  Result<void> create_snapshot(const std::string& instance, const std::string& snapshot, bool stateful,
                               const compute::EngineProgress& progress, Deadline deadline) override;
  Result<void> restore_snapshot(const std::string& instance, const std::string& snapshot,
                                const compute::EngineProgress& progress, Deadline deadline) override;
  Result<void> remove_snapshot(const std::string& instance, const std::string& snapshot,
                               const compute::EngineProgress& progress, Deadline deadline) override;

  // compute::ImageAbility
  Result<std::vector<compute::Image>> list_images(Deadline deadline) override;
  Result<void> remove_image(const std::string& image, Deadline deadline) override;

  // compute::TerminalAbility
  Result<std::shared_ptr<compute::Terminal>> exec(const std::string& instance, const compute::ExecRequest& request,
                                                  std::shared_ptr<compute::TerminalOutput> output,
                                                  Deadline deadline) override;
  Result<compute::ExecOutcome> run(const std::string& instance, const compute::ExecRequest& request,
                                   Deadline deadline) override;
  Result<std::shared_ptr<compute::Terminal>> console(const std::string& instance, compute::TerminalSize size,
                                                     std::shared_ptr<compute::TerminalOutput> output,
                                                     Deadline deadline) override;

  // compute::ContainerAbility
  Result<compute::ContainerDetail> inspect(const std::string& name, Deadline deadline) override;
  Result<void> set_restart_policy(const std::string& name, compute::RestartPolicy policy, Deadline deadline) override;
  Result<void> pause(const std::string& name, Deadline deadline) override;
  Result<void> resume(const std::string& name, Deadline deadline) override;

  // compute::RegistryAbility
  Result<bool> has_image(const std::string& reference, Deadline deadline) override;
  Result<void> pull(const std::string& reference, const std::optional<compute::RegistryCredentials>& credentials,
                    const compute::EngineProgress& progress, Deadline deadline) override;

  // compute::LogAbility
  Result<std::string> read_log(const std::string& name, const compute::LogQuery& query, Deadline deadline) override;
  Result<std::unique_ptr<compute::LogFollowing>> follow_log(const std::string& name, const compute::LogQuery& query,
                                                            std::shared_ptr<compute::LogReader> reader,
                                                            Deadline deadline) override;

  // compute::ArchiveAbility; the files hold names and contents in a form of the fake's own.
  Result<void> save_path(const std::string& name, const std::string& path, const std::string& file,
                         const compute::EngineProgress& progress, Deadline deadline) override;
  Result<void> load_path(const std::string& name, const std::string& path, const std::string& file,
                         const compute::EngineProgress& progress, Deadline deadline) override;
  Result<void> save_root(const std::string& name, const std::string& file, const compute::EngineProgress& progress,
                         Deadline deadline) override;
  Result<void> import_root(const std::string& file, const std::string& reference,
                           const compute::EngineProgress& progress, Deadline deadline) override;

  // compute::VolumeAbility
  Result<std::vector<compute::Volume>> list_volumes(Deadline deadline) override;
  Result<void> create_volume(const std::string& name, Deadline deadline) override;
  Result<void> remove_volume(const std::string& name, Deadline deadline) override;

  // compute::NetworkAbility
  Result<std::vector<compute::ContainerNetwork>> list_networks(Deadline deadline) override;
  Result<void> create_network(const std::string& name, Deadline deadline) override;
  Result<void> remove_network(const std::string& name, Deadline deadline) override;

  // compute::CapacityAbility
  Result<compute::EngineCapacity> capacity(Deadline deadline) override;

 private:
  using Files = std::map<std::string, std::string>;  ///< by absolute path
  struct StoredSnapshot {
    compute::InstanceSnapshot about;
    compute::Instance state;
  };
  struct Stored {
    compute::Instance instance;
    std::size_t number = 0;  ///< decides addresses and appetite
    Instant running_since{};
    std::vector<StoredSnapshot> snapshots;
    std::vector<std::weak_ptr<EchoTerminal>> terminals;
    // Of containers:
    compute::ContainerSettings settings;
    Files files;
    ContainerLog log;
    std::vector<std::shared_ptr<LogFeed>> followers;
    std::optional<int> exit_code;  ///< nothing: it has never ended
    bool stopped_by_hand = false;  ///< by the engine, as somebody wanted it
  };
  struct StoredVolume {
    compute::Volume about;
    Files files;  ///< by path below where it is mounted, "/" first
  };
  class Following;
  class Watch;
  class Work;

  Stored& add(const std::string& name);
  Stored* find(const std::string& name);
  Result<Stored*> need(const std::string& name);
  Result<Stored*> need_running(const std::string& name);
  Result<void> make(const compute::NewInstance& wish);
  Result<void> change(const std::string& name, const compute::InstanceChange& change);
  void set_running(Stored& stored);
  void set_stopped(Stored& stored);
  compute::Instance read(const Stored& stored) const;
  bool knows_image(const std::string& image) const;
  void make_container(Stored& stored, const compute::ContainerSettings& settings);
  Result<void> check_ports(const Stored& stored) const;
  /// What stands at a path: the files of the volume that is mounted there, or of the container, and the path in them.
  std::pair<Files*, std::string> locate(Stored& stored, const std::string& path);
  static void end_log(Stored& stored, const Result<void>& outcome = {});
  void report(compute::EngineEvent event);
  void report_changed(const std::string& name) { report({compute::EngineEvent::Kind::changed, name, {}}); }
  void report_gap();
  /// Waits as the engine's work does, under a handle of its own.
  Result<void> work(const compute::EngineProgress& progress, const char* stage, Deadline deadline);

  const Settings settings_;
  Faults faults_;
  std::shared_ptr<Dispatcher> terminals_dispatcher_ = std::make_shared<Dispatcher>();
  Dispatcher events_dispatcher_;

  std::mutex watchers_mutex_;  ///< held while a watcher is called
  std::map<std::uint64_t, compute::EngineWatcher*> watchers_;
  std::uint64_t last_watcher_ = 0;

  mutable std::mutex mutex_;
  std::map<std::string, Stored> instances_;
  std::vector<compute::Image> images_;
  std::set<std::string> working_;
  std::set<std::string> registry_;                                     ///< images that can be pulled
  std::map<std::string, std::pair<std::string, std::string>> logins_;  ///< that registries want
  std::set<std::string> broken_images_;                                ///< whose containers end at once
  std::map<std::string, Files> image_files_;
  std::map<std::string, StoredVolume> volumes_;
  std::set<std::string> networks_;  ///< beside those of its own
  std::optional<compute::EngineCapacity> capacity_;
  std::size_t last_number_ = 0;
  std::uint64_t last_handle_ = 0;
  bool events_connected_ = true;
};

}  // namespace berth::drivers::fake
