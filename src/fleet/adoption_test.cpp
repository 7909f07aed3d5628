#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fleet/fleet_fixture.h"

namespace berth::fleet {
namespace {

using berth::testing::eventually;
using compute::Status;
using ::testing::Contains;
using ::testing::ElementsAre;

using AdoptionTest = FleetFixture;

compute::ContainerSettings some_settings() {
  compute::ContainerSettings settings;
  settings.environment["MODE"] = "test";
  settings.mounts.push_back({"data", "/data", false});
  return settings;
}

TEST_F(AdoptionTest, WhatWasMadeOutsideIsShownWithWhatItWasMadeFrom) {
  begin();
  engine("one").create_outside("outside", "redis:7", some_settings());
  ASSERT_TRUE(becomes("outside", Status::running));
  const auto container = seen("outside");
  EXPECT_EQ(container->image, "redis:7");
  EXPECT_EQ(container->settings, some_settings());
  EXPECT_EQ(container->owner, UserId());
  EXPECT_THAT(audited_actions(), Contains("container.adopt"));
  EXPECT_TRUE(take(containers_->stop(admin(), "outside", true)));
}

TEST_F(AdoptionTest, WhatIsThereWhenAServerIsAddedIsAdopted) {
  engine("one").create_outside("early", "redis:7", {});
  begin();
  EXPECT_TRUE(becomes("early", Status::running));
}

TEST_F(AdoptionTest, TheOwnerIsTheOneOfTheEngineWhereThereIsSuchAUser) {
  begin();
  engine("one").create_outside("hers", "redis:7", {}, true, uuid_of(2));
  engine("one").create_outside("strangers", "redis:7", {}, true, "99999999-0000-4000-8000-000000000000");
  ASSERT_TRUE(appears("hers") && appears("strangers"));
  EXPECT_EQ(seen("hers")->owner, UserId(2));
  EXPECT_EQ(seen("strangers")->owner, UserId());
}

TEST_F(AdoptionTest, TheSecondOfANameIsToldApartByItsServer) {
  begin({"one", "two"});
  engine("one").create_outside("web", "redis:7", {});
  ASSERT_TRUE(appears("web"));
  engine("two").create_outside("web", "redis:7", {});
  ASSERT_TRUE(becomes("web@two", Status::running));
  EXPECT_TRUE(take(containers_->stop(admin(), "web@two", true)));
  EXPECT_EQ(take(engine("one").get("web", soon())).status, Status::running);
  EXPECT_EQ(take(engine("two").get("web", soon())).status, Status::stopped);
  // It can be given a name of its own.
  ContainerChange change;
  change.name = "web-2";
  ASSERT_TRUE(containers_->update(admin(), "web@two", change));
  EXPECT_THAT(on("two"), ElementsAre("web-2"));
  EXPECT_THAT(names(admin()), ElementsAre("web", "web-2"));
}

TEST_F(AdoptionTest, WhatIsGoneIsMissingUntilItIsBack) {
  begin();
  ASSERT_TRUE(make(alice(), wish("web")));
  engine("one").remove_outside("web");
  ASSERT_TRUE(eventually([&] { return seen("web")->presence == Presence::missing; }));
  EXPECT_EQ(seen("web")->status, Status::error);
  expect_error(containers_->start(alice(), "web"), ErrorCode::conflict, "container.missing");
  EXPECT_THAT(audited_actions(), Contains("container.missing"));
  engine("one").create_outside("web", FakeEngine::kImage, {});
  ASSERT_TRUE(becomes("web", Status::running));
}

TEST_F(AdoptionTest, WhatSomebodyMadeAnewUnderAnOldNameIsNotTheFormerOwners) {
  begin();
  ASSERT_TRUE(make(alice(), wish("web")));
  engine("one").remove_outside("web");
  ASSERT_TRUE(eventually([&] { return seen("web")->presence == Presence::missing; }));
  engine("one").create_outside("web", "secret:1", {});
  ASSERT_TRUE(becomes("web", Status::running));
  EXPECT_EQ(seen("web")->image, "secret:1");
  EXPECT_EQ(seen("web")->owner, UserId());
}

TEST_F(AdoptionTest, AMissingOneCanBeRemoved) {
  begin();
  ASSERT_TRUE(make(alice(), wish("web")));
  engine("one").remove_outside("web");
  ASSERT_TRUE(eventually([&] { return seen("web")->presence == Presence::missing; }));
  ASSERT_TRUE(containers_->remove(alice(), "web", false));
  EXPECT_EQ(seen("web"), nullptr);
}

TEST_F(AdoptionTest, ARenameOutsideIsFollowed) {
  begin();
  ASSERT_TRUE(make(alice(), wish("web")));
  const auto id = seen("web")->id;
  engine("one").rename_outside("web", "api");
  ASSERT_TRUE(becomes("api", Status::running));
  EXPECT_EQ(seen("api")->id, id);
  EXPECT_EQ(seen("api")->owner, UserId(2));
  EXPECT_EQ(seen("web"), nullptr);
  EXPECT_TRUE(make(bob(), wish("web")));
}

TEST_F(AdoptionTest, ARenameToATakenNameIsToldApart) {
  begin({"one", "two"});
  for (const auto& [name, server] : {std::pair("web", "one"), std::pair("api", "two")}) {
    auto wanted = wish(name);
    wanted.server = server;
    ASSERT_TRUE(make(alice(), wanted));
  }
  engine("one").rename_outside("web", "api");
  ASSERT_TRUE(becomes("api@one", Status::running));
  EXPECT_EQ(seen("api")->server_name, "two");
}

TEST_F(AdoptionTest, AnEngineThatDoesNotAnswerMarksNothingMissing) {
  begin();
  ASSERT_TRUE(make(alice(), wish("web")));
  engine("one").faults().refuse_connections(true);
  ASSERT_TRUE(eventually([&] { return !seen("web")->reachable; }));
  const auto calls = engine("one").faults().calls("info");
  ASSERT_TRUE(eventually([&] { return engine("one").faults().calls("info") > calls + 3; }));
  EXPECT_EQ(seen("web")->presence, Presence::present);
  EXPECT_EQ(seen("web")->status, Status::running);
}

TEST_F(AdoptionTest, ChangesOfStateOutsideAreShown) {
  begin();
  ASSERT_TRUE(make(alice(), wish("web")));
  engine("one").stop_outside("web");
  EXPECT_TRUE(becomes("web", Status::stopped));
  engine("one").start_outside("web");
  EXPECT_TRUE(becomes("web", Status::running));
}

TEST_F(AdoptionTest, TenThousandContainersAreAdoptedAndStayCheap) {
  engine("one", {.instances = 5000, .moving_counters = false});
  engine("two", {.instances = 5000, .moving_counters = false});
  begin({"one", "two"});
  ASSERT_TRUE(eventually([&] { return containers_->view()->containers.size() == 10'000; }, std::chrono::seconds(60)));
  // Each name is there on both servers, so the second of each is told apart.
  const auto plain = seen("inst-00001");
  ASSERT_NE(plain, nullptr);
  EXPECT_NE(seen("inst-00001@one"), seen("inst-00001@two"));
  EXPECT_EQ(containers_->list(admin(), {.limit = 50, .offset = 9'990}).containers.size(), 10u);
  // A change of one leaves the others the same objects.
  const auto before = containers_->view();
  ASSERT_TRUE(take(containers_->stop(admin(), "inst-00002", true)));
  const auto after = containers_->view();
  std::size_t others = 0;
  for (std::size_t i = 0; i < before->containers.size(); ++i) {
    others += before->containers[i] != after->containers[i] ? 1 : 0;
  }
  EXPECT_EQ(others, 1u);
}

TEST_F(AdoptionTest, WhatSomebodyStartedWithTheEnginesOwnToolsIsToRun) {
  begin();
  const auto id = take(make(alice(), wish("web")));
  take(containers_->stop(admin(), "web", true));
  ASSERT_FALSE(containers_->row(id)->desired.running);
  ASSERT_TRUE(engine("one").start_outside("web"));
  EXPECT_TRUE(eventually([&] { return containers_->row(id)->desired.running; }));
}

}  // namespace
}  // namespace berth::fleet
