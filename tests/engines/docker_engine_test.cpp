#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <thread>

#include "certificate.h"
#include "engines/docker_fixture.h"
#include "engines/processes.h"
#include "temporary_folder.h"

namespace berth::testing {
namespace {

using compute::Status;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// What Docker alone has, beside what the conformance suite asks of every engine.
class DockerEngineTest : public DockerTest {};

TEST_F(DockerEngineTest, SaysThatItIsDocker) {
  const auto info = engine_.info(soon());
  ASSERT_TRUE(info) << info.error().describe();
  EXPECT_EQ(info->product, "Docker");
  EXPECT_TRUE(info->version.starts_with("20.")) << info->version;
  EXPECT_FALSE(info->host.empty());
  EXPECT_FALSE(info->capabilities.snapshots);
  EXPECT_FALSE(info->capabilities.descriptions);
}

TEST_F(DockerEngineTest, TellsWhatItsMachineHas) {
  const auto capacity = engine_.capacities()->capacity(soon());
  ASSERT_TRUE(capacity) << capacity.error().describe();
  EXPECT_EQ(capacity->cpus, std::thread::hardware_concurrency());
  EXPECT_EQ(engine_.info(soon())->cpus, capacity->cpus);
  EXPECT_GT(capacity->memory_bytes, 1ULL << 28U);
  EXPECT_GT(capacity->disk_bytes, capacity->disk_free_bytes);
  EXPECT_GT(capacity->disk_free_bytes, 0u);
  ASSERT_TRUE(capacity->clock);
  EXPECT_LT(std::chrono::abs(*capacity->clock - system_clock().now()), seconds(5));
}

// ---- settings

TEST_F(DockerEngineTest, KeepsEverySettingOfAContainer) {
  ASSERT_TRUE(engine_.networks()->create_network("dk-front", soon()));
  const std::string folder = server_.path("shared");
  std::filesystem::create_directories(folder);
  auto wanted = wish(false);
  wanted.owner = random_uuid();
  auto& settings = wanted.container.emplace();
  settings.command = {"sh", "-c", "echo \"$GREETING\"; sleep 1000"};
  settings.entrypoint = {"/bin/env", "--"};
  settings.environment = {{"GREETING", "a=b \"c\" $d 实例"}, {"EMPTY", ""}};
  settings.ports = {
      {.container_port = 80, .protocol = compute::Protocol::tcp, .host_port = 18080, .host_address = "127.0.0.1"},
      {.container_port = 53, .protocol = compute::Protocol::udp, .host_port = {}, .host_address = ""}};
  settings.mounts = {{.source = "dk-data", .target = "/data", .read_only = false},
                     {.source = folder, .target = "/shared", .read_only = true}};
  settings.networks = {"dk-front"};
  settings.restart_policy = compute::RestartPolicy::unless_stopped;
  settings.labels = {{"team", "a \"b\""}};
  settings.working_directory = "/tmp";
  settings.user = "65534:65534";
  settings.hostname = "web-1";
  make(wanted);
  auto detail = inspect(wanted.name);
  std::ranges::sort(detail.settings.ports, std::greater(), &compute::PublishedPort::container_port);
  EXPECT_EQ(detail.settings, settings);
  EXPECT_EQ(detail.image, DockerServer::kImage);
  EXPECT_TRUE(detail.image_id.starts_with("sha256:"));
  EXPECT_FALSE(detail.started_at);
  EXPECT_FALSE(detail.exit_code);
  EXPECT_EQ(get(wanted.name).owner, wanted.owner);
  ASSERT_TRUE(engine_.remove(wanted.name, {}, soon()));
  EXPECT_TRUE(engine_.networks()->remove_network("dk-front", soon()));
  EXPECT_TRUE(engine_.volumes()->remove_volume("dk-data", soon()));
}

TEST_F(DockerEngineTest, SaysNothingOfWhatTheImageGivesByItself) {
  EXPECT_EQ(inspect(make(false)).settings, compute::ContainerSettings{});
}

TEST_F(DockerEngineTest, RefusesSettingsThatAreNone) {
  auto wanted = wish(false);
  wanted.container.emplace().mounts = {{.source = "../etc", .target = "/x", .read_only = false}};
  expect_error(engine_.create(wanted, {}, soon()), ErrorCode::invalid_argument, "container.settings");
  wanted = wish(false);
  wanted.container.emplace().networks = {"no-such-network"};
  wanted.start = true;
  expect_error(engine_.create(wanted, {}, soon()), ErrorCode::not_found, "network.not_found");
  // What was half made is gone.
  expect_error(engine_.get(wanted.name, soon()), ErrorCode::not_found, "instance.not_found");
  wanted = wish(false);
  wanted.type = compute::InstanceType::virtual_machine;
  expect_error(engine_.create(wanted, {}, soon()), ErrorCode::unsupported, "engine.unsupported");
  wanted = wish(false);
  wanted.limits.disk_bytes = 1ULL << 30U;  // the storage of the tests has no quotas
  expect_error(engine_.create(wanted, {}, soon()), ErrorCode::unsupported, "engine.unsupported");
}

TEST_F(DockerEngineTest, RemovesWhatCannotBeStarted) {
  auto wanted = wish(true);
  wanted.container.emplace().command = {"/no/such/command"};
  EXPECT_FALSE(engine_.create(wanted, {}, soon()));
  expect_error(engine_.get(wanted.name, soon()), ErrorCode::not_found, "instance.not_found");
}

TEST_F(DockerEngineTest, LimitsAreTheKernelsToo) {
  auto wanted = wish(true);
  wanted.limits = {.cpus = 0.5, .memory_bytes = 64ULL << 20U, .disk_bytes = {}};
  make(wanted);
  EXPECT_EQ(get(wanted.name).limits, wanted.limits);
  const auto host = server_.inspect(wanted.name);
  EXPECT_EQ(host.root()["HostConfig"]["CpuQuota"].integer(), 50'000);
  EXPECT_EQ(host.root()["HostConfig"]["Memory"].integer(), 64 << 20);

  compute::InstanceChange change;
  change.cpus = std::optional<double>();
  change.memory_bytes = std::optional<std::uint64_t>();
  const auto updated = engine_.update(wanted.name, change, soon());
  ASSERT_TRUE(updated) << updated.error().describe();
  EXPECT_EQ(get(wanted.name).limits, compute::InstanceLimits{});
  // A container without its limit must still start.
  ASSERT_TRUE(engine_.restart(wanted.name, seconds(0), {}, soon()));
  EXPECT_EQ(get(wanted.name).status, Status::running);
}

TEST_F(DockerEngineTest, TellsHowAContainerEndedAndHowOftenItCameBack) {
  const std::string ended = make({"sh", "-c", "exit 7"});
  EXPECT_TRUE(eventually([&] { return get(ended).status == Status::stopped; }));
  EXPECT_EQ(inspect(ended).exit_code, 7);
  EXPECT_TRUE(inspect(ended).finished_at);

  auto again = wish(true);
  again.container.emplace().command = {"sh", "-c", "exit 1"};
  again.container->restart_policy = compute::RestartPolicy::on_failure;
  make(again);
  EXPECT_TRUE(eventually([&] { return inspect(again.name).restarts > 0; }, seconds(20)));
}

TEST_F(DockerEngineTest, PausesAndResumesAsOftenAsOneLikes) {
  const std::string name = make(true);
  auto* containers = engine_.containers();
  ASSERT_TRUE(containers->pause(name, soon()));
  EXPECT_EQ(get(name).status, Status::frozen);
  EXPECT_TRUE(containers->pause(name, soon()));
  ASSERT_TRUE(containers->resume(name, soon()));
  EXPECT_EQ(get(name).status, Status::running);
  EXPECT_TRUE(containers->resume(name, soon()));
  ASSERT_TRUE(engine_.stop(name, seconds(0), {}, soon()));
  expect_error(containers->pause(name, soon()), ErrorCode::conflict, "instance.state");
  expect_error(containers->resume(name, soon()), ErrorCode::conflict, "instance.state");
  expect_error(containers->pause("nobody", soon()), ErrorCode::not_found, "instance.not_found");
  expect_error(containers->inspect("nobody", soon()), ErrorCode::not_found, "instance.not_found");
}

TEST_F(DockerEngineTest, ChangesWhenAContainerIsStartedAgain) {
  auto wanted = wish(true);
  wanted.container.emplace().restart_policy = compute::RestartPolicy::always;
  make(wanted);
  for (const auto policy : {compute::RestartPolicy::no, compute::RestartPolicy::no,
                            compute::RestartPolicy::unless_stopped, compute::RestartPolicy::always}) {
    const auto set = engine_.containers()->set_restart_policy(wanted.name, policy, soon());
    ASSERT_TRUE(set) << set.error().describe();
    EXPECT_EQ(inspect(wanted.name).settings.restart_policy, policy);
  }
  expect_error(engine_.containers()->set_restart_policy("nobody", compute::RestartPolicy::no, soon()),
               ErrorCode::not_found, "instance.not_found");
}

TEST_F(DockerEngineTest, TakesAnIdWhereItTakesAName) {
  auto wanted = wish(true);
  make(wanted);
  const auto by_name = engine_.get(wanted.name, soon());
  ASSERT_TRUE(by_name) << by_name.error().describe();
  const std::string id = by_name->engine_id;
  ASSERT_TRUE(compute::is_container_id(id));
  const auto by_id = engine_.get(id, soon());
  ASSERT_TRUE(by_id) << by_id.error().describe();
  EXPECT_EQ(by_id->name, wanted.name);
  EXPECT_TRUE(engine_.containers()->inspect(id, soon()));
  EXPECT_TRUE(engine_.stop(id, seconds(0), {}, soon()));
  EXPECT_EQ(engine_.get(id, soon())->status, compute::Status::stopped);
  EXPECT_TRUE(engine_.containers()->set_restart_policy(id, compute::RestartPolicy::always, soon()));
  EXPECT_TRUE(engine_.start(id, {}, soon()));
  EXPECT_EQ(engine_.get(wanted.name, soon())->status, compute::Status::running);
  const std::string nobody(64, '0');
  expect_error(engine_.get(nobody, soon()), ErrorCode::not_found, "instance.not_found");
  expect_error(engine_.start(nobody, {}, soon()), ErrorCode::not_found, "instance.not_found");
}

TEST_F(DockerEngineTest, StopsAPausedOne) {
  const std::string name = make(true);
  ASSERT_TRUE(engine_.containers()->pause(name, soon()));
  const auto stopped = engine_.stop(name, seconds(0), {}, soon());
  ASSERT_TRUE(stopped) << stopped.error().describe();
  EXPECT_EQ(get(name).status, Status::stopped);
}

TEST_F(DockerEngineTest, TakesNoBeginningOfAnIdForAName) {
  const std::string name = make(false);
  const std::string id = get(name).engine_id;
  ASSERT_EQ(id.size(), 64u);
  for (const std::string& beginning : {id.substr(0, 63), id.substr(0, 12), id.substr(0, 4)}) {
    expect_error(engine_.get(beginning, soon()), ErrorCode::not_found, "instance.not_found");
    expect_error(engine_.start(beginning, {}, soon()), ErrorCode::not_found, "instance.not_found");
    EXPECT_TRUE(engine_.remove(beginning, {}, soon()));
  }
  EXPECT_EQ(get(name).status, Status::stopped);
}

TEST_F(DockerEngineTest, AContainerWhoseNameLooksLikeAnIdIsFound) {
  auto wanted = wish(false);
  wanted.name = to_hex(random_bytes(6));
  made_.push_back(wanted.name);
  make(wanted);
  EXPECT_EQ(get(wanted.name).name, wanted.name);
  EXPECT_TRUE(engine_.remove(wanted.name, {}, soon()));
  expect_error(engine_.get(wanted.name, soon()), ErrorCode::not_found, "instance.not_found");
}

TEST_F(DockerEngineTest, SeesWhatOthersChange) {
  const std::string name = make(true);
  ASSERT_TRUE(engine_.list(soon()));
  EventCollector events;
  const auto watch = engine_.watch(events);
  ASSERT_TRUE(events.wait_for_gap(seconds(5)));
  server_.api(http::Method::post, "/containers/" + name + "/update", R"({"CpuPeriod":100000,"CpuQuota":70000})");
  ASSERT_TRUE(events.wait([&](const compute::EngineEvent& event) { return event.instance == name; }, seconds(5)));
  const auto all = engine_.list(soon());
  ASSERT_TRUE(all);
  const auto found = std::ranges::find(*all, name, &compute::Instance::name);
  ASSERT_NE(found, all->end());
  EXPECT_EQ(found->limits.cpus, 0.7);
  events.clear();
  ASSERT_TRUE(engine_.containers()->pause(name, soon()));
  EXPECT_TRUE(events.wait([&](const compute::EngineEvent& event) { return event.instance == name; }, seconds(5)));
}

TEST_F(DockerEngineTest, CountsProcessorTimeAndMemoryOfARunningOneOnly) {
  const std::string busy = make({"sh", "-c", "while :; do :; done"});
  const auto first = get(busy);
  EXPECT_TRUE(eventually([&] { return get(busy).counters.cpu_ns > first.counters.cpu_ns + 20'000'000; }));
  EXPECT_GT(get(busy).measured, first.measured);
  EXPECT_GT(get(busy).counters.memory_bytes, 0u);
  ASSERT_TRUE(engine_.stop(busy, seconds(0), {}, soon()));
  EXPECT_EQ(get(busy).counters, compute::InstanceCounters{});
}

TEST_F(DockerEngineTest, ListsManyWithAllTheirCountersQuickly) {
  for (int i = 0; i < 20; ++i) make(true);
  ASSERT_TRUE(engine_.list(soon()));
  const auto begin = std::chrono::steady_clock::now();
  const auto all = engine_.list(soon());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(5));
  ASSERT_TRUE(all) << all.error().describe();
  std::size_t counted = 0;
  for (const auto& instance : *all) {
    if (instance.status == Status::running && instance.counters.cpu_ns > 0 && instance.measured >= begin) ++counted;
  }
  EXPECT_GE(counted, 20u);
}

// ---- logs

/// Collects a followed log.
class LogCollector : public compute::LogReader {
 public:
  void on_log(Stream stream, std::string_view bytes) override {
    const std::lock_guard lock(mutex_);
    (stream == Stream::standard_error ? error_ : output_) += bytes;
    changed_.notify_all();
  }
  void on_end(const Result<void>& outcome) override {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    in_order_ = outcome.has_value();
    changed_.notify_all();
  }
  bool wait_for(const std::string& part) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, seconds(20), [&] { return output_.find(part) != std::string::npos; });
  }
  bool wait_for_end() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, seconds(20), [&] { return ended_; }) && in_order_;
  }
  std::string output() {
    const std::lock_guard lock(mutex_);
    return output_;
  }
  std::string error() {
    const std::lock_guard lock(mutex_);
    return error_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string output_;
  std::string error_;
  bool ended_ = false;
  bool in_order_ = false;
};

TEST_F(DockerEngineTest, ReadsTheEndOfALog) {
  const std::string name = make({"sh", "-c", "echo one; echo two; echo three"});
  EXPECT_TRUE(eventually([&] { return get(name).status == Status::stopped; }));
  auto* logs = engine_.logs();
  EXPECT_EQ(*logs->read_log(name, {}, soon()), "one\ntwo\nthree\n");
  EXPECT_EQ(*logs->read_log(name, {.tail = 1, .since = {}, .until = {}}, soon()), "three\n");
  EXPECT_EQ(*logs->read_log(name, {.tail = {}, .since = system_clock().now() + seconds(60), .until = {}}, soon()), "");
  EXPECT_EQ(*logs->read_log(name, {.tail = {}, .since = {}, .until = system_clock().now() - seconds(600)}, soon()), "");
  const auto stamped = logs->read_log(name, {.tail = 1, .since = {}, .until = {}, .timestamps = true}, soon());
  ASSERT_TRUE(stamped);
  EXPECT_TRUE(stamped->starts_with(format_utc(system_clock().now()).substr(0, 5))) << *stamped;
  EXPECT_TRUE(stamped->ends_with("Z three\n")) << *stamped;
  expect_error(logs->read_log("nobody", {}, soon()), ErrorCode::not_found, "instance.not_found");
}

TEST_F(DockerEngineTest, KeepsTheLastMebibyteOfALongLog) {
  const std::string name = make({"seq", "1", "300000"});
  EXPECT_TRUE(eventually([&] { return get(name).status == Status::stopped; }, seconds(30)));
  const auto log = engine_.logs()->read_log(name, {}, soon());
  ASSERT_TRUE(log) << log.error().describe();
  EXPECT_EQ(log->size(), 1U << 20U);
  EXPECT_TRUE(log->ends_with("299999\n300000\n"));
}

TEST_F(DockerEngineTest, FollowsALogWithItsStreamsApart) {
  const std::string name =
      make({"sh", "-c", "echo first; echo wrong >&2; read x; echo got $x; read y; echo last; exit"});
  const auto log = std::make_shared<LogCollector>();
  auto following = engine_.logs()->follow_log(name, {}, log, soon());
  ASSERT_TRUE(following) << following.error().describe();
  EXPECT_TRUE(log->wait_for("first\n"));
  const auto console = engine_.terminals()->console(name, {}, std::make_shared<OutputCollector>(), soon());
  ASSERT_TRUE(console) << console.error().describe();
  (*console)->write("input\n");
  EXPECT_TRUE(log->wait_for("got input\n"));
  EXPECT_EQ(log->error(), "wrong\n");
  (*console)->write("\n");
  EXPECT_TRUE(log->wait_for("last\n"));
  EXPECT_TRUE(log->wait_for_end());
}

TEST_F(DockerEngineTest, FollowsFromTheEndAndStopsWhenNobodyWantsIt) {
  const std::string name = make({"sh", "-c", "echo old; while :; do echo new; sleep 0.01; done"});
  ASSERT_TRUE(eventually([&] { return engine_.logs()->read_log(name, {}, soon())->find("new") != std::string::npos; }));
  const auto log = std::make_shared<LogCollector>();
  auto following = engine_.logs()->follow_log(name, {.tail = 0, .since = {}, .until = {}}, log, soon());
  ASSERT_TRUE(following) << following.error().describe();
  EXPECT_TRUE(log->wait_for("new"));
  EXPECT_EQ(log->output().find("old"), std::string::npos);
  following->reset();
  EXPECT_EQ(log.use_count(), 1);
}

TEST_F(DockerEngineTest, ALogWaitsForAReaderWhoDoesNotKeepUp) {
  const std::string name = make({"sh", "-c", "read x; seq 1 300000"});
  const auto log = std::make_shared<LogCollector>();
  auto following = engine_.logs()->follow_log(name, {}, log, soon());
  ASSERT_TRUE(following) << following.error().describe();
  (*following)->pause();
  const auto console = engine_.terminals()->console(name, {}, std::make_shared<OutputCollector>(), soon());
  ASSERT_TRUE(console) << console.error().describe();
  (*console)->write("\n");
  EXPECT_TRUE(eventually([&] { return get(name).status == Status::stopped; }, seconds(30))) << "it does not wait";
  EXPECT_LT(log->output().size(), 256UL * 1024);
  (*following)->resume();
  EXPECT_TRUE(log->wait_for_end());
  EXPECT_TRUE(log->output().starts_with("1\n2\n"));
  EXPECT_TRUE(log->output().ends_with("299999\n300000\n"));
  EXPECT_EQ(log->output().size(), 1'988'895U);
}

TEST_F(DockerEngineTest, ReadsTheLogOfATerminalAsItIs) {
  const auto made = server_.api(
      http::Method::post, "/containers/create?name=dk-tty",
      R"({"Image":"berth-busybox:latest","Cmd":["sh","-c","echo raw; sleep 1000"],"Tty":true,"HostConfig":{"NetworkMode":"none"}})");
  made_.emplace_back("dk-tty");
  ASSERT_TRUE(engine_.start("dk-tty", {}, soon()));
  EXPECT_TRUE(eventually([&] { return *engine_.logs()->read_log("dk-tty", {}, soon()) == "raw\r\n"; }));
  const auto output = std::make_shared<OutputCollector>();
  const auto console = engine_.terminals()->console("dk-tty", {100, 30}, output, soon());
  ASSERT_TRUE(console) << console.error().describe();
  EXPECT_TRUE(
      eventually([&] { return run("dk-tty", {"stty", "-F", "/proc/1/fd/0", "size"}).standard_output == "30 100\n"; }));
}

// ---- commands

TEST_F(DockerEngineTest, AConsoleIsTheFirstProcess) {
  const std::string name = make(true);
  const auto output = std::make_shared<OutputCollector>();
  const auto console = engine_.terminals()->console(name, {}, output, soon());
  ASSERT_TRUE(console) << console.error().describe();
  (*console)->write("echo console-$((1+1)); echo wrong >&2\n");
  EXPECT_TRUE(output->wait_for_text("console-2", seconds(10)));
  EXPECT_TRUE(output->wait_for_text("wrong", seconds(10)));
  (*console)->close();
  EXPECT_TRUE(output->wait_for_end(seconds(10)));
  EXPECT_EQ(get(name).status, Status::running);
  // Nobody else's console is disturbed, and a stopped one has none.
  ASSERT_TRUE(engine_.stop(name, seconds(5), {}, soon()));
  expect_error(engine_.terminals()->console(name, {}, output, soon()), ErrorCode::conflict, "instance.state");
}

TEST_F(DockerEngineTest, ATerminalHasItsSizeAndKeepsItsKeys) {
  const std::string name = make(true);
  compute::ExecRequest request;
  request.command = {"sh", "-c", "while :; do stty size; sleep 0.1; done"};
  request.size = {132, 43};
  const auto output = std::make_shared<OutputCollector>();
  const auto terminal = engine_.terminals()->exec(name, request, output, soon());
  ASSERT_TRUE(terminal) << terminal.error().describe();
  EXPECT_TRUE(output->wait_for_text("43 132", seconds(10)));
  (*terminal)->resize({90, 20});
  EXPECT_TRUE(output->wait_for_text("20 90", seconds(10)));
  // Docker's own keys to leave, which a shell needs.
  (*terminal)->write("\x10\x11");
  (*terminal)->resize({91, 21});
  EXPECT_TRUE(output->wait_for_text("21 91", seconds(10)));
}

TEST_F(DockerEngineTest, EndsTheProcessesOfACommandThatIsGivenUp) {
  const std::string name = make(true);
  const auto sleepers = [&] { return run(name, {"sh", "-c", "ps | grep -c '[s]leep 5432'"}).standard_output; };
  compute::ExecRequest request;
  request.command = {"sh", "-c", "sleep 5432 & sleep 5432"};
  EXPECT_FALSE(engine_.terminals()->run(name, request, Deadline::after(milliseconds(700))));
  EXPECT_TRUE(eventually([&] { return sleepers() == "0\n"; }));

  const auto output = std::make_shared<OutputCollector>();
  auto terminal = engine_.terminals()->exec(name, request, output, soon());
  ASSERT_TRUE(terminal) << terminal.error().describe();
  EXPECT_TRUE(eventually([&] { return sleepers() == "2\n"; }));
  terminal->reset();
  EXPECT_TRUE(output->wait_for_end(seconds(10)));
  EXPECT_EQ(output->exit_code(), std::nullopt);
  EXPECT_TRUE(eventually([&] { return sleepers() == "0\n"; }));
}

TEST_F(DockerEngineTest, RunsCommandsAsAnotherUser) {
  const std::string name = make(true);
  compute::ExecRequest request;
  request.command = {"id", "-u"};
  request.user_id = 65534;
  const auto outcome = engine_.terminals()->run(name, request, soon());
  ASSERT_TRUE(outcome) << outcome.error().describe();
  EXPECT_EQ(outcome->standard_output, "65534\n");
}

// ---- networks, and other ways to an engine

TEST_F(DockerEngineTest, MakesAndRemovesNetworks) {
  auto* networks = engine_.networks();
  ASSERT_TRUE(networks->create_network("dk-net", soon()));
  EXPECT_TRUE(networks->create_network("dk-net", soon()));
  auto all = networks->list_networks(soon());
  ASSERT_TRUE(all) << all.error().describe();
  EXPECT_EQ(std::ranges::count(*all, "dk-net", &compute::ContainerNetwork::name), 1);
  const auto host = std::ranges::find(*all, "host", &compute::ContainerNetwork::name);
  ASSERT_NE(host, all->end());
  EXPECT_TRUE(host->built_in);
  expect_error(networks->remove_network("host", soon()), ErrorCode::conflict, "network.built_in");
  ASSERT_TRUE(networks->remove_network("dk-net", soon()));
  EXPECT_TRUE(networks->remove_network("dk-net", soon()));
  expect_error(networks->create_network("a/b", soon()), ErrorCode::invalid_argument, "network.name");
}

TEST_F(DockerEngineTest, JoinsSeveralNetworksAndHasAnAddress) {
  for (const char* name : {"dk-a", "dk-b"}) ASSERT_TRUE(engine_.networks()->create_network(name, soon()));
  auto wanted = wish(true);
  wanted.container.emplace().networks = {"dk-b", "dk-a"};
  make(wanted);
  EXPECT_EQ(inspect(wanted.name).settings.networks, (std::vector<std::string>{"dk-b", "dk-a"}));
  EXPECT_TRUE(get(wanted.name).ipv4);
  expect_error(engine_.networks()->remove_network("dk-a", soon()), ErrorCode::conflict, "network.in_use");
  EXPECT_TRUE(eventually([&] { return get(wanted.name).counters.network_received_bytes > 0; }, seconds(20)));
  ASSERT_TRUE(engine_.stop(wanted.name, seconds(0), {}, soon()));
  ASSERT_TRUE(engine_.remove(wanted.name, {}, soon()));
  for (const char* name : {"dk-a", "dk-b"}) EXPECT_TRUE(engine_.networks()->remove_network(name, soon()));
}

TEST_F(DockerEngineTest, TwoServersSideBySideAreTwo) {
  drivers::docker::DockerEngine other(connection_to(DockerServer::instance(2)));
  const std::string name = make(true);
  expect_error(other.get(name, soon()), ErrorCode::not_found, "instance.not_found");
  auto wanted = wish(true);
  wanted.name = name;
  ASSERT_TRUE(other.create(wanted, {}, soon()));
  EXPECT_NE(other.get(name, soon())->engine_id, get(name).engine_id);
  EXPECT_TRUE(other.stop(name, seconds(0), {}, soon()));
  EXPECT_TRUE(other.remove(name, {}, soon()));
  EXPECT_EQ(get(name).status, Status::running);
}

std::string read(const std::string& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

TEST(DockerOverTls, IsReachedWithACertificateOnly) {
  const TemporaryFolder folder;
  const Certificate theirs(folder / "server");
  const Certificate ours(folder / "client");
  const std::string address = "127.0.0.1:" + std::to_string(free_port());
  DockerServer server({"-H", "tcp://" + address, "--tlsverify", "--tlscacert=" + ours.certificate(),
                       "--tlscert=" + theirs.certificate(), "--tlskey=" + theirs.key()});
  auto connection = drivers::docker::make_connection({.url = "tcp://" + address,
                                                      .ca_certificate = read(theirs.certificate()),
                                                      .certificate = read(ours.certificate()),
                                                      .key = Secret(read(ours.key()))});
  ASSERT_TRUE(connection);
  drivers::docker::DockerEngine engine(std::move(*connection));
  const auto info = engine.info(soon());
  ASSERT_TRUE(info) << info.error().describe();

  compute::NewInstance wish;
  wish.name = "dk-secure";
  wish.image = DockerServer::kImage;
  ASSERT_TRUE(engine.create(wish, {}, soon()));
  EventCollector events;
  const auto watch = engine.watch(events);
  ASSERT_TRUE(events.wait_for_gap(seconds(10)));
  const auto output = std::make_shared<OutputCollector>();
  compute::ExecRequest request;
  request.command = {"sh", "-c", "echo secure; read x; exit 4"};
  const auto terminal = engine.terminals()->exec("dk-secure", request, output, soon());
  ASSERT_TRUE(terminal) << terminal.error().describe();
  EXPECT_TRUE(output->wait_for_text("secure", seconds(10)));
  (*terminal)->write("\n");
  EXPECT_TRUE(output->wait_for_end(seconds(10)));
  EXPECT_EQ(output->exit_code(), 4);
  EXPECT_TRUE(engine.stop("dk-secure", seconds(0), {}, soon()));
  EXPECT_TRUE(events.wait([](const compute::EngineEvent& event) { return event.instance == "dk-secure"; }, seconds(5)));

  // Without ours, and towards another server than the one that we know.
  auto stranger = drivers::docker::make_connection(
      {.url = "tcp://" + address, .ca_certificate = read(theirs.certificate()), .certificate = {}, .key = {}});
  drivers::docker::DockerEngine refused(std::move(*stranger));
  EXPECT_EQ(refused.info(soon()).error().reason(), "engine.unavailable");
  auto elsewhere = drivers::docker::make_connection({.url = "tcp://" + address,
                                                     .ca_certificate = read(ours.certificate()),
                                                     .certificate = read(ours.certificate()),
                                                     .key = Secret(read(ours.key()))});
  drivers::docker::DockerEngine wrong(std::move(*elsewhere));
  EXPECT_EQ(wrong.info(soon()).error().reason(), "engine.unavailable");
}

}  // namespace
}  // namespace berth::testing
