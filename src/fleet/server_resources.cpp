#include "fleet/server_resources.h"

#include <algorithm>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "fleet/server_questions.h"

namespace berth::fleet {
namespace {

Error unsupported() {
  return Error(ErrorCode::unsupported, "engine.unsupported", {"该引擎不支持此功能", "This engine cannot do that"});
}

// What a thing is called, and what a container calls the things that it mentions.
std::vector<std::string> names_of(const compute::Image& image) {
  std::vector<std::string> names;
  for (const auto& alias : image.aliases) names.push_back(compute::familiar_reference(alias));
  names.push_back(image.fingerprint);
  return names;
}
std::vector<std::string> names_of(const compute::Volume& volume) {
  return {volume.name};
}
std::vector<std::string> names_of(const compute::ContainerNetwork& network) {
  return {network.name};
}
std::vector<std::string> images_of(const Container& container) {
  return {compute::familiar_reference(container.image), container.image};
}
std::vector<std::string> volumes_of(const Container& container) {
  std::vector<std::string> names;
  for (const auto& mount : container.settings.mounts) names.push_back(mount.source);
  return names;
}
std::vector<std::string> networks_of(const Container& container) {
  return container.settings.networks;
}

/// The names of the containers that mention a thing of a server.
class Mentions {
 public:
  template <class NamesOf>
  Mentions(const std::vector<ContainerPointer>& containers, NamesOf names_of) {
    for (const auto& container : containers) {
      for (auto& name : names_of(*container)) by_name_[{container->server, std::move(name)}].insert(container->name);
    }
  }

  std::vector<std::string> of(ServerId server, const std::vector<std::string>& names) const {
    std::set<std::string> found;
    for (const auto& name : names) {
      if (const auto at = by_name_.find({server, name}); at != by_name_.end()) {
        found.insert(at->second.begin(), at->second.end());
      }
    }
    return {found.begin(), found.end()};
  }

 private:
  std::map<std::pair<ServerId, std::string>, std::set<std::string>> by_name_;
};

}  // namespace

ServerResources::ServerResources(Settings settings, const Parts& parts)
    : settings_(std::move(settings)), parts_(parts) {}

Result<std::unique_ptr<ServerResources>> ServerResources::create(Settings settings, const Parts& parts) {
  std::error_code problem;
  std::filesystem::remove_all(settings.staging, problem);
  std::filesystem::create_directories(settings.staging, problem);
  if (problem) return internal_error("cannot make the folder for imports: " + problem.message());
  std::filesystem::permissions(settings.staging, std::filesystem::perms::owner_all, problem);
  std::unique_ptr<ServerResources> resources(new ServerResources(std::move(settings), parts));
  // "image.delete" is the instance services' own, see ServerRegistry::reconcile.
  for (const char* kind : {"image.pull", "image.import", "volume.", "network."}) {
    parts.operations.reconcile_with(
        kind, resources->settling_,
        [self = resources.get()](const operations::Operation& operation) { return self->reconcile(operation); });
  }
  return resources;
}

ServerResources::~ServerResources() {
  gate_->close_and_wait();
  settling_.drain();
}

Result<std::vector<ServerView>> ServerResources::servers_for(const Caller& caller,
                                                             const std::optional<std::string>& server,
                                                             const std::vector<ContainerPointer>& containers) const {
  std::vector<ServerView> servers = parts_.servers.list();
  if (server) {
    std::erase_if(servers, [&](const ServerView& view) { return view.server.name != *server; });
    if (servers.empty()) return server_not_found(*server);
  }
  // Who sees only its own learns nothing of servers that have nothing of it.
  if (!caller.sees_all) {
    std::erase_if(servers, [&](const ServerView& view) {
      return std::ranges::find(containers, view.server.id, &Container::server) == containers.end();
    });
  }
  return servers;
}

template <class T>
Result<ServerList<T>> ServerResources::list(
    const Caller& caller, const std::optional<std::string>& server,
    std::function<Result<std::vector<T>>(compute::InstanceEngine&, Deadline)> question,
    std::function<std::vector<std::string>(const Container&)> mentioned) {
  std::vector<ContainerPointer> containers = parts_.containers.list(caller, {.server = server}).containers;
  std::erase_if(containers, [](const ContainerPointer& one) { return one->presence == Presence::archived; });
  const Mentions mentions(containers, mentioned);
  ServerList<T> found;
  std::vector<UnitPointer> units;
  for (const auto& view : BERTH_TRY(servers_for(caller, server, containers))) {
    if (UnitPointer unit = parts_.servers.unit(view.server.id)) {
      units.push_back(std::move(unit));
    } else {
      found.unreachable.push_back({view.server.name, compute::engine_unavailable()});
    }
  }
  auto answers = ask_all<std::vector<T>>(
      units,
      [question = std::move(question)](ServerUnit& unit, Deadline deadline) {
        return question(*unit.engine, deadline);
      },
      settings_.list_limit, settings_.knock);
  for (std::size_t index = 0; index < units.size(); ++index) {
    const ServerUnit& unit = *units[index];
    if (!answers[index]) {
      found.unreachable.push_back({unit.name, take_error(answers[index])});
      continue;
    }
    std::ranges::sort(*answers[index], {}, [](const T& one) { return names_of(one).front(); });
    for (T& one : *answers[index]) {
      auto containers_of = mentions.of(unit.id, names_of(one));
      if (!caller.sees_all && containers_of.empty()) continue;
      found.items.push_back({unit.name, std::move(one), std::move(containers_of)});
    }
  }
  if (server && !found.unreachable.empty()) return std::move(found.unreachable.front().error);
  return found;
}

Result<ServerList<compute::Image>> ServerResources::list_images(const Caller& caller,
                                                                const std::optional<std::string>& server) {
  return list<compute::Image>(
      caller, server,
      [](compute::InstanceEngine& engine, Deadline deadline) -> Result<std::vector<compute::Image>> {
        compute::ImageAbility* ability = engine.images();
        if (ability == nullptr) return unsupported();
        return ability->list_images(deadline);
      },
      images_of);
}

Result<ServerList<compute::Volume>> ServerResources::list_volumes(const Caller& caller,
                                                                  const std::optional<std::string>& server) {
  return list<compute::Volume>(
      caller, server,
      [](compute::InstanceEngine& engine, Deadline deadline) -> Result<std::vector<compute::Volume>> {
        compute::VolumeAbility* ability = engine.volumes();
        if (ability == nullptr) return unsupported();
        return ability->list_volumes(deadline);
      },
      volumes_of);
}

Result<ServerList<compute::ContainerNetwork>> ServerResources::list_networks(const Caller& caller,
                                                                             const std::optional<std::string>& server) {
  return list<compute::ContainerNetwork>(
      caller, server,
      [](compute::InstanceEngine& engine, Deadline deadline) -> Result<std::vector<compute::ContainerNetwork>> {
        compute::NetworkAbility* ability = engine.networks();
        if (ability == nullptr) return unsupported();
        return ability->list_networks(deadline);
      },
      networks_of);
}

}  // namespace berth::fleet
