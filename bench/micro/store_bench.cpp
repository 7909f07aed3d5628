// Durable writes: alone, each waits for a commit of its own; together, they share one.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>

#include "micro/identity_fixture.h"

namespace berth::bench {
namespace {

/// Shared by the threads of one run; made and ended by the first of them, outside the measured time.
std::unique_ptr<IdentityFixture> shared;

void store_write(benchmark::State& state) {
  if (state.thread_index() == 0) shared = std::make_unique<IdentityFixture>();
  audit::Origin origin{UserId(1), "bench", "127.0.0.1", "lxd-panel", RequestId("bench")};
  const audit::Entry entry{"instance.start", "instance", "test1", audit::Outcome::success, "{}"};
  for (auto _ : state) {
    if (!shared->audit().append(origin, entry)) state.SkipWithError("the write failed");
  }
  state.SetItemsProcessed(state.iterations());
  if (state.thread_index() == 0) shared.reset();
}
BENCHMARK(store_write)->Threads(1)->Threads(4)->Threads(16)->UseRealTime()->Unit(benchmark::kMicrosecond);

void store_read(benchmark::State& state) {
  IdentityFixture identity;
  for (auto _ : state) {
    const auto count = identity.database().read([](store::Transaction& transaction) -> Result<std::int64_t> {
      return BERTH_TRY(transaction.query("SELECT count(*) AS n FROM users WHERE username_key = :name",
                                         {{"name", "bench"}}))
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
