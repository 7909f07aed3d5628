#include "base/signal.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace berth {
namespace {

TEST(Signal, TellsEverySubscriberInOrder) {
  Signal<const std::string&> signal;
  std::string heard;
  const auto first = signal.subscribe([&](const std::string& text) { heard += "1" + text; });
  const auto second = signal.subscribe([&](const std::string& text) { heard += "2" + text; });
  signal.emit("a");
  signal.emit("b");
  EXPECT_EQ(heard, "1a2a1b2b");
}

TEST(Signal, WithoutSubscribersIsSilent) {
  Signal<int> signal;
  signal.emit(1);
}

TEST(Signal, ASubscriptionEndsWithItsObject) {
  Signal<> signal;
  int heard = 0;
  {
    const auto subscription = signal.subscribe([&] { ++heard; });
    signal.emit();
  }
  signal.emit();
  EXPECT_EQ(heard, 1);
}

TEST(Signal, ASubscriptionMoves) {
  Signal<> signal;
  int first = 0;
  int second = 0;
  std::optional<Signal<>::Subscription> kept;
  {
    auto subscription = signal.subscribe([&] { ++first; });
    kept = std::move(subscription);
  }
  signal.emit();
  EXPECT_EQ(first, 1);
  *kept = signal.subscribe([&] { ++second; });
  signal.emit();
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 1);
  kept->reset();
  kept->reset();
  signal.emit();
  EXPECT_EQ(second, 1);
}

TEST(Signal, AfterTheEndOfASubscriptionItsCallbackDoesNotRun) {
  Signal<> signal;
  std::atomic<bool> stop{false};
  std::thread emitter([&] {
    while (!stop) signal.emit();
  });
  for (int i = 0; i < 50; ++i) {
    std::latch called(1);
    std::atomic<bool> ended{false};
    std::atomic<bool> once{false};
    auto subscription = signal.subscribe([&] {
      EXPECT_FALSE(ended);
      if (!once.exchange(true)) called.count_down();
    });
    called.wait();
    subscription.reset();
    ended = true;
  }
  stop = true;
  emitter.join();
}

TEST(Signal, ManyThreadsSubscribeAndEmitAtOnce) {
  Signal<int> signal;
  std::atomic<int> heard{0};
  const auto counter = signal.subscribe([&](int by) { heard += by; });
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 500; ++i) {
          const auto passing = signal.subscribe([](int) {});
          signal.emit(1);
        }
      });
    }
  }
  EXPECT_EQ(heard, 2000);
}

}  // namespace
}  // namespace berth
