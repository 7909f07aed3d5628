#include "drivers/docker/settings.h"

#include <gtest/gtest.h>

namespace berth::drivers::docker {
namespace {

using compute::InstanceChange;

json::Document parse(std::string_view text) {
  auto document = json::Document::parse(text);
  EXPECT_TRUE(document) << text;
  return std::move(*document);
}

TEST(DockerSettings, WriteACreationWithEverythingAsData) {
  compute::NewInstance wish;
  wish.name = "web";
  wish.image = "nginx:1";
  wish.owner = "owner-1";
  wish.description = "\"quoted\" 实例";
  wish.limits = {.cpus = 1.5, .memory_bytes = 64ULL << 20U, .disk_bytes = 1ULL << 30U};
  auto& container = wish.container.emplace();
  container.command = {"sh", "-c", "echo \"$HOME\""};
  container.environment = {{"A", "b=c \"d\""}};
  container.ports = {
      {.container_port = 80, .protocol = compute::Protocol::tcp, .host_port = 8080, .host_address = "127.0.0.1"},
      {.container_port = 53, .protocol = compute::Protocol::udp, .host_port = {}, .host_address = ""}};
  container.mounts = {{.source = "data", .target = "/data", .read_only = false},
                      {.source = "/srv", .target = "/srv", .read_only = true}};
  container.networks = {"front", "back"};
  container.restart_policy = compute::RestartPolicy::unless_stopped;
  container.labels = {{"team", "a"}};
  const auto document = parse(write_creation(wish, "creation-1", "default"));
  const json::View body = document.root();
  EXPECT_EQ(body["Image"].string(), "nginx:1");
  EXPECT_EQ(body["Cmd"].at(2).string(), "echo \"$HOME\"");
  EXPECT_TRUE(body["Entrypoint"].is_null());
  EXPECT_EQ(body["Env"].at(0).string(), "A=b=c \"d\"");
  EXPECT_EQ(body["Labels"]["team"].string(), "a");
  EXPECT_EQ(body["Labels"]["berth.owner"].string(), "owner-1");
  EXPECT_EQ(body["Labels"]["berth.description"].string(), "\"quoted\" 实例");
  EXPECT_EQ(body["Labels"]["berth.creation"].string(), "creation-1");
  EXPECT_TRUE(body["ExposedPorts"]["53/udp"].is_object());
  const json::View host = body["HostConfig"];
  EXPECT_EQ(host["CpuQuota"].integer(), 150'000);
  EXPECT_EQ(host["CpuPeriod"].integer(), 100'000);
  EXPECT_EQ(host["Memory"].integer(), 64 << 20);
  EXPECT_EQ(host["MemorySwap"].integer(), 128 << 20);
  EXPECT_EQ(host["StorageOpt"]["size"].string(), "1073741824");
  EXPECT_EQ(host["PortBindings"]["80/tcp"].at(0)["HostPort"].string(), "8080");
  EXPECT_EQ(host["PortBindings"]["80/tcp"].at(0)["HostIp"].string(), "127.0.0.1");
  EXPECT_EQ(host["PortBindings"]["53/udp"].at(0)["HostPort"].string(), "");
  EXPECT_EQ(host["Mounts"].at(0)["Type"].string(), "volume");
  EXPECT_EQ(host["Mounts"].at(1)["Type"].string(), "bind");
  EXPECT_EQ(host["Mounts"].at(1)["ReadOnly"].boolean(), true);
  EXPECT_EQ(host["NetworkMode"].string(), "front");
  EXPECT_EQ(host["RestartPolicy"]["Name"].string(), "unless-stopped");
}

TEST(DockerSettings, LeaveUnsaidWhatIsNotWished) {
  compute::NewInstance wish;
  wish.image = "x1";
  const auto document = parse(write_creation(wish, "c", "none"));
  EXPECT_FALSE(document.root()["HostConfig"]["Memory"].exists());
  EXPECT_FALSE(document.root()["HostConfig"]["CpuQuota"].exists());
  EXPECT_FALSE(document.root()["Labels"]["berth.owner"].exists());
  EXPECT_EQ(document.root()["HostConfig"]["NetworkMode"].string(), "none");
  EXPECT_EQ(document.root()["Labels"]["berth.default_network"].string(), "none");
}

TEST(DockerSettings, ReadLimitsHoweverTheyWereSet) {
  const auto limits = [](std::string_view host) { return decode_limits(parse(host).root()); };
  EXPECT_EQ(limits(R"({"NanoCpus":1500000000})").cpus, 1.5);
  EXPECT_EQ(limits(R"({"CpuPeriod":50000,"CpuQuota":25000})").cpus, 0.5);
  EXPECT_EQ(limits(R"({"CpuPeriod":0,"CpuQuota":200000})").cpus, 2.0);
  EXPECT_EQ(limits(R"({"CpuQuota":-1,"Memory":0,"NanoCpus":0})"), compute::InstanceLimits{});
  EXPECT_EQ(limits(R"({"Memory":2251799813685248})").memory_bytes, std::nullopt);
  EXPECT_EQ(limits(R"({"Memory":-1})").memory_bytes, std::nullopt);
  EXPECT_EQ(limits(R"({"StorageOpt":{"size":"1000000"}})").disk_bytes, 1'000'000u);
}

TEST(DockerSettings, WriteOnlyWhatAnUpdateChanges) {
  const auto host = parse(R"({"CpuPeriod":100000,"CpuQuota":100000,"Memory":67108864})");
  InstanceChange change;
  EXPECT_EQ(write_update(change, host.root()), "");
  change.cpus = 1.0;
  change.memory_bytes = std::optional<std::uint64_t>(67108864);
  EXPECT_EQ(write_update(change, host.root()), "");
  change.cpus = 0.5;
  EXPECT_EQ(write_update(change, host.root()), R"({"CpuPeriod":100000,"CpuQuota":50000})");
  change.cpus = std::optional<double>();
  EXPECT_EQ(write_update(change, host.root()), R"({"CpuQuota":-1})");
  change = {};
  change.memory_bytes = std::optional<std::uint64_t>();
  EXPECT_EQ(write_update(change, host.root()), R"({"Memory":2251799813685248,"MemorySwap":2251799813685248})");
}

TEST(DockerSettings, SayWhatCannotBeChangedInPlace) {
  const auto host = parse(R"({"NanoCpus":1000000000})");
  InstanceChange change;
  change.cpus = std::optional<double>();
  EXPECT_EQ(write_update(change, host.root()).error().reason(), "engine.unsupported");
  change.cpus = 2.0;
  EXPECT_EQ(write_update(change, host.root()), R"({"NanoCpus":2000000000})");
  change = {};
  change.disk_bytes = std::optional<std::uint64_t>(1ULL << 30U);
  EXPECT_EQ(write_update(change, host.root()).error().reason(), "engine.unsupported");
  change.disk_bytes = std::optional<std::uint64_t>();
  EXPECT_EQ(write_update(change, host.root()), "");
}

constexpr std::string_view kContainer = R"({
  "Id": "ce2166519cf3ee68", "Image": "sha256:76655e", "Name": "/web", "RestartCount": 3,
  "Created": "2026-11-21T08:29:04.482484603Z",
  "State": {"Status": "exited", "Running": false, "ExitCode": 3, "StartedAt": "2026-11-21T08:29:04.744608277Z",
            "FinishedAt": "2026-11-21T08:30:00Z", "Health": {"Status": "unhealthy"}},
  "Config": {"Hostname": "ce2166519cf3", "User": "app", "WorkingDir": "/app", "Image": "web:1",
             "Env": ["PATH=/bin", "MODE=fast", "broken"], "Cmd": ["serve"], "Entrypoint": ["/entry"],
             "Labels": {"maintainer": "x", "team": "a", "berth.owner": "o"}},
  "HostConfig": {"NetworkMode": "front", "RestartPolicy": {"Name": "on-failure"},
                 "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}], "99/sctp": [{"HostPort": "1"}]}},
  "Mounts": [{"Type": "volume", "Name": "data", "Source": "/var/lib/x", "Destination": "/data", "RW": true},
             {"Type": "bind", "Source": "/srv", "Destination": "/a", "RW": false},
             {"Type": "tmpfs", "Destination": "/tmp", "RW": true}],
  "NetworkSettings": {"Networks": {"back": {}, "front": {}}}})";

TEST(DockerSettings, ReadFromAnInspectionWithoutWhatTheImageGives) {
  const auto container = parse(kContainer);
  const auto image = parse(R"({"Config": {"Env": ["PATH=/bin"], "Cmd": ["serve"], "Entrypoint": ["/entry"],
                               "WorkingDir": "/app", "User": "", "Labels": {"maintainer": "x"}}})");
  const auto detail = decode_detail(container.root(), image.root());
  ASSERT_TRUE(detail) << detail.error().describe();
  compute::ContainerSettings expected;
  expected.environment = {{"MODE", "fast"}};
  expected.labels = {{"team", "a"}};
  expected.user = "app";
  expected.ports = {{.container_port = 80, .protocol = compute::Protocol::tcp, .host_port = 8080, .host_address = ""}};
  expected.mounts = {{.source = "/srv", .target = "/a", .read_only = true},
                     {.source = "data", .target = "/data", .read_only = false}};
  expected.networks = {"front", "back"};
  expected.restart_policy = compute::RestartPolicy::on_failure;
  EXPECT_EQ(detail->settings, expected);
  EXPECT_EQ(detail->image, "web:1");
  EXPECT_EQ(detail->image_id, "sha256:76655e");
  EXPECT_EQ(detail->exit_code, 3);
  EXPECT_EQ(detail->health, "unhealthy");
  EXPECT_EQ(detail->restarts, 3u);
  EXPECT_TRUE(detail->started_at && detail->finished_at);
}

TEST(DockerSettings, KeepEverythingWhereTheImageIsGone) {
  const auto container = parse(kContainer);
  const auto settings = decode_settings(container.root(), json::View());
  EXPECT_EQ(settings.command, (std::vector<std::string>{"serve"}));
  EXPECT_EQ(settings.entrypoint, (std::vector<std::string>{"/entry"}));
  EXPECT_EQ(settings.environment.size(), 2u);
  EXPECT_EQ(settings.working_directory, "/app");
}

TEST(DockerSettings, SayNothingOfTheDefaultNetwork) {
  const auto networks = [](std::string_view mode, std::string_view joined) {
    return decode_settings(parse(R"({"HostConfig":{"NetworkMode":")" + std::string(mode) +
                                 R"("},"NetworkSettings":{"Networks":)" + std::string(joined) + "}}")
                               .root(),
                           json::View())
        .networks;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(networks("default", R"({"bridge":{}})"), Names{});
  EXPECT_EQ(networks("default", R"({"bridge":{},"back":{}})"), (Names{"bridge", "back"}));
  EXPECT_EQ(networks("none", R"({"none":{}})"), Names{"none"});
  EXPECT_EQ(networks("container:x", "{}"), Names{});
  const auto by_default = parse(R"({"Config":{"Labels":{"berth.default_network":"none"}},
    "HostConfig":{"NetworkMode":"none"},"NetworkSettings":{"Networks":{"none":{}}}})");
  EXPECT_EQ(decode_settings(by_default.root(), json::View()).networks, Names{});
}

TEST(DockerSettings, LiveWithGarbage) {
  for (const char* text : {"null", "[]", "{}", R"({"Id":5,"State":{}})", R"({"Id":"x","State":"y"})",
                           R"({"Id":"x","State":{},"Config":5,"HostConfig":[],"Mounts":{},"NetworkSettings":"z"})"}) {
    const auto document = parse(text);
    (void)decode_detail(document.root(), document.root());
  }
}

}  // namespace
}  // namespace berth::drivers::docker
