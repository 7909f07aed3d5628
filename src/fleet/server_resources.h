#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/worker_pool.h"
#include "compute/container_engine.h"
#include "fleet/container_service.h"
#include "fleet/image_pull.h"
#include "fleet/server_registry.h"
#include "operations/gate.h"

namespace berth::fleet {

/// A thing of one server, with the names of the containers that mention it as far as the caller may see them.
template <class T>
struct OnServer {
  std::string server;
  T about;
  std::vector<std::string> containers;
};

/// What several servers have, by server and name. One that gave no answer is named with the reason.
template <class T>
struct ServerList {
  struct Silent {
    std::string server;
    Error error;
  };
  std::vector<OnServer<T>> items;
  std::vector<Silent> unreachable;
};

/// What servers have beside containers: images, volumes and networks. A list costs one call of each server's engine,
/// all at once, and one that hangs or is down holds up none of the others; a list of one server that gives no answer
/// fails with its error. A caller who sees only its own containers is shown what those mention, and is asked of no
/// other server. Changes are operations on the pool of their server, of the kinds "image.pull", "image.import",
/// "image.delete", "volume.…" and "network.…". A change that names no server goes to the only one. Thread-safe; calls
/// block until done or their deadline, so they belong on worker threads.
///
/// Errors of all: not_found "server.not_found", invalid_argument "server.required" where there are several servers and
/// none is named (both with the field "server"), conflict "server.none", unsupported "engine.unsupported", and the
/// engine's own.
class ServerResources {
 public:
  struct Settings {
    std::filesystem::path staging;  ///< folder for what is being imported; what an earlier run left there goes
    std::chrono::milliseconds list_limit{5'000};
    std::chrono::milliseconds knock{1'000};  ///< what a server that was down at the last look has for an answer
    std::chrono::milliseconds quick_limit{20'000};
    std::chrono::milliseconds pull_limit{1'800'000};
  };
  /// What it works with; everything outlives it.
  struct Parts {
    ServerRegistry& servers;
    const ContainerService& containers;
    operations::OperationService& operations;
    CredentialSource credentials;  ///< asked before each pull
  };

  /// Registers as the reconciler of its operations. Before it is destroyed the operations must have been drained.
  static Result<std::unique_ptr<ServerResources>> create(Settings settings, const Parts& parts);
  ServerResources(const ServerResources&) = delete;
  ServerResources& operator=(const ServerResources&) = delete;
  ~ServerResources();

  Result<ServerList<compute::Image>> list_images(const Caller& caller, const std::optional<std::string>& server);
  Result<ServerList<compute::Volume>> list_volumes(const Caller& caller, const std::optional<std::string>& server);
  Result<ServerList<compute::ContainerNetwork>> list_networks(const Caller& caller,
                                                              const std::optional<std::string>& server);

  struct Begun {
    std::string server;
    operations::TicketPointer ticket;
  };
  /// Brings an image from its registry, also one that the server has, which may be older. It can be cancelled. Its
  /// failure is unavailable "image.pull_failed". Errors: invalid_argument "instance.image".
  Result<Begun> pull_image(const audit::Origin& origin, const std::string& image,
                           const std::optional<std::string>& server);
  /// Makes an image of the tar of a root file system. Errors: invalid_argument "instance.image", "image.archive".
  Result<Begun> import_image(const audit::Origin& origin, const std::string& image, std::string_view archive,
                             const std::optional<std::string>& server);
  /// `image` is a name, or an id. Errors: not_found "image.not_found", conflict "image.in_use".
  Result<void> remove_image(const audit::Origin& origin, const std::string& image,
                            const std::optional<std::string>& server);

  /// Errors: invalid_argument "volume.name", already_exists "volume.exists".
  Result<void> create_volume(const audit::Origin& origin, const std::string& name,
                             const std::optional<std::string>& server);
  /// Errors: not_found "volume.not_found", conflict "volume.in_use".
  Result<void> remove_volume(const audit::Origin& origin, const std::string& name,
                             const std::optional<std::string>& server);
  /// Errors: invalid_argument "network.name", already_exists "network.exists".
  Result<void> create_network(const audit::Origin& origin, const std::string& name,
                              const std::optional<std::string>& server);
  /// Errors: not_found "network.not_found", conflict "network.in_use" and "network.built_in".
  Result<void> remove_network(const audit::Origin& origin, const std::string& name,
                              const std::optional<std::string>& server);

 private:
  /// A change of one server, ready to be submitted.
  struct Change {
    std::string kind;
    std::string resource_type;
    std::string resource_id;
    UnitPointer unit;
    std::string input;
    std::chrono::milliseconds limit{};
    operations::Work work;
  };
  /// The kinds of things that have nothing but a name, and what each engine does with them.
  struct Named;

  ServerResources(Settings settings, const Parts& parts);

  // server_resources.cpp
  template <class T>
  Result<ServerList<T>> list(const Caller& caller, const std::optional<std::string>& server,
                             std::function<Result<std::vector<T>>(compute::InstanceEngine&, Deadline)> question,
                             std::function<std::vector<std::string>(const Container&)> mentioned);
  Result<std::vector<ServerView>> servers_for(const Caller& caller, const std::optional<std::string>& server,
                                              const std::vector<ContainerPointer>& containers) const;

  // server_resource_changes.cpp
  Result<UnitPointer> target(const std::optional<std::string>& server) const;
  Result<operations::TicketPointer> submit(const audit::Origin& origin, Change change);
  Result<void> carry_out(const audit::Origin& origin, Change change);
  Result<bool> has_image(const UnitPointer& unit, const std::string& image) const;
  Result<void> create_named(const Named& kind, const audit::Origin& origin, const std::string& name,
                            const std::optional<std::string>& server);
  Result<void> remove_named(const Named& kind, const audit::Origin& origin, const std::string& name,
                            const std::optional<std::string>& server);
  static const Named& volumes();
  static const Named& networks();
  Result<operations::Verdict> reconcile(const operations::Operation& operation);
  Result<operations::Verdict> judge(const operations::Operation& operation, const UnitPointer& unit) const;

  const Settings settings_;
  const Parts parts_;
  /// Lets tasks of the servers' pools in until this ends.
  std::shared_ptr<operations::Gate> gate_ = std::make_shared<operations::Gate>();
  WorkerPool settling_{{.name = "resources", .threads = 1}};
};

}  // namespace berth::fleet
