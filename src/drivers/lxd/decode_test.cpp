#include "drivers/lxd/decode.h"

#include <gtest/gtest.h>

namespace berth::drivers::lxd {
namespace {

using compute::Status;

/// As LXD 5.0 gives it under `recursion=2`, shortened.
constexpr const char* kInstance = R"({
  "name": "web", "status": "Running", "type": "container", "architecture": "x86_64",
  "description": "web 20001 päss 30000 30025", "created_at": "2026-11-20T21:26:12.7889523Z",
  "config": {"image.description": "Debian 12", "user.berth.owner": "0b8ff1c8-0000-4000-8000-000000000001"},
  "expanded_config": {"limits.cpu": "0-1", "limits.memory": "128MiB"},
  "expanded_devices": {"data": {"type": "disk", "path": "/srv", "size": "9GiB"},
                       "root": {"type": "disk", "path": "/", "pool": "default", "size": "10GiB"}},
  "snapshots": [{"name": "a"}, {"name": "b"}],
  "state": {"status": "Running", "cpu": {"usage": 8910910}, "memory": {"usage": 2699264},
    "disk": {"root": {"usage": 777}},
    "network": {
      "docker0": {"type": "broadcast", "addresses": [{"family": "inet", "address": "172.17.0.1", "scope": "global"}],
                  "counters": {"bytes_received": 1, "bytes_sent": 2}},
      "eth0": {"type": "broadcast", "addresses": [
                 {"family": "inet6", "address": "fe80::1", "scope": "link"},
                 {"family": "inet", "address": "192.0.2.7", "scope": "global"},
                 {"family": "inet6", "address": "2001:db8::7", "scope": "global"}],
               "counters": {"bytes_received": 100, "bytes_sent": 200}},
      "lo": {"type": "loopback", "addresses": [{"family": "inet", "address": "127.0.0.1", "scope": "local"}],
             "counters": {"bytes_received": 5000, "bytes_sent": 5000}}}}
})";

compute::Instance decode(const std::string& text, std::uint64_t host_memory = 0) {
  const auto document = json::Document::parse(text);
  EXPECT_TRUE(document);
  auto instance = decode_instance(document->root(), host_memory);
  EXPECT_TRUE(instance) << instance.error().describe();
  return instance ? *instance : compute::Instance{};
}

TEST(DecodeInstance, ReadsEverythingThatIsShown) {
  const auto instance = decode(kInstance);
  EXPECT_EQ(instance.name, "web");
  EXPECT_EQ(instance.status, Status::running);
  EXPECT_EQ(instance.engine_status, "Running");
  EXPECT_EQ(instance.ipv4, "192.0.2.7");
  EXPECT_EQ(instance.ipv6, "2001:db8::7");
  EXPECT_EQ(instance.architecture, "x86_64");
  EXPECT_EQ(instance.description, "web 20001 päss 30000 30025");
  EXPECT_EQ(instance.image, "Debian 12");
  EXPECT_EQ(instance.owner, "0b8ff1c8-0000-4000-8000-000000000001");
  EXPECT_EQ(instance.limits.cpus, 2.0);
  EXPECT_EQ(instance.limits.memory_bytes, 128ULL << 20U);
  EXPECT_EQ(instance.limits.disk_bytes, 10ULL << 30U);
  EXPECT_EQ(instance.snapshots, 2u);
  EXPECT_EQ(format_utc(instance.created_at), "2026-11-20T21:26:12Z");
}

TEST(DecodeInstance, SumsTrafficWithoutLoopback) {
  const auto counters = decode(kInstance).counters;
  EXPECT_EQ(counters.cpu_ns, 8910910u);
  EXPECT_EQ(counters.memory_bytes, 2699264u);
  EXPECT_EQ(counters.disk_bytes, 777u);
  EXPECT_EQ(counters.network_received_bytes, 101u);
  EXPECT_EQ(counters.network_sent_bytes, 202u);
}

TEST(DecodeInstance, TakesAnyOtherInterfaceWhereThereIsNoEth0) {
  const auto instance = decode(R"({"name": "a", "state": {"network": {
    "lo": {"type": "loopback", "addresses": [{"family": "inet", "address": "192.0.2.1", "scope": "global"}]},
    "enp5s0": {"addresses": [{"family": "inet", "address": "192.0.2.9", "scope": "global"}]}}}})");
  EXPECT_EQ(instance.ipv4, "192.0.2.9");
  EXPECT_EQ(instance.ipv6, std::nullopt);
}

TEST(DecodeInstance, LivesWithWhatIsMissingOrOfAnotherKind) {
  for (const char* text :
       {R"({"name": "a"})", R"({"name": "a", "state": null, "config": null, "snapshots": null, "expanded_config": 5})",
        R"({"name": "a", "state": {"network": null, "cpu": {"usage": -1}, "memory": [], "disk": {}}})",
        R"({"name": "a", "created_at": "yesterday", "expanded_devices": {"root": "x"}, "status": 103})"}) {
    const auto instance = decode(text);
    EXPECT_EQ(instance.name, "a");
    EXPECT_EQ(instance.limits, compute::InstanceLimits{});
    EXPECT_EQ(instance.counters, compute::InstanceCounters{});
    EXPECT_EQ(instance.ipv4, std::nullopt);
  }
}

TEST(DecodeInstance, RefusesOneWithoutAName) {
  for (const char* text : {"{}", "[]", "null", R"({"name": ""})", R"({"name": 5})"}) {
    const auto document = json::Document::parse(text);
    const auto instance = decode_instance(document->root(), 0);
    ASSERT_FALSE(instance) << text;
    EXPECT_EQ(instance.error().reason(), "engine.protocol");
  }
}

TEST(DecodeInstance, RefersPercentagesToTheHostsMemory) {
  const char* text = R"({"name": "a", "expanded_config": {"limits.memory": "25%"}})";
  EXPECT_TRUE(has_relative_memory(json::Document::parse(text)->root()));
  EXPECT_EQ(decode(text, 4ULL << 30U).limits.memory_bytes, 1ULL << 30U);
  EXPECT_EQ(decode(text, 0).limits.memory_bytes, std::nullopt);
}

TEST(DecodeInstance, BelievesTheStateThatWasReadLast) {
  const auto instance = decode(R"({"name": "a", "status": "Running", "state": {"status": "Stopped"}})");
  EXPECT_EQ(instance.status, Status::stopped);
  EXPECT_EQ(instance.engine_status, "Stopped");
}

TEST(DecodeInstance, KnowsTheWordsOfLxdAndIncus) {
  EXPECT_EQ(parse_status("Running"), Status::running);
  EXPECT_EQ(parse_status("Ready"), Status::running);
  EXPECT_EQ(parse_status("Stopped"), Status::stopped);
  EXPECT_EQ(parse_status("Frozen"), Status::frozen);
  EXPECT_EQ(parse_status("Starting"), Status::starting);
  EXPECT_EQ(parse_status("Stopping"), Status::stopping);
  EXPECT_EQ(parse_status("Error"), Status::error);
  EXPECT_EQ(parse_status("Unheard-of"), Status::error);
}

TEST(DecodeSnapshot, LeavesOutWhatLxdMarksAsNone) {
  const auto document = json::Document::parse(R"({"name": "web/s1", "created_at": "2026-11-20T21:26:38.24Z",
    "expires_at": "0001-01-01T00:00:00Z", "stateful": true, "size": -1})");
  const auto snapshot = decode_snapshot(document->root());
  ASSERT_TRUE(snapshot);
  EXPECT_EQ(snapshot->name, "s1");
  EXPECT_TRUE(snapshot->stateful);
  EXPECT_EQ(snapshot->expires_at, std::nullopt);
  EXPECT_EQ(snapshot->size_bytes, std::nullopt);
}

TEST(DecodeImage, ReadsAliasesAndProperties) {
  const auto document = json::Document::parse(R"({"fingerprint": "7ce2", "aliases": [{"name": "a"}, {"name": "b/c"}],
    "properties": {"description": "d", "os": "o", "release": "1"}, "architecture": "aarch64",
    "type": "virtual-machine", "size": 1031632, "created_at": "1970-01-01T00:00:00Z",
    "uploaded_at": "2026-11-20T21:26:12Z"})");
  const auto image = decode_image(document->root());
  ASSERT_TRUE(image);
  EXPECT_EQ(image->aliases, (std::vector<std::string>{"a", "b/c"}));
  EXPECT_EQ(image->type, compute::InstanceType::virtual_machine);
  EXPECT_EQ(image->size_bytes, 1031632u);
  EXPECT_EQ(image->created_at, std::nullopt);
  EXPECT_FALSE(decode_image(json::View()));
}

}  // namespace
}  // namespace berth::drivers::lxd
