#include "drivers/lxd/lxd_engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "certificate.h"
#include "engines/instance_engine_conformance.h"
#include "engines/lxd_server.h"
#include "eventually.h"

namespace berth::testing {
namespace {

using compute::Status;
using drivers::lxd::LxdEngine;
using drivers::lxd::Settings;
using drivers::lxd::unix_endpoint;
using std::chrono::seconds;

Deadline soon() {
  return Deadline::after(seconds(60));
}

/// What LXD alone has, beside what the conformance suite asks of every engine.
class LxdEngineTest : public ::testing::Test {
 protected:
  LxdServer& server_ = LxdServer::instance();
  LxdEngine engine_{Settings{.endpoint = unix_endpoint(server_.socket())}};

  void TearDown() override {
    for (const auto& name : made_) {
      (void)engine_.stop(name, seconds(0), {}, soon());
      (void)engine_.remove(name, {}, soon());
    }
  }

  compute::NewInstance wish(bool start) {
    compute::NewInstance wish;
    wish.name = "lx-" + to_hex(random_bytes(5));
    wish.image = LxdServer::kImage;
    wish.start = start;
    made_.push_back(wish.name);
    return wish;
  }
  std::string make(bool start) {
    const auto wanted = wish(start);
    const auto created = engine_.create(wanted, {}, soon());
    EXPECT_TRUE(created) << created.error().describe();
    return wanted.name;
  }
  compute::Instance get(const std::string& name) {
    auto found = engine_.get(name, soon());
    EXPECT_TRUE(found) << found.error().describe();
    return found ? *found : compute::Instance{};
  }
  std::string config(const std::string& name, const std::string& key) {
    std::string value = server_.lxc({"config", "get", name, key});
    while (value.ends_with('\n')) value.pop_back();
    return value;
  }
  std::string output_of(const std::string& name, std::vector<std::string> command) {
    compute::ExecRequest request;
    request.command = std::move(command);
    auto run = engine_.terminals()->run(name, request, soon());
    EXPECT_TRUE(run) << run.error().describe();
    return run ? run->standard_output : "";
  }

  std::vector<std::string> made_;
};

TEST_F(LxdEngineTest, SaysThatItIsLxd) {
  const auto info = engine_.info(soon());
  ASSERT_TRUE(info) << info.error().describe();
  EXPECT_EQ(info->product, "LXD");
  EXPECT_TRUE(info->version.starts_with("5.")) << info->version;
  EXPECT_FALSE(info->host.empty());
  EXPECT_TRUE(info->capabilities.console);
}

TEST_F(LxdEngineTest, WritesLimitsAndOwnerAsLxdReadsThem) {
  auto wanted = wish(false);
  wanted.limits = {.cpus = 1.5, .memory_bytes = 64ULL << 20U, .disk_bytes = 100ULL << 20U};
  wanted.owner = random_uuid();
  ASSERT_TRUE(engine_.create(wanted, {}, soon()));
  EXPECT_EQ(config(wanted.name, "limits.cpu"), "2");
  EXPECT_EQ(config(wanted.name, "limits.cpu.allowance"), "150ms/100ms");
  EXPECT_EQ(config(wanted.name, "limits.memory"), "64MiB");
  EXPECT_EQ(config(wanted.name, "user.berth.owner"), wanted.owner);
  EXPECT_NE(server_.lxc({"config", "device", "show", wanted.name}).find("size: 100MiB"), std::string::npos);
  EXPECT_EQ(get(wanted.name).limits, wanted.limits);
}

TEST_F(LxdEngineTest, TakesLimitsAwayAgain) {
  auto wanted = wish(false);
  wanted.limits = {.cpus = 0.5, .memory_bytes = 64ULL << 20U, .disk_bytes = 100ULL << 20U};
  ASSERT_TRUE(engine_.create(wanted, {}, soon()));
  compute::InstanceChange change;
  change.cpus = std::optional<double>();
  change.memory_bytes = std::optional<std::uint64_t>();
  change.disk_bytes = std::optional<std::uint64_t>();
  const auto updated = engine_.update(wanted.name, change, soon());
  ASSERT_TRUE(updated) << updated.error().describe();
  EXPECT_EQ(get(wanted.name).limits, compute::InstanceLimits{});
}

TEST_F(LxdEngineTest, ReadsLimitsThatOthersWrote) {
  const std::string name = make(false);
  server_.lxc({"config", "set", name, "limits.cpu", "0-1"});
  server_.lxc({"config", "set", name, "limits.memory", "1GB"});
  EXPECT_EQ(get(name).limits.cpus, 2.0);
  EXPECT_EQ(get(name).limits.memory_bytes, 1'000'000'000ULL);
  server_.lxc({"config", "set", name, "limits.memory", "50%"});
  const auto half = get(name).limits.memory_bytes;
  ASSERT_TRUE(half);
  EXPECT_GT(*half, 64ULL << 20U);
}

TEST_F(LxdEngineTest, KeepsChangesThatOthersMakeMeanwhile) {
  const std::string name = make(false);
  std::thread other([&] {
    for (int i = 0; i < 10; ++i) {
      // `lxc` gives up where somebody else was faster; a person would try again.
      EXPECT_TRUE(eventually([&] {
        try {
          server_.lxc({"config", "set", name, "user.other", std::to_string(i)});
          return true;
        } catch (const std::runtime_error&) {
          return false;
        }
      }));
    }
  });
  for (int i = 0; i < 20; ++i) {
    compute::InstanceChange change;
    change.description = "round " + std::to_string(i);
    change.disk_bytes = (100ULL + static_cast<unsigned>(i)) << 20U;
    const auto updated = engine_.update(name, change, soon());
    EXPECT_TRUE(updated) << updated.error().describe();
  }
  other.join();
  EXPECT_EQ(config(name, "user.other"), "9");
  EXPECT_EQ(get(name).description, "round 19");
  EXPECT_EQ(get(name).limits.disk_bytes, 119ULL << 20U);
}

TEST_F(LxdEngineTest, FindsTheAddressesOfTheFirstInterface) {
  const std::string name = make(false);
  server_.lxc({"config", "device", "add", name, "eth0", "nic", "nictype=p2p", "name=eth0"});
  server_.lxc({"config", "device", "add", name, "eth1", "nic", "nictype=p2p", "name=eth1"});
  ASSERT_TRUE(engine_.start(name, {}, soon()));
  output_of(name, {"sh", "-c",
                   "ip addr add 198.51.100.9/24 dev eth1; ip link set eth1 up; ip addr add 192.0.2.7/24 dev eth0;"
                   "ip link set eth0 up; ip -6 addr add 2001:db8::7/64 dev eth0"});
  EXPECT_TRUE(eventually([&] { return get(name).ipv6.has_value(); }));
  EXPECT_EQ(get(name).ipv4, "192.0.2.7");
  EXPECT_EQ(get(name).ipv6, "2001:db8::7");
  const auto all = engine_.list(soon());
  ASSERT_TRUE(all);
  EXPECT_EQ(std::ranges::find(*all, name, &compute::Instance::name)->ipv4, "192.0.2.7");
}

TEST_F(LxdEngineTest, EndsAGuestByForceThatDoesNotEndByItself) {
  const std::string name = make(true);
  stop_process(server_.init_of(name));
  const auto begin = std::chrono::steady_clock::now();
  const auto stopped = engine_.stop(name, seconds(1), {}, soon());
  ASSERT_TRUE(stopped) << stopped.error().describe();
  EXPECT_EQ(get(name).status, Status::stopped);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(20));
}

TEST_F(LxdEngineTest, RestartsAGuestByForceThatDoesNotEndByItself) {
  const std::string name = make(true);
  const pid_t before = server_.init_of(name);
  stop_process(before);
  const auto restarted = engine_.restart(name, seconds(1), {}, soon());
  ASSERT_TRUE(restarted) << restarted.error().describe();
  EXPECT_EQ(get(name).status, Status::running);
  EXPECT_NE(server_.init_of(name), before);
}

TEST_F(LxdEngineTest, ThawsAFrozenOneThatIsStarted) {
  const std::string name = make(true);
  server_.lxc({"pause", name});
  EXPECT_EQ(get(name).status, Status::frozen);
  EXPECT_EQ(get(name).engine_status, "Frozen");
  const auto started = engine_.start(name, {}, soon());
  ASSERT_TRUE(started) << started.error().describe();
  EXPECT_EQ(get(name).status, Status::running);
}

TEST_F(LxdEngineTest, ReportsHowFarACreateIs) {
  std::vector<int> percents;
  std::string last_stage;
  compute::EngineProgress progress;
  progress.report = [&](int percent, std::string stage) {
    percents.push_back(percent);
    last_stage = std::move(stage);
  };
  ASSERT_TRUE(engine_.create(wish(true), progress, soon()));
  ASSERT_FALSE(percents.empty());
  EXPECT_TRUE(std::ranges::is_sorted(percents));
  EXPECT_EQ(percents.back(), 100);
  EXPECT_FALSE(last_stage.empty());
}

TEST_F(LxdEngineTest, KnowsThatAnAdoptedOperationStillRuns) {
  const std::string name = make(true);
  stop_process(server_.init_of(name));
  std::vector<bool> working;
  compute::EngineProgress progress;
  std::string handle;
  progress.adopt = [&](std::string adopted) -> Result<void> {
    const auto still = engine_.still_working(adopted, soon());
    EXPECT_TRUE(still);
    if (still) working.push_back(*still);
    handle = std::move(adopted);
    return {};
  };
  ASSERT_TRUE(engine_.stop(name, seconds(1), progress, soon()));
  ASSERT_FALSE(working.empty());
  EXPECT_TRUE(working.front());
  const auto after = engine_.still_working(handle, soon());
  ASSERT_TRUE(after);
  EXPECT_FALSE(*after);
}

TEST_F(LxdEngineTest, KeepsTheDescriptionAndRestoresTheFilesOfASnapshot) {
  const std::string name = make(true);
  output_of(name, {"sh", "-c", "echo old > /root/file"});
  auto* snapshots = engine_.snapshots();
  ASSERT_TRUE(snapshots->create_snapshot(name, "s1", false, {}, soon()));
  output_of(name, {"sh", "-c", "echo new > /root/file"});
  compute::InstanceChange change;
  change.description = "web 20001 secret 30000 30025";
  ASSERT_TRUE(engine_.update(name, change, soon()));
  // LXD alone would leave it empty.
  const auto restored = snapshots->restore_snapshot(name, "s1", {}, soon());
  ASSERT_TRUE(restored) << restored.error().describe();
  EXPECT_EQ(get(name).description, "web 20001 secret 30000 30025");
  ASSERT_TRUE(engine_.start(name, {}, soon()));
  EXPECT_EQ(output_of(name, {"cat", "/root/file"}), "old\n");
}

TEST_F(LxdEngineTest, RemovesWhatItMadeWhenItCannotBeStarted) {
  const auto wanted = wish(true);
  const std::string folder = server_.path("shared");
  std::filesystem::create_directory(folder);
  server_.lxc({"profile", "device", "add", "default", "shared", "disk", "source=" + folder, "path=/mnt"});
  compute::EngineProgress progress;
  // Asked between making and starting: by then the folder that the guest is to have is gone.
  progress.cancelled = [&] {
    std::filesystem::remove(folder);
    return false;
  };
  const auto created = engine_.create(wanted, progress, soon());
  server_.lxc({"profile", "device", "remove", "default", "shared"});
  ASSERT_FALSE(created);
  const auto found = engine_.get(wanted.name, soon());
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().reason(), "instance.not_found");
}

TEST_F(LxdEngineTest, RemovesWhatItMadeWhenItIsCancelled) {
  const auto wanted = wish(true);
  compute::EngineProgress progress;
  progress.cancelled = [] { return true; };
  const auto created = engine_.create(wanted, progress, soon());
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code(), ErrorCode::cancelled);
  EXPECT_FALSE(engine_.get(wanted.name, soon()));
}

TEST_F(LxdEngineTest, LeavesAnotherOnesInstanceOfTheSameNameAlone) {
  const std::string name = make(true);
  auto wanted = wish(true);
  wanted.name = name;
  EXPECT_FALSE(engine_.create(wanted, {}, soon()));
  EXPECT_EQ(get(name).status, Status::running);
}

TEST_F(LxdEngineTest, MakesAndStartsManyAtOnce) {
  std::vector<compute::NewInstance> wishes;
  for (int i = 0; i < 8; ++i) wishes.push_back(wish(true));
  std::vector<std::thread> threads;
  for (const auto& wanted : wishes) {
    threads.emplace_back([&] {
      const auto created = engine_.create(wanted, {}, soon());
      EXPECT_TRUE(created) << created.error().describe();
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& wanted : wishes) EXPECT_EQ(get(wanted.name).status, Status::running);
}

TEST_F(LxdEngineTest, RunsACommandAsAnotherUser) {
  const std::string name = make(true);
  compute::ExecRequest request;
  request.command = {"id", "-u"};
  request.user_id = 65534;
  const auto run = engine_.terminals()->run(name, request, soon());
  ASSERT_TRUE(run) << run.error().describe();
  EXPECT_EQ(run->standard_output, "65534\n");
}

TEST_F(LxdEngineTest, GivesACommandWithoutTerminalAnEmptyInput) {
  EXPECT_EQ(output_of(make(true), {"cat"}), "");
}

TEST_F(LxdEngineTest, ResizesATerminal) {
  const std::string name = make(true);
  compute::ExecRequest request;
  request.command = {"sh"};
  request.size = {.columns = 90, .rows = 20};
  const auto output = std::make_shared<OutputCollector>();
  const auto terminal = engine_.terminals()->exec(name, request, output, soon());
  ASSERT_TRUE(terminal) << terminal.error().describe();
  (*terminal)->write("stty size\n");
  EXPECT_TRUE(output->wait_for_text("20 90", seconds(10))) << output->text();
  (*terminal)->resize({.columns = 132, .rows = 43});
  // The new size and the next keys travel on two sockets.
  EXPECT_TRUE(eventually([&] {
    (*terminal)->write("stty size\n");
    return output->wait_for_text("43 132", std::chrono::milliseconds(200));
  })) << output->text();
}

TEST_F(LxdEngineTest, EndsTheCommandOfATerminalThatIsClosedOrLetGo) {
  const std::string name = make(true);
  compute::ExecRequest request;
  request.command = {"sleep", "98765"};
  const auto running = [&] { return output_of(name, {"ps"}).find("sleep 98765") != std::string::npos; };
  for (const bool close : {true, false}) {
    const auto output = std::make_shared<OutputCollector>();
    auto terminal = engine_.terminals()->exec(name, request, output, soon());
    ASSERT_TRUE(terminal) << terminal.error().describe();
    ASSERT_TRUE(eventually(running));
    if (close) (*terminal)->close();
    terminal->reset();
    EXPECT_TRUE(output->wait_for_end(seconds(10)));
    EXPECT_EQ(output->exit_code(), std::nullopt);
    EXPECT_TRUE(eventually([&] { return !running(); }));
  }
}

/// Counts only.
class ByteCounter final : public compute::TerminalOutput {
 public:
  void on_output(std::string_view bytes) override { count_ += bytes.size(); }
  void on_end(std::optional<int> /*exit_code*/) override {}
  std::size_t count() const { return count_; }

 private:
  std::atomic<std::size_t> count_{0};
};

TEST_F(LxdEngineTest, MakesACommandWaitWhoseOutputNobodyTakes) {
  const std::string name = make(true);
  compute::ExecRequest request;
  request.command = {"yes"};
  const auto output = std::make_shared<ByteCounter>();
  const auto terminal = engine_.terminals()->exec(name, request, output, soon());
  ASSERT_TRUE(terminal) << terminal.error().describe();
  ASSERT_TRUE(eventually([&] { return output->count() > 10'000; }));
  (*terminal)->pause_output();
  std::size_t before = 0;
  EXPECT_TRUE(eventually([&] {
    before = output->count();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return output->count() == before;
  }));
  (*terminal)->resume_output();
  EXPECT_TRUE(eventually([&] { return output->count() > before + 10'000; }));
}

TEST_F(LxdEngineTest, SpeaksWithTheConsole) {
  const std::string name = make(true);
  const auto output = std::make_shared<OutputCollector>();
  const auto terminal = engine_.terminals()->console(name, {.columns = 100, .rows = 30}, output, soon());
  ASSERT_TRUE(terminal) << terminal.error().describe();
  // The shell drops what was typed before it was there.
  EXPECT_TRUE(eventually([&] {
    (*terminal)->write("echo he''llo\n");
    return output->wait_for_text("hello", std::chrono::milliseconds(300));
  })) << output->text();
}

TEST_F(LxdEngineTest, ServesSomeoneElseOverHttpsWithACertificate) {
  const std::uint16_t port = free_port();
  const std::string url = "https://127.0.0.1:" + std::to_string(port);
  server_.lxc({"config", "set", "core.https_address", "127.0.0.1:" + std::to_string(port)});
  const Certificate client(server_.path("client"));
  const Certificate stranger(server_.path("stranger"));
  server_.lxc({"config", "trust", "add", client.certificate()});
  const auto endpoint = [&](const Certificate& own, const std::string& trusted) {
    return http::Endpoint{.base_url = url,
                          .unix_socket = "",
                          .client_certificate = own.certificate(),
                          .client_key = own.key(),
                          .server_certificate = trusted};
  };
  const std::string server_certificate = server_.directory() + "/server.crt";
  const std::string name = make(true);
  {
    LxdEngine remote(Settings{.endpoint = endpoint(client, server_certificate)});
    const auto found = remote.get(name, soon());
    ASSERT_TRUE(found) << found.error().describe();
    EXPECT_EQ(found->status, Status::running);
    EventCollector events;
    const auto watch = remote.watch(events);
    ASSERT_TRUE(events.wait_for_gap(seconds(5)));
    compute::ExecRequest request;
    request.command = {"echo", "over TLS"};
    const auto run = remote.terminals()->run(name, request, soon());
    ASSERT_TRUE(run) << run.error().describe();
    EXPECT_EQ(run->standard_output, "over TLS\n");
    ASSERT_TRUE(remote.stop(name, seconds(5), {}, soon()));
    EXPECT_TRUE(events.wait([&](const auto& event) { return event.instance == name; }, seconds(5)));
  }
  for (const auto& refused :
       {endpoint(stranger, server_certificate), endpoint(client, client.certificate()), endpoint(client, "")}) {
    LxdEngine remote(Settings{.endpoint = refused});
    const auto info = remote.info(soon());
    ASSERT_FALSE(info);
    EXPECT_EQ(info.error().reason(), "engine.unavailable") << info.error().describe();
    const auto all = remote.list(soon());
    ASSERT_FALSE(all);
    EXPECT_EQ(all.error().reason(), "engine.unavailable") << all.error().describe();
  }
  server_.lxc({"config", "unset", "core.https_address"});
}

}  // namespace
}  // namespace berth::testing
