#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <thread>

#include "drivers/lxd/lxd_engine.h"
#include "engines/instance_engine_conformance.h"
#include "engines/lxd_server.h"
#include "eventually.h"

namespace berth::testing {
namespace {

using compute::Status;
using drivers::lxd::LxdEngine;
using drivers::lxd::Settings;
using drivers::lxd::unix_endpoint;
using std::chrono::milliseconds;
using std::chrono::seconds;

Deadline soon() {
  return Deadline::after(seconds(60));
}

template <class Call>
milliseconds time_of(Call call) {
  const auto begin = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin);
}

/// Counts gaps, and remembers whom events were about.
class GapCounter final : public compute::EngineWatcher {
 public:
  void on_event(const compute::EngineEvent& event) override {
    const std::lock_guard lock(mutex_);
    ++events_[event.instance];
  }
  void on_gap() override {
    const std::lock_guard lock(mutex_);
    ++gaps_;
  }
  int gaps() {
    const std::lock_guard lock(mutex_);
    return gaps_;
  }
  int events_of(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return events_[name];
  }

 private:
  std::mutex mutex_;
  int gaps_ = 0;
  std::map<std::string, int> events_;
};

class LxdFaultsTest : public ::testing::Test {
 protected:
  LxdServer& server_ = LxdServer::instance();
  LxdEngine engine_{Settings{.endpoint = unix_endpoint(server_.socket())}};

  void TearDown() override {
    for (const auto& name : made_) {
      (void)engine_.stop(name, seconds(0), {}, soon());
      (void)engine_.remove(name, {}, soon());
    }
  }

  std::string make(bool start) {
    compute::NewInstance wish;
    wish.name = "lf-" + to_hex(random_bytes(5));
    wish.image = LxdServer::kImage;
    wish.description = "description of " + wish.name;
    wish.start = start;
    made_.push_back(wish.name);
    const auto created = engine_.create(wish, {}, soon());
    EXPECT_TRUE(created) << created.error().describe();
    return wish.name;
  }
  static const compute::Instance* find(const std::vector<compute::Instance>& all, const std::string& name) {
    const auto found = std::ranges::find(all, name, &compute::Instance::name);
    return found == all.end() ? nullptr : &*found;
  }

  std::vector<std::string> made_;
};

TEST_F(LxdFaultsTest, IsUnavailableAtOnceWithoutASocketAndHealsWhenItAppears) {
  const std::string late = server_.path("late.socket");
  LxdEngine engine(Settings{.endpoint = unix_endpoint(late)});
  GapCounter events;
  const auto watch = engine.watch(events);
  EXPECT_LT(time_of([&] {
              const auto all = engine.list(soon());
              ASSERT_FALSE(all);
              EXPECT_EQ(all.error().code(), ErrorCode::unavailable);
              EXPECT_EQ(all.error().reason(), "engine.unavailable");
              EXPECT_EQ(engine.info(soon()).error().reason(), "engine.unavailable");
              EXPECT_EQ(engine.start("nobody", {}, soon()).error().reason(), "engine.unavailable");
            }),
            seconds(1));
  EXPECT_EQ(events.gaps(), 0);
  std::filesystem::create_symlink(server_.socket(), late);
  EXPECT_TRUE(eventually([&] { return engine.list(soon()).has_value(); }));
  EXPECT_TRUE(eventually([&] { return events.gaps() == 1; }));
  std::filesystem::remove(late);
}

TEST_F(LxdFaultsTest, EndsEveryCallAtItsDeadlineWhileLxdHangs) {
  const std::string name = make(false);
  server_.pause();
  const auto in_half_a_second = [] { return Deadline::after(milliseconds(500)); };
  compute::NewInstance wish;
  wish.name = "lf-never";
  wish.image = LxdServer::kImage;
  compute::ExecRequest request;
  request.command = {"true"};
  std::vector<std::function<std::string()>> calls = {
      [&] { return std::string(engine_.info(in_half_a_second()).error().reason()); },
      [&] { return std::string(engine_.list(in_half_a_second()).error().reason()); },
      [&] { return std::string(engine_.get(name, in_half_a_second()).error().reason()); },
      [&] { return std::string(engine_.create(wish, {}, in_half_a_second()).error().reason()); },
      [&] { return std::string(engine_.start(name, {}, in_half_a_second()).error().reason()); },
      [&] { return std::string(engine_.stop(name, seconds(5), {}, in_half_a_second()).error().reason()); },
      [&] { return std::string(engine_.remove(name, {}, in_half_a_second()).error().reason()); },
      [&] {
        return std::string(engine_
                               .update(name, {.description = "x", .cpus = {}, .memory_bytes = {}, .disk_bytes = {}},
                                       in_half_a_second())
                               .error()
                               .reason());
      },
      [&] { return std::string(engine_.snapshots()->list_snapshots(name, in_half_a_second()).error().reason()); },
      [&] { return std::string(engine_.images()->list_images(in_half_a_second()).error().reason()); },
      [&] { return std::string(engine_.terminals()->run(name, request, in_half_a_second()).error().reason()); },
  };
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const auto taken = time_of([&] { EXPECT_EQ(calls[i](), "engine.timeout") << "call " << i; });
    EXPECT_GE(taken, milliseconds(490)) << "call " << i;
    EXPECT_LT(taken, milliseconds(1500)) << "call " << i;
  }
  server_.resume();
  EXPECT_TRUE(eventually([&] { return engine_.list(soon()).has_value(); }));
}

TEST_F(LxdFaultsTest, TheEndOfTheEngineDoesNotWaitForAHungServer) {
  const std::string hung = make(true);
  auto engine = std::make_unique<LxdEngine>(Settings{.endpoint = unix_endpoint(server_.socket())});
  GapCounter events;
  auto watch = engine->watch(events);
  ASSERT_TRUE(eventually([&] { return events.gaps() == 1; }));
  compute::ExecRequest request;
  request.command = {"sh"};
  const auto output = std::make_shared<OutputCollector>();
  const auto terminal = engine->terminals()->exec(hung, request, output, soon());
  ASSERT_TRUE(terminal) << terminal.error().describe();
  const pid_t monitor = server_.monitor_of(hung);
  stop_process(monitor);
  const auto one = engine->get(hung, Deadline::after(seconds(1)));
  EXPECT_TRUE(one && one->status == Status::unresponsive);
  server_.pause();
  EXPECT_LT(time_of([&] {
              watch.reset();
              engine.reset();
            }),
            seconds(1));
  EXPECT_TRUE(output->wait_for_end(milliseconds(0)));
  server_.resume();
  ::kill(monitor, SIGCONT);
}

TEST_F(LxdFaultsTest, NoticesASilentEventStreamAndConnectsAnew) {
  GapCounter events;
  const auto watch = engine_.watch(events);
  ASSERT_TRUE(eventually([&] { return events.gaps() == 1; }));
  server_.pause();
  // The stream is given up after 6 s of silence; a new one stands only once LXD goes on.
  std::this_thread::sleep_for(seconds(8));
  EXPECT_EQ(events.gaps(), 1);
  server_.resume();
  EXPECT_TRUE(eventually([&] { return events.gaps() == 2; }, seconds(15)));
  const std::string name = make(false);
  EXPECT_TRUE(eventually([&] { return events.events_of(name) > 0; }));
}

TEST_F(LxdFaultsTest, HealsAfterLxdWasKilledAndStartedAgain) {
  const std::string name = make(true);
  GapCounter events;
  const auto watch = engine_.watch(events);
  ASSERT_TRUE(eventually([&] { return events.gaps() == 1; }));
  server_.kill();
  EXPECT_TRUE(eventually([&] {
    const auto all = engine_.list(soon());
    return !all && all.error().reason() == "engine.unavailable";
  }));
  server_.start();
  EXPECT_TRUE(eventually([&] { return events.gaps() >= 2; }, seconds(20)));
  const auto all = engine_.list(soon());
  ASSERT_TRUE(all) << all.error().describe();
  ASSERT_NE(find(*all, name), nullptr);
  EXPECT_EQ(find(*all, name)->status, Status::running);
  server_.lxc({"config", "set", name, "user.after", "1"});
  EXPECT_TRUE(eventually([&] { return events.events_of(name) > 0; }));
}

TEST_F(LxdFaultsTest, DoesNotWaitForAnOperationWhoseServerDied) {
  const std::string name = make(true);
  stop_process(server_.init_of(name));
  compute::EngineProgress progress;
  std::string handle;
  progress.adopt = [&](std::string adopted) -> Result<void> {
    handle = std::move(adopted);
    server_.kill();
    return {};
  };
  const auto taken = time_of([&] {
    const auto stopped = engine_.stop(name, seconds(30), progress, soon());
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().reason(), "engine.unavailable") << stopped.error().describe();
  });
  EXPECT_LT(taken, seconds(5));
  server_.start();
  const auto working = engine_.still_working(handle, soon());
  ASSERT_TRUE(working) << working.error().describe();
  EXPECT_FALSE(*working);
}

TEST_F(LxdFaultsTest, OneHungInstanceDoesNotHoldUpTheOthers) {
  const std::string well = make(true);
  const std::string hung = make(true);
  const std::string stopped = make(false);
  ASSERT_TRUE(engine_.list(soon()));
  const pid_t monitor = server_.monitor_of(hung);
  stop_process(monitor);

  const auto check = [&] {
    const auto all = engine_.list(Deadline::after(seconds(4)));
    ASSERT_TRUE(all) << all.error().describe();
    ASSERT_NE(find(*all, well), nullptr);
    ASSERT_NE(find(*all, hung), nullptr);
    ASSERT_NE(find(*all, stopped), nullptr);
    EXPECT_EQ(find(*all, well)->status, Status::running);
    EXPECT_EQ(find(*all, stopped)->status, Status::stopped);
    EXPECT_EQ(find(*all, hung)->status, Status::unresponsive);
    EXPECT_EQ(find(*all, hung)->description, "description of " + hung);
  };
  EXPECT_LT(time_of(check), milliseconds(4100));
  // Once it is known, it costs nothing any more.
  EXPECT_LT(time_of(check), seconds(1));
  EXPECT_LT(time_of([&] {
              const auto one = engine_.get(hung, soon());
              ASSERT_TRUE(one) << one.error().describe();
              EXPECT_EQ(one->status, Status::unresponsive);
            }),
            seconds(1));

  ::kill(monitor, SIGCONT);
  EXPECT_TRUE(eventually([&] {
    const auto one = engine_.get(hung, soon());
    return one && one->status == Status::running;
  }));
}

TEST_F(LxdFaultsTest, LearnsWhatItCanOfAnInstanceThatHungBefore) {
  const std::string hung = make(true);
  const pid_t monitor = server_.monitor_of(hung);
  stop_process(monitor);
  LxdEngine fresh(Settings{.endpoint = unix_endpoint(server_.socket())});
  const auto one = fresh.get(hung, Deadline::after(seconds(3)));
  ASSERT_TRUE(one) << one.error().describe();
  EXPECT_EQ(one->status, Status::unresponsive);
  EXPECT_TRUE(eventually(
      [&] {
        const auto all = fresh.list(Deadline::after(seconds(4)));
        if (!all || find(*all, hung) == nullptr) return false;
        EXPECT_EQ(find(*all, hung)->status, Status::unresponsive);
        return find(*all, hung)->description == "description of " + hung;
      },
      seconds(20)));
  ::kill(monitor, SIGCONT);
  EXPECT_TRUE(eventually([&] { return fresh.get(hung, soon())->status == Status::running; }));
}

TEST_F(LxdFaultsTest, ManyHungInstancesAreNamedTooWithinTheDeadline) {
  std::vector<std::string> hung;
  std::vector<pid_t> monitors;
  for (int i = 0; i < 6; ++i) hung.push_back(make(true));
  const std::string well = make(true);
  for (const auto& name : hung) {
    monitors.push_back(server_.monitor_of(name));
    stop_process(monitors.back());
  }
  const auto all = engine_.list(Deadline::after(seconds(4)));
  EXPECT_TRUE(all) << all.error().describe();
  for (const pid_t monitor : monitors) ::kill(monitor, SIGCONT);
  ASSERT_TRUE(all);
  EXPECT_EQ(find(*all, well)->status, Status::running);
  for (const auto& name : hung) EXPECT_EQ(find(*all, name)->status, Status::unresponsive);
  for (const auto& name : hung) {
    EXPECT_TRUE(eventually([&] { return engine_.get(name, soon())->status == Status::running; }, seconds(20)));
  }
}

}  // namespace
}  // namespace berth::testing
