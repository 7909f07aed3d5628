#include <signal.h>

#include <filesystem>
#include <thread>

#include "drivers/docker/api.h"
#include "engines/docker_fixture.h"
#include "engines/processes.h"
#include "scripted_server.h"
#include "temporary_folder.h"

namespace berth::testing {
namespace {

using compute::Status;
using drivers::docker::DockerEngine;
using std::chrono::milliseconds;
using std::chrono::seconds;

template <class Call>
milliseconds time_of(Call call) {
  const auto begin = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin);
}

class DockerFaultsTest : public DockerTest {
 protected:
  static const compute::Instance* find(const std::vector<compute::Instance>& all, const std::string& name) {
    const auto found = std::ranges::find(all, name, &compute::Instance::name);
    return found == all.end() ? nullptr : &*found;
  }
};

TEST_F(DockerFaultsTest, IsUnavailableAtOnceWithoutASocketAndHealsWhenItAppears) {
  const std::string late = server_.path("late.sock");
  DockerEngine engine({.endpoint = drivers::docker::unix_endpoint(late)});
  EventCollector events;
  const auto watch = engine.watch(events);
  EXPECT_LT(time_of([&] {
              expect_error(engine.list(soon()), ErrorCode::unavailable, "engine.unavailable");
              expect_error(engine.info(soon()), ErrorCode::unavailable, "engine.unavailable");
              expect_error(engine.start("nobody", {}, soon()), ErrorCode::unavailable, "engine.unavailable");
              expect_error(engine.logs()->read_log("nobody", {}, soon()), ErrorCode::unavailable, "engine.unavailable");
            }),
            seconds(1));
  EXPECT_EQ(events.count(), 0u);
  std::filesystem::create_symlink(server_.socket(), late);
  EXPECT_TRUE(eventually([&] { return engine.list(soon()).has_value(); }));
  EXPECT_TRUE(events.wait_for_gap(seconds(10)));
  std::filesystem::remove(late);
}

TEST_F(DockerFaultsTest, EndsEveryCallAtItsDeadlineWhileDockerHangs) {
  const std::string name = make(true);
  const TemporaryFolder folder;
  const std::string file = folder.write("x.tar", "x");
  ASSERT_TRUE(engine_.info(soon()));  // so that the version is known, and every call reaches its own request
  server_.pause();
  const auto in_half_a_second = [] { return Deadline::after(milliseconds(500)); };
  auto wanted = wish(true);
  compute::ExecRequest request;
  request.command = {"true"};
  const auto output = std::make_shared<OutputCollector>();
  compute::InstanceChange change;
  change.cpus = 1.0;
  const auto reason = [](const auto& result) { return std::string(result ? "" : result.error().reason()); };
  const std::vector<std::function<std::string()>> calls = {
      [&] { return reason(engine_.info(in_half_a_second())); },
      [&] { return reason(engine_.list(in_half_a_second())); },
      [&] { return reason(engine_.get(name, in_half_a_second())); },
      [&] { return reason(engine_.create(wanted, {}, in_half_a_second())); },
      [&] { return reason(engine_.start(name, {}, in_half_a_second())); },
      [&] { return reason(engine_.stop(name, seconds(5), {}, in_half_a_second())); },
      [&] { return reason(engine_.restart(name, seconds(5), {}, in_half_a_second())); },
      [&] { return reason(engine_.remove(name, {}, in_half_a_second())); },
      [&] { return reason(engine_.rename(name, "dk-other", in_half_a_second())); },
      [&] { return reason(engine_.update(name, change, in_half_a_second())); },
      [&] { return reason(engine_.containers()->inspect(name, in_half_a_second())); },
      [&] { return reason(engine_.containers()->pause(name, in_half_a_second())); },
      [&] { return reason(engine_.images()->list_images(in_half_a_second())); },
      [&] { return reason(engine_.registry()->pull("127.0.0.1:1/x:1", {}, {}, in_half_a_second())); },
      [&] { return reason(engine_.terminals()->run(name, request, in_half_a_second())); },
      [&] { return reason(engine_.terminals()->exec(name, request, output, in_half_a_second())); },
      [&] { return reason(engine_.terminals()->console(name, {}, output, in_half_a_second())); },
      [&] { return reason(engine_.logs()->read_log(name, {}, in_half_a_second())); },
      [&] { return reason(engine_.archives()->save_path(name, "/etc", folder / "y", {}, in_half_a_second())); },
      [&] { return reason(engine_.archives()->load_path(name, "/etc", file, {}, in_half_a_second())); },
      [&] { return reason(engine_.volumes()->list_volumes(in_half_a_second())); },
      [&] { return reason(engine_.networks()->list_networks(in_half_a_second())); },
      [&] { return reason(engine_.capacities()->capacity(in_half_a_second())); },
  };
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const auto taken = time_of([&] { EXPECT_EQ(calls[i](), "engine.timeout") << "call " << i; });
    EXPECT_GE(taken, milliseconds(490)) << "call " << i;
    EXPECT_LT(taken, milliseconds(1500)) << "call " << i;
  }
  server_.resume();
  EXPECT_TRUE(eventually([&] { return engine_.list(soon()).has_value(); }));
}

TEST_F(DockerFaultsTest, TheEndOfTheEngineDoesNotWaitForAHungServer) {
  const std::string name = make(true);
  auto engine = std::make_unique<DockerEngine>(connection_to(server_));
  EventCollector events;
  auto watch = engine->watch(events);
  ASSERT_TRUE(events.wait_for_gap(seconds(5)));
  compute::ExecRequest request;
  request.command = {"sh"};
  const auto output = std::make_shared<OutputCollector>();
  const auto terminal = engine->terminals()->exec(name, request, output, soon());
  ASSERT_TRUE(terminal) << terminal.error().describe();
  server_.pause();
  EXPECT_LT(time_of([&] {
              watch.reset();
              engine.reset();
            }),
            seconds(1));
  EXPECT_TRUE(output->wait_for_end(milliseconds(0)));
  server_.resume();
}

TEST_F(DockerFaultsTest, NoticesAHungEngineBesideItsSilentEventStream) {
  EventCollector events;
  const auto watch = engine_.watch(events);
  ASSERT_TRUE(events.wait_for_gap(seconds(5)));
  ASSERT_EQ(events.count(), 1u);
  server_.pause();
  // Asked every 5 s for a sign of life, within 5 s; a new stream stands only once Docker goes on.
  std::this_thread::sleep_for(seconds(11));
  EXPECT_EQ(events.count(), 1u);
  server_.resume();
  EXPECT_TRUE(eventually([&] { return events.count() >= 2; }, seconds(15)));
  const std::string name = make(true);
  EXPECT_TRUE(events.wait([&](const compute::EngineEvent& event) { return event.instance == name; }, seconds(10)));
}

TEST_F(DockerFaultsTest, OneHungContainerDoesNotHoldUpTheList) {
  const std::string well = make(true);
  const std::string hung = make(true);
  ASSERT_TRUE(engine_.list(soon()));
  ASSERT_TRUE(eventually([&] { return get(hung).counters.cpu_ns > 0; }));
  const auto before = get(hung).counters;
  const pid_t shim = server_.shim_of(hung);
  stop_process(shim);
  const auto check = [&](Instant begin) {
    const auto all = engine_.list(Deadline::after(seconds(6)));
    ASSERT_TRUE(all) << all.error().describe();
    ASSERT_NE(find(*all, well), nullptr);
    ASSERT_NE(find(*all, hung), nullptr);
    // Not the counters of `well`: Docker 20.10 itself waits for the hung one before it counts the next.
    EXPECT_EQ(find(*all, well)->status, Status::running);
    EXPECT_EQ(find(*all, hung)->status, Status::running);
    EXPECT_EQ(find(*all, hung)->counters, before);
    EXPECT_LT(find(*all, hung)->measured, begin);
  };
  EXPECT_LT(time_of([&] { check(std::chrono::steady_clock::now()); }), milliseconds(4500));
  // Once it is known, it costs nothing any more.
  EXPECT_LT(time_of([&] { check(std::chrono::steady_clock::now()); }), seconds(1));
  EXPECT_LT(time_of([&] { EXPECT_EQ(get(hung).status, Status::running); }), seconds(1));
  ::kill(shim, SIGCONT);
  const auto resumed = std::chrono::steady_clock::now();
  EXPECT_TRUE(eventually(
      [&] {
        const auto all = engine_.list(soon());
        return all && find(*all, hung) != nullptr && find(*all, hung)->measured > resumed &&
               find(*all, well)->measured > resumed;
      },
      seconds(30)));
}

/// Engines of their own: they are killed.
class DockerDeathTest : public DockerTest {
 protected:
  DockerDeathTest() : DockerTest(DockerServer::instance(3)) {}
  void TearDown() override {
    if (!server_.running()) server_.start();
    DockerTest::TearDown();
  }
};

TEST_F(DockerDeathTest, ContainersGoOnUnderTheirShimsWhenTheEngineIsKilled) {
  const std::string name = make(true);
  const pid_t guest = server_.init_of(name);
  EventCollector events;
  const auto watch = engine_.watch(events);
  ASSERT_TRUE(events.wait_for_gap(seconds(5)));
  const auto output = std::make_shared<OutputCollector>();
  compute::ExecRequest request;
  request.command = {"sh"};
  const auto terminal = engine_.terminals()->exec(name, request, output, soon());
  ASSERT_TRUE(terminal) << terminal.error().describe();
  server_.kill();
  EXPECT_LT(time_of([&] {
              EXPECT_TRUE(eventually([&] {
                const auto all = engine_.list(soon());
                return !all && all.error().reason() == "engine.unavailable";
              }));
            }),
            seconds(2));
  EXPECT_TRUE(output->wait_for_end(seconds(10)));
  EXPECT_TRUE(is_alive(guest));
  server_.start();
  EXPECT_TRUE(eventually([&] { return events.count() >= 2; }, seconds(20)));
  EXPECT_TRUE(eventually([&] {
    const auto found = engine_.get(name, soon());
    return found && (found->status == Status::running) == is_alive(guest);
  }));
}

TEST_F(DockerDeathTest, SaysThatTheEngineWentAwayInTheMiddle) {
  const std::string name = make({"sh", "-c", "trap '' TERM; while :; do sleep 1; done"});
  std::thread killer([&] {
    std::this_thread::sleep_for(milliseconds(700));
    server_.kill();
  });
  // Its guest does not want to end, so that the call is under way when the engine dies.
  EXPECT_LT(time_of([&] {
              expect_error(engine_.stop(name, seconds(30), {}, soon()), ErrorCode::unavailable, "engine.unavailable");
            }),
            seconds(5));
  killer.join();
  server_.start();
  EXPECT_TRUE(eventually([&] { return engine_.info(soon()).has_value(); }));
}

// ---- engines that talk nonsense

TEST(DockerGarbage, EndsInClearErrors) {
  const TemporaryFolder folder;
  constexpr std::string_view kVersion = R"({"ApiVersion":"1.41","MinAPIVersion":"1.12","Version":"20.10"})";
  for (const std::string body : {"", "garbage", "{", "[5]", "{\"Id\":5}", "[{}]", "\"x\"", "12"}) {
    const ScriptedServer server(folder / "s", [&](ScriptedServer::Peer& peer) {
      for (std::string request; !(request = peer.read_request()).empty();) {
        peer.answer(200, request.starts_with("GET /version ") ? kVersion : std::string_view(body));
      }
    });
    DockerEngine engine({.endpoint = drivers::docker::unix_endpoint(folder / "s")});
    const auto is_clear = [&](const auto& result, const char* call) {
      if (result) return;  // an empty object is an engine with nothing
      EXPECT_TRUE(result.error().reason() == "engine.protocol" || result.error().reason() == "instance.not_found")
          << call << " " << body << ": " << result.error().describe();
    };
    const auto output = std::make_shared<OutputCollector>();
    compute::ExecRequest request;
    request.command = {"true"};
    is_clear(engine.info(soon()), "info");
    EXPECT_FALSE(engine.list(soon()));
    is_clear(engine.list(soon()), "list");
    EXPECT_FALSE(engine.get("web", soon()));
    is_clear(engine.get("web", soon()), "get");
    is_clear(engine.containers()->inspect("web", soon()), "inspect");
    is_clear(engine.images()->list_images(soon()), "images");
    is_clear(engine.volumes()->list_volumes(soon()), "volumes");
    is_clear(engine.networks()->list_networks(soon()), "networks");
    is_clear(engine.capacities()->capacity(soon()), "capacity");
    is_clear(engine.terminals()->run("web", request, soon()), "run");
    is_clear(engine.terminals()->exec("web", request, output, soon()), "exec");
    is_clear(engine.logs()->read_log("web", {}, soon()), "log");
  }
}

TEST(DockerGarbage, AnAnswerThatIsCutOffIsNotTakenForWhole) {
  const TemporaryFolder folder;
  const ScriptedServer server(folder / "s", [&](ScriptedServer::Peer& peer) {
    const std::string request = peer.read_request();
    if (request.starts_with("GET /version ")) {
      peer.answer(200, R"({"ApiVersion":"1.41","MinAPIVersion":"1.12","Version":"20.10"})");
      peer.read_request();
    }
    peer.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[");
  });
  DockerEngine engine({.endpoint = drivers::docker::unix_endpoint(folder / "s")});
  const auto all = engine.list(soon());
  ASSERT_FALSE(all);
  EXPECT_EQ(all.error().reason(), "engine.protocol") << all.error().describe();
}

}  // namespace
}  // namespace berth::testing
