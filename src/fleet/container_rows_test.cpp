#include "fleet/container_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fleet/server_rows.h"
#include "store/both_engines_fixture.h"

namespace berth::fleet {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

identity::Sealing sealing_with(char key) {
  return identity::Sealing::from_keys({Secret(std::string(32, key))});
}

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
    return write([&](store::Transaction& t) { return container_rows::insert(t, one, sealing_); });
  }

  RowPointer find(ContainerId id, const identity::Sealing& sealing) {
    return *take(database_->read([&](store::Transaction& t) { return container_rows::find(t, id, sealing); }));
  }
  /// What rests of a container's specifications.
  std::string resting(ContainerId id) {
    return take(database_->read([&](store::Transaction& t) -> Result<std::string> {
      const auto rows = BERTH_TRY(t.query("SELECT desired, pending FROM containers WHERE id = :id", {{"id", id}}));
      return rows.front().text("desired") + rows.front().text("pending");
    }));
  }
  Result<std::int64_t> reseal(const identity::Sealing& sealing) {
    return write([&](store::Transaction& t) { return container_rows::reseal(t, sealing); });
  }
  ContainerRow row_with_pending(const std::string& name) {
    auto wanted = row(name, add_server("server-of-" + name));
    wanted.pending = Pending{};
    wanted.pending->kind = Pending::Kind::replace;
    wanted.pending->desired = wanted.desired;
    wanted.pending->desired->settings.environment["TOKEN"] = "hunter3";
    return wanted;
  }
  void set_resting(ContainerId id, const std::string& desired) {
    take(write([&](store::Transaction& t) {
      return t.execute("UPDATE containers SET desired = :desired WHERE id = :id", {{"desired", desired}, {"id", id}});
    }));
  }

  store::Place place_{GetParam()};
  identity::Sealing sealing_ = sealing_with('s');
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
  const auto found =
      take(database_->read([&](store::Transaction& t) { return container_rows::find(t, id, sealing_); }));
  ASSERT_TRUE(found);
  EXPECT_EQ((*found)->desired, wanted.desired);
  EXPECT_EQ((*found)->pending, wanted.pending);
  EXPECT_EQ((*found)->epoch, wanted.epoch);
  EXPECT_EQ((*found)->server, server);
  EXPECT_EQ((*found)->owner, UserId());
  EXPECT_EQ((*found)->created_at, wanted.created_at);
}

TEST_P(FleetRows, EnvironmentsRestSealedAndTheRestReadable) {
  auto wanted = row_with_pending("web");
  wanted.desired.settings.environment["PASSWORD"] = "hunter2";
  const auto id = take(add(wanted));
  EXPECT_THAT(resting(id), Not(HasSubstr("hunter")));
  EXPECT_THAT(resting(id), Not(HasSubstr("PASSWORD")));
  EXPECT_THAT(resting(id), HasSubstr("nginx:1"));
  wanted.id = id;
  wanted.desired.settings.environment["PASSWORD"] = "hunter4";
  ASSERT_TRUE(take(write([&](store::Transaction& t) { return container_rows::update(t, wanted, sealing_); })));
  EXPECT_THAT(resting(id), Not(HasSubstr("hunter")));
  EXPECT_EQ(find(id, sealing_)->desired, wanted.desired);
  EXPECT_EQ(find(id, sealing_)->pending, wanted.pending);
}

// As 0.1 wrote it.
constexpr const char* kUnsealed =
    R"({"image":"nginx:1","settings":{"command":[],"entrypoint":[],"environment":{"PASSWORD":"hunter2"},"ports":[],)"
    R"("mounts":[],"networks":[],"restart_policy":"no","labels":{},"working_directory":"","user":"","hostname":""},)"
    R"("cpus":null,"memory_bytes":null,"disk_bytes":null,"running":true})";

TEST_P(FleetRows, WhatRestedUnsealedIsReadAndSealedByTheNextWrite) {
  const auto id = take(add(row("web", add_server("one"))));
  set_resting(id, kUnsealed);
  const auto found = find(id, sealing_);
  EXPECT_EQ(found->desired.settings.environment.at("PASSWORD"), "hunter2");
  ASSERT_TRUE(take(write([&](store::Transaction& t) { return container_rows::update(t, *found, sealing_); })));
  EXPECT_THAT(resting(id), Not(HasSubstr("hunter2")));
  EXPECT_EQ(find(id, sealing_)->desired, found->desired);
}

TEST_P(FleetRows, ResealingMovesEnvironmentsToTheNewestKey) {
  const auto wanted = row_with_pending("web");
  const auto sealed = take(add(wanted));
  const auto unsealed = take(add(row("api", add_server("one"))));
  set_resting(unsealed, kUnsealed);
  auto plain = row("plain", add_server("two"));
  plain.desired.settings.environment.clear();
  take(add(plain));
  EXPECT_EQ(take(reseal(sealing_)), 1) << "the unsealed one";
  EXPECT_THAT(resting(unsealed), Not(HasSubstr("hunter2")));
  const auto both = identity::Sealing::from_keys({Secret(std::string(32, 'n')), Secret(std::string(32, 's'))});
  EXPECT_EQ(take(reseal(both)), 2);
  EXPECT_EQ(take(reseal(both)), 0);
  const auto newest = sealing_with('n');
  EXPECT_EQ(find(sealed, newest)->desired, wanted.desired);
  EXPECT_EQ(find(sealed, newest)->pending, wanted.pending);
  EXPECT_EQ(find(unsealed, newest)->desired.settings.environment.at("PASSWORD"), "hunter2");
}

TEST_P(FleetRows, ResealingWhatDoesNotOpenChangesNothing) {
  const auto one = take(add(row("web", add_server("one"))));
  take(add(row("api", add_server("two"))));
  const std::string before = resting(one);
  const auto refused = reseal(sealing_with('x'));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason(), "sealing.broken");
  EXPECT_EQ(resting(one), before);
}

TEST_P(FleetRows, AnEnvironmentWhoseKeyIsGoneIsToldOfAndGoesOnResting) {
  const auto wanted = row("web", add_server("one"));
  const auto id = take(add(wanted));
  const auto other = sealing_with('x');
  auto found = *find(id, other);
  EXPECT_FALSE(found.desired.unopened.empty());
  const auto opened = check_opened(found.desired, "web");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().reason(), "container.environment");
  found.desired.running = false;
  ASSERT_TRUE(take(write([&](store::Transaction& t) { return container_rows::update(t, found, other); })));
  EXPECT_EQ(find(id, sealing_)->desired.settings, wanted.desired.settings) << "the key came back";
  EXPECT_TRUE(check_opened(find(id, sealing_)->desired, "web"));
}

TEST_P(FleetRows, ASealedEnvironmentIsBoundToItsContainer) {
  const auto one = take(add(row("web", add_server("one"))));
  const auto other = take(add(row("api", add_server("two"))));
  set_resting(other, resting(one));
  EXPECT_FALSE(find(other, sealing_)->desired.unopened.empty());
  EXPECT_TRUE(find(other, sealing_)->desired.settings.environment.empty());
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
  const auto found =
      take(database_->read([&](store::Transaction& t) { return container_rows::find(t, id, sealing_); }));
  EXPECT_EQ((*found)->owner, UserId());
}

TEST_P(FleetRows, ContainersOnTheirWayToAServerAreCounted) {
  const auto home = add_server("one");
  const auto goal = add_server("two");
  using Kind = Pending::Kind;
  for (const Kind kind : {Kind::relocate, Kind::recover, Kind::restore}) {
    auto moving = row("c-" + std::to_string(static_cast<int>(kind)), home);
    moving.pending = Pending{};
    moving.pending->kind = kind;
    moving.pending->server = goal;
    take(add(moving));
  }
  auto renamed = row("other", home);
  renamed.pending = Pending{};
  renamed.pending->kind = Kind::rename;
  take(add(renamed));
  const auto count = [&](ServerId server) {
    return take(write([&](store::Transaction& t) { return container_rows::count_moving_to(t, server); }));
  };
  EXPECT_EQ(count(goal), 3);
  EXPECT_EQ(count(home), 0);
  EXPECT_TRUE(write([&](store::Transaction& t) { return server_rows::require(t, goal); }));
  EXPECT_FALSE(write([&](store::Transaction& t) { return server_rows::require(t, ServerId(99)); }));
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
