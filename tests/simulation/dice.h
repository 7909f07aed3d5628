#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace berth::simulation {

/// Chance that depends on nothing but its seed, on every platform.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}

  /// 0 to `bound` - 1.
  int below(int bound) { return static_cast<int>(engine_() % static_cast<std::uint64_t>(bound)); }
  int between(int least, int most) { return least + below(most - least + 1); }
  bool chance(int percent) { return below(100) < percent; }
  /// The index of one of these, as often as it weighs.
  std::size_t weighed(const std::vector<int>& weights) {
    int sum = 0;
    for (const int weight : weights) sum += weight;
    int left = below(sum);
    std::size_t at = 0;
    while (left >= weights[at]) left -= weights[at++];
    return at;
  }
  template <class Container>
  auto& any(Container& all) {
    return all[static_cast<std::size_t>(below(static_cast<int>(all.size())))];
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace berth::simulation
