#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "engines/docker_fixture.h"
#include "engines/processes.h"
#include "engines/ssh_connection.h"

namespace berth::testing {
namespace {

using compute::Status;
using drivers::docker::Address;
using drivers::docker::DockerEngine;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

template <class Call>
milliseconds time_of(Call call) {
  const auto begin = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin);
}

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// The processes of ssh whose parent is `parent`.
std::vector<pid_t> tunnels_of(pid_t parent) {
  std::vector<pid_t> found;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(parent) + "/task")) {
    std::ifstream in(task.path() / "children");
    for (pid_t child = 0; in >> child;) {
      if (read_file("/proc/" + std::to_string(child) + "/comm") == "ssh\n") found.push_back(child);
    }
  }
  return found;
}

/// Counts what a followed log brings.
class FollowedLog : public compute::LogReader {
 public:
  void on_log(Stream /*stream*/, std::string_view bytes) override { length_ += bytes.size(); }
  void on_end(const Result<void>& /*outcome*/) override {}
  std::size_t length() const { return length_; }

 private:
  std::atomic<std::size_t> length_{0};
};

/// What a connection over SSH adds to what the conformance suite asks of every engine: how it fails, and how it heals.
class DockerOverSshTest : public DockerTest {
 protected:
  void TearDown() override {
    if (!ssh_.running()) ssh_.start();
    ssh_.resume();
    DockerTest::TearDown();
  }

  Address address() const { return address_over_ssh(ssh_, server_.socket()); }
  /// Says why a server cannot be reached, at once.
  void expect_refusal(const Address& address, const std::string& words, const std::string& detail) {
    DockerEngine engine(connection_of(address));
    const auto taken = time_of([&] {
      const auto info = engine.info(soon());
      expect_error(info, ErrorCode::unavailable, "engine.unavailable");
      EXPECT_THAT(info.error().message().en, HasSubstr(words));
      EXPECT_THAT(info.error().detail(), HasSubstr(detail));
    });
    EXPECT_LT(taken, seconds(5));
    // The next call says it too, without another login.
    EXPECT_THAT(engine.list(soon()).error().detail(), HasSubstr(detail));
  }

  SshServer& ssh_ = SshServer::instance();
};

TEST_F(DockerOverSshTest, FollowsEventsLogsAndTerminals) {
  DockerEngine engine(connection_of(address()));
  EventCollector events;
  const auto watch = engine.watch(events);
  ASSERT_TRUE(events.wait_for_gap(seconds(10)));
  auto wanted = wish(true);
  wanted.container.emplace().command = {"sh", "-c", "echo begun; while :; do :; done"};
  ASSERT_TRUE(engine.create(wanted, {}, soon()));
  EXPECT_TRUE(
      events.wait([&](const compute::EngineEvent& event) { return event.instance == wanted.name; }, seconds(5)));
  const auto counted = [&] { return engine.get(wanted.name, soon())->counters.cpu_ns; };
  EXPECT_TRUE(eventually([&] { return counted() > 0; }));
  const auto log = std::make_shared<FollowedLog>();
  const auto following = engine.logs()->follow_log(wanted.name, {}, log, soon());
  ASSERT_TRUE(following) << following.error().describe();
  EXPECT_TRUE(eventually([&] { return log->length() >= 6; }));

  const auto output = std::make_shared<OutputCollector>();
  compute::ExecRequest request;
  request.command = {"sh", "-c", "echo over; read x; echo $x; exit 4"};
  const auto terminal = engine.terminals()->exec(wanted.name, request, output, soon());
  ASSERT_TRUE(terminal) << terminal.error().describe();
  EXPECT_TRUE(output->wait_for_text("over", seconds(10)));
  (*terminal)->write("back\n");
  EXPECT_TRUE(output->wait_for_end(seconds(10)));
  EXPECT_THAT(output->text(), HasSubstr("back"));
  EXPECT_EQ(output->exit_code(), 4);
}

TEST_F(DockerOverSshTest, CarriesFilesWhole) {
  DockerEngine engine(connection_of(address()));
  const std::string name = make(true);
  run(name, {"sh", "-c", "seq 1 2000000 >/tmp/numbers"});
  const auto sum = run(name, {"md5sum", "/tmp/numbers"}).standard_output;
  const TemporaryFolder folder;
  ASSERT_TRUE(engine.archives()->save_path(name, "/tmp/numbers", folder / "numbers.tar", {}, soon()));
  EXPECT_GT(std::filesystem::file_size(folder / "numbers.tar"), 10'000'000u);
  run(name, {"rm", "/tmp/numbers"});
  ASSERT_TRUE(engine.archives()->load_path(name, "/tmp", folder / "numbers.tar", {}, soon()));
  EXPECT_EQ(run(name, {"md5sum", "/tmp/numbers"}).standard_output, sum);
}

TEST_F(DockerOverSshTest, AsksNothingBeforeTheFirstCallAndLeavesNothingBehind) {
  ASSERT_TRUE(eventually([&] { return ssh_.connections() == 0; }));
  const std::size_t before = open_descriptors();
  {
    DockerEngine engine(connection_of(address()));
    EXPECT_TRUE(tunnels_of(::getpid()).empty());
    ASSERT_TRUE(engine.info(soon()));
    ASSERT_EQ(tunnels_of(::getpid()).size(), 1u);
    EXPECT_EQ(ssh_.connections(), 1u);
  }
  EXPECT_TRUE(tunnels_of(::getpid()).empty());
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_TRUE(std::filesystem::is_empty(ssh_sockets().path()));
  EXPECT_TRUE(eventually([&] { return ssh_.connections() == 0; }));
}

TEST_F(DockerOverSshTest, ShowsItsKeyToNobody) {
  DockerEngine engine(connection_of(address()));
  ASSERT_TRUE(engine.info(soon()));
  const auto tunnels = tunnels_of(::getpid());
  ASSERT_EQ(tunnels.size(), 1u);
  const std::string process = "/proc/" + std::to_string(tunnels.front());
  for (const char* file : {"/cmdline", "/environ"}) {
    EXPECT_EQ(read_file(process + file).find("PRIVATE KEY"), std::string::npos);
  }
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(ssh_sockets().path())) {
    if (entry.is_regular_file()) ++files;
    const auto others = std::filesystem::perms::group_all | std::filesystem::perms::others_all;
    EXPECT_EQ(entry.status().permissions() & others, std::filesystem::perms::none) << entry.path();
  }
  EXPECT_EQ(files, 0u);
}

TEST_F(DockerOverSshTest, WorksFromAFolderWithALongAndStrangeName) {
  const TemporaryFolder folder;
  const auto deep = folder.path() / std::string(120, 'x') / "a b:c%h$HOME";
  auto connection = drivers::docker::make_connection(address(), deep);
  ASSERT_TRUE(connection) << connection.error().describe();
  DockerEngine engine(std::move(*connection));
  const auto info = engine.info(soon());
  EXPECT_TRUE(info) << info.error().describe();
}

TEST_F(DockerOverSshTest, SaysWhoRefusesWhom) {
  auto other = address();
  other.host_key = ssh_.strange_host_key();
  expect_refusal(other, "host key is not the one", "Host key verification failed");
  other = address();
  other.key = ssh_.strange_key();
  expect_refusal(other, "does not take the SSH key for the user root", "Permission denied");
  other = address();
  other.url = ssh_.url("/nowhere/docker.sock");
  expect_refusal(other, "no socket /nowhere/docker.sock", "open failed");
  other = address();
  other.url = "ssh://root@127.0.0.1:" + std::to_string(free_port()) + "/x";
  expect_refusal(other, "refused", "Connection refused");
}

TEST_F(DockerOverSshTest, RefusesALockedKeyBeforeAnythingIsTried) {
  auto locked = address();
  locked.key = ssh_.strange_key("a passphrase");
  const auto connection = drivers::docker::make_connection(locked, ssh_sockets().path());
  ASSERT_FALSE(connection);
  EXPECT_EQ(connection.error().fields().front().field, "key");
  EXPECT_THAT(connection.error().message().en, HasSubstr("passphrase"));
}

TEST_F(DockerOverSshTest, HealsWhenTheSshServerComesBack) {
  DockerEngine engine(connection_of(address()));
  EventCollector events;
  const auto watch = engine.watch(events);
  ASSERT_TRUE(events.wait_for_gap(seconds(10)));
  const std::size_t gaps = events.count();
  ssh_.kill();
  EXPECT_TRUE(eventually([&] {
    const auto all = engine.list(soon());
    return !all && all.error().reason() == "engine.unavailable" &&
           all.error().detail().find("Connection refused") != std::string::npos;
  }));
  EXPECT_LT(time_of([&] { EXPECT_FALSE(engine.list(soon())); }), seconds(1));
  ssh_.start();
  EXPECT_TRUE(eventually([&] { return engine.list(soon()).has_value(); }, seconds(20)));
  EXPECT_TRUE(eventually([&] { return events.count() > gaps; }, seconds(20)));
  EXPECT_EQ(tunnels_of(::getpid()).size(), 1u);
}

TEST_F(DockerOverSshTest, HealsWhenSshItselfIsKilled) {
  DockerEngine engine(connection_of(address()));
  ASSERT_TRUE(engine.info(soon()));
  const auto killed = tunnels_of(::getpid());
  ASSERT_EQ(killed.size(), 1u);
  ::kill(killed.front(), SIGKILL);
  EXPECT_TRUE(eventually([&] { return !is_alive(killed.front()); }));
  EXPECT_TRUE(eventually([&] { return engine.list(soon()).has_value(); }));
  EXPECT_FALSE(std::filesystem::exists("/proc/" + std::to_string(killed.front()))) << "a zombie was left";
}

TEST_F(DockerOverSshTest, EndsEveryCallAtItsDeadlineWhileTheSshServerHangs) {
  DockerEngine engine(connection_of(address()));
  auto fresh = std::make_unique<DockerEngine>(connection_of(address()));
  ASSERT_TRUE(engine.info(soon()));
  ssh_.pause();
  const auto in_half_a_second = [] { return Deadline::after(milliseconds(500)); };
  const TemporaryFolder folder;
  compute::ExecRequest request;
  request.command = {"true"};
  const auto output = std::make_shared<OutputCollector>();
  const std::vector<std::function<ErrorCode()>> calls = {
      [&] { return engine.info(in_half_a_second()).error().code(); },
      [&] { return engine.list(in_half_a_second()).error().code(); },
      [&] { return engine.start("nobody", {}, in_half_a_second()).error().code(); },
      [&] { return engine.terminals()->exec("nobody", request, output, in_half_a_second()).error().code(); },
      [&] { return engine.archives()->save_root("nobody", folder / "x", {}, in_half_a_second()).error().code(); },
      [&] { return engine.logs()->read_log("nobody", {}, in_half_a_second()).error().code(); },
      // One that has no connection yet.
      [&] { return fresh->info(in_half_a_second()).error().code(); },
  };
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const auto taken = time_of([&] {
      EXPECT_EQ(calls[i](), i + 1 < calls.size() ? ErrorCode::deadline_exceeded : ErrorCode::unavailable)
          << "call " << i;
    });
    EXPECT_GE(taken, milliseconds(490)) << "call " << i;
    EXPECT_LT(taken, milliseconds(1500)) << "call " << i;
  }
  // Nor does an end wait for it.
  EXPECT_LT(time_of([&] { fresh.reset(); }), seconds(1));
  ssh_.resume();
  EXPECT_TRUE(eventually([&] { return engine.list(soon()).has_value(); }));
}

TEST_F(DockerOverSshTest, TheEndOfAWatchDoesNotWaitForAConnectionThatIsBeingMade) {
  ssh_.pause();
  DockerEngine engine(connection_of(address()));
  EventCollector events;
  auto watch = engine.watch(events);
  ASSERT_TRUE(eventually([] { return tunnels_of(::getpid()).size() == 1; }));
  EXPECT_LT(time_of([&] { watch.reset(); }), seconds(1));
}

}  // namespace
}  // namespace berth::testing
