#include "fleet/evacuation_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::fleet {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint64_t kGiB = 1ULL << 30U;

PlacementCandidate server(int id, std::uint64_t gib) {
  PlacementCandidate candidate;
  candidate.id = ServerId(id);
  candidate.health = id == 1 ? ServerHealth::unreachable : ServerHealth::healthy;
  candidate.connected = id != 1;
  candidate.memory_bytes = gib * kGiB;
  return candidate;
}

PlacedContainer container(int id, int on, std::uint64_t gib) {
  PlacedContainer one;
  one.id = ContainerId(id);
  one.name = "c" + std::to_string(id);
  one.server = ServerId(on);
  one.limits.memory_bytes = gib * kGiB;
  return one;
}

std::vector<ContainerId> ids(const FleetState& state) {
  std::vector<ContainerId> ids;
  for (const auto& one : state.containers) {
    if (one.server == ServerId(1)) ids.push_back(one.id);
  }
  return ids;
}

TEST(EvacuationPlanTest, TheGreediestIsPlacedFirst) {
  const FleetState state{{server(1, 64), server(2, 8), server(3, 4)},
                         {container(1, 1, 1), container(2, 1, 7), container(3, 1, 3)}};
  const auto plan = plan_evacuation(state, ServerId(1), ids(state));
  ASSERT_EQ(plan.groups.size(), 3u);
  EXPECT_EQ(plan.groups[0].front().container, ContainerId(2));
  EXPECT_EQ(plan.groups[0].front().to, ServerId(2));
  EXPECT_EQ(plan.groups[1].front().to, ServerId(3));
  EXPECT_THAT(plan.homeless, IsEmpty());
}

TEST(EvacuationPlanTest, WhatFitsNowhereIsNamed) {
  const FleetState state{{server(1, 64), server(2, 8)}, {container(1, 1, 6), container(2, 1, 6)}};
  const auto plan = plan_evacuation(state, ServerId(1), ids(state));
  EXPECT_EQ(plan.groups.size(), 1u);
  EXPECT_THAT(plan.homeless, ElementsAre(ContainerId(2)));
}

TEST(EvacuationPlanTest, ContainersThatShareAVolumeStayTogether) {
  FleetState state{{server(1, 64), server(2, 8), server(3, 8)},
                   {container(1, 1, 2), container(2, 1, 2), container(3, 1, 2)}};
  state.containers[0].volumes = {"data"};
  state.containers[2].volumes = {"data", "more"};
  const auto plan = plan_evacuation(state, ServerId(1), ids(state));
  ASSERT_EQ(plan.groups.size(), 2u);
  ASSERT_EQ(plan.groups[0].size(), 2u);
  EXPECT_EQ(plan.groups[0][0].to, plan.groups[0][1].to);
  EXPECT_NE(plan.groups[1][0].to, plan.groups[0][0].to);
}

TEST(EvacuationPlanTest, TakenPortsAndVolumesAndOldCopiesAreAvoided) {
  FleetState state{{server(1, 64), server(2, 64), server(3, 8), server(4, 4)},
                   {container(1, 1, 1), container(2, 2, 1), container(3, 3, 1)}};
  state.containers[0].ports.emplace(compute::Protocol::tcp, 80);
  state.containers[1].ports.emplace(compute::Protocol::tcp, 80);
  state.containers[0].volumes = {"data"};
  state.containers[2].volumes = {"data"};
  EXPECT_EQ(plan_evacuation(state, ServerId(1), ids(state)).groups.at(0).at(0).to, ServerId(4));
  state.containers[0].barred.insert(ServerId(4));
  EXPECT_THAT(plan_evacuation(state, ServerId(1), ids(state)).homeless, ElementsAre(ContainerId(1)));
}

TEST(FenceDecisionTest, NothingThatMayRunIsLetRunTwice) {
  FenceSituation down;
  down.health = ServerHealth::unreachable;
  EXPECT_EQ(decide_fence(down), FenceDecision::refuse);
  auto one = down;
  one.confirmed = true;
  EXPECT_EQ(decide_fence(one), FenceDecision::confirm);
  one.fenced = true;
  EXPECT_EQ(decide_fence(one), FenceDecision::go_on);
  one.connected = true;
  EXPECT_EQ(decide_fence(one), FenceDecision::leave) << "it answers after all";
  one = down;
  one.fence = Fence::command;
  EXPECT_EQ(decide_fence(one), FenceDecision::refuse) << "the configuration does not know the command";
  one.command_known = true;
  EXPECT_EQ(decide_fence(one), FenceDecision::command);
  one.fence = Fence::agent;
  EXPECT_EQ(decide_fence(one), FenceDecision::refuse);
  for (const auto health : {ServerHealth::unknown, ServerHealth::healthy, ServerHealth::degraded}) {
    FenceSituation up;
    up.health = health;
    up.confirmed = up.fenced = true;
    EXPECT_EQ(decide_fence(up), FenceDecision::leave);
  }
}

}  // namespace
}  // namespace berth::fleet
