#include "fleet/containers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>

#include "fleet/fleet_fixture.h"

namespace berth::fleet {
namespace {

using berth::testing::eventually;
using compute::Status;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

using ContainersTest = FleetFixture;

TEST_F(ContainersTest, AContainerIsMadeAndRuns) {
  begin();
  const auto id = make(alice(), wish("web"));
  ASSERT_TRUE(id) << id.error().describe();
  const auto container = take(containers_->find(alice(), "web", Right::read));
  EXPECT_EQ(container->id, *id);
  EXPECT_EQ(container->status, Status::running);
  EXPECT_EQ(container->presence, Presence::present);
  EXPECT_EQ(container->owner, UserId(2));
  EXPECT_EQ(container->server_name, "one");
  EXPECT_EQ(container->image, FakeEngine::kImage);
  EXPECT_EQ(take(engine("one").get("web", soon())).owner, uuid_of(2));
  EXPECT_THAT(audited_actions(), Contains("container.create"));
}

TEST_F(ContainersTest, AContainerIsMadeWithItsSettingsAndNotStartedUnlessAsked) {
  begin();
  auto wanted = wish("web");
  wanted.settings.environment["MODE"] = "test";
  wanted.settings.ports.push_back({80, compute::Protocol::tcp, 8080, ""});
  wanted.settings.mounts.push_back({"data", "/data", false});
  wanted.limits.memory_bytes = 256ULL << 20U;
  wanted.start = false;
  ASSERT_TRUE(make(alice(), wanted));
  EXPECT_EQ(seen("web")->status, Status::stopped);
  EXPECT_EQ(seen("web")->settings, wanted.settings);
  EXPECT_EQ(take(engine("one").inspect("web", soon())).settings, wanted.settings);
  EXPECT_EQ(take(engine("one").get("web", soon())).limits.memory_bytes, wanted.limits.memory_bytes);
}

TEST_F(ContainersTest, ATakenNameIsRefused) {
  begin({"one", "two"});
  ASSERT_TRUE(make(alice(), wish("web")));
  expect_error(containers_->create(bob(), wish("web")), ErrorCode::already_exists, "container.exists");
}

TEST_F(ContainersTest, OfTwoThatWantANameOnTwoServersOneWins) {
  begin({"one", "two"});
  for (int round = 0; round < 5; ++round) {
    const std::string name = "web-" + std::to_string(round);
    const auto on_server = [&](const std::string& server) {
      auto wanted = wish(name);
      wanted.server = server;
      return make(alice(), wanted).has_value();
    };
    auto first = std::async(std::launch::async, on_server, "one");
    auto second = std::async(std::launch::async, on_server, "two");
    EXPECT_EQ(int{first.get()} + int{second.get()}, 1);
    EXPECT_EQ(on("one").size() + on("two").size(), static_cast<std::size_t>(round + 1));
  }
}

TEST_F(ContainersTest, BadWishesAreRefusedBeforeAnythingHappens) {
  begin();
  expect_error(containers_->create(alice(), wish("a b")), ErrorCode::invalid_argument, "instance.name");
  expect_error(containers_->create(alice(), wish("web", "Not An Image")), ErrorCode::invalid_argument,
               "instance.image");
  auto ports = wish("web");
  ports.settings.ports = {{0, compute::Protocol::tcp, 80, ""}};
  expect_error(containers_->create(alice(), ports), ErrorCode::invalid_argument, "container.settings");
  auto limits = wish("web");
  limits.limits.cpus = -1;
  expect_error(containers_->create(alice(), limits), ErrorCode::invalid_argument, "instance.limits");
  EXPECT_THAT(names(admin()), IsEmpty());
  EXPECT_THAT(on("one"), IsEmpty());
}

TEST_F(ContainersTest, AnImageThatIsMissingIsPulled) {
  begin();
  engine("one").publish_image("nginx:1.25");
  ASSERT_TRUE(make(alice(), wish("web", "nginx:1.25")));
  EXPECT_EQ(engine("one").faults().calls("pull"), 1u);
  ASSERT_TRUE(make(alice(), wish("web-2", "nginx:1.25")));
  EXPECT_EQ(engine("one").faults().calls("pull"), 1u);
}

TEST_F(ContainersTest, WhereAnImageCannotBePulledTheEnginesReasonIsToldAndTheNameIsFreeAgain) {
  begin();
  const auto made = make(alice(), wish("web", "nowhere/nothing:1"));
  expect_error(made, ErrorCode::unavailable, "image.pull_failed");
  EXPECT_THAT(made.error().message().en, ::testing::HasSubstr("manifest unknown"));
  EXPECT_EQ(seen("web"), nullptr);
  EXPECT_TRUE(make(bob(), wish("web")));
}

TEST_F(ContainersTest, ACreationThatFailsLeavesNothing) {
  begin();
  for (const std::string call : {"has_image", "create", "start"}) {
    engine("one").faults().fail(call, 1, Error(ErrorCode::exhausted, "engine.full", {"满", "full"}));
    expect_error(make(alice(), wish("web")), ErrorCode::exhausted, "engine.full");
    EXPECT_EQ(seen("web"), nullptr) << call;
    EXPECT_THAT(on("one"), IsEmpty()) << call;
  }
}

TEST_F(ContainersTest, WhatSomebodyElseMadeOnTheEngineMeanwhileIsLeftAlone) {
  begin();
  auto& fake = engine("one");
  fake.faults().on_call([&](std::string_view call) {
    if (call == "has_image") fake.create_outside("web", "other:1", {});
  });
  EXPECT_FALSE(make(alice(), wish("web")));
  fake.faults().on_call({});
  EXPECT_THAT(on("one"), ElementsAre("web"));
  ASSERT_TRUE(eventually([&] { return seen("web") != nullptr && seen("web")->image == "other:1"; }));
  EXPECT_EQ(seen("web")->owner, UserId());
}

TEST_F(ContainersTest, ACreationThatCannotBeUndoneIsUndoneWhenTheEngineAnswersAgain) {
  begin();
  auto& fake = engine("one");
  fake.faults().on_call([&](std::string_view call) {
    if (call == "start") fake.faults().refuse_connections(true);
  });
  EXPECT_FALSE(make(alice(), wish("web")));
  fake.faults().on_call({});
  fake.faults().refuse_connections(false);
  EXPECT_TRUE(eventually([&] { return seen("web") == nullptr && on("one").empty(); }));
}

TEST_F(ContainersTest, StartingAndStoppingSayWhetherTheyChangedAnything) {
  begin();
  ASSERT_TRUE(make(alice(), wish("web")));
  EXPECT_EQ(take(containers_->start(alice(), "web")), false);
  EXPECT_EQ(take(containers_->stop(alice(), "web", false)), true);
  EXPECT_EQ(seen("web")->status, Status::stopped);
  EXPECT_FALSE(containers_->row(seen("web")->id)->desired.running);
  EXPECT_EQ(take(containers_->stop(alice(), "web", false)), false);
  expect_error(containers_->restart(alice(), "web", false), ErrorCode::conflict, "instance.state");
  EXPECT_EQ(take(containers_->start(alice(), "web")), true);
  EXPECT_TRUE(containers_->row(seen("web")->id)->desired.running);
  EXPECT_EQ(take(containers_->restart(alice(), "web", true)), true);
  EXPECT_EQ(seen("web")->status, Status::running);
}

TEST_F(ContainersTest, PausingFitsOnlyWhatRuns) {
  begin();
  ASSERT_TRUE(make(alice(), wish("web")));
  EXPECT_EQ(take(containers_->pause(alice(), "web")), true);
  EXPECT_TRUE(becomes("web", Status::frozen));
  EXPECT_EQ(take(containers_->pause(alice(), "web")), false);
  EXPECT_EQ(take(containers_->resume(alice(), "web")), true);
  EXPECT_TRUE(becomes("web", Status::running));
  ASSERT_TRUE(containers_->pause(alice(), "web"));
  ASSERT_TRUE(containers_->start(alice(), "web"));
  EXPECT_TRUE(becomes("web", Status::running));
  ASSERT_TRUE(containers_->stop(alice(), "web", true));
  expect_error(containers_->pause(alice(), "web"), ErrorCode::conflict, "instance.state");
}

TEST_F(ContainersTest, RemovingARunningOneNeedsForce) {
  begin();
  ASSERT_TRUE(make(alice(), wish("web")));
  expect_error(containers_->remove(alice(), "web", false), ErrorCode::conflict, "instance.running");
  ASSERT_TRUE(containers_->remove(alice(), "web", true));
  EXPECT_EQ(seen("web"), nullptr);
  EXPECT_THAT(on("one"), IsEmpty());
  expect_error(containers_->remove(alice(), "web", true), ErrorCode::not_found, "container.not_found");
  EXPECT_TRUE(make(bob(), wish("web")));
}

TEST_F(ContainersTest, TwoDifferentChangesAtOnceAreAConflict) {
  begin();
  ASSERT_TRUE(make(alice(), wish("web")));
  engine("one").faults().hang_call("stop", true);
  auto stopping = std::async(std::launch::async, [&] { return containers_->stop(alice(), "web", true).has_value(); });
  ASSERT_TRUE(eventually([&] { return engine("one").faults().waiting_calls() == 1; }));
  expect_error(containers_->remove(alice(), "web", true), ErrorCode::conflict, "operation.busy");
  expect_error(containers_->restart(alice(), "web", true), ErrorCode::conflict, "operation.busy");
  engine("one").faults().hang_call("stop", false);
  EXPECT_TRUE(stopping.get());
}

TEST_F(ContainersTest, AnEngineThatIsGoneIsToldAndItsContainersStay) {
  begin();
  ASSERT_TRUE(make(alice(), wish("web")));
  engine("one").faults().refuse_connections(true);
  EXPECT_TRUE(eventually([&] { return !seen("web")->reachable; }));
  EXPECT_EQ(seen("web")->presence, Presence::present);
  EXPECT_EQ(seen("web")->status, Status::running);
  expect_error(containers_->stop(alice(), "web", false), ErrorCode::unavailable, "engine.unavailable");
  engine("one").faults().refuse_connections(false);
  EXPECT_TRUE(eventually([&] { return seen("web")->reachable; }));
  EXPECT_EQ(seen("web")->presence, Presence::present);
}

TEST_F(ContainersTest, ListsAreSortedFilteredAndPaged) {
  begin({"one", "two"});
  for (const auto* name : {"charlie", "alpha", "bravo"}) {
    auto wanted = wish(name);
    wanted.server = std::string(name) == "bravo" ? "two" : "one";
    ASSERT_TRUE(make(alice(), wanted));
  }
  ASSERT_TRUE(containers_->stop(alice(), "alpha", true));
  EXPECT_THAT(names(admin()), ElementsAre("alpha", "bravo", "charlie"));
  EXPECT_THAT(names(admin(), {.server = "two"}), ElementsAre("bravo"));
  EXPECT_THAT(names(admin(), {.status = Status::stopped}), ElementsAre("alpha"));
  EXPECT_THAT(names(admin(), {.search = "CHAR"}), ElementsAre("charlie"));
  EXPECT_THAT(names(admin(), {.owner = UserId(3)}), IsEmpty());
  const auto page = containers_->list(admin(), {.limit = 1, .offset = 1});
  ASSERT_EQ(page.containers.size(), 1u);
  EXPECT_EQ(page.containers.front()->name, "bravo");
  EXPECT_EQ(page.total, 3u);
}

TEST_F(ContainersTest, TheRevisionGrowsWithWhatAListShows) {
  begin();
  const auto before = containers_->revision();
  ASSERT_TRUE(make(alice(), wish("web")));
  const auto made = containers_->revision();
  EXPECT_GT(made, before);
  ASSERT_TRUE(containers_->stop(alice(), "web", true));
  EXPECT_GT(containers_->revision(), made);
}

TEST_F(ContainersTest, LogsAreReadAndFollowed) {
  begin();
  ASSERT_TRUE(make(alice(), wish("web")));
  engine("one").write_log("web", "first\nsecond\n");
  EXPECT_EQ(take(containers_->read_log(alice(), "web", {})), "first\nsecond\n");
  compute::LogQuery last;
  last.tail = 1;
  EXPECT_EQ(take(containers_->read_log(alice(), "web", last)), "second\n");
  expect_error(containers_->read_log(bob(), "web", {}), ErrorCode::not_found, "container.not_found");
}

TEST_F(ContainersTest, CommandsRunInsideAndAreAudited) {
  begin();
  ASSERT_TRUE(make(alice(), wish("web")));
  compute::ExecRequest request;
  request.command = {"echo", "hello"};
  const auto outcome = take(containers_->run(alice(), "web", request, std::chrono::seconds(5)));
  EXPECT_EQ(outcome.standard_output, "hello\n");
  EXPECT_THAT(audited_actions(), Contains("instance.exec"));
}

TEST_F(ContainersTest, TheCatalogSurvivesARestart) {
  begin();
  ASSERT_TRUE(make(alice(), wish("web")));
  const auto id = seen("web")->id;
  come_back();
  EXPECT_TRUE(becomes("web", Status::running));
  EXPECT_EQ(seen("web")->id, id);
  EXPECT_EQ(seen("web")->owner, UserId(2));
}

}  // namespace
}  // namespace berth::fleet
