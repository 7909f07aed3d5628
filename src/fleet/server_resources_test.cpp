#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <iterator>

#include "fleet/fleet_fixture.h"

namespace berth::fleet {
namespace {

using berth::testing::eventually;
using operations::State;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class ServerResourcesTest : public FleetFixture {
 protected:
  void SetUp() override { begin({"one", "two"}); }

  template <class T>
  static std::vector<std::string> silent(const ServerList<T>& list) {
    std::vector<std::string> names;
    for (const auto& one : list.unreachable) names.push_back(one.server);
    return names;
  }
  /// "server name: containers" of each.
  std::vector<std::string> volumes(const Caller& caller, const std::optional<std::string>& server = std::nullopt) {
    std::vector<std::string> lines;
    for (const auto& one : take(resources_->list_volumes(caller, server)).items) {
      lines.push_back(one.server + " " + one.about.name + ":" + joined(one.containers));
    }
    return lines;
  }
  std::vector<std::string> images(const Caller& caller, const std::optional<std::string>& server = std::nullopt) {
    std::vector<std::string> lines;
    for (const auto& one : take(resources_->list_images(caller, server)).items) {
      lines.push_back(one.server + " " + one.about.aliases.front() + ":" + joined(one.containers));
    }
    return lines;
  }
  std::vector<std::string> networks(const Caller& caller, const std::optional<std::string>& server = std::nullopt) {
    std::vector<std::string> lines;
    for (const auto& one : take(resources_->list_networks(caller, server)).items) {
      lines.push_back(one.server + " " + one.about.name + ":" + joined(one.containers));
    }
    return lines;
  }
  static std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const auto& word : words) text += " " + word;
    return text;
  }
  /// A container with a volume and a network, on a server.
  void make_on(const std::string& server, const Caller& caller, const std::string& name, const std::string& volume) {
    auto wanted = wish(name);
    wanted.server = server;
    wanted.settings.mounts.push_back({volume, "/data", false});
    wanted.settings.networks = {"bridge"};
    take(make(caller, wanted));
  }
  operations::Operation end_of(const Result<ServerResources::Begun>& begun) {
    if (!begun) throw std::runtime_error(begun.error().describe());
    return take(begun->ticket->wait(soon()));
  }
  Result<ServerResources::Begun> pull(const std::string& image, const std::optional<std::string>& server = "one") {
    return resources_->pull_image(admin().origin, image, server);
  }
  std::uint64_t calls(const std::string& server, const std::string& call) {
    return engine(server).faults().calls(call);
  }
};

TEST_F(ServerResourcesTest, AListShowsTheThingsOfAllServersWithTheContainersThatMentionThem) {
  make_on("one", alice(), "web", "data");
  make_on("two", bob(), "shop", "goods");
  take(engine("two").create_volume("spare", soon()));
  EXPECT_THAT(volumes(admin()), ElementsAre("one data: web", "two goods: shop", "two spare:"));
  EXPECT_THAT(images(admin()), ElementsAre("one busybox: web", "two busybox: shop"));
  EXPECT_THAT(networks(admin(), "one"), ElementsAre("one bridge: web", "one host:", "one none:"));
  EXPECT_THAT(volumes(admin(), "two"), ElementsAre("two goods: shop", "two spare:"));
  expect_error(resources_->list_volumes(admin(), "none"), ErrorCode::not_found, "server.not_found");
}

TEST_F(ServerResourcesTest, AListCostsOneCallOfEachEngine) {
  make_on("one", alice(), "web", "data");
  const auto before = calls("one", "list_images");
  images(admin());
  EXPECT_EQ(calls("one", "list_images"), before + 1);
  EXPECT_EQ(calls("two", "list_images"), 1u);
}

TEST_F(ServerResourcesTest, WhoSeesOnlyItsOwnIsShownWhatThatMentions) {
  make_on("one", alice(), "web", "data");
  make_on("one", bob(), "shop", "secrets");
  make_on("two", bob(), "store", "more");
  EXPECT_THAT(volumes(alice()), ElementsAre("one data: web"));
  EXPECT_THAT(images(alice()), ElementsAre("one busybox: web")) << "and not that bob uses it too";
  EXPECT_THAT(networks(alice()), ElementsAre("one bridge: web"));
  EXPECT_EQ(calls("two", "list_volumes"), 0u) << "nothing of hers is there";
  EXPECT_THAT(volumes(alice(), "two"), IsEmpty());
  access_.granted.insert({UserId(2), seen("shop")->id, Right::read});
  EXPECT_THAT(volumes(alice()), ElementsAre("one data: web", "one secrets: shop"));
}

TEST_F(ServerResourcesTest, AServerThatHangsOrIsDownIsNamedAndHoldsUpNoOther) {
  make_on("one", alice(), "web", "data");
  engine("two").faults().hang_call("list_volumes", true);
  const auto begun = std::chrono::steady_clock::now();
  auto list = take(resources_->list_volumes(admin(), std::nullopt));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(3));
  EXPECT_EQ(list.items.size(), 1u);
  EXPECT_THAT(silent(list), ElementsAre("two"));
  EXPECT_EQ(list.unreachable.front().error.reason(), "engine.timeout");
  expect_error(resources_->list_volumes(admin(), "two"), ErrorCode::deadline_exceeded, "engine.timeout");
  engine("two").faults().hang_call("list_volumes", false);
  engine("two").faults().refuse_connections(true);
  list = take(resources_->list_volumes(admin(), std::nullopt));
  EXPECT_THAT(silent(list), ElementsAre("two"));
  EXPECT_EQ(list.unreachable.front().error.reason(), "engine.unavailable");
}

TEST_F(ServerResourcesTest, AServerWhoseThreadsAreAllBusyHoldsUpNoOther) {
  make_on("one", alice(), "web", "data");
  engine("two").faults().hang_call("create_volume", true);
  std::vector<std::future<Result<void>>> stuck;
  for (std::size_t i = 0; i < registry_settings_.threads; ++i) {
    stuck.push_back(std::async(std::launch::async, [this, i] {
      return resources_->create_volume(admin().origin, "v" + std::to_string(i) + "x", "two");
    }));
  }
  ASSERT_TRUE(eventually([&] { return engine("two").faults().waiting_calls() == registry_settings_.threads; }));
  const auto list = take(resources_->list_volumes(admin(), std::nullopt));
  EXPECT_THAT(silent(list), ElementsAre("two"));
  EXPECT_EQ(list.items.size(), 1u);
  engine("two").faults().hang_call("create_volume", false);
  for (auto& one : stuck) EXPECT_TRUE(one.get());
}

TEST_F(ServerResourcesTest, AnImageIsPulledWithProgressAndTold) {
  engine("one").publish_image("x.example/app:1");
  const auto ended = end_of(pull("x.example/app:1"));
  EXPECT_EQ(ended.state, State::succeeded);
  EXPECT_EQ(ended.result, R"({"image":"x.example/app:1","server":"one"})");
  EXPECT_THAT(images(admin(), "one"), Contains("one x.example/app:1:"));
  EXPECT_THAT(audited_actions(), Contains("image.pull"));
}

TEST_F(ServerResourcesTest, AnImageThatIsThereIsPulledAgain) {
  engine("one").publish_image("x.example/app:1");
  end_of(pull("x.example/app:1"));
  end_of(pull("x.example/app:1"));
  EXPECT_EQ(calls("one", "pull"), 2u) << "the registry may have a newer one";
}

TEST_F(ServerResourcesTest, AFailedPullSaysWhy) {
  const auto ended = end_of(pull("x.example/none:1"));
  ASSERT_TRUE(ended.failure);
  EXPECT_EQ(ended.failure->reason, "image.pull_failed");
  EXPECT_THAT(ended.failure->message.en, HasSubstr("manifest unknown"));
  expect_error(pull("Not An Image"), ErrorCode::invalid_argument, "instance.image");
}

TEST_F(ServerResourcesTest, APullUsesTheCredentialsOfTheRegistry) {
  engine("one").publish_image("x.example/app:1");
  engine("one").want_login("x.example", "keeper", "new");
  take(registries_->save({"x.example", "keeper", Secret("old")}, admin().origin));
  EXPECT_THAT(end_of(pull("x.example/app:1")).failure->message.en, HasSubstr("were refused"));
  take(registries_->save({"x.example", "keeper", Secret("new")}, admin().origin));
  EXPECT_EQ(end_of(pull("x.example/app:1")).state, State::succeeded);
}

TEST_F(ServerResourcesTest, APullIsCancelled) {
  FakeEngine::Settings slow;
  slow.work_time = std::chrono::seconds(10);
  engine("slow", slow).publish_image("x.example/app:1");
  take(registry_->add(server_wish("slow"), TestFirst::yes, admin().origin));
  const auto begun = take(pull("x.example/app:1", "slow"));
  ASSERT_TRUE(eventually([&] { return begun.ticket->current().may_cancel; }));
  take(operations_->cancel(begun.ticket->id(), admin().origin));
  EXPECT_EQ(take(begun.ticket->wait(soon())).state, State::cancelled);
  EXPECT_THAT(images(admin(), "slow"), ElementsAre("slow busybox:"));
}

TEST_F(ServerResourcesTest, AChangeWithoutAServerIsRefusedWhereThereAreSeveral) {
  const auto refused = resources_->create_volume(admin().origin, "data", std::nullopt);
  expect_error(refused, ErrorCode::invalid_argument, "server.required");
  EXPECT_EQ(refused.error().fields().front().field, "server");
  expect_error(resources_->create_volume(admin().origin, "data", "none"), ErrorCode::not_found, "server.not_found");
  take(registry_->remove(take(registry_->find("two")).server.id, admin().origin));
  take(resources_->create_volume(admin().origin, "data", std::nullopt));
  EXPECT_THAT(volumes(admin()), ElementsAre("one data:"));
  take(registry_->remove(take(registry_->find("one")).server.id, admin().origin));
  expect_error(resources_->create_volume(admin().origin, "data", std::nullopt), ErrorCode::conflict, "server.none");
}

TEST_F(ServerResourcesTest, VolumesAreMadeAndRemoved) {
  const auto& origin = admin().origin;
  take(resources_->create_volume(origin, "data", "one"));
  expect_error(resources_->create_volume(origin, "data", "one"), ErrorCode::already_exists, "volume.exists");
  expect_error(resources_->create_volume(origin, "../x", "one"), ErrorCode::invalid_argument, "volume.name");
  expect_error(resources_->create_volume(origin, "/etc", "one"), ErrorCode::invalid_argument, "volume.name");
  take(resources_->remove_volume(origin, "data", "one"));
  expect_error(resources_->remove_volume(origin, "data", "one"), ErrorCode::not_found, "volume.not_found");
  expect_error(resources_->remove_volume(origin, "../x", "one"), ErrorCode::not_found, "volume.not_found");
  EXPECT_THAT(audited_actions(), Contains("volume.create"));
  EXPECT_THAT(audited_actions(), Contains("volume.remove"));
}

TEST_F(ServerResourcesTest, NetworksAreMadeAndRemoved) {
  const auto& origin = admin().origin;
  take(resources_->create_network(origin, "inner", "one"));
  expect_error(resources_->create_network(origin, "inner", "one"), ErrorCode::already_exists, "network.exists");
  expect_error(resources_->create_network(origin, "a b", "one"), ErrorCode::invalid_argument, "network.name");
  expect_error(resources_->remove_network(origin, "bridge", "one"), ErrorCode::conflict, "network.built_in");
  take(resources_->remove_network(origin, "inner", "one"));
  expect_error(resources_->remove_network(origin, "inner", "one"), ErrorCode::not_found, "network.not_found");
}

TEST_F(ServerResourcesTest, WhatIsInUseStays) {
  take(resources_->create_network(admin().origin, "inner", "one"));
  auto wanted = wish("web");
  wanted.server = "one";
  wanted.settings.mounts.push_back({"data", "/data", false});
  wanted.settings.networks = {"inner"};
  take(make(alice(), wanted));
  expect_error(resources_->remove_volume(admin().origin, "data", "one"), ErrorCode::conflict, "volume.in_use");
  expect_error(resources_->remove_network(admin().origin, "inner", "one"), ErrorCode::conflict, "network.in_use");
  expect_error(resources_->remove_image(admin().origin, "busybox", "one"), ErrorCode::conflict, "image.in_use");
  take(containers_->remove(alice(), "web", true));
  take(resources_->remove_volume(admin().origin, "data", "one"));
  take(resources_->remove_network(admin().origin, "inner", "one"));
  take(resources_->remove_image(admin().origin, "busybox", "one"));
  expect_error(resources_->remove_image(admin().origin, "busybox", "one"), ErrorCode::not_found, "image.not_found");
}

TEST_F(ServerResourcesTest, AnImageIsMadeOfAnArchive) {
  take(make(alice(), [] {
    auto wanted = wish("web");
    wanted.server = "one";
    return wanted;
  }()));
  ASSERT_TRUE(engine("one").write_file("web", "/etc/own", "kept"));
  const std::string file = folder_.path() / "root.tar";
  take(engine("one").save_root("web", file, {}, soon()));
  std::ifstream in(file, std::ios::binary);
  const std::string archive{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  const auto ended = end_of(resources_->import_image(admin().origin, "mine:1", archive, "two"));
  EXPECT_EQ(ended.state, State::succeeded);
  EXPECT_TRUE(eventually([&] { return std::filesystem::is_empty(folder_.path() / "imports"); }))
      << "nothing is left behind";
  auto wanted = wish("copy", "mine:1");
  wanted.server = "two";
  take(make(alice(), wanted));
  EXPECT_EQ(engine("two").read_file("copy", "/etc/own"), "kept");
  expect_error(resources_->import_image(admin().origin, "mine:1", "", "two"), ErrorCode::invalid_argument,
               "image.archive");
}

TEST_F(ServerResourcesTest, AServerThatIsDownRefusesAChangeAtOnce) {
  engine("one").faults().refuse_connections(true);
  ASSERT_TRUE(eventually([&] {
    return !registry_->unit(take(registry_->find("one")).server.id)->inventory->snapshot()->health.connected;
  }));
  expect_error(resources_->create_volume(admin().origin, "data", "one"), ErrorCode::unavailable, "engine.unavailable");
  expect_error(pull("busybox"), ErrorCode::unavailable, "engine.unavailable");
}

/// Loses the power at every step of a change and compares what is told of it then with what the engine has.
class ServerResourcesCrashTest : public ServerResourcesTest {
 protected:
  /// `change` is given the number of the attempt; `there` tells whether the engine has what it was to bring.
  void lose_power_at_every_step(const std::function<Result<void>(int nth)>& change,
                                const std::function<bool(int nth)>& there) {
    for (int nth = 1; nth < 20; ++nth) {
      cut_power_at(nth);
      auto changing = in_background([&] {
        auto done = change(nth);
        begun();
        return done.has_value();
      });
      ASSERT_TRUE(eventually(
          [&] { return power_went_off() || changing.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }));
      const bool went_off = power_went_off();
      begun();
      come_back();
      const bool acknowledged = changing.get();
      ASSERT_TRUE(eventually([&] { return settled(); })) << nth;
      operations::Filter newest_one;
      newest_one.limit = 1;
      const auto newest = take(operations_->list(newest_one)).operations;
      EXPECT_TRUE(!acknowledged || there(nth)) << nth;
      if (!newest.empty() && newest.front().resource_id == name_of(nth)) {
        EXPECT_EQ(newest.front().state == State::succeeded, there(nth)) << nth;
      } else {
        EXPECT_FALSE(there(nth)) << "nothing is done that is not recorded, step " << nth;
      }
      if (!went_off) {
        EXPECT_GT(nth, 2);
        return;
      }
    }
    FAIL() << "the change never got through";
  }
  static std::string name_of(int nth) { return "thing" + std::to_string(nth); }
};

TEST_F(ServerResourcesCrashTest, APullIsToldOfAsItIs) {
  for (int nth = 1; nth < 20; ++nth) engine("one").publish_image(name_of(nth));
  lose_power_at_every_step(
      [this](int nth) -> Result<void> {
        const auto begun = BERTH_TRY(pull(name_of(nth)));
        const auto ended = BERTH_TRY(begun.ticket->wait(soon()));
        if (ended.failure) return operations::to_error(*ended.failure);
        return {};
      },
      [this](int nth) { return take(engine("one").has_image(name_of(nth), soon())); });
}

TEST_F(ServerResourcesCrashTest, ANewVolumeIsToldOfAsItIs) {
  lose_power_at_every_step([this](int nth) { return resources_->create_volume(admin().origin, name_of(nth), "one"); },
                           [this](int nth) {
                             const auto volumes = take(engine("one").list_volumes(soon()));
                             return std::ranges::find(volumes, name_of(nth), &compute::Volume::name) != volumes.end();
                           });
}

}  // namespace
}  // namespace berth::fleet
