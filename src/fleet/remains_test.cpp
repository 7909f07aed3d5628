#include "fleet/remains.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fleet/container_rows.h"
#include "fleet/server_rows.h"
#include "store/both_engines_fixture.h"

namespace berth::fleet {
namespace {

/// The real schema, on both engines.
class RemainsTest : public ::testing::TestWithParam<store::Dialect> {
 protected:
  RemainsTest() {
    database_ = take(store::Database::open(place_.settings(), place_.metrics()));
    take(database_->migrate());
    Server server;
    server.name = "one";
    server.address.url = "fake://one";
    server_ = take(database_->write([&](store::Transaction& t) { return server_rows::insert(t, server, sealing_); }));
  }

  template <class T>
  static T take(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().describe());
    if constexpr (!std::is_void_v<T>) return std::move(*result);
  }
  void write(const std::function<Result<void>(store::Transaction&)>& work) {
    take(database_->write(work));
    take(book().load());
  }
  RemainsBook& book() {
    if (!book_) book_ = std::make_unique<RemainsBook>(*database_, system_clock());
    return *book_;
  }
  static compute::Instance instance(const std::string& name, const std::string& id) {
    compute::Instance instance;
    instance.name = name;
    instance.engine_id = id;
    return instance;
  }

  store::Place place_{GetParam()};
  identity::Sealing sealing_ = identity::Sealing::from_keys({Secret(std::string(32, 's'))});
  std::unique_ptr<store::Database> database_;
  std::unique_ptr<RemainsBook> book_;
  ServerId server_;
};

TEST_P(RemainsTest, RemainsComeBackAsTheyWereWrittenAndGo) {
  write([&](store::Transaction& t) {
    return book().add(t, {.server = server_,
                          .container = ContainerId(7),
                          .engine_name = "web",
                          .engine_id = "abc",
                          .volumes = {"data", "更多"},
                          .disposable = true});
  });
  ASSERT_EQ(book().on(server_).size(), 1u);
  const Remains found = book().on(server_).front();
  EXPECT_EQ(found.container, ContainerId(7));
  EXPECT_EQ(found.engine_name, "web");
  EXPECT_EQ(found.volumes, (std::vector<std::string>{"data", "更多"}));
  EXPECT_TRUE(found.disposable);
  EXPECT_THAT(book().servers_of(ContainerId(7)), ::testing::ElementsAre(server_));
  EXPECT_TRUE(book().concerns(server_));
  write([&](store::Transaction& t) { return RemainsBook::remove(t, found.id); });
  EXPECT_FALSE(book().concerns(server_));
}

TEST_P(RemainsTest, AnInstanceIsKnownByItsIdOrElseByItsName) {
  write([&](store::Transaction& t) -> Result<void> {
    BERTH_CHECK(
        book().add(t, {.server = server_, .container = ContainerId(1), .engine_name = "web", .engine_id = "abc"}));
    return book().add(t, {.server = server_, .container = ContainerId(2), .engine_name = "shop"});
  });
  EXPECT_TRUE(book().match(server_, instance("renamed", "abc")));
  EXPECT_FALSE(book().match(server_, instance("web", "another"))) << "made by somebody since";
  EXPECT_TRUE(book().match(server_, instance("shop", "any")));
  EXPECT_TRUE(book().match(server_, instance(fresh_name(ContainerId(1)), "new")));
  EXPECT_FALSE(book().match(server_, instance("other", "other")));
  EXPECT_FALSE(book().match(ServerId(99), instance("shop", "any")));
}

TEST_P(RemainsTest, AServerIsFencedUntilItIsNot) {
  EXPECT_FALSE(book().fenced(server_));
  write([&](store::Transaction& t) { return book().mark(t, server_, "person"); });
  ASSERT_TRUE(book().fenced(server_));
  EXPECT_EQ(book().fenced(server_)->how, "person");
  EXPECT_GT(book().fenced(server_)->at.time_since_epoch().count(), 0);
  write([&](store::Transaction& t) -> Result<void> {
    EXPECT_TRUE(*RemainsBook::is_marked(t, server_));
    EXPECT_TRUE(*RemainsBook::unmark(t, server_));
    EXPECT_FALSE(*RemainsBook::is_marked(t, server_));
    return {};
  });
  EXPECT_FALSE(book().fenced(server_));
}

TEST_P(RemainsTest, WhatLiesOnAServerThatIsRemovedIsForgotten) {
  write([&](store::Transaction& t) {
    return book().add(t, {.server = server_, .container = ContainerId(1), .engine_name = "web"});
  });
  write([&](store::Transaction& t) { return server_rows::remove(t, server_); });
  EXPECT_FALSE(book().concerns(server_));
}

INSTANTIATE_TEST_SUITE_P(Engines, RemainsTest, ::testing::Values(store::Dialect::sqlite, store::Dialect::postgresql),
                         store::engine_name);

}  // namespace
}  // namespace berth::fleet
