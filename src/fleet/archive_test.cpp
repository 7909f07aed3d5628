#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "fleet/fleet_fixture.h"

namespace berth::fleet {
namespace {

using berth::testing::eventually;
using compute::Status;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ArchiveTest : public FleetFixture {
 protected:
  NewContainer kept(const std::string& name, const std::string& volume = "data") {
    auto wanted = wish(name);
    wanted.settings.environment["MODE"] = "test";
    wanted.settings.mounts.push_back({volume, "/srv/data", false});
    return wanted;
  }
  void make_kept(const std::string& name) {
    ASSERT_TRUE(make(alice(), kept(name)));
    const auto& server = seen(name)->server_name;
    ASSERT_TRUE(engine(server).write_file(name, "/etc/app", "configured"));
    ASSERT_TRUE(engine(server).write_file(name, "/srv/data/file", "precious"));
  }
  void expect_kept(const std::string& name) {
    const auto& server = seen(name)->server_name;
    EXPECT_EQ(engine(server).read_file(name, "/etc/app"), "configured");
    EXPECT_EQ(engine(server).read_file(name, "/srv/data/file"), "precious");
  }
  std::vector<std::string> volumes(const std::string& server) {
    std::vector<std::string> names;
    for (const auto& volume : take(engine(server).list_volumes(soon()))) names.push_back(volume.name);
    return names;
  }
  std::vector<std::string> archives() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(settings_.archives)) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }
};

TEST_F(ArchiveTest, AnArchivedContainerIsOffItsServerAndComesBackWithEverything) {
  begin();
  make_kept("web");
  const auto id = seen("web")->id;
  ASSERT_TRUE(containers_->archive(alice(), "web"));
  EXPECT_EQ(seen("web")->presence, Presence::archived);
  EXPECT_THAT(on("one"), IsEmpty());
  EXPECT_THAT(volumes("one"), IsEmpty());
  EXPECT_EQ(archives().size(), 1u);
  expect_error(containers_->start(alice(), "web"), ErrorCode::conflict, "container.archived");
  EXPECT_TRUE(containers_->archive(alice(), "web")) << "again changes nothing";

  ASSERT_TRUE(containers_->restore(alice(), "web"));
  EXPECT_EQ(seen("web")->presence, Presence::present);
  EXPECT_EQ(seen("web")->status, Status::stopped);
  EXPECT_EQ(seen("web")->id, id);
  EXPECT_EQ(seen("web")->owner, UserId(2));
  expect_kept("web");
  EXPECT_EQ(take(engine("one").inspect("web", soon())).settings, kept("web").settings);
  EXPECT_TRUE(containers_->restore(alice(), "web")) << "again changes nothing";
  EXPECT_TRUE(take(containers_->start(alice(), "web")));
}

TEST_F(ArchiveTest, ItComesBackElsewhereWhereItsServerIsGone) {
  begin({"one", "two"});
  make_kept("web");
  const std::string home = seen("web")->server_name;
  const std::string other = home == "one" ? "two" : "one";
  ASSERT_TRUE(containers_->archive(alice(), "web"));
  ASSERT_TRUE(registry_->remove(take(registry_->find(home)).server.id, admin().origin));
  ASSERT_TRUE(containers_->restore(alice(), "web"));
  EXPECT_EQ(seen("web")->server_name, other);
  expect_kept("web");
  EXPECT_GT(containers_->row(seen("web")->id)->epoch, 0);
}

TEST_F(ArchiveTest, AVolumeThatOthersUseStaysAndIsNotOverwritten) {
  begin();
  make_kept("web");
  ASSERT_TRUE(make(alice(), kept("other")));
  ASSERT_TRUE(containers_->archive(alice(), "web"));
  EXPECT_THAT(volumes("one"), ElementsAre("data"));
  ASSERT_TRUE(engine("one").write_file("other", "/srv/data/file", "newer"));
  ASSERT_TRUE(containers_->restore(alice(), "web"));
  EXPECT_EQ(engine("one").read_file("web", "/srv/data/file"), "newer");
  EXPECT_EQ(engine("one").read_file("web", "/etc/app"), "configured");
}

TEST_F(ArchiveTest, WhereItsImageIsNowhereToBeHadItsFilesBecomeOne) {
  engine("one").publish_image("web:1");
  begin({"one", "two"});
  auto wanted = kept("web");
  wanted.image = "web:1";
  wanted.server = "one";
  ASSERT_TRUE(make(alice(), wanted));
  ASSERT_TRUE(engine("one").write_file("web", "/etc/app", "configured"));
  ASSERT_TRUE(containers_->archive(alice(), "web"));
  ASSERT_TRUE(registry_->remove(take(registry_->find("one")).server.id, admin().origin));
  ASSERT_TRUE(containers_->restore(alice(), "web"));
  EXPECT_EQ(engine("two").read_file("web", "/etc/app"), "configured");
  EXPECT_EQ(seen("web")->image, "web:1") << "what it is to be like stays";
}

TEST_F(ArchiveTest, ADamagedArchiveIsNotRestored) {
  begin();
  make_kept("web");
  ASSERT_TRUE(containers_->archive(alice(), "web"));
  std::ofstream(settings_.archives / archives().front() / "root.tar", std::ios::app) << "more";
  expect_error(containers_->restore(alice(), "web"), ErrorCode::internal, "archive.broken");
  EXPECT_EQ(seen("web")->presence, Presence::archived);
  EXPECT_THAT(on("one"), IsEmpty());
}

TEST_F(ArchiveTest, AnArchivingThatFailsLeavesTheContainerRunning) {
  begin();
  make_kept("web");
  for (const std::string call : {"save_root", "save_path", "inspect", "stop"}) {
    engine("one").faults().fail(call, 1, Error(ErrorCode::exhausted, "engine.full", {"满", "full"}));
    expect_error(containers_->archive(alice(), "web"), ErrorCode::exhausted, "engine.full");
    EXPECT_TRUE(becomes("web", Status::running)) << call;
    EXPECT_THAT(archives(), IsEmpty()) << call;
    ASSERT_TRUE(eventually([&] { return settled(); }));
  }
  expect_kept("web");
}

TEST_F(ArchiveTest, WhatCouldNotBeUndoneAtOnceIsUndoneLaterThoughTheServerIsNeverSeenDown) {
  begin();
  make_kept("web");
  take(containers_->stop(alice(), "web", true));
  const auto reads = [this] { return engine("one").faults().calls("list"); };
  const auto before = reads();
  ASSERT_TRUE(eventually([&] { return reads() > before + 2; })) << "nothing is left to be looked at";
  engine("one").faults().fail("save_root", 1, compute::engine_unavailable());
  engine("one").faults().fail("stop", 1, compute::engine_unavailable());
  expect_error(containers_->archive(alice(), "web"), ErrorCode::unavailable, "engine.unavailable");
  EXPECT_TRUE(eventually([&] { return settled(); }));
  EXPECT_TRUE(containers_->archive(alice(), "web"));
}

TEST_F(ArchiveTest, ARestoreThatFailsLeavesTheArchiveAndNothingElse) {
  begin();
  make_kept("web");
  ASSERT_TRUE(containers_->archive(alice(), "web"));
  for (const std::string call : {"create", "load_path", "create_volume"}) {
    engine("one").faults().fail(call, 1, Error(ErrorCode::exhausted, "engine.full", {"满", "full"}));
    expect_error(containers_->restore(alice(), "web"), ErrorCode::exhausted, "engine.full");
    EXPECT_EQ(seen("web")->presence, Presence::archived) << call;
    EXPECT_THAT(on("one"), IsEmpty()) << call;
    EXPECT_THAT(volumes("one"), IsEmpty()) << call;
  }
  ASSERT_TRUE(containers_->restore(alice(), "web"));
  expect_kept("web");
}

TEST_F(ArchiveTest, RemovingAnArchivedOneRemovesItsArchive) {
  begin();
  make_kept("web");
  ASSERT_TRUE(containers_->archive(alice(), "web"));
  ASSERT_TRUE(containers_->remove(alice(), "web", false));
  EXPECT_EQ(seen("web"), nullptr);
  EXPECT_THAT(archives(), IsEmpty());
}

TEST_F(ArchiveTest, APowerCutAtAnyStepOfArchivingLosesNothing) {
  begin();
  make_kept("web");
  for (int nth = 1; nth < 60; ++nth) {
    cut_power_at(nth);
    auto archiving = changing_in_background([&] { return containers_->archive(alice(), "web").has_value(); });
    ASSERT_TRUE(eventually(
        [&] { return power_went_off() || archiving.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }));
    const bool went_off = power_went_off();
    come_back();
    archiving.get();
    ASSERT_TRUE(eventually([&] { return settled(); })) << nth;
    const bool archived = seen("web")->presence == Presence::archived;
    if (archived) {
      EXPECT_THAT(on("one"), IsEmpty()) << nth;
      const auto restored = containers_->restore(alice(), "web");
      ASSERT_TRUE(restored) << nth << restored.error().describe();
      ASSERT_TRUE(take(containers_->start(alice(), "web")));
    }
    EXPECT_TRUE(becomes("web", Status::running)) << nth;
    expect_kept("web");
    EXPECT_THAT(names(alice()), ElementsAre("web")) << nth;
    if (!went_off) {
      EXPECT_TRUE(archived);
      EXPECT_GT(nth, 5);
      return;
    }
  }
  FAIL() << "the archiving never got through";
}

TEST_F(ArchiveTest, APowerCutAtAnyStepOfRestoringLosesNothing) {
  begin();
  make_kept("web");
  for (int nth = 1; nth < 60; ++nth) {
    ASSERT_TRUE(containers_->archive(alice(), "web"));
    cut_power_at(nth);
    auto restoring = changing_in_background([&] { return containers_->restore(alice(), "web").has_value(); });
    ASSERT_TRUE(eventually(
        [&] { return power_went_off() || restoring.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }));
    const bool went_off = power_went_off();
    come_back();
    restoring.get();
    ASSERT_TRUE(eventually([&] { return settled(); })) << nth;
    if (seen("web")->presence == Presence::archived) {
      EXPECT_THAT(on("one"), IsEmpty()) << nth;
      EXPECT_THAT(volumes("one"), IsEmpty()) << nth;
      const auto restored = containers_->restore(alice(), "web");
      ASSERT_TRUE(restored) << nth << restored.error().describe();
    }
    EXPECT_TRUE(becomes("web", Status::stopped)) << nth;
    expect_kept("web");
    EXPECT_THAT(names(alice()), ElementsAre("web")) << nth;
    if (!went_off) {
      EXPECT_GT(nth, 5);
      return;
    }
  }
  FAIL() << "the restore never got through";
}

}  // namespace
}  // namespace berth::fleet
