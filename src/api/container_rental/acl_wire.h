#pragma once

#include <boost/describe/class.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "json/fields.h"
#include "json/write.h"

// What container-rental.md puts on the wire for access control lists, and what Berth adds in its style.
namespace berth::api::container_rental {

struct AclRequest {
  std::int64_t user_id = 0;
  std::vector<std::string> permissions;
  std::optional<std::string> container_name;
};
BOOST_DESCRIBE_STRUCT(AclRequest, (), (user_id, permissions, container_name))
inline void describe_fields(json::Fields<AclRequest>& fields) {
  fields("user_id").min(1);
  fields("permissions")
      .items(1, 16)
      .one_of({"read", "write", "execute"})
      .doc({"read 查看，write 启停和修改，execute 执行命令；write 和 execute 包含 read",
            "read: see; write: start, stop, change; execute: run commands. write and execute include read"});
  fields("container_name").length(1, 128).doc({"缺省为所有容器", "Left out: every container"});
}

struct AclRevokeRequest {
  std::int64_t user_id = 0;
  std::optional<std::string> container_name;
};
BOOST_DESCRIBE_STRUCT(AclRevokeRequest, (), (user_id, container_name))
inline void describe_fields(json::Fields<AclRevokeRequest>& fields) {
  fields("user_id").min(1);
  fields("container_name")
      .length(1, 128)
      .doc({"缺省撤销该用户的全部 ACL", "Left out: everything that the user was granted"});
}

struct AclRevoked {
  std::string message;
  std::int64_t revoked = 0;
};
BOOST_DESCRIBE_STRUCT(AclRevoked, (), (message, revoked))

struct AclUserPath {
  std::int64_t user_id = 0;
};
BOOST_DESCRIBE_STRUCT(AclUserPath, (), (user_id))

struct AclNamePath {
  std::string username;
};
BOOST_DESCRIBE_STRUCT(AclNamePath, (), (username))

struct AclLogQuery {
  std::int64_t limit = 100;
  std::int64_t offset = 0;
};
BOOST_DESCRIBE_STRUCT(AclLogQuery, (), (limit, offset))
inline void describe_fields(json::Fields<AclLogQuery>& fields) {
  fields("limit").has_default().range(1, 1000);
  fields("offset").has_default().range(0, 1e15L);
}

/// `container_name` is null where all containers are meant.
struct AclLogLine {
  std::string action;
  std::string timestamp;
  std::string actor;
  std::optional<std::string> container_name;
  std::vector<std::string> before;
  std::vector<std::string> after;
};
BOOST_DESCRIBE_STRUCT(AclLogLine, (), (action, timestamp, actor, container_name, before, after))

struct AclLogs {
  std::int64_t user_id = 0;
  std::vector<AclLogLine> logs;
};
BOOST_DESCRIBE_STRUCT(AclLogs, (), (user_id, logs))

struct AclDownload {
  std::string acl_file;
};
BOOST_DESCRIBE_STRUCT(AclDownload, (), (acl_file))

struct AclFilePath {
  std::string file;
};
BOOST_DESCRIBE_STRUCT(AclFilePath, (), (file))

struct AclFileQuery {
  std::int64_t expires = 0;
  std::string signature;
};
BOOST_DESCRIBE_STRUCT(AclFileQuery, (), (expires, signature))
inline void describe_fields(json::Fields<AclFileQuery>& fields) {
  fields("signature").length(1, 128).secret();
}

/// `container_name` is null where all containers are meant.
struct AclLine {
  std::optional<std::string> container_name;
  std::vector<std::string> permissions;
  std::string created_at;
  std::string updated_at;
};
BOOST_DESCRIBE_STRUCT(AclLine, (), (container_name, permissions, created_at, updated_at))

struct AclList {
  std::int64_t user_id = 0;
  std::vector<AclLine> acl;
};
BOOST_DESCRIBE_STRUCT(AclList, (), (user_id, acl))

struct AclFile {
  std::int64_t user_id = 0;
  std::string username;
  std::string generated_at;
  std::vector<AclLine> acl;
};
BOOST_DESCRIBE_STRUCT(AclFile, (), (user_id, username, generated_at, acl))

}  // namespace berth::api::container_rental
