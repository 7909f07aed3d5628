// Durable writes: alone, each waits for a commit of its own; together, they share one.
#include <benchmark/benchmark.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "micro/identity_fixture.h"

namespace berth::bench {
namespace {

constexpr int kWriters = 16;
constexpr int kWritesEach = 8;

/// Durable writes, one behind the other.
void write(audit::AuditLog& audit, int count) {
  const audit::Origin origin{UserId(1), "bench", "127.0.0.1", "lxd-panel", RequestId("bench")};
  const audit::Entry entry{"instance.start", "instance", "test1", audit::Outcome::success, "{}"};
  for (int i = 0; i < count; ++i) must(audit.append(origin, entry));
}

double seconds_of(const std::function<void()>& work) {
  const auto begun = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

/// The same number of writes by one caller and by sixteen, in turns, so that a slow disk slows both down. The counter
/// "speedup" is how many times more writes a second the sixteen get done.
void store_group_commit(benchmark::State& state) {
  IdentityFixture identity;
  double alone = 0;
  double together = 0;
  for (auto _ : state) {
    alone += seconds_of([&] { write(identity.audit(), kWriters * kWritesEach); });
    together += seconds_of([&] {
      std::vector<std::jthread> writers;
      for (int i = 0; i < kWriters; ++i) writers.emplace_back([&] { write(identity.audit(), kWritesEach); });
    });
  }
  const double writes = static_cast<double>(state.iterations()) * kWriters * kWritesEach;
  state.counters["alone_per_second"] = writes / alone;
  state.counters["together_per_second"] = writes / together;
  state.counters["speedup"] = alone / together;
}
BENCHMARK(store_group_commit)->Iterations(10)->UseRealTime()->Unit(benchmark::kMillisecond);

void store_read(benchmark::State& state) {
  IdentityFixture identity;
  for (auto _ : state) {
    const auto count = identity.database().read([](store::Transaction& transaction) -> Result<std::int64_t> {
      return BERTH_TRY(
                 transaction.query("SELECT count(*) AS n FROM users WHERE username_key = :name", {{"name", "bench"}}))
          .front()
          .integer("n");
    });
    if (!count || *count != 1) state.SkipWithError("the read failed");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(store_read)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace berth::bench
