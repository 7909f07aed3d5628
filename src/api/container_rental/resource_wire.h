#pragma once

#include <boost/describe/class.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "json/fields.h"
#include "json/write.h"

// What the contract says of images, volumes, networks and registries.
namespace berth::api::container_rental {

struct ResourceQuery {
  std::optional<std::string> server;
  std::optional<std::size_t> limit;
  std::optional<std::size_t> offset;
};
BOOST_DESCRIBE_STRUCT(ResourceQuery, (), (server, limit, offset))
inline void describe_fields(json::Fields<ResourceQuery>& fields) {
  fields("server").length(1, 63).doc({"缺省为所有服务器", "Left out: all servers"});
  fields("limit").range(1, 10000);
  fields("offset").range(0, 100000000);
}

/// A server that gave no answer, and why.
struct SilentServer {
  std::string server;
  std::string error;
};
BOOST_DESCRIBE_STRUCT(SilentServer, (), (server, error))

/// `size` in bytes; `containers` are those made from it that the caller may see.
struct ImageInfo {
  std::string id;
  std::vector<std::string> names;
  std::string server;
  std::uint64_t size = 0;
  std::string architecture;
  std::string description;
  std::optional<std::string> created_at;
  std::vector<std::string> containers;
};
BOOST_DESCRIBE_STRUCT(ImageInfo, (), (id, names, server, size, architecture, description, created_at, containers))

struct ImageInfos {
  std::vector<ImageInfo> images;
  std::size_t total = 0;
  std::vector<SilentServer> unreachable;
};
BOOST_DESCRIBE_STRUCT(ImageInfos, (), (images, total, unreachable))

struct ImagePullRequest {
  std::string image;
  std::optional<std::string> server;
};
BOOST_DESCRIBE_STRUCT(ImagePullRequest, (), (image, server))
inline void describe_fields(json::Fields<ImagePullRequest>& fields) {
  fields("image").length(1, 512).example("registry.example.com:5000/team/app:1.2");
  fields("server").length(1, 63).doc({"只有一台服务器时可省略", "May be left out where there is only one server"});
}

struct ImageImportQuery {
  std::string image;
  std::optional<std::string> server;
  std::uint32_t wait = 60;
};
BOOST_DESCRIBE_STRUCT(ImageImportQuery, (), (image, server, wait))
inline void describe_fields(json::Fields<ImageImportQuery>& fields) {
  fields("image").length(1, 512).doc({"新镜像的名称；请求体是根文件系统的 tar 归档，不超过 128 MiB",
                                      "What the new image is called; the body is a tar of a root file system, of at "
                                      "most 128 MiB"});
  fields("server").length(1, 63).doc({"只有一台服务器时可省略", "May be left out where there is only one server"});
  fields("wait").has_default().range(0, 600);
}

struct ImageRemovalQuery {
  std::string image;
  std::optional<std::string> server;
};
BOOST_DESCRIBE_STRUCT(ImageRemovalQuery, (), (image, server))
inline void describe_fields(json::Fields<ImageRemovalQuery>& fields) {
  fields("image").length(1, 512).doc({"名称或编号", "A name or an id"});
  fields("server").length(1, 63).doc({"只有一台服务器时可省略", "May be left out where there is only one server"});
}

struct ImageBrought {
  std::string message;
  std::string image;
  std::string server;
};
BOOST_DESCRIBE_STRUCT(ImageBrought, (), (message, image, server))

/// Behind a 202: it is still under way.
struct ImageComing {
  std::string message;
  std::string image;
  std::string server;
  std::string operation;
};
BOOST_DESCRIBE_STRUCT(ImageComing, (), (message, image, server, operation))

/// A new volume or network.
struct NewResourceRequest {
  std::string name;
  std::optional<std::string> server;
};
BOOST_DESCRIBE_STRUCT(NewResourceRequest, (), (name, server))
inline void describe_fields(json::Fields<NewResourceRequest>& fields) {
  fields("name").length(2, 128).example("data");
  fields("server").length(1, 63).doc({"只有一台服务器时可省略", "May be left out where there is only one server"});
}

struct ResourcePath {
  std::string name;
};
BOOST_DESCRIBE_STRUCT(ResourcePath, (), (name))

struct ServerChoice {
  std::optional<std::string> server;
};
BOOST_DESCRIBE_STRUCT(ServerChoice, (), (server))
inline void describe_fields(json::Fields<ServerChoice>& fields) {
  fields("server").length(1, 63).doc({"只有一台服务器时可省略", "May be left out where there is only one server"});
}

struct VolumeInfo {
  std::string name;
  std::string server;
  std::optional<std::string> created_at;
  std::vector<std::string> containers;
};
BOOST_DESCRIBE_STRUCT(VolumeInfo, (), (name, server, created_at, containers))

struct VolumeInfos {
  std::vector<VolumeInfo> volumes;
  std::size_t total = 0;
  std::vector<SilentServer> unreachable;
};
BOOST_DESCRIBE_STRUCT(VolumeInfos, (), (volumes, total, unreachable))

struct NetworkInfo {
  std::string name;
  std::string server;
  std::string driver;
  bool built_in = false;
  std::vector<std::string> containers;
};
BOOST_DESCRIBE_STRUCT(NetworkInfo, (), (name, server, driver, built_in, containers))

struct NetworkInfos {
  std::vector<NetworkInfo> networks;
  std::size_t total = 0;
  std::vector<SilentServer> unreachable;
};
BOOST_DESCRIBE_STRUCT(NetworkInfos, (), (networks, total, unreachable))

struct RegistryRequest {
  std::string registry;
  std::string username;
  std::string password;
};
BOOST_DESCRIBE_STRUCT(RegistryRequest, (), (registry, username, password))
inline void describe_fields(json::Fields<RegistryRequest>& fields) {
  fields("registry").length(1, 300).example("registry.example.com:5000");
  fields("username").length(1, 256);
  fields("password").length(1, 16384).secret();
}

struct RegistryPath {
  std::string registry;
};
BOOST_DESCRIBE_STRUCT(RegistryPath, (), (registry))

struct RegistryInfo {
  std::string registry;
  std::string username;
  std::string created_at;
  std::string updated_at;
};
BOOST_DESCRIBE_STRUCT(RegistryInfo, (), (registry, username, created_at, updated_at))

struct RegistryInfos {
  std::vector<RegistryInfo> registries;
};
BOOST_DESCRIBE_STRUCT(RegistryInfos, (), (registries))

struct RegistrySaved {
  std::string message;
  std::string registry;
};
BOOST_DESCRIBE_STRUCT(RegistrySaved, (), (message, registry))

}  // namespace berth::api::container_rental
