// Finding a route: what every request pays before anything else.
#include <benchmark/benchmark.h>

#include <array>
#include <string_view>
#include <utility>

#include "http/router.h"

namespace berth::http {
namespace {

/// About as many as one contract has.
constexpr std::array<std::pair<Method, std::string_view>, 36> kRoutes = {{
    {Method::get, "/"},
    {Method::get, "/api/health"},
    {Method::get, "/api/host/info"},
    {Method::get, "/ws/monitor"},
    {Method::get, "/api/instances"},
    {Method::post, "/api/instances"},
    {Method::post, "/api/instances/bulk"},
    {Method::get, "/api/instances/{name}"},
    {Method::patch, "/api/instances/{name}"},
    {Method::delete_, "/api/instances/{name}"},
    {Method::get, "/api/instances/{name}/resources"},
    {Method::post, "/api/instances/{name}/start"},
    {Method::post, "/api/instances/{name}/stop"},
    {Method::post, "/api/instances/{name}/restart"},
    {Method::post, "/api/instances/{name}/rename"},
    {Method::post, "/api/instances/{name}/exec"},
    {Method::get, "/api/instances/{name}/terminal"},
    {Method::get, "/api/instances/{name}/console"},
    {Method::get, "/api/instances/{name}/snapshots"},
    {Method::post, "/api/instances/{name}/snapshots"},
    {Method::post, "/api/instances/{name}/snapshots/{snapshot}/restore"},
    {Method::delete_, "/api/instances/{name}/snapshots/{snapshot}"},
    {Method::get, "/api/images"},
    {Method::delete_, "/api/images/{image}"},
    {Method::get, "/operations"},
    {Method::get, "/operations/{id}"},
    {Method::delete_, "/operations/{id}"},
    {Method::post, "/auth/login"},
    {Method::post, "/auth/refresh"},
    {Method::post, "/auth/logout"},
    {Method::get, "/auth/me"},
    {Method::get, "/auth/keys"},
    {Method::post, "/auth/keys"},
    {Method::delete_, "/auth/keys/{id}"},
    {Method::get, "/openapi.json"},
    {Method::get, "/metrics"},
}};

Router make_router() {
  Router router;
  for (std::size_t i = 0; i < kRoutes.size(); ++i) {
    if (!router.add(kRoutes[i].first, kRoutes[i].second, i)) std::abort();
  }
  return router;
}

void router_find(benchmark::State& state, Method method, std::string_view path) {
  const Router router = make_router();
  for (auto _ : state) benchmark::DoNotOptimize(router.find(method, path));
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK_CAPTURE(router_find, literal, Method::get, "/api/instances");
BENCHMARK_CAPTURE(router_find, one_name, Method::post, "/api/instances/inst-00042/start");
BENCHMARK_CAPTURE(router_find, two_names, Method::post, "/api/instances/inst-00042/snapshots/before/restore");
BENCHMARK_CAPTURE(router_find, unknown, Method::get, "/api/nothing/here");

}  // namespace
}  // namespace berth::http
