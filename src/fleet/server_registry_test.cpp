#include "fleet/server_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fleet/fleet_fixture.h"

namespace berth::fleet {
namespace {

using berth::testing::eventually;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class ServerRegistryTest : public FleetFixture {
 protected:
  ServerId id_of(const std::string& name) { return take(registry_->find(name)).server.id; }
  std::vector<std::string> server_names() {
    std::vector<std::string> names;
    for (const auto& view : registry_->list()) names.push_back(view.server.name);
    return names;
  }
  std::string stored(const std::string& column) {
    return take(database_->read([&](store::Transaction& transaction) -> Result<std::string> {
      return BERTH_TRY(transaction.query("SELECT * FROM servers")).front().text(column);
    }));
  }
};

TEST_F(ServerRegistryTest, AServerIsTestedAddedAndMeasured) {
  begin({"bravo", "alpha"});
  EXPECT_THAT(server_names(), ElementsAre("alpha", "bravo"));
  ASSERT_TRUE(eventually([&] { return registry_->health() == ServerHealth::healthy; }));
  const auto view = take(registry_->find("alpha"));
  EXPECT_EQ(view.status.product, "Fake 1.0");
  EXPECT_GT(view.status.memory_bytes, 0u);
  EXPECT_TRUE(view.status.latency);
  EXPECT_THAT(audited_actions(), Contains("server.add"));
}

TEST_F(ServerRegistryTest, OneThatDoesNotAnswerIsNotAddedUnlessAskedNotToBeTested) {
  begin({});
  engine("one").faults().refuse_connections(true);
  expect_error(registry_->add(server_wish("one"), TestFirst::yes, admin().origin), ErrorCode::unavailable,
               "engine.unavailable");
  EXPECT_TRUE(server_names().empty());
  ASSERT_TRUE(registry_->add(server_wish("one"), TestFirst::no, admin().origin));
  EXPECT_TRUE(eventually([&] { return registry_->health() == ServerHealth::unreachable; }));
  engine("one").faults().refuse_connections(false);
  EXPECT_TRUE(eventually([&] { return registry_->health() == ServerHealth::healthy; }));
}

TEST_F(ServerRegistryTest, BadWishesNameEveryField) {
  begin({});
  auto wish = server_wish("a b");
  wish.address.url = "http://example.org";
  wish.labels[""] = "x";
  wish.fence = Fence::command;
  const auto added = registry_->add(wish, TestFirst::no, admin().origin);
  expect_error(added, ErrorCode::invalid_argument, "server.invalid");
  std::vector<std::string> fields;
  for (const auto& field : added.error().fields()) fields.push_back(field.field);
  EXPECT_THAT(fields, ElementsAre("name", "url", "labels", "fence_command"));
}

TEST_F(ServerRegistryTest, AnAddressThatCannotWorkIsNotKeptEvenUntested) {
  begin({"one"});
  EXPECT_FALSE(registry_->add(server_wish("two"), TestFirst::no, admin().origin));
  EXPECT_THAT(server_names(), ElementsAre("one"));
  ServerChange change;
  change.address = server_wish("two").address;
  EXPECT_FALSE(registry_->update(id_of("one"), change, TestFirst::no, admin().origin));
  EXPECT_EQ(take(registry_->find("one")).server.address.url, server_wish("one").address.url);
}

TEST_F(ServerRegistryTest, ANameIsTakenOnce) {
  begin({"one"});
  expect_error(registry_->add(server_wish("one"), TestFirst::yes, admin().origin), ErrorCode::already_exists,
               "server.exists");
}

TEST_F(ServerRegistryTest, KeysRestSealedAndAreShownToNobody) {
  engine("one");
  begin({});
  auto wish = server_wish("one");
  wish.address.key = Secret("PRIVATE KEY MATERIAL");
  wish.labels["zone"] = "north";
  const auto added = take(registry_->add(wish, TestFirst::yes, admin().origin));
  EXPECT_TRUE(added.server.address.key.empty());
  EXPECT_TRUE(take(registry_->find("one")).server.address.key.empty());
  EXPECT_THAT(stored("sealed_key"), Not(HasSubstr("PRIVATE")));
  EXPECT_FALSE(stored("sealed_key").empty());
  keys_seen_.clear();
  come_back();
  EXPECT_EQ(keys_seen_["one"], "PRIVATE KEY MATERIAL");
  EXPECT_EQ(take(registry_->find("one")).server.labels.at("zone"), "north");
}

TEST_F(ServerRegistryTest, KeysAreSealedAnew) {
  engine("one");
  begin({});
  auto wish = server_wish("one");
  wish.address.key = Secret("material");
  take(registry_->add(wish, TestFirst::yes, admin().origin));
  const auto newer = identity::Sealing::from_keys({Secret(std::string(32, 'n')), Secret(std::string(32, 's'))});
  EXPECT_EQ(take(ServerRegistry::reseal(*database_, newer)), 1);
  EXPECT_EQ(take(ServerRegistry::reseal(*database_, newer)), 0);
  sealing_ = identity::Sealing::from_keys({Secret(std::string(32, 'n'))});
  come_back();
  EXPECT_EQ(keys_seen_["one"], "material");
}

TEST_F(ServerRegistryTest, AServerWhoseKeyDoesNotOpenIsKeptUnreachable) {
  engine("one");
  begin({});
  auto wish = server_wish("one");
  wish.address.key = Secret("material");
  take(registry_->add(wish, TestFirst::yes, admin().origin));
  end();
  sealing_ = identity::Sealing::from_keys({Secret(std::string(32, 'x'))});
  start_parts();
  const auto view = take(registry_->find("one"));
  EXPECT_EQ(view.status.health, ServerHealth::unreachable);
  EXPECT_EQ(registry_->unit(view.server.id), nullptr);
}

TEST_F(ServerRegistryTest, ChangesAreKept) {
  begin({"one"});
  engine("elsewhere");
  ServerChange change;
  change.labels = std::map<std::string, std::string>{{"zone", "south"}};
  change.fence = Fence::command;
  change.fence_command = "power-off";
  ASSERT_TRUE(registry_->update(id_of("one"), change, TestFirst::yes, admin().origin));
  ASSERT_TRUE(registry_->set_placement(id_of("one"), Placement::draining, admin().origin));
  come_back();
  const auto server = take(registry_->find("one")).server;
  EXPECT_EQ(server.labels.at("zone"), "south");
  EXPECT_EQ(server.fence, Fence::command);
  EXPECT_EQ(server.fence_command, "power-off");
  EXPECT_EQ(server.placement, Placement::draining);
  EXPECT_THAT(audited_actions(), Contains("server.drain"));
}

TEST_F(ServerRegistryTest, ANewAddressIsTestedAndThenUsed) {
  begin({"one"});
  engine("elsewhere").create_outside("there", FakeEngine::kImage, {});
  ServerChange change;
  change.address = ServerAddress{};
  change.address->url = "fake://nowhere";
  expect_error(registry_->update(id_of("one"), change, TestFirst::yes, admin().origin), ErrorCode::unavailable,
               "engine.unavailable");
  EXPECT_EQ(take(registry_->find("one")).server.address.url, "fake://one");
  change.address->url = "fake://elsewhere";
  ASSERT_TRUE(registry_->update(id_of("one"), change, TestFirst::yes, admin().origin));
  EXPECT_TRUE(appears("there"));
}

TEST_F(ServerRegistryTest, AServerWithContainersIsNotRemoved) {
  begin({"one", "two"});
  auto wanted = wish("web");
  wanted.server = "one";
  ASSERT_TRUE(make(alice(), wanted));
  expect_error(registry_->remove(id_of("one"), admin().origin), ErrorCode::conflict, "server.in_use");
  ASSERT_TRUE(containers_->remove(alice(), "web", true));
  ASSERT_TRUE(registry_->remove(id_of("one"), admin().origin));
  EXPECT_THAT(server_names(), ElementsAre("two"));
  expect_error(registry_->remove(ServerId(99), admin().origin), ErrorCode::not_found, "server.not_found");
  EXPECT_THAT(audited_actions(), Contains("server.remove"));
  // Its number is never given to another one.
  const auto again = take(registry_->add(server_wish("one"), TestFirst::yes, admin().origin));
  EXPECT_GT(again.server.id, id_of("two"));
}

TEST_F(ServerRegistryTest, AHungServerIsRemovedWithoutWaitingForIt) {
  begin({"one"});
  engine("one").faults().hang(true);
  EXPECT_TRUE(registry_->remove(id_of("one"), admin().origin));
  EXPECT_TRUE(server_names().empty());
  engine("one").faults().hang(false);
}

TEST_F(ServerRegistryTest, OpenOperationsOfARemovedServerHaveFailed) {
  begin({"one"});
  operations::Operation operation;
  operation.kind = "instance.start";
  operation.engine = EngineId("server-99");
  const auto verdict = take(registry_->reconcile(operation));
  EXPECT_EQ(verdict.state, operations::State::failed);
  EXPECT_EQ(verdict.failure->reason, "engine.removed");
  operation.engine = engine_id_of(id_of("one"));
  engine("one").faults().refuse_connections(true);
  ASSERT_TRUE(eventually([&] { return !registry_->units().front()->inventory->snapshot()->health.connected; }));
  EXPECT_EQ(take(registry_->reconcile(operation)).state, operations::State::running) << "asked about again later";
}

TEST_F(ServerRegistryTest, ChangesOfHealthAreTold) {
  begin({"one"});
  std::mutex mutex;
  std::vector<ServerHealth> told;
  const auto subscription =
      registry_->health_changed().subscribe([&](ServerId, const ServerStatus&, const ServerStatus& now) {
        const std::lock_guard lock(mutex);
        told.push_back(now.health);
      });
  engine("one").faults().refuse_connections(true);
  EXPECT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex);
    return !told.empty() && told.back() == ServerHealth::unreachable;
  }));
}

}  // namespace
}  // namespace berth::fleet
