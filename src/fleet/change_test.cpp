#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "fleet/fleet_fixture.h"

namespace berth::fleet {
namespace {

using berth::testing::eventually;
using compute::Status;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ChangeTest : public FleetFixture {
 protected:
  void SetUp() override {
    for (const auto* server : {"one", "two"}) engine(server).publish_image("web:2");
    begin({"one"});
  }

  static NewContainer busy_wish(const std::string& name) {
    auto wanted = wish(name);
    wanted.settings.environment["MODE"] = "old";
    wanted.settings.ports.push_back({80, compute::Protocol::tcp, 8080, ""});
    wanted.settings.mounts.push_back({"data", "/data", false});
    return wanted;
  }
  static ContainerChange image(const std::string& reference) {
    ContainerChange change;
    change.image = reference;
    return change;
  }
  static ContainerChange name_change(const std::string& name) {
    ContainerChange change;
    change.name = name;
    return change;
  }
  template <class T>
  static std::string said(const Result<T>& result) {
    return result ? "ok" : result.error().describe();
  }
  std::string image_on(const std::string& server, const std::string& name) {
    return take(engine(server).get(name, soon())).image;
  }
};

TEST_F(ChangeTest, AChangeOfNothingDoesNothing) {
  ASSERT_TRUE(make(alice(), busy_wish("web")));
  const auto operations = audited_actions().size();
  ASSERT_TRUE(containers_->update(alice(), "web", {}));
  ASSERT_TRUE(containers_->update(alice(), "web", image(FakeEngine::kImage)));
  EXPECT_EQ(audited_actions().size(), operations);
}

TEST_F(ChangeTest, ARenameTakesPlaceWhileItRuns) {
  ASSERT_TRUE(make(alice(), busy_wish("web")));
  const auto id = seen("web")->id;
  const auto engine_id = take(engine("one").get("web", soon())).engine_id;
  ASSERT_TRUE(containers_->update(alice(), "web", name_change("api")));
  EXPECT_EQ(seen("web"), nullptr);
  EXPECT_EQ(seen("api")->id, id);
  EXPECT_EQ(seen("api")->status, Status::running);
  EXPECT_EQ(take(engine("one").get("api", soon())).engine_id, engine_id);
  EXPECT_TRUE(make(bob(), wish("web"))) << "the old name is free again";
}

TEST_F(ChangeTest, ARenameToATakenNameIsRefused) {
  ASSERT_TRUE(make(alice(), wish("web")));
  ASSERT_TRUE(make(bob(), wish("api")));
  expect_error(containers_->update(alice(), "web", name_change("api")), ErrorCode::already_exists, "container.exists");
  expect_error(containers_->update(alice(), "web", name_change("a b")), ErrorCode::invalid_argument, "instance.name");
  EXPECT_EQ(seen("web")->status, Status::running);
}

TEST_F(ChangeTest, ARenameThatFailsFreesTheNewName) {
  ASSERT_TRUE(make(alice(), wish("web")));
  engine("one").faults().fail("rename", 1, Error(ErrorCode::exhausted, "engine.full", {"满", "full"}));
  expect_error(containers_->update(alice(), "web", name_change("api")), ErrorCode::exhausted, "engine.full");
  EXPECT_EQ(seen("web")->status, Status::running);
  EXPECT_TRUE(make(bob(), wish("api")));
}

TEST_F(ChangeTest, LimitsChangeInPlaceWhereTheEngineCan) {
  ASSERT_TRUE(make(alice(), busy_wish("web")));
  const auto engine_id = take(engine("one").get("web", soon())).engine_id;
  ContainerChange change;
  change.limits = compute::InstanceLimits{.cpus = 2, .memory_bytes = 1ULL << 29U, .disk_bytes = {}};
  ASSERT_TRUE(containers_->update(alice(), "web", change));
  EXPECT_EQ(seen("web")->limits, *change.limits);
  EXPECT_EQ(take(engine("one").get("web", soon())).engine_id, engine_id);
}

TEST_F(ChangeTest, LimitsThatTheEngineCannotChangeReplaceTheContainer) {
  ASSERT_TRUE(make(alice(), busy_wish("web")));
  const auto engine_id = take(engine("one").get("web", soon())).engine_id;
  ContainerChange change;
  change.limits = compute::InstanceLimits{.cpus = {}, .memory_bytes = {}, .disk_bytes = 1ULL << 30U};
  ASSERT_TRUE(containers_->update(alice(), "web", change));
  EXPECT_EQ(seen("web")->status, Status::running);
  EXPECT_EQ(take(engine("one").get("web", soon())).limits, *change.limits);
  EXPECT_NE(take(engine("one").get("web", soon())).engine_id, engine_id);
  EXPECT_THAT(on("one"), ElementsAre("web"));
}

TEST_F(ChangeTest, AnotherImageKeepsSettingsVolumesAndOwner) {
  ASSERT_TRUE(make(alice(), busy_wish("web")));
  const auto id = seen("web")->id;
  ASSERT_TRUE(engine("one").write_file("web", "/data/file", "kept"));
  ASSERT_TRUE(containers_->update(alice(), "web", image("web:2")));
  EXPECT_EQ(seen("web")->id, id);
  EXPECT_EQ(seen("web")->image, "web:2");
  EXPECT_EQ(seen("web")->status, Status::running);
  EXPECT_EQ(seen("web")->owner, UserId(2));
  EXPECT_EQ(take(engine("one").inspect("web", soon())).settings, busy_wish("web").settings);
  EXPECT_EQ(engine("one").read_file("web", "/data/file"), "kept");
  EXPECT_THAT(on("one"), ElementsAre("web"));
  EXPECT_EQ(take(engine("one").get("web", soon())).owner, uuid_of(2));
  EXPECT_TRUE(eventually([&] { return settled(); }));
}

TEST_F(ChangeTest, AnotherImageAndNameInOne) {
  ASSERT_TRUE(make(alice(), busy_wish("web")));
  auto change = image("web:2");
  change.name = "api";
  ASSERT_TRUE(containers_->update(alice(), "web", change));
  EXPECT_THAT(on("one"), ElementsAre("api"));
  EXPECT_EQ(seen("web"), nullptr);
  EXPECT_EQ(seen("api")->image, "web:2");
}

TEST_F(ChangeTest, AStoppedOneStaysStopped) {
  ASSERT_TRUE(make(alice(), busy_wish("web")));
  ASSERT_TRUE(containers_->stop(alice(), "web", true));
  ASSERT_TRUE(containers_->update(alice(), "web", image("web:2")));
  EXPECT_EQ(seen("web")->status, Status::stopped);
  EXPECT_EQ(image_on("one", "web"), "web:2");
}

TEST_F(ChangeTest, AReplacementThatDoesNotKeepRunningGivesTheOldOneBack) {
  ASSERT_TRUE(make(alice(), busy_wish("web")));
  engine("one").break_image("web:2");
  const auto updated = containers_->update(alice(), "web", image("web:2"));
  expect_error(updated, ErrorCode::conflict, "container.replacement_failed");
  EXPECT_THAT(updated.error().message().en, HasSubstr("exit code 1"));
  EXPECT_EQ(seen("web")->image, FakeEngine::kImage);
  EXPECT_EQ(seen("web")->status, Status::running);
  EXPECT_THAT(on("one"), ElementsAre("web"));
}

TEST_F(ChangeTest, AReplacementWhoseImageCannotBePulledTouchesNothing) {
  ASSERT_TRUE(make(alice(), busy_wish("web")));
  const auto stops = engine("one").faults().calls("stop");
  expect_error(containers_->update(alice(), "web", image("nowhere/nothing:1")), ErrorCode::unavailable,
               "image.pull_failed");
  EXPECT_EQ(seen("web")->status, Status::running);
  EXPECT_THAT(on("one"), ElementsAre("web"));
  EXPECT_LE(engine("one").faults().calls("stop"), stops + 1) << "of the replacement that was not made";
}

TEST_F(ChangeTest, AReplacementThatFailsAtAnyStepLeavesOneThatRuns) {
  // Which call fails, and how many of its kind a replacement makes.
  const std::vector<std::pair<std::string, int>> steps{{"has_image", 1}, {"pull", 1},   {"create", 1}, {"start", 1},
                                                       {"stop", 3},      {"rename", 2}, {"remove", 2}, {"inspect", 2}};
  ASSERT_TRUE(make(alice(), busy_wish("web")));
  int version = 2;
  for (const auto& [call, times] : steps) {
    for (int nth = 1; nth <= times; ++nth) {
      const std::string next = "web:" + std::to_string(++version);
      engine("one").publish_image(next);
      engine("one").faults().fail(call, nth, Error(ErrorCode::exhausted, "engine.full", {"满", "full"}));
      const std::string before = seen("web")->image;
      const auto updated = containers_->update(alice(), "web", image(next));
      ASSERT_TRUE(eventually([&] { return settled(); })) << call << nth;
      ASSERT_TRUE(becomes("web", Status::running)) << call << nth;
      EXPECT_EQ(image_on("one", "web"), seen("web")->image) << call << nth;
      EXPECT_THAT(seen("web")->image, ::testing::AnyOf(before, next)) << call << nth;
      EXPECT_TRUE(!updated || seen("web")->image == next) << call << nth;
      EXPECT_THAT(on("one"), ElementsAre("web")) << call << nth;
      EXPECT_EQ(seen("web")->owner, UserId(2));
    }
  }
}

TEST_F(ChangeTest, AReplacementThatLosesPowerAtAnyStepLeavesOneThatRuns) {
  ASSERT_TRUE(make(alice(), busy_wish("web")));
  int version = 2;
  for (int nth = 1; nth < 60; ++nth) {
    const std::string next = "web:" + std::to_string(++version);
    engine("one").publish_image(next);
    const std::string before = seen("web")->image;
    cut_power_at(nth);
    auto updating = changing_in_background([&] { return said(containers_->update(alice(), "web", image(next))); });
    ASSERT_TRUE(eventually(
        [&] { return power_went_off() || updating.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }));
    const bool went_off = power_went_off();
    come_back();
    const std::string answer = updating.get();
    ASSERT_TRUE(eventually([&] { return settled(); })) << nth;
    ASSERT_TRUE(becomes("web", Status::running)) << nth;
    EXPECT_THAT(seen("web")->image, ::testing::AnyOf(before, next)) << nth;
    EXPECT_TRUE(answer != "ok" || seen("web")->image == next) << nth;
    ASSERT_TRUE(eventually([&] { return on("one").size() == 1; })) << nth;
    EXPECT_EQ(image_on("one", "web"), seen("web")->image) << nth;
    EXPECT_THAT(names(alice()), ElementsAre("web")) << nth;
    if (!went_off) {
      EXPECT_EQ(answer, "ok");
      EXPECT_GT(nth, 10);
      return;
    }
  }
  FAIL() << "the update never got through";
}

TEST_F(ChangeTest, ACreationThatLosesPowerAtAnyStepIsWholeOrNothing) {
  for (int nth = 1; nth < 60; ++nth) {
    const std::string name = "web-" + std::to_string(nth);
    cut_power_at(nth);
    auto making = in_background([&]() -> bool {
      auto created = containers_->create(alice(), wish(name));
      begun();
      if (!created) return false;
      const auto ended = created->ticket->wait(soon());
      return ended && ended->state == operations::State::succeeded;
    });
    ASSERT_TRUE(eventually(
        [&] { return power_went_off() || making.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }));
    const bool went_off = power_went_off();
    come_back();
    const bool made = making.get();
    ASSERT_TRUE(eventually([&] { return settled(); })) << nth;
    const bool there = seen(name) != nullptr;
    EXPECT_TRUE(!made || there) << nth;
    ASSERT_TRUE(eventually([&] { return (on("one").size() == 1) == there; })) << nth;
    if (there) {
      EXPECT_TRUE(becomes(name, Status::running)) << nth;
      EXPECT_EQ(seen(name)->owner, UserId(2));
      const auto removed = containers_->remove(alice(), name, true);
      ASSERT_TRUE(removed) << nth << removed.error().describe();
    }
    if (!went_off) {
      EXPECT_GT(nth, 3);
      return;
    }
  }
  FAIL() << "the creation never got through";
}

TEST_F(ChangeTest, ARenameThatLosesPowerAtAnyStepLeavesOneName) {
  std::string name = "web-0";
  ASSERT_TRUE(make(alice(), wish(name)));
  for (int nth = 1; nth < 60; ++nth) {
    const std::string next = "web-" + std::to_string(nth);
    cut_power_at(nth);
    auto renaming =
        changing_in_background([&] { return containers_->update(alice(), name, name_change(next)).has_value(); });
    ASSERT_TRUE(eventually(
        [&] { return power_went_off() || renaming.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }));
    const bool went_off = power_went_off();
    come_back();
    const bool renamed = renaming.get();
    ASSERT_TRUE(eventually([&] { return settled(); })) << nth;
    const auto all = names(alice());
    ASSERT_EQ(all.size(), 1u);
    EXPECT_TRUE(!renamed || all.front() == next) << nth;
    EXPECT_THAT(all.front(), ::testing::AnyOf(name, next));
    EXPECT_THAT(on("one"), ElementsAre(all.front()));
    EXPECT_TRUE(make(bob(), wish(all.front() == name ? next : name))) << "the other name is free";
    ASSERT_TRUE(containers_->remove(bob(), all.front() == name ? next : name, true));
    name = all.front();
    if (!went_off) return;
  }
  FAIL() << "the rename never got through";
}

}  // namespace
}  // namespace berth::fleet
