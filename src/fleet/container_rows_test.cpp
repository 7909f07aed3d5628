#include "fleet/container_rows.h"

#include <gtest/gtest.h>

#include "fleet/server_rows.h"
#include "store/both_engines_fixture.h"

namespace berth::fleet {
namespace {

/// The real schema, on both engines.
class FleetRows : public ::testing::TestWithParam<store::Dialect> {
 protected:
  FleetRows() {
    database_ = take(store::Database::open(place_.settings(), place_.metrics()));
    take(database_->migrate());
  }

  template <class T>
  static T take(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().describe());
    return std::move(*result);
  }

  template <class Work>
  auto write(Work work) {
    return database_->write(work);
  }

  ServerId add_server(const std::string& name) {
    Server server;
    server.name = name;
    server.address.url = "fake://" + name;
    server.address.key = Secret("material");
    server.labels["zone"] = "北";
    server.created_at = Timestamp(std::chrono::microseconds(7));
    return take(write([&](store::Transaction& t) { return server_rows::insert(t, server, sealing_); }));
  }

  static ContainerRow row(const std::string& name, ServerId server) {
    ContainerRow row;
    row.name = row.engine_name = name;
    row.server = server;
    row.presence = Presence::present;
    row.desired.image = "nginx:1";
    row.desired.settings.environment["A"] = "b\"c\n";
    row.desired.settings.ports.push_back({53, compute::Protocol::udp, std::nullopt, "192.0.2.1"});
    row.desired.settings.mounts.push_back({"data", "/data", true});
    row.desired.settings.restart_policy = compute::RestartPolicy::unless_stopped;
    row.desired.limits.cpus = 1.5;
    row.created_at = row.updated_at = Timestamp(std::chrono::microseconds(9));
    return row;
  }
  Result<ContainerId> add(const ContainerRow& one) {
    return write([&](store::Transaction& t) { return container_rows::insert(t, one); });
  }

  store::Place place_{GetParam()};
  identity::Sealing sealing_ = identity::Sealing::from_keys({Secret(std::string(32, 's'))});
  std::unique_ptr<store::Database> database_;
};

TEST_P(FleetRows, ServersComeBackAsTheyWereWritten) {
  const ServerId id = add_server("one");
  const auto all = take(database_->read([&](store::Transaction& t) { return server_rows::load(t, sealing_); }));
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all.front().server.id, id);
  EXPECT_EQ(all.front().server.labels.at("zone"), "北");
  EXPECT_EQ(all.front().server.address.key.reveal(), "material");
  EXPECT_FALSE(all.front().problem);
}

TEST_P(FleetRows, ContainersComeBackAsTheyWereWritten) {
  const auto server = add_server("one");
  auto wanted = row("web", server);
  wanted.pending = Pending{};
  wanted.pending->kind = Pending::Kind::restore;
  wanted.pending->volumes = {"data"};
  wanted.pending->desired = wanted.desired;
  wanted.epoch = 1LL << 40U;
  const auto id = take(add(wanted));
  const auto found = take(database_->read([&](store::Transaction& t) { return container_rows::find(t, id); }));
  ASSERT_TRUE(found);
  EXPECT_EQ((*found)->desired, wanted.desired);
  EXPECT_EQ((*found)->pending, wanted.pending);
  EXPECT_EQ((*found)->epoch, wanted.epoch);
  EXPECT_EQ((*found)->server, server);
  EXPECT_EQ((*found)->owner, UserId());
  EXPECT_EQ((*found)->created_at, wanted.created_at);
}

TEST_P(FleetRows, ANameIsTakenByOneContainerAtATime) {
  const auto server = add_server("one");
  const auto web = take(add(row("web", server)));
  const auto again = add(row("web", server));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().reason(), "container.exists");
  // A name that a container is just getting is taken as well.
  ASSERT_TRUE(write([&](store::Transaction& t) { return container_rows::take_name(t, web, "api"); }));
  ASSERT_TRUE(write([&](store::Transaction& t) { return container_rows::take_name(t, web, "api"); }));
  EXPECT_FALSE(add(row("api", server)));
  ASSERT_TRUE(write([&](store::Transaction& t) { return container_rows::keep_only_name(t, web, "web"); }));
  EXPECT_TRUE(add(row("api", server)));
  ASSERT_TRUE(write([&](store::Transaction& t) { return container_rows::remove(t, web); }));
  EXPECT_TRUE(add(row("web", server)));
}

TEST_P(FleetRows, TheOwnerThatIsRemovedLeavesTheContainer) {
  const auto server = add_server("one");
  const auto user = take(write([&](store::Transaction& t) {
    return t.insert(
        "INSERT INTO users (uuid, username, username_key, password_hash, role, created_at, updated_at) VALUES "
        "('u-1', 'alice', 'alice', '', 'user', 0, 0)");
  }));
  auto wanted = row("web", server);
  wanted.owner = UserId(user);
  const auto id = take(add(wanted));
  const auto uuid =
      take(database_->read([&](store::Transaction& t) { return container_rows::uuid_of_user(t, UserId(user)); }));
  EXPECT_EQ(uuid, "u-1");
  EXPECT_EQ(take(database_->read([&](store::Transaction& t) { return container_rows::user_of_uuid(t, "u-1"); })),
            UserId(user));
  take(write([&](store::Transaction& t) { return t.execute("DELETE FROM users"); }));
  const auto found = take(database_->read([&](store::Transaction& t) { return container_rows::find(t, id); }));
  EXPECT_EQ((*found)->owner, UserId());
}

INSTANTIATE_TEST_SUITE_P(Engines, FleetRows, ::testing::Values(store::Dialect::sqlite, store::Dialect::postgresql),
                         store::engine_name);

TEST(HelperNames, TellWhoseTheyAre) {
  EXPECT_EQ(owner_of_helper(fresh_name(ContainerId(12))), ContainerId(12));
  EXPECT_EQ(owner_of_helper(spare_name(ContainerId(12))), ContainerId(12));
  EXPECT_EQ(owner_of_helper("berth-new-12x"), std::nullopt);
  EXPECT_EQ(owner_of_helper("berth-new-"), std::nullopt);
  EXPECT_EQ(owner_of_helper("web"), std::nullopt);
}

}  // namespace
}  // namespace berth::fleet
