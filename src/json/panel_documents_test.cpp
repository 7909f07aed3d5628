// The answers that the panel's document shows, reproduced byte for byte (white space aside).
#include <gtest/gtest.h>

#include "json/read.h"
#include "json/write.h"

namespace berth::json {
namespace {

struct Root {
  std::string name, version, status, timestamp;
};
BOOST_DESCRIBE_STRUCT(Root, (), (name, version, status, timestamp))

struct Health {
  std::string status;
  bool lxd_connected = false;
};
BOOST_DESCRIBE_STRUCT(Health, (), (status, lxd_connected))

struct HostInfo {
  int cpu_cores = 0;
  double cpu_percent = 0;
  std::int64_t memory_total = 0, memory_used = 0;
  double memory_percent = 0;
  std::int64_t disk_total = 0, disk_used = 0;
  double disk_percent = 0;
};
BOOST_DESCRIBE_STRUCT(HostInfo, (),
                      (cpu_cores, cpu_percent, memory_total, memory_used, memory_percent, disk_total, disk_used,
                       disk_percent))

struct InstanceInfo {
  std::string name, status;
  std::optional<std::string> ipv4, ipv6;
  std::string architecture, created_at, description;
};
BOOST_DESCRIBE_STRUCT(InstanceInfo, (), (name, status, ipv4, ipv6, architecture, created_at, description))

struct ResourceUsage {
  double cpu_percent = 0;
  std::int64_t memory_used = 0, memory_total = 0, disk_used = 0, disk_total = 0, network_rx = 0, network_tx = 0;
};
BOOST_DESCRIBE_STRUCT(ResourceUsage, (),
                      (cpu_percent, memory_used, memory_total, disk_used, disk_total, network_rx, network_tx))

struct InstanceDetail {
  InstanceInfo info;
  ResourceUsage resources;
  std::optional<int> ssh_port;
  std::optional<std::string> nat_ports, root_password;
};
BOOST_DESCRIBE_STRUCT(InstanceDetail, (), (info, resources, ssh_port, nat_ports, root_password))

struct ActionAnswer {
  bool success = false;
  std::string message;
  std::nullptr_t data = nullptr;
};
BOOST_DESCRIBE_STRUCT(ActionAnswer, (), (success, message, data))

struct MonitoredInstance {
  std::string name, status;
  std::optional<std::string> ipv4;
  ResourceUsage resources;
  std::optional<int> ssh_port;
  std::optional<std::string> nat_ports;
};
BOOST_DESCRIBE_STRUCT(MonitoredInstance, (), (name, status, ipv4, resources, ssh_port, nat_ports))

struct MonitorData {
  std::vector<MonitoredInstance> instances;
  HostInfo host;
};
BOOST_DESCRIBE_STRUCT(MonitorData, (), (instances, host))

struct MonitorMessage {
  std::string type, timestamp;
  MonitorData data;
};
BOOST_DESCRIBE_STRUCT(MonitorMessage, (), (type, timestamp, data))

struct ErrorAnswer {
  std::string detail;
};
BOOST_DESCRIBE_STRUCT(ErrorAnswer, (), (detail))

/// Takes the white space outside of strings away.
std::string compact(std::string_view text) {
  std::string out;
  bool inside = false;
  for (const char c : text) {
    if (c == '"') inside = !inside;
    if (inside || (c != ' ' && c != '\n')) out.push_back(c);
  }
  return out;
}

const InstanceInfo kInfo = {"test1",
                            "Running",
                            "10.0.0.100",
                            std::nullopt,
                            "x86_64",
                            "2026-01-20T10:00:00",
                            "test1 20001 password123 30000 30025"};
const ResourceUsage kUsage = {47.5, 256, 512, 2048, 10240, 100, 50};
const HostInfo kHost = {4, 35.2, 16384, 8192, 50.0, 500, 250, 50.0};

constexpr std::string_view kHostText = R"({
  "cpu_cores": 4,
  "cpu_percent": 35.2,
  "memory_total": 16384,
  "memory_used": 8192,
  "memory_percent": 50.0,
  "disk_total": 500,
  "disk_used": 250,
  "disk_percent": 50.0
})";
constexpr std::string_view kListText = R"([
  {
    "name": "test1",
    "status": "Running",
    "ipv4": "10.0.0.100",
    "ipv6": null,
    "architecture": "x86_64",
    "created_at": "2026-01-20T10:00:00",
    "description": "test1 20001 password123 30000 30025"
  }
])";
constexpr std::string_view kDetailText = R"({
  "info": {
    "name": "test1",
    "status": "Running",
    "ipv4": "10.0.0.100",
    "ipv6": null,
    "architecture": "x86_64",
    "created_at": "2026-01-20T10:00:00",
    "description": "test1 20001 password123 30000 30025"
  },
  "resources": {
    "cpu_percent": 47.5,
    "memory_used": 256,
    "memory_total": 512,
    "disk_used": 2048,
    "disk_total": 10240,
    "network_rx": 100,
    "network_tx": 50
  },
  "ssh_port": 20001,
  "nat_ports": "30000-30025",
  "root_password": "password123"
})";
constexpr std::string_view kMonitorText = R"({
  "type": "update",
  "timestamp": "2026-01-23T11:30:00",
  "data": {
    "instances": [
      {
        "name": "test1",
        "status": "Running",
        "ipv4": "10.0.0.100",
        "resources": {
          "cpu_percent": 47.5,
          "memory_used": 256,
          "memory_total": 512,
          "disk_used": 2048,
          "disk_total": 10240,
          "network_rx": 100,
          "network_tx": 50
        },
        "ssh_port": 20001,
        "nat_ports": "30000-30025"
      }
    ],
    "host": {
      "cpu_cores": 4,
      "cpu_percent": 35.2,
      "memory_total": 16384,
      "memory_used": 8192,
      "memory_percent": 50.0,
      "disk_total": 500,
      "disk_used": 250,
      "disk_percent": 50.0
    }
  }
})";

TEST(PanelDocuments, AreReproducedExactly) {
  const std::vector<std::pair<std::string, std::string_view>> table = {
      {to_json(Root{"LXD管理面板API", "1.0.0", "running", "2026-01-23T11:30:00"}),
       R"({"name": "LXD管理面板API", "version": "1.0.0", "status": "running", "timestamp": "2026-01-23T11:30:00"})"},
      {to_json(Health{"healthy", true}), R"({"status": "healthy", "lxd_connected": true})"},
      {to_json(kHost), kHostText},
      {to_json(std::vector{kInfo}), kListText},
      {to_json(InstanceDetail{kInfo, kUsage, 20001, "30000-30025", "password123"}), kDetailText},
      {to_json(ActionAnswer{true, "实例 test1 启动成功"}),
       R"({"success": true, "message": "实例 test1 启动成功", "data": null})"},
      {to_json(MonitorMessage{"update",
                              "2026-01-23T11:30:00",
                              {{{"test1", "Running", "10.0.0.100", kUsage, 20001, "30000-30025"}}, kHost}}),
       kMonitorText},
      {to_json(ErrorAnswer{"实例 test1 不存在"}), R"({"detail": "实例 test1 不存在"})"},
  };
  for (const auto& [written, document] : table) EXPECT_EQ(written, compact(document));
}

TEST(PanelDocuments, ReadBackIntoTheSameStructs) {
  const auto detail = from_json<InstanceDetail>(kDetailText);
  ASSERT_TRUE(detail) << detail.error().describe();
  EXPECT_EQ(to_json(*detail), compact(kDetailText));
  const auto message = from_json<MonitorMessage>(kMonitorText);
  ASSERT_TRUE(message) << message.error().describe();
  EXPECT_EQ(to_json(*message), compact(kMonitorText));
}

TEST(PanelDocuments, WhatADescriptionDoesNotTellIsNull) {
  EXPECT_EQ(to_json(InstanceDetail{}),
            R"({"info":{"name":"","status":"","ipv4":null,"ipv6":null,"architecture":"","created_at":"",)"
            R"("description":""},"resources":{"cpu_percent":0.0,"memory_used":0,"memory_total":0,"disk_used":0,)"
            R"("disk_total":0,"network_rx":0,"network_tx":0},"ssh_port":null,"nat_ports":null,"root_password":null})");
}

}  // namespace
}  // namespace berth::json
