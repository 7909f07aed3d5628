#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <future>

#include "fleet/failover_watch.h"
#include "fleet/fence_command.h"
#include "fleet/fleet_fixture.h"
#include "fleet/high_availability.h"
#include "json/read.h"

namespace berth::fleet {
namespace {

using berth::testing::eventually;
using compute::Status;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class FailoverTest : public FleetFixture {
 protected:
  void SetUp() override {
    begin({"one", "two", "three"});
    take(registry_->set_placement(id_of("three"), Placement::draining, admin().origin));
    start_ha();
  }
  ~FailoverTest() override {
    ha_->stop();
    if (operations_) operations_->drain(soon());
    ha_.reset();
  }

  void start_ha() {
    ha_settings_.knock = std::chrono::milliseconds(200);
    ha_settings_.patience = std::chrono::milliseconds(2000);
    leases_ = take(open_leases(terms_));
    ha_ = std::make_unique<HighAvailability>(ha_settings_,
                                             HighAvailability::Parts{*containers_, *registry_, *operations_, *leases_});
  }
  void come_back_with_ha() {
    operations_->drain(Deadline::after(std::chrono::milliseconds(150)));
    ha_.reset();
    come_back();
    start_ha();
    take(operations_->reconcile_open());
  }

  ServerId id_of(const std::string& server) { return take(registry_->find(server)).server.id; }
  ContainerId put(const std::string& name, const std::string& server, bool volume = false) {
    auto wanted = wish(name);
    wanted.server = server;
    if (volume) wanted.settings.mounts.push_back({name + "-data", "/data", false});
    return take(make(alice(), wanted));
  }
  /// Its engine answers no more; what runs there goes on.
  void cut_off(const std::string& server) {
    engine(server).faults().refuse_connections(true);
    ASSERT_TRUE(eventually([&] {
      const auto view = take(registry_->find(server));
      return view.status.health == ServerHealth::unreachable &&
             !registry_->unit(view.server.id)->inventory->snapshot()->health.connected;
    }));
  }
  void bring_back(const std::string& server) { engine(server).faults().refuse_connections(false); }
  /// Server "one" goes when a replacement with another environment is decided, and not finished.
  void die_while_replacing(const std::string& name, const std::optional<std::string>& new_name = std::nullopt) {
    ContainerChange change;
    change.name = new_name;
    change.settings = seen(name)->settings;
    change.settings->environment["VERSION"] = "2";
    engine("one").faults().hang_call("rename", true);
    const auto changing = changing_in_background([&] { return containers_->update(admin(), name, change); });
    ASSERT_TRUE(eventually([&] { return engine("one").faults().waiting_calls() > 0; }));
    cut_off("one");
    engine("one").faults().hang_call("rename", false);
    ASSERT_TRUE(eventually([&] { return operations_->open_count().value_or(1) == 0; }));
  }
  MovesResult ended(const Result<operations::TicketPointer>& ticket) {
    const auto operation = take(take(ticket)->wait(soon()));
    if (operation.failure) throw std::runtime_error(operation.failure->reason);
    return take(json::from_json<MovesResult>(operation.result));
  }
  std::string home_of(const std::string& name) { return seen(name)->server_name; }
  bool runs_on(const std::string& server, const std::string& name) {
    const auto found = engine(server).get(name, soon());
    return found && found->status == Status::running;
  }

  LeaseTerms terms_;
  std::unique_ptr<LeaseBook> leases_;
  HighAvailability::Settings ha_settings_;
  std::unique_ptr<HighAvailability> ha_;
};

TEST_F(FailoverTest, AServerThatAnswersIsLeftAlone) {
  put("web", "one");
  expect_error(ha_->fail_over(id_of("one"), true, admin().origin), ErrorCode::conflict, "failover.reachable");
  expect_error(ha_->fail_over(ServerId(99), true, admin().origin), ErrorCode::not_found, "server.not_found");
}

TEST_F(FailoverTest, WithoutAFenceAPersonsWordIsWaitedFor) {
  put("web", "one");
  cut_off("one");
  expect_error(ha_->fail_over(id_of("one"), false, admin().origin), ErrorCode::conflict, "failover.not_fenced");
  expect_error(ha_->recover_everything(false, admin().origin), ErrorCode::conflict, "failover.not_fenced");
  EXPECT_THAT(ended(ha_->fail_over_all(admin().origin)).moved, IsEmpty());
  EXPECT_FALSE(containers_->fenced(id_of("one")));
  EXPECT_THAT(on("two"), IsEmpty());
}

TEST_F(FailoverTest, WithAPersonsWordEverythingComesBackElsewhere) {
  put("web", "one", true);
  put("shop", "one");
  put("other", "two");
  cut_off("one");
  const auto result = ended(ha_->fail_over(id_of("one"), true, admin().origin));
  ASSERT_THAT(result.moved, SizeIs(2));
  EXPECT_THAT(result.not_moved, IsEmpty());
  for (const auto& move : result.moved) {
    EXPECT_EQ(move.to, "two");
    EXPECT_FALSE(move.archive);
    EXPECT_EQ(move.lost.size(), move.container == "web" ? 1u : 0u);
  }
  EXPECT_TRUE(becomes("web", Status::running));
  EXPECT_TRUE(becomes("shop", Status::running));
  EXPECT_THAT(on("two"), UnorderedElementsAre("web", "shop", "other"));
  EXPECT_EQ(containers_->fenced(id_of("one"))->how, "person");
  EXPECT_THAT(audited_actions(), Contains("server.fenced"));
  EXPECT_THAT(audited_actions(), Contains("container.moved"));
}

TEST_F(FailoverTest, TheNewestArchiveBringsTheDataBack) {
  put("web", "one", true);
  ASSERT_TRUE(engine("one").write_file("web", "/data/file", "archived"));
  take(containers_->archive(alice(), "web"));
  take(containers_->restore(alice(), "web"));
  take(containers_->start(alice(), "web"));
  const std::string home = home_of("web");
  ASSERT_TRUE(engine(home).write_file("web", "/data/file", "newer"));
  cut_off(home);
  const auto result = ended(ha_->fail_over(id_of(home), true, admin().origin));
  ASSERT_THAT(result.moved, SizeIs(1));
  EXPECT_TRUE(result.moved[0].archive);
  EXPECT_THAT(result.moved[0].lost, IsEmpty());
  EXPECT_EQ(engine(home_of("web")).read_file("web", "/data/file"), "archived");
}

TEST_F(FailoverTest, WhatComesBackIsStoppedAtOnceAndNeverAdopted) {
  put("web", "one", true);
  cut_off("one");
  ended(ha_->fail_over(id_of("one"), true, admin().origin));
  EXPECT_TRUE(runs_on("two", "web"));
  EXPECT_EQ(engine("one").running(), 1u) << "nobody has turned it off";
  bring_back("one");
  EXPECT_TRUE(eventually([&] { return engine("one").running() == 0; }));
  EXPECT_TRUE(eventually([&] { return !containers_->fenced(id_of("one")); }));
  EXPECT_TRUE(runs_on("two", "web"));
  // Its engine starts it again, as some do.
  ASSERT_TRUE(engine("one").start_outside("web"));
  EXPECT_TRUE(eventually([&] { return engine("one").running() == 0; }));
  EXPECT_THAT(names(admin()), ElementsAre("web"));
  EXPECT_THAT(on("one"), ElementsAre("web")) << "its data is kept";
  std::vector<std::string> elsewhere;
  for (const auto& one : containers_->living_elsewhere(id_of("one"))) elsewhere.push_back(one.engine_name);
  const ContainerId id = seen("web")->id;
  EXPECT_THAT(elsewhere, UnorderedElementsAre("web", fresh_name(id), spare_name(id)));
  expect_error(containers_->relocate(admin(), "web", "one"), ErrorCode::conflict, "relocation.remains");
  engine("one").remove_outside("web");
  ASSERT_TRUE(engine("one").remove_volume("web-data", soon()));
  EXPECT_TRUE(eventually([&] { return !containers_->fleet_state().containers[0].barred.contains(id_of("one")); }));
  EXPECT_EQ(ended(ha_->balance(admin().origin)).not_moved.size(), 0u);
}

TEST_F(FailoverTest, AStoppedOneComesBackStopped) {
  put("web", "one");
  take(containers_->stop(alice(), "web", true));
  cut_off("one");
  ended(ha_->fail_over(id_of("one"), true, admin().origin));
  EXPECT_EQ(home_of("web"), "two");
  EXPECT_EQ(seen("web")->status, Status::stopped);
  EXPECT_EQ(engine("two").running(), 0u);
}

TEST_F(FailoverTest, ContainersThatShareAVolumeShareItAfterwards) {
  for (const auto* name : {"web", "shop"}) {
    auto wanted = wish(name);
    wanted.server = "one";
    wanted.settings.mounts.push_back({"common", "/common", false});
    take(make(alice(), wanted));
  }
  cut_off("one");
  const auto result = ended(ha_->fail_over(id_of("one"), true, admin().origin));
  EXPECT_THAT(result.moved, SizeIs(2));
  EXPECT_THAT(result.not_moved, IsEmpty());
  ASSERT_TRUE(engine("two").write_file("web", "/common/file", "both"));
  EXPECT_EQ(engine("two").read_file("shop", "/common/file"), "both");
}

TEST_F(FailoverTest, AServerThatComesBackInTheMiddleKeepsItsOwn) {
  put("web", "one");
  cut_off("one");
  engine("two").faults().on_call([this](std::string_view call) {
    if (call == "create") bring_back("one");
  });
  const auto result = ended(ha_->fail_over(id_of("one"), true, admin().origin));
  EXPECT_THAT(result.moved, IsEmpty());
  ASSERT_THAT(result.not_moved, SizeIs(1));
  EXPECT_EQ(result.not_moved[0].reason, "failover.reachable");
  EXPECT_EQ(engine("two").running(), 0u);
  ASSERT_TRUE(becomes("web", Status::running));
  EXPECT_EQ(home_of("web"), "one");
  EXPECT_THAT(on("two"), IsEmpty());
}

TEST_F(FailoverTest, AFailureLeavesItAtHomeToBeTriedAgain) {
  put("web", "one", true);
  cut_off("one");
  for (const auto* call : {"list_volumes", "has_image", "create", "start"}) {
    engine("two").faults().fail(call, 1, Error(ErrorCode::exhausted, "engine.full", {"满", "full"}));
    const auto result = ended(ha_->fail_over(id_of("one"), true, admin().origin));
    EXPECT_THAT(result.moved, IsEmpty()) << call;
    ASSERT_THAT(result.not_moved, SizeIs(1)) << call;
    EXPECT_EQ(result.not_moved[0].reason, "engine.full") << call;
    ASSERT_TRUE(eventually([&] { return settled(); })) << call;
    EXPECT_EQ(home_of("web"), "one") << call;
    EXPECT_THAT(on("two"), IsEmpty()) << call;
  }
  EXPECT_THAT(ended(ha_->fail_over(id_of("one"), true, admin().origin)).moved, SizeIs(1));
  EXPECT_TRUE(becomes("web", Status::running));
}

TEST_F(FailoverTest, WhatCannotComeBackElsewhereRunsAgainOnceItsServerIsBack) {
  put("web", "one");
  engine("two").faults().hang_call("create", true);
  const auto moving = take(containers_->relocate(admin(), "web", "two"));
  ASSERT_TRUE(eventually([&] { return engine("two").faults().waiting_calls() > 0; }));
  ASSERT_FALSE(runs_on("one", "web")) << "it is stopped while it moves";
  cut_off("one");
  engine("two").faults().hang_call("create", false);
  engine("two").faults().refuse_connections(true);
  ASSERT_TRUE(moving->wait(soon()));
  EXPECT_THAT(ended(ha_->fail_over(id_of("one"), true, admin().origin)).not_moved, SizeIs(1));
  bring_back("one");
  EXPECT_TRUE(
      eventually([&] { return runs_on("one", "web") && containers_->row(seen("web")->id)->pending == std::nullopt; }));
}

TEST_F(FailoverTest, AReplacementThatItsServerDidNotFinishIsWhatComesBackElsewhere) {
  put("web", "one");
  die_while_replacing("web");
  EXPECT_THAT(ended(ha_->fail_over(id_of("one"), true, admin().origin)).moved, SizeIs(1));
  EXPECT_EQ(seen("web")->settings.environment.at("VERSION"), "2");
  EXPECT_TRUE(runs_on("two", "web"));
  bring_back("one");
  EXPECT_TRUE(eventually([&] { return !containers_->fenced(id_of("one")) && engine("one").processes().empty(); }));
  EXPECT_THAT(containers_->view()->containers, SizeIs(1)) << "nothing of the replacement passes for another container";
}

TEST_F(FailoverTest, ACopyThatWasLeftUnderAnotherNameIsKnownAgain) {
  put("web", "one");
  die_while_replacing("web", "shop");
  // The server that it comes to dies in the middle, and so it comes to a third one.
  engine("two").faults().on_call([this](std::string_view call) {
    if (call == "start") engine("two").faults().refuse_connections(true);
  });
  EXPECT_THAT(ended(ha_->fail_over(id_of("one"), true, admin().origin)).not_moved, SizeIs(1));
  engine("two").faults().on_call({});
  take(containers_->mark_fenced(id_of("two"), "person", admin().origin));
  take(registry_->set_placement(id_of("three"), Placement::open, admin().origin));
  ASSERT_TRUE(eventually([&] {
    (void)ha_->fail_over(id_of("one"), true, admin().origin);
    return runs_on("three", "shop");
  }));
  engine("two").faults().refuse_connections(false);
  EXPECT_TRUE(eventually([&] { return !containers_->fenced(id_of("two")) && on("two").empty(); }));
  EXPECT_THAT(containers_->view()->containers, SizeIs(1));
}

TEST_F(FailoverTest, AReplacementIsFinishedAtHomeWhereItCannotComeBackElsewhere) {
  put("web", "one");
  die_while_replacing("web");
  engine("two").faults().fail("create", 1, Error(ErrorCode::exhausted, "engine.full", {"满", "full"}));
  EXPECT_THAT(ended(ha_->fail_over(id_of("one"), true, admin().origin)).not_moved, SizeIs(1));
  bring_back("one");
  EXPECT_TRUE(eventually([&] { return containers_->row(seen("web")->id)->pending == std::nullopt; }));
  EXPECT_EQ(seen("web")->settings.environment.at("VERSION"), "2");
  EXPECT_TRUE(runs_on("one", "web"));
  EXPECT_THAT(engine("one").processes(), SizeIs(1));
}

TEST_F(FailoverTest, AVolumeOfThatNameOnOneServerSendsItToAnother) {
  put("web", "one", true);
  take(registry_->set_placement(id_of("three"), Placement::open, admin().origin));
  take(engine("two").volumes()->create_volume("web-data", soon()));
  cut_off("one");
  EXPECT_THAT(ended(ha_->fail_over(id_of("one"), true, admin().origin)).moved, SizeIs(1));
  EXPECT_EQ(home_of("web"), "three");
}

TEST_F(FailoverTest, TwoAtOnceAreOne) {
  put("web", "one");
  cut_off("one");
  engine("two").faults().hang_call("create", true);
  const auto first = take(ha_->fail_over(id_of("one"), true, admin().origin));
  const auto second = take(ha_->fail_over(id_of("one"), true, admin().origin));
  EXPECT_EQ(first->id(), second->id());
  EXPECT_TRUE(eventually([&] { return engine("two").faults().waiting_calls() > 0; }));
  expect_error(ha_->fail_over(id_of("one"), false, admin().origin), ErrorCode::conflict, "operation.busy");
  engine("two").faults().hang_call("create", false);
  EXPECT_THAT(ended(first).moved, SizeIs(1));
  EXPECT_THAT(on("two"), ElementsAre("web"));
}

TEST_F(FailoverTest, AFenceCommandThatSucceedsIsEnough) {
  const auto witness = folder_.path() / "fenced";
  ha_.reset();
  ha_settings_.fence_commands["off"] = {"/bin/sh", "-c", "echo \"$BERTH_SERVER_NAME $BERTH_SERVER_ID\" > \"$0\"",
                                        witness.string()};
  start_ha();
  put("web", "one");
  ServerChange change;
  change.fence = Fence::command;
  change.fence_command = "off";
  take(registry_->update(id_of("one"), change, TestFirst::no, admin().origin));
  cut_off("one");
  EXPECT_THAT(ended(ha_->fail_over_all(admin().origin)).moved, SizeIs(1));
  EXPECT_EQ(containers_->fenced(id_of("one"))->how, "command");
  std::ifstream in(witness);
  std::string line;
  std::getline(in, line);
  EXPECT_EQ(line, "one " + std::to_string(id_of("one").value()));
}

TEST_F(FailoverTest, AFenceCommandThatFailsMovesNothing) {
  ha_.reset();
  ha_settings_.fence_commands["off"] = {"/bin/false"};
  start_ha();
  put("web", "one");
  ServerChange change;
  change.fence = Fence::command;
  change.fence_command = "off";
  take(registry_->update(id_of("one"), change, TestFirst::no, admin().origin));
  cut_off("one");
  const auto result = ended(ha_->fail_over_all(admin().origin));
  EXPECT_THAT(result.moved, IsEmpty());
  ASSERT_THAT(result.refused, SizeIs(1));
  EXPECT_EQ(result.refused[0].reason, "failover.fence_failed");
  EXPECT_FALSE(containers_->fenced(id_of("one")));
}

TEST_F(FailoverTest, DisasterRecoveryRebuildsOntoWhatIsLeft) {
  put("web", "one");
  put("shop", "two");
  take(registry_->set_placement(id_of("three"), Placement::open, admin().origin));
  cut_off("one");
  cut_off("two");
  const auto result = ended(ha_->recover_everything(true, admin().origin));
  EXPECT_THAT(result.moved, SizeIs(2));
  EXPECT_THAT(on("three"), UnorderedElementsAre("web", "shop"));
  EXPECT_EQ(engine("three").running(), 2u);
}

TEST_F(FailoverTest, PowerLostAtAnyStepRunsNothingTwiceAndForgetsNothing) {
  for (int nth = 1; nth < 60; ++nth) {
    const std::string name = "web-" + std::to_string(nth);
    put(name, "one", true);
    cut_off("one");
    const auto id = id_of("one");
    cut_power_at(nth);
    auto moving = in_background([&] {
      const auto ticket = ha_->fail_over(id, true, admin().origin);
      begun();
      if (ticket) (void)(*ticket)->wait(soon());
    });
    ASSERT_TRUE(eventually(
        [&] { return power_went_off() || moving.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }));
    const bool went_off = power_went_off();
    come_back_with_ha();
    moving.get();
    // The whole fleet is back, the fenced server too: there is one of it, where the books say.
    ASSERT_TRUE(eventually([&] { return settled(); })) << nth;
    ASSERT_TRUE(eventually([&] { return engine("one").running() + engine("two").running() == 1; })) << nth;
    ASSERT_TRUE(becomes(name, Status::running)) << nth;
    EXPECT_TRUE(runs_on(home_of(name), name)) << nth;
    EXPECT_THAT(names(admin()), ElementsAre(name)) << nth;
    ASSERT_TRUE(containers_->remove(admin(), name, true)) << nth;
    for (const auto* server : {"one", "two"}) {
      engine(server).remove_outside(name);
      take(engine(server).remove_volume(name + "-data", soon()));
    }
    ASSERT_TRUE(eventually([&] { return names(admin()).empty() && !containers_->fenced(id); })) << nth;
    if (HasFailure()) return;
    if (!went_off) {
      EXPECT_GT(nth, 8);
      return;
    }
  }
  FAIL() << "the failover never got through";
}

TEST_F(FailoverTest, BalancingMovesWhatThePlanSaysAndThenNothing) {
  take(registry_->set_placement(id_of("two"), Placement::draining, admin().origin));
  for (int i = 1; i <= 6; ++i) {
    auto wanted = wish("web-" + std::to_string(i));
    wanted.server = "one";
    wanted.limits.memory_bytes = 4ULL << 30U;
    take(make(alice(), wanted));
  }
  EXPECT_THAT(ha_->balance_plan().moves, IsEmpty()) << "the others take nothing";
  take(registry_->set_placement(id_of("two"), Placement::open, admin().origin));
  const auto plan = ha_->balance_plan();
  EXPECT_THAT(plan.moves, SizeIs(3));
  const auto result = ended(ha_->balance(admin().origin));
  EXPECT_THAT(result.moved, SizeIs(3));
  EXPECT_THAT(on("two"), SizeIs(3));
  EXPECT_EQ(engine("one").running() + engine("two").running(), 6u);
  EXPECT_THAT(ha_->balance_plan().moves, IsEmpty());
}

TEST_F(FailoverTest, AServerIsEmptiedOfWhatIsNotTiedToIt) {
  put("web", "one", true);
  auto bound = wish("bound");
  bound.server = "one";
  bound.settings.mounts.push_back({"/srv", "/srv", false});
  take(make(admin(), bound));
  take(registry_->set_placement(id_of("one"), Placement::draining, admin().origin));
  const auto result = ended(ha_->empty(id_of("one"), admin().origin));
  ASSERT_THAT(result.moved, SizeIs(1));
  EXPECT_EQ(result.moved[0].container, "web");
  ASSERT_THAT(result.not_moved, SizeIs(1));
  EXPECT_EQ(result.not_moved[0].reason, "relocation.pinned");
  EXPECT_THAT(on("one"), ElementsAre("bound"));
}

TEST(FenceCommandTest, OnlyAnEndWithZeroInTimeIsSuccess) {
  const auto run = [](const std::vector<std::string>& argv, std::chrono::milliseconds limit) {
    return run_fence_command(argv, ServerId(7), "one", Deadline::after(limit));
  };
  EXPECT_TRUE(run({"true"}, std::chrono::seconds(10)));
  EXPECT_FALSE(run({"false"}, std::chrono::seconds(10)));
  EXPECT_FALSE(run({"/nowhere/at/all"}, std::chrono::seconds(10)));
  EXPECT_FALSE(run({}, std::chrono::seconds(10)));
  EXPECT_FALSE(run({"/bin/sh", "-c", "kill -9 $$"}, std::chrono::seconds(10)));
  EXPECT_FALSE(run({"sleep", "60"}, std::chrono::milliseconds(100)));
  EXPECT_TRUE(run({"/bin/sh", "-c", "test -z \"$HOME\" && test \"$BERTH_SERVER_ID\" = 7 && test \"$PWD\" = /"},
                  std::chrono::seconds(10)));
  EXPECT_TRUE(run({"test", "$(false); a b", "=", "$(false); a b"}, std::chrono::seconds(10))) << "no shell";
}

/// Servers with agents that keep to the rules, and who watches over them.
class AgentFailoverTest : public FailoverTest {
 protected:
  void SetUp() override {
    terms_ = {.duration = std::chrono::milliseconds(300),
              .renewal = std::chrono::milliseconds(50),
              .stopping = std::chrono::milliseconds(100),
              .doubt = std::chrono::milliseconds(50)};
    settings_.lease_patience = 40;
    FailoverTest::SetUp();
    const ServerId one = id_of("one");
    ServerChange change;
    change.fence = Fence::agent;
    take(registry_->update(one, change, TestFirst::no, admin().origin));
    token_ = std::string(take(leases_->issue_token(take(registry_->find(one)).server, admin().origin)).reveal());
    watch_settings_.first_retry = std::chrono::milliseconds(50);
    start_watch();
  }
  void start_watch() {
    watch_ = std::make_unique<FailoverWatch>(
        watch_settings_, FailoverWatch::Parts{*ha_, *registry_, *leases_, *containers_, system_clock()});
  }
  Grant ask(Holding holding, std::uint32_t running) {
    const auto answer = take(leases_->answer("one", token_, {holding, running, 0, false, last_answer_}));
    last_answer_ = answer.number;
    return answer.grant;
  }
  void bind() {
    EXPECT_EQ(ask(Holding::unbound, 1), Grant::timed);
    EXPECT_EQ(ask(Holding::timed, 1), Grant::timed);
  }
  bool failed_over() {
    watch_->tick();
    return home_of("web") == "two";
  }

  FailoverWatch::Settings watch_settings_;
  std::unique_ptr<FailoverWatch> watch_;
  std::string token_;
  std::int64_t last_answer_ = 0;
};

TEST_F(AgentFailoverTest, AServerWhoseLeaseHasEndedIsFailedOverByItself) {
  put("web", "one");
  bind();
  cut_off("one");
  EXPECT_TRUE(eventually([&] { return failed_over(); }));
  EXPECT_TRUE(becomes("web", Status::running));
  EXPECT_EQ(containers_->fenced(id_of("one"))->how, "agent");
  EXPECT_EQ(ask(Holding::nothing, 0), Grant::refused) << "until what lives elsewhere is off it";
  bring_back("one");
  EXPECT_TRUE(eventually([&] { return !containers_->fenced(id_of("one")); }));
  EXPECT_EQ(ask(Holding::nothing, 0), Grant::timed);
  EXPECT_FALSE(runs_on("one", "web"));
}

TEST_F(AgentFailoverTest, WithAnAgentThatHoldsItsLeaseTheContainersRunOnWhereTheyAre) {
  put("web", "one");
  bind();
  cut_off("one");
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(ask(Holding::timed, 1), Grant::timed);
    EXPECT_FALSE(failed_over());
    std::this_thread::sleep_for(terms_.renewal);
  }
}

TEST_F(AgentFailoverTest, AnEngineThatStaysDownIsGivenUpAfterAWhile) {
  watch_settings_.engine_patience = std::chrono::milliseconds(200);
  start_watch();
  put("web", "one");
  bind();
  cut_off("one");
  // The agent lives, is told to stop everything, and says that it has.
  Holding holding = Holding::timed;
  EXPECT_TRUE(eventually([&] {
    if (ask(holding, holding == Holding::nothing ? 0 : 1) == Grant::refused) holding = Holding::nothing;
    return failed_over();
  }));
  EXPECT_EQ(holding, Holding::nothing);
}

TEST_F(AgentFailoverTest, AnAgentThatLeftIsNoFence) {
  put("web", "one");
  bind();
  EXPECT_EQ(take(leases_->answer("one", token_, {Holding::timed, 1, 0, true, last_answer_})).grant, Grant::released);
  cut_off("one");
  expect_error(ha_->fail_over(id_of("one"), false, admin().origin), ErrorCode::conflict, "failover.not_fenced");
  EXPECT_FALSE(failed_over());
}

TEST_F(AgentFailoverTest, InManualModeAPersonBegins) {
  watch_settings_.mode = FailoverMode::manual;
  start_watch();
  put("web", "one");
  bind();
  cut_off("one");
  std::this_thread::sleep_for(terms_.certain_after());
  EXPECT_FALSE(failed_over());
  EXPECT_THAT(ended(ha_->fail_over(id_of("one"), false, admin().origin)).moved, SizeIs(1));
}

TEST_F(AgentFailoverTest, AFailoverThatIsCancelledWhileItWaitsGivesTheLeaseBack) {
  put("web", "one");
  bind();
  cut_off("one");
  const auto ticket = take(ha_->fail_over(id_of("one"), false, admin().origin));
  EXPECT_TRUE(eventually([&] { return operations_->cancel(ticket->id(), admin().origin).has_value(); }));
  EXPECT_EQ(take(ticket->wait(soon())).state, operations::State::cancelled);
  EXPECT_EQ(ask(Holding::timed, 1), Grant::timed);
  EXPECT_EQ(home_of("web"), "one");
}

TEST_F(AgentFailoverTest, WhereNothingMayRunNothingIsChanged) {
  put("web", "one");
  containers_->heed(*leases_);
  bind();
  EXPECT_EQ(ask(Holding::timed, 1), Grant::timed);
  EXPECT_TRUE(take(containers_->stop(admin(), "web", true)));
  ASSERT_TRUE(eventually([&] { return !leases_->lets_run(id_of("one")); }));
  expect_error(containers_->start(admin(), "web"), ErrorCode::unavailable, "server.no_lease");
  expect_error(containers_->remove(admin(), "web", true), ErrorCode::unavailable, "server.no_lease");
  expect_error(containers_->archive(admin(), "web"), ErrorCode::unavailable, "server.no_lease");
  expect_error(containers_->relocate(admin(), "web", "two"), ErrorCode::unavailable, "server.no_lease");
  auto wanted = wish("shop");
  wanted.server = "one";
  expect_error(make(alice(), wanted), ErrorCode::unavailable, "server.no_lease");
  wanted.server.reset();
  take(make(alice(), wanted));
  EXPECT_EQ(home_of("shop"), "two") << "what is placed goes where it will run";
}

TEST_F(AgentFailoverTest, AnAgentThatIsGoneForGoodHoldsNothingUpOnceTheFenceIsAnother) {
  put("web", "one");
  containers_->heed(*leases_);
  bind();
  ASSERT_TRUE(eventually([&] { return !leases_->lets_run(id_of("one")); }));
  expect_error(containers_->stop(admin(), "web", true), ErrorCode::unavailable, "server.no_lease");
  ServerChange change;
  change.fence = Fence::none;
  take(registry_->update(id_of("one"), change, TestFirst::no, admin().origin));
  EXPECT_TRUE(take(containers_->stop(admin(), "web", true)));
}

TEST_F(AgentFailoverTest, WhatAnAgentMayHaveStoppedIsAdoptedOnceItHasALease) {
  containers_->heed(*leases_);
  bind();
  ASSERT_TRUE(eventually([&] { return !leases_->lets_run(id_of("one")); }));
  ASSERT_TRUE(engine("one").create_outside("foreign", FakeEngine::kImage, {}, false, ""));
  ASSERT_TRUE(engine("one").create_outside("another", FakeEngine::kImage, {}, true, ""));
  ASSERT_TRUE(appears("another"));
  EXPECT_EQ(containers_->view()->find("foreign"), nullptr);
  Holding holding = Holding::nothing;
  EXPECT_TRUE(eventually([&] {
    ask(holding, 1);
    holding = Holding::timed;
    return containers_->view()->find("foreign") != nullptr;
  }));
}

TEST_F(AgentFailoverTest, AChangeWaitsForALeaseThatIsAboutToBeThere) {
  put("web", "one");
  containers_->heed(*leases_);
  bind();
  ASSERT_TRUE(eventually([&] { return !leases_->lets_run(id_of("one")); }));
  EXPECT_EQ(ask(Holding::nothing, 0), Grant::timed);
  const auto stopping = changing_in_background([&] { return containers_->stop(admin(), "web", true); });
  EXPECT_TRUE(eventually([&] {
    ask(Holding::timed, 1);
    return seen("web")->status == Status::stopped;
  }));
}

TEST_F(AgentFailoverTest, AnAgentIsToldWhatItIsNotToStart) {
  put("web", "one");
  put("shop", "one");
  put("wiki", "one");
  take(containers_->stop(admin(), "shop", true));
  engine("one").faults().hang_call("stop", true);
  const auto stopping = changing_in_background([&] { return containers_->stop(admin(), "wiki", true); });
  ASSERT_TRUE(eventually([&] { return engine("one").faults().waiting_calls() > 0; }));
  const auto engine_names = [](const std::vector<ContainerThere>& containers) {
    std::set<std::string> names;
    for (const auto& one : containers) names.insert(one.engine_name);
    return names;
  };
  const auto told = take(leases_->answer("one", token_, {.holding = Holding::nothing, .owes = 3})).not_to_start;
  EXPECT_THAT(engine_names(told.unwanted), ElementsAre("shop"));
  EXPECT_THAT(engine_names(told.changing), Contains("wiki"));
  EXPECT_THAT(engine_names(told.changing), ::testing::Not(Contains("web")));
  engine("one").faults().hang_call("stop", false);
}

}  // namespace
}  // namespace berth::fleet
