// Settling a token: from what an I/O thread remembers, from what the service remembers, and by its signature.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "api/shared/authenticator.h"
#include "micro/identity_fixture.h"

namespace berth::bench {
namespace {

void token_remembered_by_the_thread(benchmark::State& state) {
  IdentityFixture identity;
  const api::Authenticator authenticator(identity.service(), system_clock(), api::Anonymous::never);
  const std::string token = identity.new_token();
  for (auto _ : state) {
    if (!authenticator.settle_credential(token)) state.SkipWithError("refused");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(token_remembered_by_the_thread);

void token_remembered_by_the_service(benchmark::State& state) {
  IdentityFixture identity;
  const std::string token = identity.new_token();
  for (auto _ : state) {
    if (!identity.service().authenticate(token)) state.SkipWithError("refused");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(token_remembered_by_the_service);

/// More tokens in turn than the service remembers (twice 4096), so that each is verified.
void token_by_signature(benchmark::State& state) {
  constexpr std::size_t kTokens = 9000;
  static const auto prepared = [] {
    auto identity = std::make_unique<IdentityFixture>();
    std::vector<std::string> tokens;
    for (std::size_t i = 0; i < kTokens; ++i) tokens.push_back(identity->new_token());
    return std::pair(std::move(identity), std::move(tokens));
  }();
  std::size_t next = 0;
  for (auto _ : state) {
    if (!prepared.first->service().authenticate(prepared.second[next])) state.SkipWithError("refused");
    next = (next + 1) % kTokens;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(token_by_signature);

}  // namespace
}  // namespace berth::bench
