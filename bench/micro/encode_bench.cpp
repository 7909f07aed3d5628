// From an instance to its JSON text, in each of the forms that the panel shows.
#include <benchmark/benchmark.h>

#include "api/lxd_panel/encode.h"
#include "json/write.h"
#include "micro/sample_instances.h"

namespace berth::api::lxd_panel {
namespace {

constexpr HostTotals kHost{16ULL << 30U, 500ULL << 30U};

template <class Make>
void encode(benchmark::State& state, Make make) {
  const compute::Instance instance = bench::sample_instance(42);
  std::size_t bytes = 0;
  for (auto _ : state) {
    const std::string text = json::to_json(make(instance));
    bytes += text.size();
    benchmark::DoNotOptimize(text.data());
  }
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}

void encode_info(benchmark::State& state) {
  encode(state, [](const compute::Instance& instance) { return info_of(instance, Secrets::shown); });
}
BENCHMARK(encode_info);

void encode_detail(benchmark::State& state) {
  encode(state, [](const compute::Instance& instance) { return detail_of(instance, kHost, Secrets::shown); });
}
BENCHMARK(encode_detail);

void encode_monitored(benchmark::State& state) {
  encode(state, [](const compute::Instance& instance) { return monitored_of(instance, kHost); });
}
BENCHMARK(encode_monitored);

}  // namespace
}  // namespace berth::api::lxd_panel
