// From the bytes of a request to its answer, without sockets.
#include <benchmark/benchmark.h>

#include <string>

#include "http/request_parser.h"
#include "micro/panel_fixture.h"

namespace berth::bench {
namespace {

constexpr std::size_t kHeaderLimit = 16UL * 1024;

std::string request_text(const std::string& target, const std::string& token) {
  return "GET " + target + " HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nAuthorization: Bearer " + token + "\r\n\r\n";
}

/// Reads one whole request out of its bytes.
bool parse(http::Request& request, const std::string& bytes) {
  request.headers.clear();
  request.body.clear();
  http::RequestParser parser(request, kHeaderLimit, [](const http::Request&) { return std::size_t{0}; });
  boost::system::error_code error;
  parser.put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  return !error && parser.is_done();
}

void request_parse(benchmark::State& state) {
  const std::string bytes = request_text("/api/instances", std::string(320, 'x'));
  http::Request request;
  for (auto _ : state) {
    if (!parse(request, bytes)) state.SkipWithError("the request was refused");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(request_parse);

void request_dispatch(benchmark::State& state, const char* target) {
  PanelFixture panel(static_cast<std::size_t>(state.range(0)));
  const std::string bytes = request_text(target, panel.token());
  http::Request request;
  request.peer = {"127.0.0.1", true, false};
  request.id = RequestId("bench-1");
  for (auto _ : state) {
    request.meter = nullptr;
    request.caller.clear();
    if (!parse(request, bytes)) state.SkipWithError("the request was refused");
    const http::Dispatch answer = panel.contract().dispatch(request);
    const auto* response = std::get_if<http::Response>(&answer);
    if (response == nullptr || response->status != 200) state.SkipWithError("not answered with 200");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(request_dispatch, health, "/api/health")->Arg(100);
BENCHMARK_CAPTURE(request_dispatch, list, "/api/instances")->Arg(100)->Arg(10000);
BENCHMARK_CAPTURE(request_dispatch, detail, "/api/instances/inst-00042")->Arg(100)->Arg(10000);
BENCHMARK_CAPTURE(request_dispatch, page, "/api/instances?limit=50&offset=40")->Arg(100)->Arg(10000);

}  // namespace
}  // namespace berth::bench
