#include "api/container_rental/resource_routes.h"

#include <algorithm>
#include <utility>

#include "api/container_rental/container_rental.h"
#include "api/container_rental/resource_wire.h"
#include "api/container_rental/wire.h"

namespace berth::api::container_rental {
namespace {

using fleet::ServerResources;
using http::Method;
using namespace identity::permissions;

/// A root file system comes whole in memory.
constexpr std::size_t kLargestArchive = 128UL << 20U;

std::optional<std::string> time_of(const std::optional<Timestamp>& time) {
  return time ? std::optional(format_utc(*time)) : std::nullopt;
}

ImageInfo info_of(const fleet::OnServer<compute::Image>& image) {
  return {image.about.fingerprint,         image.about.aliases,      image.server,
          image.about.size_bytes,          image.about.architecture, image.about.description,
          time_of(image.about.created_at), image.containers};
}

VolumeInfo info_of(const fleet::OnServer<compute::Volume>& volume) {
  return {volume.about.name, volume.server, time_of(volume.about.created_at), volume.containers};
}

NetworkInfo info_of(const fleet::OnServer<compute::ContainerNetwork>& network) {
  return {network.about.name, network.server, network.about.driver, network.about.built_in, network.containers};
}

/// A page of a list, in the struct whose `member` holds the items.
template <class Infos, class Info, class T>
http::Response page_of(const fleet::ServerList<T>& list, std::vector<Info> Infos::*member, const ResourceQuery& query,
                       const Call& call) {
  Infos infos;
  infos.total = list.items.size();
  const std::size_t begin = std::min(query.offset.value_or(0), infos.total);
  const std::size_t end = begin + std::min(query.limit.value_or(infos.total), infos.total - begin);
  for (std::size_t index = begin; index < end; ++index) (infos.*member).push_back(info_of(list.items[index]));
  for (const auto& silent : list.unreachable) {
    infos.unreachable.push_back({silent.server, silent.error.message().in(call.language)});
  }
  auto response = http::Response::json(200, json::to_json(infos));
  response.headers.add("X-Total-Count", std::to_string(infos.total));
  return response;
}

/// The end of an operation that brings an image, or after `wait` seconds where it can be followed.
Result<http::Response> answer_to(const ServerResources::Begun& begun, const std::string& image, std::uint32_t wait,
                                 const Call& call, const Text& done, const Text& going) {
  const auto ended = begun.ticket->wait(Deadline::after(std::chrono::seconds(wait)));
  if (!ended && ended.error().reason() != "operation.running") return ended.error();
  if (!ended) {
    const std::string id = begun.ticket->id().value();
    auto response =
        http::Response::json(202, json::to_json(ImageComing{going.in(call.language), image, begun.server, id}));
    response.headers.add("Location", "operations/" + id);
    return response;
  }
  if (ended->failure) return operations::to_error(*ended->failure);
  if (ended->state != operations::State::succeeded) {
    return Error(ErrorCode::cancelled, "operation.cancelled", {"操作已取消", "The operation was cancelled"});
  }
  return http::Response::json(200, json::to_json(ImageBrought{done.in(call.language), image, begun.server}));
}

Result<void> check_archive(const http::Request& request) {
  const auto type = request.header("Content-Type");
  if (!type) return {};
  const std::string_view media = type->substr(0, type->find(';'));
  for (const std::string_view good : {"application/x-tar", "application/tar", "application/octet-stream"}) {
    if (media == good) return {};
  }
  return Error(ErrorCode::unsupported_media, "request.content_type",
               {"请求体必须是 application/x-tar", "The body must be application/x-tar"});
}

void add_image_routes(Contract& contract, const ResourceRouteParts& parts) {
  contract.add<Nothing, ResourceQuery, Nothing>(
      {Method::get,
       "/api/images",
       kImagesRead,
       {"各服务器上的镜像", "The images of the servers"},
       "images",
       &parts.changes},
      [parts](const Call& call, Nothing, ResourceQuery query, Nothing) -> Result<http::Response> {
        const auto list = BERTH_TRY(parts.resources.list_images(caller_of(call), query.server));
        return page_of(list, &ImageInfos::images, query, call);
      });
  contract.add<Nothing, WaitQuery, ImagePullRequest>(
      {Method::post, "/api/images/pull", kImagesManage, {"拉取镜像", "Pull an image"}, "images", &parts.changes},
      [parts](const Call& call, Nothing, WaitQuery query, ImagePullRequest body) -> Result<http::Response> {
        const auto begun = BERTH_TRY(parts.resources.pull_image(call.origin(), body.image, body.server));
        return answer_to(begun, body.image, query.wait, call, {"镜像拉取成功", "Image pulled successfully"},
                         {"镜像正在拉取", "Image is being pulled"});
      });
  contract.add<Nothing, ImageImportQuery, Nothing>(
      {Method::post,
       "/api/images/import",
       kImagesManage,
       {"由根文件系统的 tar 归档制作镜像", "Make an image of the tar of a root file system"},
       "images",
       &parts.changes,
       kLargestArchive},
      [parts](const Call& call, Nothing, ImageImportQuery query, Nothing) -> Result<http::Response> {
        BERTH_CHECK(check_archive(*call.request));
        const auto begun =
            BERTH_TRY(parts.resources.import_image(call.origin(), query.image, call.request->body, query.server));
        return answer_to(begun, query.image, query.wait, call, {"镜像导入成功", "Image imported successfully"},
                         {"镜像正在导入", "Image is being imported"});
      });
  contract.add<Nothing, ImageRemovalQuery, Nothing>(
      {Method::delete_, "/api/images", kImagesManage, {"删除镜像", "Remove an image"}, "images", &parts.changes},
      [parts](const Call& call, Nothing, ImageRemovalQuery query, Nothing) -> Result<Done> {
        BERTH_CHECK(parts.resources.remove_image(call.origin(), query.image, query.server));
        const Text done{"镜像删除成功", "Image deleted successfully"};
        return Done{done.in(call.language)};
      });
}

void add_volume_routes(Contract& contract, const ResourceRouteParts& parts) {
  contract.add<Nothing, ResourceQuery, Nothing>(
      {Method::get,
       "/api/volumes",
       kVolumesRead,
       {"各服务器上的卷", "The volumes of the servers"},
       "volumes",
       &parts.changes},
      [parts](const Call& call, Nothing, ResourceQuery query, Nothing) -> Result<http::Response> {
        const auto list = BERTH_TRY(parts.resources.list_volumes(caller_of(call), query.server));
        return page_of(list, &VolumeInfos::volumes, query, call);
      });
  contract.add<Nothing, Nothing, NewResourceRequest>(
      {Method::post, "/api/volumes", kVolumesManage, {"创建卷", "Create a volume"}, "volumes", &parts.changes},
      [parts](const Call& call, Nothing, Nothing, NewResourceRequest body) -> Result<Done> {
        BERTH_CHECK(parts.resources.create_volume(call.origin(), body.name, body.server));
        const Text done{"卷创建成功", "Volume created successfully"};
        return Done{done.in(call.language)};
      });
  contract.add<ResourcePath, ServerChoice, Nothing>(
      {Method::delete_,
       "/api/volumes/{name}",
       kVolumesManage,
       {"删除卷", "Delete a volume"},
       "volumes",
       &parts.changes},
      [parts](const Call& call, ResourcePath path, ServerChoice query, Nothing) -> Result<Done> {
        BERTH_CHECK(parts.resources.remove_volume(call.origin(), path.name, query.server));
        const Text done{"卷删除成功", "Volume deleted successfully"};
        return Done{done.in(call.language)};
      });
}

void add_network_routes(Contract& contract, const ResourceRouteParts& parts) {
  contract.add<Nothing, ResourceQuery, Nothing>(
      {Method::get,
       "/api/networks",
       kNetworksRead,
       {"各服务器上的网络", "The networks of the servers"},
       "networks",
       &parts.changes},
      [parts](const Call& call, Nothing, ResourceQuery query, Nothing) -> Result<http::Response> {
        const auto list = BERTH_TRY(parts.resources.list_networks(caller_of(call), query.server));
        return page_of(list, &NetworkInfos::networks, query, call);
      });
  contract.add<Nothing, Nothing, NewResourceRequest>(
      {Method::post, "/api/networks", kNetworksManage, {"创建网络", "Create a network"}, "networks", &parts.changes},
      [parts](const Call& call, Nothing, Nothing, NewResourceRequest body) -> Result<Done> {
        BERTH_CHECK(parts.resources.create_network(call.origin(), body.name, body.server));
        const Text done{"网络创建成功", "Network created successfully"};
        return Done{done.in(call.language)};
      });
  contract.add<ResourcePath, ServerChoice, Nothing>(
      {Method::delete_,
       "/api/networks/{name}",
       kNetworksManage,
       {"删除网络", "Delete a network"},
       "networks",
       &parts.changes},
      [parts](const Call& call, ResourcePath path, ServerChoice query, Nothing) -> Result<Done> {
        BERTH_CHECK(parts.resources.remove_network(call.origin(), path.name, query.server));
        const Text done{"网络删除成功", "Network deleted successfully"};
        return Done{done.in(call.language)};
      });
}

void add_registry_routes(Contract& contract, const ResourceRouteParts& parts) {
  contract.add<Nothing, Nothing, Nothing>(
      {Method::get,
       "/api/registries",
       kRegistriesRead,
       {"镜像仓库的凭据", "Who we are to registries"},
       "registries",
       &parts.reads},
      [parts](const Call&, Nothing, Nothing, Nothing) -> Result<RegistryInfos> {
        RegistryInfos infos;
        for (const auto& login : BERTH_TRY(parts.registries.list())) {
          infos.registries.push_back(
              {login.registry, login.username, format_utc(login.created_at), format_utc(login.updated_at)});
        }
        return infos;
      });
  contract.add<Nothing, Nothing, RegistryRequest>(
      {Method::post,
       "/api/registries",
       kRegistriesManage,
       {"保存或更换镜像仓库的凭据", "Save or replace the credentials for a registry"},
       "registries",
       &parts.reads},
      [parts](const Call& call, Nothing, Nothing, RegistryRequest body) -> Result<RegistrySaved> {
        const auto login = BERTH_TRY(parts.registries.save(
            {std::move(body.registry), std::move(body.username), Secret(std::move(body.password))}, call.origin()));
        const Text done{"镜像仓库凭据保存成功", "Registry saved successfully"};
        return RegistrySaved{done.in(call.language), login.registry};
      });
  contract.add<RegistryPath, Nothing, Nothing>(
      {Method::delete_,
       "/api/registries/{registry}",
       kRegistriesManage,
       {"移除镜像仓库的凭据", "Remove the credentials for a registry"},
       "registries",
       &parts.reads},
      [parts](const Call& call, RegistryPath path, Nothing, Nothing) -> Result<Done> {
        BERTH_CHECK(parts.registries.remove(path.registry, call.origin()));
        const Text done{"镜像仓库凭据移除成功", "Registry removed successfully"};
        return Done{done.in(call.language)};
      });
}

}  // namespace

void add_resource_routes(Contract& contract, const ResourceRouteParts& parts) {
  add_image_routes(contract, parts);
  add_volume_routes(contract, parts);
  add_network_routes(contract, parts);
  add_registry_routes(contract, parts);
}

}  // namespace berth::api::container_rental
