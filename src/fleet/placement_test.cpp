#include "fleet/placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "fleet/fleet_fixture.h"

namespace berth::fleet {
namespace {

constexpr std::uint64_t kGibibyte = 1ULL << 30U;

PlacementCandidate candidate(std::int64_t id) {
  PlacementCandidate one;
  one.id = ServerId(id);
  one.name = "server-" + std::to_string(id);
  one.health = ServerHealth::healthy;
  one.connected = true;
  one.cpus = 8;
  one.memory_bytes = 16 * kGibibyte;
  return one;
}

std::int64_t chosen(const std::vector<PlacementCandidate>& candidates, const compute::InstanceLimits& limits = {}) {
  return choose_server(candidates, limits).value_or(ServerId()).value();
}

compute::InstanceLimits memory(std::uint64_t bytes) {
  compute::InstanceLimits limits;
  limits.memory_bytes = bytes;
  return limits;
}

TEST(Placement, TheServerWithTheLeastReservedIsChosen) {
  auto one = candidate(1);
  auto two = candidate(2);
  one.memory_reserved_bytes = 8 * kGibibyte;
  two.memory_reserved_bytes = 4 * kGibibyte;
  EXPECT_EQ(chosen({one, two}), 2);
  two.cpus_reserved = 7;
  EXPECT_EQ(chosen({one, two}), 1);
}

TEST(Placement, WhereNothingIsReservedTheNumberOfContainersDecides) {
  auto one = candidate(1);
  auto two = candidate(2);
  one.containers = 3;
  two.containers = 2;
  EXPECT_EQ(chosen({one, two}), 2);
  two.containers = 3;
  EXPECT_EQ(chosen({two, one}), 1);
}

TEST(Placement, ABiggerMachineTakesMore) {
  auto small = candidate(1);
  auto big = candidate(2);
  big.memory_bytes = 64 * kGibibyte;
  small.memory_reserved_bytes = 4 * kGibibyte;
  big.memory_reserved_bytes = 8 * kGibibyte;
  EXPECT_EQ(chosen({small, big}, memory(kGibibyte)), 2);
}

TEST(Placement, AFullServerIsLeftOut) {
  auto one = candidate(1);
  one.memory_reserved_bytes = 15 * kGibibyte;
  EXPECT_EQ(chosen({one}, memory(kGibibyte)), 1);
  EXPECT_EQ(chosen({one}, memory(2 * kGibibyte)), 0);
  compute::InstanceLimits cores;
  cores.cpus = 9;
  EXPECT_EQ(chosen({one}, cores), 0);
}

TEST(Placement, DrainingLostAndUnconnectedServersAreLeftOut) {
  auto one = candidate(1);
  one.placement = Placement::draining;
  auto two = candidate(2);
  two.health = ServerHealth::unreachable;
  auto three = candidate(3);
  three.connected = false;
  EXPECT_EQ(chosen({one, two, three}), 0);
}

TEST(Placement, ADegradedServerIsTheLastChoice) {
  auto one = candidate(1);
  one.health = ServerHealth::degraded;
  auto two = candidate(2);
  two.memory_reserved_bytes = 15 * kGibibyte;
  EXPECT_EQ(chosen({one, two}), 2);
  EXPECT_EQ(chosen({one, two}, memory(4 * kGibibyte)), 1);
}

using PlacementService = FleetFixture;

TEST_F(PlacementService, NewContainersSpreadOverTheServers) {
  begin({"one", "two"});
  std::vector<std::future<bool>> making;
  for (int i = 0; i < 10; ++i) {
    making.push_back(std::async(std::launch::async,
                                [this, i] { return make(alice(), wish("web-" + std::to_string(i))).has_value(); }));
  }
  for (auto& one : making) EXPECT_TRUE(one.get());
  EXPECT_EQ(on("one").size(), 5u);
  EXPECT_EQ(on("two").size(), 5u);
}

TEST_F(PlacementService, ADrainingServerTakesNothingNew) {
  begin({"one", "two"});
  ASSERT_TRUE(registry_->set_placement(take(registry_->find("one")).server.id, Placement::draining, admin().origin));
  for (const auto* name : {"a1", "a2", "a3"}) ASSERT_TRUE(make(alice(), wish(name)));
  EXPECT_TRUE(on("one").empty());
  auto named = wish("a4");
  named.server = "one";
  expect_error(containers_->create(alice(), named), ErrorCode::conflict, "placement.draining");
  named.server = "nowhere";
  expect_error(containers_->create(alice(), named), ErrorCode::not_found, "server.not_found");
}

TEST_F(PlacementService, WithoutRoomAnywhereNothingIsMade) {
  engine("one", {.memory_bytes = kGibibyte});
  begin();
  auto wanted = wish("web");
  wanted.limits = memory(kGibibyte * 3 / 4);
  ASSERT_TRUE(make(alice(), wanted));
  wanted.name = "web-2";
  expect_error(containers_->create(alice(), wanted), ErrorCode::conflict, "placement.no_server");
  EXPECT_EQ(seen("web-2"), nullptr);
}

TEST_F(PlacementService, WithoutAServerNothingIsMade) {
  begin({});
  expect_error(containers_->create(alice(), wish("web")), ErrorCode::conflict, "placement.no_server");
}

}  // namespace
}  // namespace berth::fleet
