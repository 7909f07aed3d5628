// What a change of one instance costs among many: publishing it, and putting the list together anew.
#include <benchmark/benchmark.h>

#include "api/lxd_panel/instance_list.h"
#include "compute/inventory_model.h"
#include "json/write.h"
#include "micro/sample_instances.h"

namespace berth::bench {
namespace {

using namespace api::lxd_panel;

/// An inventory that has been read whole once.
compute::InventoryModel filled_model(std::size_t count) {
  compute::InventoryModel model(4);
  model.apply_all(model.begin_read(), sample_instances(count), compute::EngineInfo{},
                  Timestamp(std::chrono::seconds(1)));
  return model;
}

/// The instance in the middle, with another address each time: a change of structure, not of counters.
compute::Instance changed_instance(std::size_t count, std::uint64_t round) {
  compute::Instance instance = sample_instance(count / 2);
  instance.ipv4 = "10.9." + std::to_string(round / 250 % 250) + "." + std::to_string(round % 250);
  return instance;
}

void inventory_publish_one_change(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  compute::InventoryModel model = filled_model(count);
  std::uint64_t round = 0;
  for (auto _ : state) {
    const auto mark = model.begin_read();
    if (!model.apply_one(mark, changed_instance(count, ++round))) state.SkipWithError("nothing was published");
  }
}
BENCHMARK(inventory_publish_one_change)->Arg(100)->Arg(1000)->Arg(10000)->Unit(benchmark::kMicrosecond);

void inventory_publish_full_read(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  compute::InventoryModel model = filled_model(count);
  std::uint64_t round = 0;
  for (auto _ : state) {
    state.PauseTiming();
    auto instances = sample_instances(count);
    ++round;
    for (auto& instance : instances) instance.counters.memory_bytes += round << 12U;
    const auto mark = model.begin_read();
    state.ResumeTiming();
    benchmark::DoNotOptimize(
        model.apply_all(mark, std::move(instances), compute::EngineInfo{}, Timestamp(std::chrono::seconds(round + 1))));
  }
}
BENCHMARK(inventory_publish_full_read)->Arg(1000)->Arg(10000)->Unit(benchmark::kMillisecond);

/// The first request behind a change pays this; all others are handed the finished list.
void list_rebuild_after_one_change(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  compute::InventoryModel model = filled_model(count);
  InstanceList list;
  compute::Viewer viewer;
  viewer.sees_all = true;
  benchmark::DoNotOptimize(list.whole(model.snapshot(), viewer, Secrets::shown));
  std::uint64_t round = 0;
  for (auto _ : state) {
    state.PauseTiming();
    const auto mark = model.begin_read();
    const auto snapshot = model.apply_one(mark, changed_instance(count, ++round));
    state.ResumeTiming();
    benchmark::DoNotOptimize(list.whole(snapshot, viewer, Secrets::shown));
  }
}
BENCHMARK(list_rebuild_after_one_change)->Arg(100)->Arg(1000)->Arg(10000)->Unit(benchmark::kMicrosecond);

/// The counter "encoded" is how many texts one change makes anew: it must be 1 however many instances there are.
void fragments_after_one_change(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  compute::InventoryModel model = filled_model(count);
  const auto encode = [](const compute::Instance& instance) {
    return json::to_json(info_of(instance, Secrets::shown));
  };
  Fragments fragments(model.snapshot(), {}, encode, same_info);
  std::uint64_t round = 0;
  std::size_t encoded = 0;
  for (auto _ : state) {
    state.PauseTiming();
    const auto mark = model.begin_read();
    const auto snapshot = model.apply_one(mark, changed_instance(count, ++round));
    state.ResumeTiming();
    fragments = Fragments(snapshot, fragments, encode, same_info);
    encoded += fragments.encoded();
  }
  state.counters["encoded"] = benchmark::Counter(static_cast<double>(encoded), benchmark::Counter::kAvgIterations);
}
BENCHMARK(fragments_after_one_change)->Arg(100)->Arg(10000)->Unit(benchmark::kMicrosecond);

void list_page_of_50(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  const compute::InventoryModel model = filled_model(count);
  InstanceList list;
  compute::Viewer viewer;
  viewer.sees_all = true;
  ListQuery query;
  query.limit = 50;
  std::size_t offset = 0;
  for (auto _ : state) {
    offset = (offset + 50) % count;
    query.offset = offset;
    benchmark::DoNotOptimize(list.page(model.snapshot(), viewer, Secrets::shown, query));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(list_page_of_50)->Arg(100)->Arg(10000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace berth::bench
