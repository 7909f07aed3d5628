#include "fleet/balance_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace berth::fleet {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint64_t kGiB = 1ULL << 30U;

PlacementCandidate server(int id, std::uint64_t gib = 16) {
  PlacementCandidate candidate;
  candidate.id = ServerId(id);
  candidate.name = "server-" + std::to_string(id);
  candidate.health = ServerHealth::healthy;
  candidate.connected = true;
  candidate.cpus = 16;
  candidate.memory_bytes = gib * kGiB;
  return candidate;
}

/// Puts a container on a server, reserved there.
void put(FleetState& state, int id, int on, std::uint64_t gib) {
  PlacedContainer container;
  container.id = ContainerId(id);
  container.name = "c" + std::to_string(id);
  container.server = ServerId(on);
  container.limits.memory_bytes = gib * kGiB;
  state.containers.push_back(container);
  for (auto& one : state.servers) {
    if (one.id == container.server) {
      one.memory_reserved_bytes += gib * kGiB;
      ++one.containers;
    }
  }
}

std::vector<std::string> moves(const BalancePlan& plan) {
  std::vector<std::string> words;
  for (const auto& move : plan.moves) {
    words.push_back(move.name + ":" + std::to_string(move.from.value()) + ">" + std::to_string(move.to.value()));
  }
  return words;
}

TEST(BalancePlanTest, ABalancedFleetStaysAsItIs) {
  FleetState state{{server(1), server(2)}, {}};
  put(state, 1, 1, 4);
  put(state, 2, 2, 4);
  EXPECT_THAT(moves(plan_balance(state)), IsEmpty());
  EXPECT_THAT(moves(plan_balance({})), IsEmpty());
  EXPECT_THAT(moves(plan_balance({{server(1)}, {}})), IsEmpty());
}

TEST(BalancePlanTest, OneMoveThatDoesItIsPreferredToSeveral) {
  FleetState state{{server(1), server(2)}, {}};
  for (int id = 1; id <= 4; ++id) put(state, id, 1, 1);
  put(state, 5, 1, 4);
  const auto plan = plan_balance(state);
  EXPECT_THAT(moves(plan), ElementsAre("c5:1>2"));
  EXPECT_DOUBLE_EQ(plan.worst_before, 0.5);
  EXPECT_DOUBLE_EQ(plan.worst_after, 0.25);
}

TEST(BalancePlanTest, WhatWouldOnlyChangePlacesStays) {
  FleetState state{{server(1), server(2)}, {}};
  put(state, 1, 1, 12);
  EXPECT_THAT(moves(plan_balance(state)), IsEmpty()) << "the other one would be as full";
}

TEST(BalancePlanTest, ADifferenceBelowTheMarginStays) {
  FleetState state{{server(1, 100), server(2, 100)}, {}};
  for (auto& one : state.servers) one.cpus = 1000;
  for (int id = 1; id <= 9; ++id) put(state, id, 1, 1);
  EXPECT_THAT(moves(plan_balance(state)), IsEmpty());
  for (int id = 10; id <= 14; ++id) put(state, id, 1, 1);
  EXPECT_FALSE(plan_balance(state).moves.empty());
}

TEST(BalancePlanTest, ServersThatCannotTakeGetNothing) {
  FleetState state{{server(1), server(2), server(3), server(4), server(5)}, {}};
  for (int id = 1; id <= 4; ++id) put(state, id, 1, 3);
  state.servers[1].placement = Placement::draining;
  state.servers[2].connected = false;
  state.servers[3].health = ServerHealth::degraded;
  state.servers[4].memory_bytes = 2 * kGiB;
  EXPECT_THAT(moves(plan_balance(state)), IsEmpty());
  state.servers[1].placement = Placement::open;
  EXPECT_THAT(moves(plan_balance(state)), ElementsAre("c1:1>2", "c2:1>2"));
}

TEST(BalancePlanTest, WhatIsTiedToItsServerStays) {
  FleetState state{{server(1), server(2)}, {}};
  for (int id = 1; id <= 4; ++id) put(state, id, 1, 3);
  state.containers[0].movable = false;
  state.containers[1].barred.insert(ServerId(2));
  state.containers[2].ports.emplace(compute::Protocol::tcp, 80);
  put(state, 9, 2, 1);
  state.containers[4].ports.emplace(compute::Protocol::tcp, 80);
  EXPECT_THAT(moves(plan_balance(state)), ElementsAre("c4:1>2"));
}

TEST(BalancePlanTest, ContainersWithoutLimitsAreSpreadByNumber) {
  FleetState state{{server(1), server(2)}, {}};
  for (int id = 1; id <= 20; ++id) {
    PlacedContainer container;
    container.id = ContainerId(id);
    container.name = "c" + std::to_string(id);
    container.server = ServerId(1);
    state.containers.push_back(container);
  }
  const auto plan = plan_balance(state);
  EXPECT_GE(plan.moves.size(), 6u);
  EXPECT_LE(plan.moves.size(), 10u);
}

TEST(BalancePlanTest, RandomFleetsOnlyEverGetBetter) {
  std::mt19937 random(20241121);
  const auto upto = [&](int most) { return static_cast<int>(random() % static_cast<unsigned>(most + 1)); };
  for (int round = 0; round < 300; ++round) {
    FleetState state;
    const int servers = 1 + upto(6);
    for (int id = 1; id <= servers; ++id) {
      auto one = server(id, static_cast<std::uint64_t>(4 + upto(60)));
      if (upto(5) == 0) one.placement = Placement::draining;
      if (upto(7) == 0) one.connected = false;
      if (upto(7) == 0) one.health = ServerHealth::degraded;
      state.servers.push_back(one);
    }
    const int containers = upto(60);
    for (int id = 1; id <= containers; ++id) {
      const int on = 1 + upto(servers - 1);
      auto& home = state.servers[static_cast<std::size_t>(on - 1)];
      const auto gib = static_cast<std::uint64_t>(upto(4));
      if (home.memory_reserved_bytes + gib * kGiB > home.memory_bytes) continue;
      put(state, id, on, gib);
      if (upto(9) == 0) state.containers.back().movable = false;
      if (upto(3) == 0) state.containers.back().ports.emplace(compute::Protocol::tcp, 8000 + upto(5));
    }
    const auto plan = plan_balance(state);
    EXPECT_LE(plan.worst_after, plan.worst_before) << round;
    if (!plan.moves.empty()) {
      EXPECT_LT(plan.worst_after, plan.worst_before) << round;
    }
    EXPECT_EQ(plan_balance(state).moves, plan.moves) << "the same state, the same plan";
    std::set<ContainerId> moved;
    FleetState now = state;
    for (const auto& move : plan.moves) {
      EXPECT_TRUE(moved.insert(move.container).second) << round;
      auto& container = *std::ranges::find(now.containers, move.container, &PlacedContainer::id);
      auto& from = *std::ranges::find(now.servers, move.from, &PlacementCandidate::id);
      auto& to = *std::ranges::find(now.servers, move.to, &PlacementCandidate::id);
      EXPECT_EQ(container.server, move.from) << round;
      EXPECT_TRUE(container.movable) << round;
      EXPECT_TRUE(from.connected && to.connected && to.placement == Placement::open) << round;
      EXPECT_EQ(to.health, ServerHealth::healthy) << round;
      EXPECT_TRUE(has_room(to, container.limits)) << round;
      for (const auto& other : now.containers) {
        if (other.server != move.to) continue;
        for (const auto& port : other.ports) EXPECT_FALSE(container.ports.contains(port)) << round;
      }
      container.server = move.to;
      from.memory_reserved_bytes -= *container.limits.memory_bytes;
      to.memory_reserved_bytes += *container.limits.memory_bytes;
    }
    double worst = 0;
    for (const auto& one : now.servers) {
      if (one.connected) worst = std::max(worst, fullness(now, one.id));
    }
    EXPECT_NEAR(worst, plan.worst_after, 1e-6) << round;
    for (std::size_t i = 0; i < plan.moves.size(); ++i) {
      // Each of them counts: without it, or what builds on it, the fullest would be fuller.
      FleetState without = state;
      for (std::size_t j = 0; j < plan.moves.size(); ++j) {
        if (j == i) continue;
        std::ranges::find(without.containers, plan.moves[j].container, &PlacedContainer::id)->server = plan.moves[j].to;
      }
      double then = 0;
      for (const auto& one : without.servers) {
        if (one.connected) then = std::max(then, fullness(without, one.id));
      }
      EXPECT_GE(then, plan.worst_after - 1e-6) << round;
    }
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace berth::fleet
