// Reading the description of an instance: done for each instance of every monitor message that is made anew.
#include <benchmark/benchmark.h>

#include "compute/description.h"

namespace berth::compute {
namespace {

void description_parse(benchmark::State& state, const char* text) {
  for (auto _ : state) benchmark::DoNotOptimize(parse_description(text));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(description_parse, of_the_form, "test1 20001 password123 30000 30025");
BENCHMARK_CAPTURE(description_parse, prose, "the build machine of the second team, ask Li before stopping it");

void description_mask(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(mask_password("test1 20001 password123 30000 30025"));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(description_mask);

}  // namespace
}  // namespace berth::compute
