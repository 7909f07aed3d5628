#pragma once

#include <boost/describe/class.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "json/fields.h"
#include "json/write.h"

// What the contract says of servers and their health.
namespace berth::api::container_rental {

struct HealthState {
  std::string status;  ///< of all servers together: the worst
};
BOOST_DESCRIBE_STRUCT(HealthState, (), (status))

struct ServerHealthState {
  std::int64_t server_id = 0;
  std::string status;
};
BOOST_DESCRIBE_STRUCT(ServerHealthState, (), (server_id, status))

struct ServerPath {
  std::int64_t server_id = 0;
};
BOOST_DESCRIBE_STRUCT(ServerPath, (), (server_id))
inline void describe_fields(json::Fields<ServerPath>& fields) {
  fields("server_id").range(1, 1LL << 53U);
}

struct NewServerRequest {
  std::string name;
  std::string url;
  std::optional<std::string> ca_certificate;
  std::optional<std::string> certificate;
  std::optional<std::string> key;
  std::optional<std::string> host_key;
  std::map<std::string, std::string> labels;
  std::string fence = "none";
  std::optional<std::string> fence_command;
  bool test = true;
};
BOOST_DESCRIBE_STRUCT(NewServerRequest, (),
                      (name, url, ca_certificate, certificate, key, host_key, labels, fence, fence_command, test))
inline void describe_fields(json::Fields<NewServerRequest>& fields) {
  fields("name").length(1, 63).example("docker-1");
  fields("url")
      .length(1, 2048)
      .example("unix:///run/docker.sock")
      .doc({"unix://、tcp:// 或 ssh:// 地址", "An address with unix://, tcp:// or ssh://"});
  fields("ca_certificate").length(1, 65536).doc({"PEM", "PEM"});
  fields("certificate").length(1, 65536).doc({"PEM", "PEM"});
  fields("key").length(1, 65536).secret().doc(
      {"PEM 私钥，用于证书或 SSH，无口令", "PEM, of the certificate or of SSH, without a passphrase"});
  fields("host_key")
      .length(1, 8192)
      .doc({"SSH 服务器的主机密钥，ssh-keyscan 的输出", "An SSH server's key, as ssh-keyscan prints it"});
  fields("labels").has_default().items(0, 64);
  fields("fence").has_default().one_of({"none", "agent", "command"});
  fields("fence_command").length(1, 64);
  fields("test").has_default().doc({"先测试连接", "Tests the connection first"});
}

struct ServerChangeRequest {
  std::optional<std::string> url;
  std::optional<std::string> ca_certificate;
  std::optional<std::string> certificate;
  std::optional<std::string> key;
  std::optional<std::string> host_key;
  std::optional<std::map<std::string, std::string>> labels;
  std::optional<std::string> fence;
  std::optional<std::string> fence_command;
  bool test = true;
};
BOOST_DESCRIBE_STRUCT(ServerChangeRequest, (),
                      (url, ca_certificate, certificate, key, host_key, labels, fence, fence_command, test))
inline void describe_fields(json::Fields<ServerChangeRequest>& fields) {
  fields("url").length(1, 2048).doc({"证书等随地址一起给出", "Certificates belong to the address and come with it"});
  fields("ca_certificate").length(1, 65536);
  fields("certificate").length(1, 65536);
  fields("key").length(1, 65536).secret();
  fields("host_key").length(1, 8192);
  fields("labels").items(0, 64);
  fields("fence").one_of({"none", "agent", "command"});
  fields("fence_command").length(1, 64);
  fields("test").has_default();
}

struct ServerCreated {
  std::string message;
  std::int64_t server_id = 0;
};
BOOST_DESCRIBE_STRUCT(ServerCreated, (), (message, server_id))

/// What is known of the agent of a server whose fence is one. `bond` is what may be counted on: "none", "timed" (it
/// stops everything when it hears nothing) or "standing" (not before it hears something); `silent_for` in milliseconds.
struct AgentState {
  std::string bond;
  std::optional<std::int64_t> silent_for;
  bool lets_run = true;  ///< containers keep running there, so they can be changed
};
BOOST_DESCRIBE_STRUCT(AgentState, (), (bond, silent_for, lets_run))

/// Since when, and how ("command", "agent", "person"), it is certain that nothing runs on a server that is down.
struct FencedInfo {
  std::string since;
  std::string how;
};
BOOST_DESCRIBE_STRUCT(FencedInfo, (), (since, how))

/// Memory and disk in bytes, latency and clock difference in milliseconds.
struct ServerInfo {
  std::int64_t server_id = 0;
  std::string name;
  std::string url;
  std::string status;
  std::string reason;
  std::string placement;
  std::string fence;
  std::optional<AgentState> agent;
  std::optional<FencedInfo> fenced;
  std::map<std::string, std::string> labels;
  std::string engine;
  std::optional<std::int64_t> latency;
  std::optional<std::int64_t> clock_difference;
  std::optional<std::string> answered_at;
  double cpus = 0;
  double cpus_reserved = 0;
  std::uint64_t memory_total = 0;
  std::uint64_t memory_reserved = 0;
  std::uint64_t disk_total = 0;
  std::uint64_t disk_free = 0;
  std::uint32_t containers = 0;
  std::uint32_t running = 0;
  std::string created_at;
};
BOOST_DESCRIBE_STRUCT(ServerInfo, (),
                      (server_id, name, url, status, reason, placement, fence, agent, fenced, labels, engine, latency,
                       clock_difference, answered_at, cpus, cpus_reserved, memory_total, memory_reserved, disk_total,
                       disk_free, containers, running, created_at))

struct ServerInfos {
  std::vector<ServerInfo> servers;
};
BOOST_DESCRIBE_STRUCT(ServerInfos, (), (servers))

struct ServerTested {
  std::string message;
  std::string engine;
  std::int64_t latency = 0;
};
BOOST_DESCRIBE_STRUCT(ServerTested, (), (message, engine, latency))

}  // namespace berth::api::container_rental
