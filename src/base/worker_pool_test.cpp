#include "base/worker_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <future>
#include <latch>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "eventually.h"

namespace berth {
namespace {

using testing::eventually;

/// Holds tasks up until it is opened.
class Gate {
 public:
  void open() { promise_.set_value(); }
  void pass() { future_.wait(); }

 private:
  std::promise<void> promise_;
  std::shared_future<void> future_ = promise_.get_future().share();
};

TEST(WorkerPool, RunsEveryTaskOnce) {
  std::atomic<int> ran{0};
  WorkerPool pool({.name = "test", .threads = 3, .queue_limit = 1000});
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(pool.submit([&] { ++ran; }));
  pool.drain();
  EXPECT_EQ(ran, 1000);
}

TEST(WorkerPool, RunsTasksAtTheSameTimeOnAllItsThreads) {
  WorkerPool pool({.name = "test", .threads = 3, .queue_limit = 10});
  std::latch all(3);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(pool.submit([&] { all.arrive_and_wait(); }));
  pool.drain();
}

TEST(WorkerPool, OfNoThreadsHasOne) {
  WorkerPool pool({.name = "test", .threads = 0, .queue_limit = 1});
  EXPECT_EQ(pool.usage().threads, 1U);
  std::atomic<bool> ran{false};
  ASSERT_TRUE(pool.submit([&] { ran = true; }));
  pool.drain();
  EXPECT_TRUE(ran);
}

TEST(WorkerPool, OneThreadKeepsTheOrder) {
  WorkerPool pool({.name = "test", .threads = 1, .queue_limit = 100});
  std::vector<int> order;
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(pool.submit([&order, i] { order.push_back(i); }));
  pool.drain();
  ASSERT_EQ(order.size(), 100U);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST(WorkerPool, RefusesWhenItsQueueIsFull) {
  WorkerPool pool({.name = "test", .threads = 1, .queue_limit = 2});
  Gate gate;
  ASSERT_TRUE(pool.submit([&] { gate.pass(); }));
  ASSERT_TRUE(eventually([&] { return pool.usage().busy == 1; }));
  EXPECT_TRUE(pool.submit([] {}));
  EXPECT_TRUE(pool.submit([] {}));
  EXPECT_FALSE(pool.submit([] { FAIL() << "a refused task ran"; }));
  EXPECT_EQ(pool.usage().waiting, 2U);
  gate.open();
  EXPECT_TRUE(eventually([&] { return pool.usage().waiting == 0 && pool.usage().busy == 0; }));
  EXPECT_TRUE(pool.submit([] {}));
}

TEST(WorkerPool, DrainRunsWhatIsQueuedAndThenRefuses) {
  WorkerPool pool({.name = "test", .threads = 1, .queue_limit = 10});
  Gate gate;
  std::atomic<int> ran{0};
  ASSERT_TRUE(pool.submit([&] { gate.pass(); }));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(pool.submit([&] { ++ran; }));
  std::thread drainer([&] { pool.drain(); });
  EXPECT_TRUE(eventually([&] { return !pool.submit([] {}); }));
  gate.open();
  drainer.join();
  EXPECT_EQ(ran, 5);
  EXPECT_FALSE(pool.submit([] {}));
  pool.drain();
}

TEST(WorkerPool, SeveralMayDrainAtOnceAndAllWait) {
  WorkerPool pool({.name = "test", .threads = 2, .queue_limit = 100});
  std::atomic<int> ran{0};
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(pool.submit([&] { ++ran; }));
  std::vector<std::thread> drainers;
  for (int i = 0; i < 4; ++i) {
    drainers.emplace_back([&] {
      pool.drain();
      EXPECT_EQ(ran, 100);
    });
  }
  for (auto& drainer : drainers) drainer.join();
}

TEST(WorkerPool, AnExceptionEndsItsTaskAlone) {
  WorkerPool pool({.name = "test", .threads = 1, .queue_limit = 10});
  std::atomic<bool> ran{false};
  ASSERT_TRUE(pool.submit([] { throw std::runtime_error("expected in this test"); }));
  ASSERT_TRUE(pool.submit([] { throw 42; }));
  ASSERT_TRUE(pool.submit([&] { ran = true; }));
  pool.drain();
  EXPECT_TRUE(ran);
  EXPECT_EQ(pool.usage().busy, 0U);
}

TEST(WorkerPool, DestructionFinishesWhatRunsAndDropsWhatWaits) {
  Gate gate;
  std::atomic<bool> finished{false};
  std::atomic<int> ran{0};
  auto held = std::make_shared<int>(0);
  {
    auto pool = std::make_unique<WorkerPool>(WorkerPool::Settings{.name = "test", .threads = 1, .queue_limit = 10});
    ASSERT_TRUE(pool->submit([&] {
      gate.pass();
      finished = true;
    }));
    ASSERT_TRUE(eventually([&] { return pool->usage().busy == 1; }));
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(pool->submit([&ran, held] { ++ran; }));
    std::thread destroyer([&] { pool.reset(); });
    EXPECT_TRUE(eventually([&] { return held.use_count() == 1; }));
    EXPECT_FALSE(finished);
    gate.open();
    destroyer.join();
  }
  EXPECT_TRUE(finished);
  EXPECT_EQ(ran, 0);
}

TEST(WorkerPool, ADroppedTaskMayAskThePoolAsItGoes) {
  // The task that runs ends only once the waiting one was destroyed, so that one is surely dropped.
  struct Asks {
    WorkerPool* pool;
    Gate* gate;
    bool* refused;
    ~Asks() {
      *refused = !pool->submit([] {});
      gate->open();
    }
  };
  Gate gate;
  bool refused = false;
  auto pool = std::make_unique<WorkerPool>(WorkerPool::Settings{.name = "test", .threads = 1, .queue_limit = 10});
  ASSERT_TRUE(pool->submit([&] { gate.pass(); }));
  ASSERT_TRUE(eventually([&] { return pool->usage().busy == 1; }));
  ASSERT_TRUE(pool->submit([asks = std::unique_ptr<Asks>(new Asks{pool.get(), &gate, &refused})] {}));
  pool.reset();
  EXPECT_TRUE(refused);
}

TEST(WorkerPool, TasksMaySubmitTasks) {
  WorkerPool pool({.name = "test", .threads = 2, .queue_limit = 100});
  std::atomic<int> ran{0};
  std::function<void(int)> spread = [&](int depth) {
    ++ran;
    for (int i = 0; depth > 0 && i < 2; ++i) EXPECT_TRUE(pool.submit([&spread, depth] { spread(depth - 1); }));
  };
  ASSERT_TRUE(pool.submit([&] { spread(3); }));
  EXPECT_TRUE(eventually([&] { return ran == 15; }));
}

TEST(WorkerPool, NamesItsThreadsWithinTheSystemsLimit) {
  WorkerPool pool({.name = "a-very-long-name-indeed", .threads = 1, .queue_limit = 1});
  std::array<char, 32> name{};
  ASSERT_TRUE(pool.submit([&] { ::pthread_getname_np(::pthread_self(), name.data(), name.size()); }));
  pool.drain();
  EXPECT_STREQ(name.data(), "a-very-long-nam");
}

TEST(WorkerPool, TakesTasksFromManyThreads) {
  WorkerPool pool({.name = "test", .threads = 2, .queue_limit = 16});
  std::atomic<int> ran{0};
  std::atomic<int> taken{0};
  {
    std::vector<std::jthread> submitters;
    for (int t = 0; t < 4; ++t) {
      submitters.emplace_back([&] {
        for (int i = 0; i < 500; ++i) {
          if (pool.submit([&] { ++ran; })) ++taken;
        }
      });
    }
  }
  pool.drain();
  EXPECT_EQ(ran, taken);
  EXPECT_GT(taken, 0);
}

}  // namespace
}  // namespace berth
