#pragma once

#include <boost/describe/class.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "json/fields.h"
#include "json/write.h"

// What container-rental.md puts on the wire for users and containers, field by field, and what Berth adds in its style.
namespace berth::api::container_rental {

/// The answer to every change that has nothing else to say.
struct Done {
  std::string message;
};
BOOST_DESCRIBE_STRUCT(Done, (), (message))

struct NewUserRequest {
  std::string username;
  std::string password;
  std::string email;
};
BOOST_DESCRIBE_STRUCT(NewUserRequest, (), (username, password, email))
inline void describe_fields(json::Fields<NewUserRequest>& fields) {
  fields("username").length(1, 64);
  fields("password").length(8, 1024).secret();
  fields("email").length(3, 254);
}

struct UserCreated {
  std::string message;
  std::int64_t user_id = 0;
};
BOOST_DESCRIBE_STRUCT(UserCreated, (), (message, user_id))

struct ContainerPath {
  std::string container_name;
};
BOOST_DESCRIBE_STRUCT(ContainerPath, (), (container_name))

/// One container of the list, as the document has it.
struct ContainerState {
  std::string container_name;
  std::string status;
};
BOOST_DESCRIBE_STRUCT(ContainerState, (), (container_name, status))

struct ContainerStates {
  std::vector<ContainerState> containers;
};
BOOST_DESCRIBE_STRUCT(ContainerStates, (), (containers))

struct PortBody {
  std::uint16_t container_port = 0;
  std::optional<std::uint16_t> host_port;
  std::string protocol = "tcp";
  std::string host_address;
};
BOOST_DESCRIBE_STRUCT(PortBody, (), (container_port, host_port, protocol, host_address))
inline void describe_fields(json::Fields<PortBody>& fields) {
  fields("container_port").range(1, 65535);
  fields("host_port").range(1, 65535).doc({"缺省由引擎选择", "Left out: the engine chooses"});
  fields("protocol").has_default().one_of({"tcp", "udp"});
  fields("host_address").has_default().length(0, 45);
}

struct VolumeBody {
  std::string source;
  std::string target;
  bool read_only = false;
};
BOOST_DESCRIBE_STRUCT(VolumeBody, (), (source, target, read_only))
inline void describe_fields(json::Fields<VolumeBody>& fields) {
  fields("source").length(1, 4096).doc({"卷名，或服务器上的绝对路径（需要权限）",
                                        "A volume's name, or an absolute path of the server (needs a permission)"});
  fields("target").length(1, 4096);
  fields("read_only").has_default();
}

/// CPU in cores, memory in MiB.
struct LimitsBody {
  std::optional<double> cpu;
  std::optional<std::uint64_t> memory;
};
BOOST_DESCRIBE_STRUCT(LimitsBody, (), (cpu, memory))
inline void describe_fields(json::Fields<LimitsBody>& fields) {
  fields("cpu").range(0.01L, 1024).doc({"CPU 核数上限", "Limit in cores"});
  fields("memory").range(6, 1ULL << 30U).doc({"内存上限（MB）", "Limit of memory, MiB"});
}

struct NewContainerRequest {
  std::string container_name;
  std::string image;
  std::optional<std::string> server;
  std::vector<std::string> command;
  std::vector<std::string> entrypoint;
  std::map<std::string, std::string> environment;
  std::vector<PortBody> ports;
  std::vector<VolumeBody> volumes;
  std::vector<std::string> networks;
  std::string restart_policy = "no";
  std::map<std::string, std::string> labels;
  LimitsBody limits;
  bool start = true;
};
BOOST_DESCRIBE_STRUCT(NewContainerRequest, (),
                      (container_name, image, server, command, entrypoint, environment, ports, volumes, networks,
                       restart_policy, labels, limits, start))
inline void describe_fields(json::Fields<NewContainerRequest>& fields) {
  fields("container_name").length(1, 128).example("container1");
  fields("image").length(1, 512).example("nginx:1.25");
  fields("server").length(1, 63).doc({"缺省为余量最大的服务器", "Left out: the server with the most room"});
  fields("command").has_default().items(0, 256);
  fields("entrypoint").has_default().items(0, 256);
  fields("environment").has_default().items(0, 256);
  fields("ports").has_default().items(0, 256);
  fields("volumes").has_default().items(0, 256);
  fields("networks").has_default().items(0, 256);
  fields("restart_policy").has_default().one_of({"no", "on-failure", "always", "unless-stopped"});
  fields("labels").has_default().items(0, 256);
  fields("limits").has_default();
  fields("start").has_default();
}

struct ContainerCreated {
  std::string message;
  std::int64_t container_id = 0;
};
BOOST_DESCRIBE_STRUCT(ContainerCreated, (), (message, container_id))

/// Behind a 202: it is still under way.
struct ContainerStarting {
  std::string message;
  std::int64_t container_id = 0;
  std::string operation;
};
BOOST_DESCRIBE_STRUCT(ContainerStarting, (), (message, container_id, operation))

struct ContainerChangeRequest {
  std::optional<std::string> container_name;
  std::optional<std::string> image;
  std::optional<LimitsBody> limits;
  std::optional<std::map<std::string, std::string>> environment;
  std::optional<std::string> restart_policy;
};
BOOST_DESCRIBE_STRUCT(ContainerChangeRequest, (), (container_name, image, limits, environment, restart_policy))
inline void describe_fields(json::Fields<ContainerChangeRequest>& fields) {
  fields("container_name").length(1, 128);
  fields("image").length(1, 512);
  fields("environment").items(0, 256).doc({"整个环境变量表", "All of the environment"});
  fields("restart_policy").one_of({"no", "on-failure", "always", "unless-stopped"});
}

struct ContainerQuery {
  std::optional<std::string> status;
  std::optional<std::string> server;
  std::optional<std::string> search;
  std::optional<std::size_t> limit;
  std::optional<std::size_t> offset;
  bool detail = false;
};
BOOST_DESCRIBE_STRUCT(ContainerQuery, (), (status, server, search, limit, offset, detail))
inline void describe_fields(json::Fields<ContainerQuery>& fields) {
  fields("status").one_of({"running", "stopped", "paused", "restarting", "error"});
  fields("server").length(1, 63);
  fields("search").length(1, 128).doc({"名称或镜像中包含", "Contained in the name or the image"});
  fields("limit").range(1, 10000);
  fields("offset").range(0, 100000000);
  fields("detail").has_default().doc({"列出全部字段", "Every field of each"});
}

/// Memory in bytes, traffic in bytes since the start of the container.
struct ContainerInfo {
  std::int64_t container_id = 0;
  std::string container_name;
  std::string status;
  std::string server;
  bool reachable = true;
  std::string presence;
  std::string image;
  std::optional<std::int64_t> owner_id;
  std::optional<std::string> ipv4;
  double cpu_percent = 0;
  std::uint64_t memory_used = 0;
  std::uint64_t traffic_in = 0;
  std::uint64_t traffic_out = 0;
  LimitsBody limits;
  std::vector<PortBody> ports;
  std::vector<VolumeBody> volumes;
  std::vector<std::string> networks;
  std::string restart_policy;
  std::string created_at;
};
BOOST_DESCRIBE_STRUCT(ContainerInfo, (),
                      (container_id, container_name, status, server, reachable, presence, image, owner_id, ipv4,
                       cpu_percent, memory_used, traffic_in, traffic_out, limits, ports, volumes, networks,
                       restart_policy, created_at))

/// One container asked for by its name.
struct ContainerDetail : ContainerInfo {
  std::optional<std::map<std::string, std::string>> environment;
};
BOOST_DESCRIBE_STRUCT(ContainerDetail, (ContainerInfo), (environment))
inline void describe_fields(json::Fields<ContainerDetail>& fields) {
  fields("environment")
      .doc({"值需要 instances:secrets 权限和对该容器的 write 权限，否则为 ***；密钥已丢失时为 null",
            "Values need the permission instances:secrets and the right to write this container, or they are ***; "
            "null where their key is gone"});
}

struct ContainerInfos {
  std::vector<ContainerInfo> containers;
  std::size_t total = 0;
};
BOOST_DESCRIBE_STRUCT(ContainerInfos, (), (containers, total))

struct WaitQuery {
  std::uint32_t wait = 60;
};
BOOST_DESCRIBE_STRUCT(WaitQuery, (), (wait))
inline void describe_fields(json::Fields<WaitQuery>& fields) {
  fields("wait").has_default().range(0, 600).doc(
      {"等待完成的秒数；超过则返回 202 和操作编号", "Seconds to wait for the end; beyond them 202 with the operation"});
}

struct ForceQuery {
  bool force = false;
};
BOOST_DESCRIBE_STRUCT(ForceQuery, (), (force))
inline void describe_fields(json::Fields<ForceQuery>& fields) {
  fields("force").has_default();
}

struct LogsQuery {
  std::optional<std::uint32_t> tail;
  std::optional<std::string> since;
  bool timestamps = false;
};
BOOST_DESCRIBE_STRUCT(LogsQuery, (), (tail, since, timestamps))
inline void describe_fields(json::Fields<LogsQuery>& fields) {
  fields("tail").range(0, 1000000).doc({"最后若干行", "So many lines from the end"});
  fields("since")
      .length(1, 64)
      .example("2026-01-23T11:30:00Z")
      .doc({"不早于该时间（RFC 3339）", "Not before (RFC 3339)"});
  fields("timestamps").has_default();
}

/// The same while it is written.
struct LogFollowQuery {
  std::optional<std::uint32_t> tail;
  std::optional<std::string> since;
  bool timestamps = false;
  std::optional<std::string> token;
};
BOOST_DESCRIBE_STRUCT(LogFollowQuery, (), (tail, since, timestamps, token))
inline void describe_fields(json::Fields<LogFollowQuery>& fields) {
  fields("tail")
      .range(0, 1000000)
      .doc({"先给出最后若干行；缺省为全部", "So many lines from the end first; all if absent"});
  fields("since")
      .length(1, 64)
      .example("2026-01-23T11:30:00Z")
      .doc({"不早于该时间（RFC 3339）", "Not before (RFC 3339)"});
  fields("timestamps").has_default();
  fields("token").secret();
}

struct ContainerLogs {
  std::string container_name;
  std::string logs;
};
BOOST_DESCRIBE_STRUCT(ContainerLogs, (), (container_name, logs))

/// A console has no command of its own.
struct ConsoleQuery {
  std::uint16_t cols = 80;
  std::uint16_t rows = 24;
  std::optional<std::string> token;
};
BOOST_DESCRIBE_STRUCT(ConsoleQuery, (), (cols, rows, token))
inline void describe_fields(json::Fields<ConsoleQuery>& fields) {
  fields("cols").has_default().range(1, 1000);
  fields("rows").has_default().range(1, 1000);
  fields("token").secret();
}

}  // namespace berth::api::container_rental
