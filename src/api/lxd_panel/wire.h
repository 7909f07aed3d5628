#pragma once

#include <boost/describe/class.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "json/fields.h"
#include "json/write.h"

// What lxd-panel.md puts on the wire, field by field, and what Berth adds in its style.
namespace berth::api::lxd_panel {

struct Root {
  std::string name;
  std::string version;
  std::string status;
  std::string timestamp;
};
BOOST_DESCRIBE_STRUCT(Root, (), (name, version, status, timestamp))

struct Health {
  std::string status;
  bool lxd_connected = false;
};
BOOST_DESCRIBE_STRUCT(Health, (), (status, lxd_connected))

/// Memory in MiB, disk in GiB.
struct HostInfo {
  std::uint32_t cpu_cores = 0;
  double cpu_percent = 0;
  std::uint64_t memory_total = 0;
  std::uint64_t memory_used = 0;
  double memory_percent = 0;
  std::uint64_t disk_total = 0;
  std::uint64_t disk_used = 0;
  double disk_percent = 0;
};
BOOST_DESCRIBE_STRUCT(HostInfo, (),
                      (cpu_cores, cpu_percent, memory_total, memory_used, memory_percent, disk_total, disk_used,
                       disk_percent))

struct InstanceInfo {
  std::string name;
  std::string status;
  std::optional<std::string> ipv4;
  std::optional<std::string> ipv6;
  std::string architecture;
  std::string created_at;
  std::string description;
};
BOOST_DESCRIBE_STRUCT(InstanceInfo, (), (name, status, ipv4, ipv6, architecture, created_at, description))

/// Memory, disk and traffic in MiB.
struct ResourceUsage {
  double cpu_percent = 0;
  std::uint64_t memory_used = 0;
  std::uint64_t memory_total = 0;
  std::uint64_t disk_used = 0;
  std::uint64_t disk_total = 0;
  std::uint64_t network_rx = 0;
  std::uint64_t network_tx = 0;
};
BOOST_DESCRIBE_STRUCT(ResourceUsage, (),
                      (cpu_percent, memory_used, memory_total, disk_used, disk_total, network_rx, network_tx))

struct InstanceDetail {
  InstanceInfo info;
  ResourceUsage resources;
  std::optional<std::uint16_t> ssh_port;
  std::optional<std::string> nat_ports;
  std::optional<std::string> root_password;
};
BOOST_DESCRIBE_STRUCT(InstanceDetail, (), (info, resources, ssh_port, nat_ports, root_password))

/// One instance of a `/ws/monitor` message.
struct MonitoredInstance {
  std::string name;
  std::string status;
  std::optional<std::string> ipv4;
  ResourceUsage resources;
  std::optional<std::uint16_t> ssh_port;
  std::optional<std::string> nat_ports;
};
BOOST_DESCRIBE_STRUCT(MonitoredInstance, (), (name, status, ipv4, resources, ssh_port, nat_ports))

/// The answer to every change.
template <class Data>
struct ActionResult {
  bool success = true;
  std::string message;
  Data data;
  BOOST_DESCRIBE_CLASS(ActionResult, (), (success, message, data), (), ())
};
using PlainResult = ActionResult<std::nullptr_t>;

struct InstancePath {
  std::string name;
};
BOOST_DESCRIBE_STRUCT(InstancePath, (), (name))

struct ListQuery {
  std::optional<std::string> status;
  std::optional<std::string> search;
  std::optional<std::string> sort;
  std::optional<std::size_t> limit;
  std::optional<std::size_t> offset;
};
BOOST_DESCRIBE_STRUCT(ListQuery, (), (status, search, sort, limit, offset))
inline void describe_fields(json::Fields<ListQuery>& fields) {
  fields("status").length(1, 32).doc({"按状态过滤，例如 Running", "Only this status, for example Running"});
  fields("search").length(1, 128).doc({"名称、地址或描述中包含", "Contained in name, address or description"});
  fields("sort").one_of(
      {"name", "-name", "status", "-status", "created_at", "-created_at", "cpu", "-cpu", "memory", "-memory"});
  fields("limit").range(1, 10000);
  fields("offset").range(0, 100000000);
}

struct ForceQuery {
  bool force = false;
};
BOOST_DESCRIBE_STRUCT(ForceQuery, (), (force))
inline void describe_fields(json::Fields<ForceQuery>& fields) {
  fields("force").has_default().doc({"强制（先停止）", "By force (stops it first)"});
}

struct CreateRequest {
  std::string name;
  std::string image;
  std::optional<double> cpu;
  std::optional<std::uint64_t> memory;
  std::optional<std::uint64_t> disk;
  std::optional<std::string> description;
  std::optional<std::uint16_t> ssh_port;
  std::optional<std::string> root_password;
  std::optional<std::string> nat_ports;
  std::optional<std::string> type;
  bool start = true;
};
BOOST_DESCRIBE_STRUCT(CreateRequest, (),
                      (name, image, cpu, memory, disk, description, ssh_port, root_password, nat_ports, type, start))
inline void describe_fields(json::Fields<CreateRequest>& fields) {
  fields("name").length(1, 63).example("test1").doc(
      {"字母开头，字母、数字和 -", "Letters, digits and '-', a letter first"});
  fields("image").length(1, 255).example("ubuntu-22.04").doc({"镜像别名或指纹", "Alias or fingerprint of an image"});
  fields("cpu").range(0.01L, 1024).doc({"CPU 核数上限", "Limit in cores"});
  fields("memory").range(4, 1ULL << 30U).doc({"内存上限（MB）", "Limit of memory, MiB"});
  fields("disk").range(1, 1ULL << 40U).doc({"磁盘上限（MB）", "Limit of the root disk, MiB"});
  fields("description").length(0, 1024);
  fields("ssh_port").range(1, 65535);
  fields("root_password")
      .length(1, 128)
      .secret()
      .check([](std::string_view text) { return text.find_first_of(" \t\r\n") == std::string_view::npos; },
             {"不能包含空白", "Must not contain white space"});
  fields("nat_ports").length(3, 11).example("30000-30025");
  fields("type").one_of({"container", "virtual-machine"});
  fields("start").has_default();
}

struct WaitQuery {
  std::uint32_t wait = 60;
};
BOOST_DESCRIBE_STRUCT(WaitQuery, (), (wait))
inline void describe_fields(json::Fields<WaitQuery>& fields) {
  fields("wait").has_default().range(0, 600).doc(
      {"等待完成的秒数；超过则返回 202 和操作编号", "Seconds to wait for the end; beyond them 202 with the operation"});
}

struct ChangeRequest {
  std::optional<std::string> description;
  std::optional<std::optional<double>> cpu;
  std::optional<std::optional<std::uint64_t>> memory;
  std::optional<std::optional<std::uint64_t>> disk;
};
BOOST_DESCRIBE_STRUCT(ChangeRequest, (), (description, cpu, memory, disk))
inline void describe_fields(json::Fields<ChangeRequest>& fields) {
  fields("description").length(0, 1024);
  fields("cpu").range(0.01L, 1024).doc({"CPU 核数上限；null 取消限制", "Limit in cores; null removes it"});
  fields("memory")
      .range(4, 1ULL << 30U)
      .doc({"内存上限（MB）；null 取消限制", "Limit of memory, MiB; null removes it"});
  fields("disk")
      .range(1, 1ULL << 40U)
      .doc({"磁盘上限（MB）；null 取消限制", "Limit of the root disk, MiB; null removes it"});
}

struct RenameRequest {
  std::string new_name;
};
BOOST_DESCRIBE_STRUCT(RenameRequest, (), (new_name))
inline void describe_fields(json::Fields<RenameRequest>& fields) {
  fields("new_name").length(1, 63);
}

struct BulkRequest {
  std::string action;
  std::vector<std::string> instances;
  bool force = false;
};
BOOST_DESCRIBE_STRUCT(BulkRequest, (), (action, instances, force))
inline void describe_fields(json::Fields<BulkRequest>& fields) {
  fields("action").one_of({"start", "stop", "restart"});
  fields("instances").items(1, 100);
  fields("force").has_default();
}

struct BulkItem {
  std::string name;
  bool success = false;
  std::string message;
};
BOOST_DESCRIBE_STRUCT(BulkItem, (), (name, success, message))

struct CreateData {
  std::string operation;
  std::optional<InstanceInfo> info;
};
BOOST_DESCRIBE_STRUCT(CreateData, (), (operation, info))

struct SnapshotPath {
  std::string name;
  std::string snapshot;
};
BOOST_DESCRIBE_STRUCT(SnapshotPath, (), (name, snapshot))

struct SnapshotRequest {
  std::string name;
  bool stateful = false;
};
BOOST_DESCRIBE_STRUCT(SnapshotRequest, (), (name, stateful))
inline void describe_fields(json::Fields<SnapshotRequest>& fields) {
  fields("name").length(1, 63);
  fields("stateful").has_default().doc({"同时保存内存", "Keeps the memory too"});
}

struct SnapshotInfo {
  std::string name;
  std::string created_at;
  bool stateful = false;
  std::optional<std::string> expires_at;
  std::optional<std::uint64_t> size;
};
BOOST_DESCRIBE_STRUCT(SnapshotInfo, (), (name, created_at, stateful, expires_at, size))

struct ImagePath {
  std::string image;
};
BOOST_DESCRIBE_STRUCT(ImagePath, (), (image))

struct ImageInfo {
  std::string fingerprint;
  std::vector<std::string> aliases;
  std::string description;
  std::string os;
  std::string release;
  std::string architecture;
  std::string type;
  std::uint64_t size = 0;
  std::string uploaded_at;
};
BOOST_DESCRIBE_STRUCT(ImageInfo, (),
                      (fingerprint, aliases, description, os, release, architecture, type, size, uploaded_at))

}  // namespace berth::api::lxd_panel
