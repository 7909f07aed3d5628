// Fleets whose servers die, hang, return and are split off, under the real code of placement, fencing, failover and
// rental, in virtual time. A run is chosen by its seed: BERTH_SIMULATION_SEEDS=17 plays one again,
// BERTH_SIMULATION_SEEDS=1001-9000 plays many.
#include "simulation/simulation.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>
#include <utility>

#include "base/log.h"

namespace berth::simulation {
namespace {

constexpr int kShards = 10;
constexpr std::uint64_t kFirst = 1;
constexpr std::uint64_t kLast = 1000;

/// Where a commit costs nothing, if there is such a place.
class QuickFolder : public ::testing::Environment {
 public:
  void SetUp() override {
    if (std::filesystem::is_directory("/dev/shm")) ::setenv("TMPDIR", "/dev/shm", 0);
    const bool aloud = std::getenv("BERTH_SIMULATION_LOG") != nullptr;
    log::configure({.level = aloud ? log::Level::info : log::Level::off, .format = log::Format::text, .file = ""});
  }
};
const auto* const kQuickFolder = ::testing::AddGlobalTestEnvironment(new QuickFolder);

std::pair<std::uint64_t, std::uint64_t> wanted_seeds() {
  const char* wanted = std::getenv("BERTH_SIMULATION_SEEDS");
  if (wanted == nullptr) return {kFirst, kLast};
  const std::string text = wanted;
  const auto dash = text.find('-');
  const auto first = std::stoull(text);
  return {first, dash == std::string::npos ? first : std::stoull(text.substr(dash + 1))};
}

class SimulationTest : public ::testing::TestWithParam<int> {};

TEST_P(SimulationTest, NothingRunsTwiceNothingIsForgottenAndNothingIsDeletedUnarchived) {
  const auto [first, last] = wanted_seeds();
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    if (static_cast<int>(seed % kShards) != GetParam()) continue;
    Simulation simulation(seed);
    try {
      simulation.run();
      if (std::getenv("BERTH_SIMULATION_SCRIPT") != nullptr) std::cout << simulation.script();
    } catch (const std::exception& exception) {
      ADD_FAILURE() << exception.what() << "\n" << simulation.script();
      if (std::getenv("BERTH_SIMULATION_GO_ON") == nullptr) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shards, SimulationTest, ::testing::Range(0, kShards));

}  // namespace
}  // namespace berth::simulation
