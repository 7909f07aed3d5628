#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "fleet/fleet_fixture.h"

namespace berth::fleet {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// Takes a log or a terminal's output and makes nothing of it.
class Deaf final : public compute::LogReader, public compute::TerminalOutput {
 public:
  void on_log(Stream, std::string_view) override {}
  void on_end(const Result<void>&) override {}
  void on_output(std::string_view) override {}
  void on_end(std::optional<int>) override {}
};

class AccessTest : public FleetFixture {
 protected:
  void SetUp() override {
    begin();
    ASSERT_TRUE(make(alice(), wish("web")));
    id_ = seen("web")->id;
  }

  void grant(Right right) { access_.granted.insert({UserId(3), id_, right}); }

  struct Path {
    std::string name;
    Right right;
    std::function<std::string(Containers&, const Caller&)> call;  ///< yields the reason of the failure, or "ok"
  };

  template <class T>
  static std::string reason(const Result<T>& result) {
    return result ? "ok" : std::string(result.error().reason());
  }

  static compute::ExecRequest command() {
    compute::ExecRequest request;
    request.command = {"true"};
    return request;
  }

  /// Every path that reaches a container by its name; the last ones end it.
  static std::vector<Path> paths() {
    using C = Containers;
    return {
        {"find", Right::read, [](C& c, const Caller& who) { return reason(c.find(who, "web", Right::read)); }},
        {"read_log", Right::read, [](C& c, const Caller& who) { return reason(c.read_log(who, "web", {})); }},
        {"follow_log", Right::read,
         [](C& c, const Caller& who) { return reason(c.follow_log(who, "web", {}, std::make_shared<Deaf>())); }},
        {"exec", Right::execute,
         [](C& c, const Caller& who) { return reason(c.exec(who, "web", command(), std::make_shared<Deaf>())); }},
        {"console", Right::execute,
         [](C& c, const Caller& who) { return reason(c.console(who, "web", {}, std::make_shared<Deaf>())); }},
        {"run", Right::execute,
         [](C& c, const Caller& who) { return reason(c.run(who, "web", command(), std::chrono::seconds(1))); }},
        {"pause", Right::write, [](C& c, const Caller& who) { return reason(c.pause(who, "web")); }},
        {"resume", Right::write, [](C& c, const Caller& who) { return reason(c.resume(who, "web")); }},
        {"restart", Right::write, [](C& c, const Caller& who) { return reason(c.restart(who, "web", true)); }},
        {"stop", Right::write, [](C& c, const Caller& who) { return reason(c.stop(who, "web", true)); }},
        {"start", Right::write, [](C& c, const Caller& who) { return reason(c.start(who, "web")); }},
        {"update", Right::write,
         [](C& c, const Caller& who) {
           ContainerChange change;
           change.limits = compute::InstanceLimits{.cpus = 1, .memory_bytes = {}, .disk_bytes = {}};
           return reason(c.update(who, "web", change));
         }},
        {"archive", Right::write, [](C& c, const Caller& who) { return reason(c.archive(who, "web")); }},
        {"restore", Right::write, [](C& c, const Caller& who) { return reason(c.restore(who, "web")); }},
        {"remove", Right::write, [](C& c, const Caller& who) { return reason(c.remove(who, "web", true)); }},
    };
  }

  ContainerId id_;
};

TEST_F(AccessTest, SomebodyElsesContainerIsNotFoundOnEveryPath) {
  for (const auto& path : paths()) {
    EXPECT_EQ(path.call(*containers_, bob()), "container.not_found") << path.name;
  }
  EXPECT_THAT(names(bob()), IsEmpty());
  EXPECT_THAT(names(alice()), ElementsAre("web"));
  EXPECT_THAT(names(admin()), ElementsAre("web"));
}

TEST_F(AccessTest, WhoMayOnlySeeIsToldSoOnEveryOtherPath) {
  grant(Right::read);
  EXPECT_THAT(names(bob()), ElementsAre("web"));
  for (const auto& path : paths()) {
    EXPECT_EQ(path.call(*containers_, bob()), path.right == Right::read ? "ok" : "container.right") << path.name;
  }
}

TEST_F(AccessTest, EachRightOpensItsOwnPaths) {
  grant(Right::read);
  grant(Right::execute);
  for (const auto& path : paths()) {
    EXPECT_EQ(path.call(*containers_, bob()), path.right == Right::write ? "container.right" : "ok") << path.name;
  }
  grant(Right::write);
  for (const auto& path : paths()) EXPECT_EQ(path.call(*containers_, bob()), "ok") << path.name;
}

TEST_F(AccessTest, ARightToChangeWithoutSightOpensNothing) {
  grant(Right::write);
  for (const auto& path : paths()) {
    EXPECT_EQ(path.call(*containers_, bob()), "container.not_found") << path.name;
  }
}

TEST_F(AccessTest, NobodyOwnsNothing) {
  engine("one").create_outside("outside", FakeEngine::kImage, {});
  ASSERT_TRUE(appears("outside"));
  Caller nobody;
  EXPECT_THAT(names(nobody), IsEmpty());
  expect_error(containers_->find(nobody, "outside", Right::read), ErrorCode::not_found, "container.not_found");
}

TEST_F(AccessTest, ContainersAreMadeForOneselfOnly) {
  auto wanted = wish("other");
  wanted.owner = UserId(2);
  expect_error(containers_->create(bob(), wanted), ErrorCode::permission_denied, "container.owner");
  ASSERT_TRUE(make(admin(), wanted));
  EXPECT_EQ(seen("other")->owner, UserId(2));
}

TEST_F(AccessTest, FoldersOfAServerNeedARightOfTheirOwn) {
  auto wanted = wish("other");
  wanted.settings.mounts.push_back({"/etc", "/host", false});
  expect_error(containers_->create(alice(), wanted), ErrorCode::permission_denied, "container.host_path");
  ContainerChange change;
  change.settings = wanted.settings;
  expect_error(containers_->update(alice(), "web", change), ErrorCode::permission_denied, "container.host_path");
  wanted.owner = UserId(2);
  ASSERT_TRUE(make(admin(), wanted));
  // What is mounted already may stay when something else changes.
  change.settings->environment["A"] = "b";
  EXPECT_TRUE(containers_->update(alice(), "other", change));
}

TEST_F(AccessTest, NobodyMountsTheVolumesOfSomebodyElsesContainers) {
  auto hers = wish("shop");
  hers.settings.mounts.push_back({"shop-data", "/data", false});
  take(make(alice(), hers));
  auto his = wish("spy");
  his.settings.mounts.push_back({"shop-data", "/mnt", true});
  expect_error(containers_->create(bob(), his), ErrorCode::permission_denied, "container.volume");
  take(make(bob(), wish("spy")));
  ContainerChange change;
  change.settings = his.settings;
  expect_error(containers_->update(bob(), "spy", change), ErrorCode::permission_denied, "container.volume");
  his.name = "other";
  take(make(alice(), his));
  access_.granted.insert({UserId(3), seen("shop")->id, Right::read});
  access_.granted.insert({UserId(3), seen("other")->id, Right::write});
  expect_error(containers_->update(bob(), "spy", change), ErrorCode::permission_denied, "container.volume");
  access_.granted.insert({UserId(3), seen("shop")->id, Right::write});
  take(containers_->update(bob(), "spy", change));
}

}  // namespace
}  // namespace berth::fleet
