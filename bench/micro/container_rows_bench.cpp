// Containers as the store keeps them: read at the start, every environment sealed.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "fleet/container_rows.h"
#include "fleet/server_rows.h"
#include "micro/identity_fixture.h"

namespace berth::bench {
namespace {

constexpr int kContainers = 10'000;
constexpr int kVariables = 12;

const identity::Sealing& sealing() {
  static const auto made = identity::Sealing::from_keys({Secret(std::string(32, 's'))});
  return made;
}

std::string unsealed_environment() {
  std::string text = R"("environment":{)";
  for (int i = 0; i < kVariables; ++i) {
    text += (i == 0 ? "" : ",") + fmt::format(R"("VARIABLE_{}":"the value of the variable {}")", i, i);
  }
  return text + "}";
}

/// So many containers, their environments sealed or as they rested before they were.
void fill(store::Database& database, bool sealed) {
  must(database.write([&](store::Transaction& transaction) -> Result<void> {
    fleet::ContainerRow row;
    row.presence = fleet::Presence::present;
    row.desired.image = "registry.example.org/team/web:1.2.3";
    for (int i = 0; i < kVariables && sealed; ++i) {
      row.desired.settings.environment[fmt::format("VARIABLE_{}", i)] = fmt::format("the value of the variable {}", i);
    }
    for (int i = 0; i < kContainers; ++i) {
      row.name = row.engine_name = fmt::format("container-{}-{}", sealed, i);
      BERTH_CHECK(fleet::container_rows::insert(transaction, row, sealing()));
    }
    if (sealed) return {};
    const auto bare = BERTH_TRY(transaction.query("SELECT desired FROM containers LIMIT 1")).front().text("desired");
    const std::string empty = R"("environment":{})";
    std::string full = bare;
    full.replace(full.find(empty), empty.size(), unsealed_environment());
    BERTH_CHECK(transaction.execute("UPDATE containers SET desired = :full", {{"full", full}}));
    return {};
  }));
}

double seconds_of(const std::function<void()>& work) {
  const auto begun = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

/// All rows read with their environments sealed and unsealed, in turns: `seconds` for the sealed ones, `ratio` to the
/// others.
void fleet_load_10000(benchmark::State& state) {
  IdentityFixture with;
  IdentityFixture without;
  fill(with.database(), true);
  fill(without.database(), false);
  const auto load = [](store::Database& database) {
    const auto rows = must(database.read(
        [](store::Transaction& transaction) { return fleet::container_rows::all(transaction, sealing()); }));
    if (rows.size() != kContainers || rows.back()->desired.settings.environment.size() != kVariables) std::abort();
  };
  double sealed = 0;
  double unsealed = 0;
  for (auto _ : state) {
    sealed += seconds_of([&] { load(with.database()); });
    unsealed += seconds_of([&] { load(without.database()); });
  }
  state.counters["seconds"] = sealed / static_cast<double>(state.iterations());
  state.counters["ratio"] = sealed / unsealed;
}
BENCHMARK(fleet_load_10000)->Iterations(10)->UseRealTime()->Unit(benchmark::kMillisecond);

void fleet_seal_row(benchmark::State& state) {
  fleet::Desired desired;
  for (int i = 0; i < kVariables; ++i) {
    desired.settings.environment[fmt::format("VARIABLE_{}", i)] = fmt::format("the value of the variable {}", i);
  }
  const auto seal = fleet::seal_of(fleet::ContainerId(1), sealing());
  for (auto _ : state) benchmark::DoNotOptimize(to_json(desired, seal));
}
BENCHMARK(fleet_seal_row);

void fleet_open_row(benchmark::State& state) {
  fleet::Desired desired;
  for (int i = 0; i < kVariables; ++i) {
    desired.settings.environment[fmt::format("VARIABLE_{}", i)] = fmt::format("the value of the variable {}", i);
  }
  const auto seal = fleet::seal_of(fleet::ContainerId(1), sealing());
  const std::string text = to_json(desired, seal);
  for (auto _ : state) benchmark::DoNotOptimize(must(fleet::desired_from_json(text, seal)));
}
BENCHMARK(fleet_open_row);

}  // namespace
}  // namespace berth::bench
