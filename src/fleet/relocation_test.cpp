#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "fleet/fleet_fixture.h"
#include "json/read.h"

namespace berth::fleet {
namespace {

using berth::testing::eventually;
using compute::Status;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class RelocationTest : public FleetFixture {
 protected:
  void SetUp() override { begin({"one", "two"}); }

  static NewContainer busy_wish(const std::string& name) {
    auto wanted = wish(name);
    wanted.server = "one";
    wanted.settings.environment["MODE"] = "busy";
    wanted.settings.ports.push_back({80, compute::Protocol::tcp, 8080, ""});
    wanted.settings.mounts.push_back({name + "-data", "/data", false});
    return wanted;
  }
  void make_busy(const std::string& name) {
    take(make(alice(), busy_wish(name)));
    ASSERT_TRUE(engine("one").write_file(name, "/data/file", "kept"));
    ASSERT_TRUE(engine("one").write_file(name, "/etc/own", "changed"));
  }
  Result<operations::Operation> move(const std::string& name, const std::optional<std::string>& to) {
    const auto ticket = containers_->relocate(admin(), name, to);
    begun();
    if (!ticket) return ticket.error();
    return (*ticket)->wait(soon());
  }
  ServerId id_of(const std::string& server) { return take(registry_->find(server)).server.id; }
  std::vector<std::string> volumes_on(const std::string& server) {
    std::vector<std::string> names;
    for (const auto& volume : take(engine(server).list_volumes(soon()))) names.push_back(volume.name);
    return names;
  }
  std::string home_of(const std::string& name) { return seen(name)->server_name; }
  std::size_t running() { return engine("one").running() + engine("two").running(); }
  /// It is in one place, whole, and runs there.
  void expect_whole(const std::string& name, const std::string& note) {
    ASSERT_TRUE(becomes(name, Status::running)) << note;
    const std::string home = home_of(name);
    const std::string other = home == "one" ? "two" : "one";
    EXPECT_THAT(on(home), ElementsAre(name)) << note;
    EXPECT_TRUE(eventually([&] { return on(other).empty(); })) << note;
    EXPECT_TRUE(eventually([&] { return volumes_on(other).empty(); })) << note;
    EXPECT_EQ(engine(home).read_file(name, "/data/file"), "kept") << note;
    EXPECT_EQ(engine(home).read_file(name, "/etc/own"), "changed") << note;
    EXPECT_EQ(take(engine(home).inspect(name, soon())).settings, busy_wish(name).settings) << note;
    EXPECT_EQ(take(engine(home).get(name, soon())).owner, uuid_of(2)) << note;
    EXPECT_EQ(running(), 1u) << note;
    EXPECT_THAT(names(admin()), ElementsAre(name)) << note;
  }
  /// Holds for every call that changes an engine: nothing runs on both at once.
  void watch_for_twins() {
    for (auto& [name, one] : engines_) {
      one->faults().on_call([this](std::string_view) {
        if (running() > 1) twins_ = true;
      });
    }
  }

  std::atomic<bool> twins_{false};
};

TEST_F(RelocationTest, AContainerMovesWithItsFilesVolumesSettingsAndOwner) {
  make_busy("web");
  watch_for_twins();
  const auto row = containers_->row(seen("web")->id);
  const auto done = take(move("web", "two"));
  EXPECT_EQ(done.state, operations::State::succeeded);
  const auto result = take(json::from_json<MoveResult>(done.result));
  EXPECT_EQ(result.from, "one");
  EXPECT_EQ(result.to, "two");
  EXPECT_TRUE(result.archive);
  EXPECT_THAT(result.lost, IsEmpty());
  EXPECT_EQ(home_of("web"), "two");
  EXPECT_EQ(containers_->row(row->id)->epoch, row->epoch + 1);
  expect_whole("web", "moved");
  EXPECT_FALSE(twins_);
  EXPECT_THAT(audited_actions(), Contains("container.moved"));
  EXPECT_THAT(audited_actions(), ::testing::Not(Contains("container.adopt")));
}

TEST_F(RelocationTest, AndBackAgain) {
  make_busy("web");
  ASSERT_EQ(take(move("web", "two")).state, operations::State::succeeded);
  ASSERT_EQ(take(move("web", "one")).state, operations::State::succeeded);
  EXPECT_EQ(home_of("web"), "one");
  expect_whole("web", "back");
}

TEST_F(RelocationTest, AStoppedOneMovesAndStaysStopped) {
  make_busy("web");
  take(containers_->stop(alice(), "web", true));
  ASSERT_EQ(take(move("web", std::nullopt)).state, operations::State::succeeded);
  EXPECT_EQ(home_of("web"), "two");
  EXPECT_EQ(seen("web")->status, Status::stopped);
  EXPECT_THAT(on("one"), IsEmpty());
}

TEST_F(RelocationTest, WhatTiesAContainerToItsServerKeepsItThere) {
  make_busy("web");
  expect_error(containers_->relocate(admin(), "web", "one"), ErrorCode::conflict, "relocation.same_server");
  expect_error(containers_->relocate(admin(), "web", "none"), ErrorCode::not_found, "server.not_found");
  expect_error(containers_->relocate(admin(), "none", "two"), ErrorCode::not_found, "container.not_found");
  expect_error(containers_->relocate(bob(), "web", "two"), ErrorCode::not_found, "container.not_found");
  auto sharing = wish("shop");
  sharing.server = "one";
  sharing.settings.mounts.push_back({"web-data", "/shared", false});
  take(make(alice(), sharing));
  expect_error(containers_->relocate(admin(), "web", "two"), ErrorCode::conflict, "relocation.pinned");
  auto bound = wish("bound");
  bound.server = "one";
  bound.settings.mounts.push_back({"/srv/data", "/data", false});
  take(make(admin(), bound));
  expect_error(containers_->relocate(admin(), "bound", "two"), ErrorCode::conflict, "relocation.pinned");
  take(registry_->set_placement(id_of("two"), Placement::draining, admin().origin));
  auto free = wish("free");
  free.server = "one";
  take(make(alice(), free));
  expect_error(containers_->relocate(admin(), "free", "two"), ErrorCode::conflict, "placement.draining");
  expect_error(containers_->relocate(admin(), "free", std::nullopt), ErrorCode::conflict, "placement.no_server");
}

TEST_F(RelocationTest, AVolumeOfThatNameOnTheOtherServerIsNobodysToOverwrite) {
  make_busy("web");
  ASSERT_TRUE(engine("two").create_volume("web-data", soon()));
  const auto done = take(move("web", "two"));
  ASSERT_TRUE(done.failure);
  EXPECT_EQ(done.failure->reason, "relocation.volume_taken");
  EXPECT_EQ(seen("web")->status, Status::running);
  EXPECT_THAT(volumes_on("two"), ElementsAre("web-data"));
}

TEST_F(RelocationTest, OneThatDoesNotRunThereComesBack) {
  engine("one").publish_image("web:2");
  auto wanted = busy_wish("web");
  wanted.image = "web:2";
  take(make(alice(), wanted));
  ASSERT_TRUE(engine("one").write_file("web", "/data/file", "kept"));
  ASSERT_TRUE(engine("one").write_file("web", "/etc/own", "changed"));
  engine("two").publish_image("web:2");
  engine("two").break_image("web:2");
  const auto done = take(move("web", "two"));
  ASSERT_TRUE(done.failure);
  EXPECT_EQ(done.failure->reason, "container.replacement_failed");
  EXPECT_EQ(home_of("web"), "one");
  expect_whole("web", "back");
}

TEST_F(RelocationTest, NobodyStartsOrStopsItAtHomeWhileItMayRunOnTheOtherServer) {
  make_busy("web");
  engine("two").faults().on_call([this](std::string_view call) {
    // It has been started there and is to prove itself.
    if (call == "inspect") engine("two").faults().refuse_connections(true);
  });
  ASSERT_TRUE(take(move("web", "two")).failure);
  EXPECT_EQ(engine("two").running(), 1u);
  expect_error(containers_->start(alice(), "web"), ErrorCode::conflict, "operation.busy");
  expect_error(containers_->stop(alice(), "web", true), ErrorCode::conflict, "operation.busy");
  EXPECT_EQ(engine("one").running(), 0u);
  engine("two").faults().on_call({});
  engine("two").faults().refuse_connections(false);
  // It may have written something there, so there it stays.
  EXPECT_TRUE(eventually([&] { return home_of("web") == "two"; }));
  EXPECT_TRUE(becomes("web", Status::running));
  EXPECT_EQ(engine("two").running(), 1u);
  EXPECT_EQ(engine("one").running(), 0u);
}

TEST_F(RelocationTest, AFailureAtAnyStepLeavesItWhereItWas) {
  make_busy("web");
  const Error full(ErrorCode::exhausted, "engine.full", {"满", "full"});
  // Which call of which engine fails, and how many of its kind a move makes.
  const std::vector<std::tuple<std::string, std::string, int>> steps{
      {"one", "stop", 1},      {"one", "save_root", 1},    {"one", "save_path", 1},     {"one", "inspect", 2},
      {"two", "has_image", 1}, {"two", "list_volumes", 1}, {"two", "create_volume", 1}, {"two", "create", 1},
      {"two", "load_path", 2}, {"two", "start", 1},        {"two", "inspect", 1}};
  for (const auto& [server, call, times] : steps) {
    for (int nth = 1; nth <= times; ++nth) {
      const std::string note = server + " " + call + std::to_string(nth);
      engine(server).faults().fail(call, nth, full);
      const auto done = take(move("web", "two"));
      ASSERT_TRUE(done.failure) << note;
      EXPECT_EQ(done.failure->reason, "engine.full") << note;
      ASSERT_TRUE(eventually([&] { return settled(); })) << note;
      EXPECT_EQ(home_of("web"), "one") << note;
      expect_whole("web", note);
    }
  }
}

TEST_F(RelocationTest, WhatCannotBeRemovedAtOnceIsRemovedLater) {
  make_busy("web");
  engine("one").faults().fail("remove", 1, Error(ErrorCode::exhausted, "engine.full", {"满", "full"}));
  ASSERT_EQ(take(move("web", "two")).state, operations::State::succeeded);
  EXPECT_EQ(home_of("web"), "two");
  expect_whole("web", "removed later");
  EXPECT_THAT(audited_actions(), ::testing::Not(Contains("container.adopt")));
}

TEST_F(RelocationTest, AServerThatDiesBeforeItIsStartedThereDoesNotHoldItBack) {
  make_busy("web");
  engine("two").faults().on_call([this](std::string_view call) {
    if (call == "create") engine("two").faults().refuse_connections(true);
  });
  const auto done = take(move("web", "two"));
  ASSERT_TRUE(done.failure);
  ASSERT_TRUE(becomes("web", Status::running));
  EXPECT_EQ(home_of("web"), "one");
  engine("two").faults().on_call({});
  engine("two").faults().refuse_connections(false);
  EXPECT_TRUE(eventually([&] { return volumes_on("two").empty() && on("two").empty(); }));
}

TEST_F(RelocationTest, AServerThatDiesWhileItStartsThereDecidesWhenItIsBackOrFenced) {
  make_busy("web");
  engine("two").faults().on_call([this](std::string_view call) {
    if (call == "inspect") engine("two").faults().refuse_connections(true);
  });
  const auto done = take(move("web", "two"));
  ASSERT_TRUE(done.failure);
  // It runs on the server that does not answer: it must not be started on the other.
  EXPECT_EQ(engine("two").running(), 1u);
  EXPECT_EQ(engine("one").running(), 0u);
  engine("two").faults().on_call({});
  take(containers_->mark_fenced(id_of("two"), "person", admin().origin));
  ASSERT_TRUE(becomes("web", Status::running));
  EXPECT_EQ(home_of("web"), "one");
  engine("two").faults().refuse_connections(false);
  ASSERT_TRUE(eventually([&] { return on("two").empty(); }));
  expect_whole("web", "fenced");
  EXPECT_TRUE(eventually([&] { return !containers_->fenced(id_of("two")); }));
}

TEST_F(RelocationTest, AMoveThatIsCancelledGoesBack) {
  make_busy("web");
  engine("one").faults().hang_call("save_root", true);
  const auto ticket = take(containers_->relocate(admin(), "web", "two"));
  ASSERT_TRUE(eventually([&] { return engine("one").faults().waiting_calls() > 0; }));
  take(operations_->cancel(ticket->id(), admin().origin));
  engine("one").faults().hang_call("save_root", false);
  EXPECT_EQ(take(ticket->wait(soon())).state, operations::State::cancelled);
  EXPECT_EQ(home_of("web"), "one");
  expect_whole("web", "cancelled");
}

TEST_F(RelocationTest, AFenceOutlivesALookThatWasAskedForBeforeTheServerWent) {
  const auto unit = registry_->unit(id_of("two"));
  std::promise<void> go;
  const auto gone = go.get_future().share();
  // The server's threads are busy when the look is asked for, and free only when the server is fenced.
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(unit->pool->submit([gone] { gone.wait(); }));
  ASSERT_TRUE(engine("two").create_outside("stranger"));
  ASSERT_TRUE(eventually([&] { return unit->pool->usage().waiting > 0; }));
  engine("two").faults().refuse_connections(true);
  ASSERT_TRUE(eventually([&] { return !unit->inventory->snapshot()->health.connected; }));
  take(containers_->mark_fenced(id_of("two"), "person", admin().origin));
  go.set_value();
  EXPECT_TRUE(eventually([&] { return unit->pool->usage().busy + unit->pool->usage().waiting == 0; }));
  EXPECT_TRUE(containers_->fenced(id_of("two")));
  engine("two").faults().refuse_connections(false);
  EXPECT_TRUE(eventually([&] { return !containers_->fenced(id_of("two")); }));
}

TEST_F(RelocationTest, AServerThatAContainerIsMovingToIsNotRemoved) {
  make_busy("web");
  engine("one").faults().hang_call("save_root", true);
  const auto ticket = take(containers_->relocate(admin(), "web", "two"));
  ASSERT_TRUE(eventually([&] { return engine("one").faults().waiting_calls() > 0; }));
  const auto removed = registry_->remove(id_of("two"), admin().origin);
  expect_error(removed, ErrorCode::conflict, "server.in_use");
  EXPECT_THAT(removed.error().message().en, ::testing::HasSubstr("moving to the server"));
  engine("one").faults().hang_call("save_root", false);
  EXPECT_EQ(take(ticket->wait(soon())).state, operations::State::succeeded);
  expect_whole("web", "moved");
}

TEST_F(RelocationTest, AMoveToAServerThatIsRemovedMeanwhileGoesBack) {
  make_busy("web");
  // The move has chosen its server, but nothing of that is in the store yet.
  engine("one").faults().hang_call("inspect", true);
  const auto ticket = take(containers_->relocate(admin(), "web", "two"));
  ASSERT_TRUE(eventually([&] { return engine("one").faults().waiting_calls() > 0; }));
  const ServerId two = id_of("two");
  take(registry_->remove(two, admin().origin));
  engine("one").faults().hang_call("inspect", false);
  EXPECT_EQ(take(ticket->wait(soon())).state, operations::State::failed);
  EXPECT_TRUE(becomes("web", Status::running));
  EXPECT_EQ(home_of("web"), "one");
  EXPECT_THAT(on("two"), IsEmpty());
}

TEST_F(RelocationTest, PowerLostAtAnyStepLeavesOneThatRuns) {
  make_busy("web");
  for (int nth = 1; nth < 80; ++nth) {
    const std::string note = "step " + std::to_string(nth);
    const std::string from = home_of("web");
    const std::string to = from == "one" ? "two" : "one";
    const auto starts = [&] { return engine(to).faults().calls("start"); };
    const auto started_before = starts();
    cut_power_at(nth);
    auto moving = in_background([&] {
      const auto done = move("web", to);
      return done && done->state == operations::State::succeeded;
    });
    ASSERT_TRUE(eventually(
        [&] { return power_went_off() || moving.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }));
    const bool went_off = power_went_off();
    EXPECT_LE(running(), 1u) << note;
    const bool was_let_run = starts() > started_before;
    come_back();
    const bool moved = moving.get();
    ASSERT_TRUE(eventually([&] { return settled(); })) << note;
    EXPECT_TRUE(!moved || home_of("web") == to) << note;
    EXPECT_TRUE(!was_let_run || home_of("web") == to) << note << ": what it has written there since would be lost";
    expect_whole("web", note);
    if (HasFailure()) return;
    if (!went_off) {
      EXPECT_GT(nth, 15);
      return;
    }
  }
  FAIL() << "the move never got through";
}

}  // namespace
}  // namespace berth::fleet
