#include "identity/password.h"

#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace berth::identity {
namespace {

using std::chrono::milliseconds;

std::chrono::nanoseconds thread_time() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

PasswordHasher::Settings cheap() {
  return {.memory_bytes = 8192, .passes = 1};
}

TEST(Password, the_right_one_verifies_and_others_do_not) {
  PasswordHasher hasher(cheap());
  const auto stored = hasher.hash(Secret("correct horse"));
  ASSERT_TRUE(stored);
  EXPECT_TRUE(stored->starts_with("$argon2id$"));
  EXPECT_TRUE(*hasher.verify(*stored, Secret("correct horse")));
  for (const char* wrong : {"", "correct hors", "correct horse ", "Correct horse", "密码密码"}) {
    EXPECT_FALSE(*hasher.verify(*stored, Secret(wrong))) << wrong;
  }
}

TEST(Password, equal_ones_are_stored_differently) {
  PasswordHasher hasher(cheap());
  EXPECT_NE(*hasher.hash(Secret("same password")), *hasher.hash(Secret("same password")));
}

TEST(Password, unicode_nul_and_the_longest_are_kept_whole) {
  PasswordHasher hasher(cheap());
  for (const std::string& text :
       {std::string("пароль密码🔑🔑"), std::string("nul\0inside", 10), std::string(PasswordHasher::kLongest, 'x')}) {
    const auto stored = hasher.hash(Secret(text));
    ASSERT_TRUE(stored);
    EXPECT_TRUE(*hasher.verify(*stored, Secret(text)));
    EXPECT_FALSE(*hasher.verify(*stored, Secret(text.substr(0, text.size() - 1))));
  }
}

TEST(Password, nobody_has_a_password) {
  PasswordHasher hasher(cheap());
  for (const char* text : {"", "nobody", "password"}) EXPECT_FALSE(*hasher.verify("", Secret(text)));
}

TEST(Password, one_over_the_limit_is_never_right) {
  PasswordHasher hasher(cheap());
  const std::string longer(PasswordHasher::kLongest + 1, 'x');
  const auto stored = hasher.hash(Secret(longer));
  ASSERT_TRUE(stored);
  EXPECT_FALSE(*hasher.verify(*stored, Secret(longer)));
}

TEST(Password, a_damaged_hash_verifies_nothing) {
  PasswordHasher hasher(cheap());
  for (const char* stored : {"x", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$$", "plain"}) {
    EXPECT_FALSE(*hasher.verify(stored, Secret("x"))) << stored;
  }
}

TEST(Password, a_missing_account_costs_as_much_as_a_present_one) {
  PasswordHasher hasher({.memory_bytes = 16UL << 20U, .passes = 2});
  const auto stored = hasher.hash(Secret("correct horse"));
  ASSERT_TRUE(stored);
  // Processor time of this thread, in which the hashing happens: what else the machine does is not counted.
  const auto cost = [&](const std::string& hash) {
    auto least = std::chrono::nanoseconds::max();
    for (int i = 0; i < 7; ++i) {
      const auto begin = thread_time();
      EXPECT_FALSE(*hasher.verify(hash, Secret("wrong")));
      least = std::min(least, thread_time() - begin);
    }
    return least;
  };
  const auto present = cost(*stored);
  const auto missing = cost("");
  EXPECT_GT(missing, present / 3);
  EXPECT_LT(missing, present * 3);
}

TEST(Password, another_cost_makes_a_hash_outdated) {
  PasswordHasher hasher(cheap());
  PasswordHasher dearer({.memory_bytes = 16384, .passes = 2});
  const auto stored = hasher.hash(Secret("correct horse"));
  ASSERT_TRUE(stored);
  EXPECT_FALSE(hasher.outdated(*stored));
  EXPECT_TRUE(dearer.outdated(*stored));
  EXPECT_TRUE(*dearer.verify(*stored, Secret("correct horse")));
}

TEST(Password, too_long_a_line_is_refused_with_a_time_to_come_back) {
  // No place and no patience: every caller meets the limit.
  PasswordHasher full({.memory_bytes = 8192, .passes = 1, .at_once = 0, .waiting = 1, .wait = milliseconds(1)});
  const auto refused = full.hash(Secret("correct horse"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::rate_limited);
  EXPECT_EQ(refused.error().retry_after(), std::chrono::seconds(1));
  PasswordHasher no_line({.memory_bytes = 8192, .passes = 1, .at_once = 0, .waiting = 0, .wait = milliseconds(60'000)});
  EXPECT_FALSE(no_line.verify("", Secret("x")));
}

TEST(Password, a_storm_is_served_in_turn) {
  PasswordHasher hasher({.memory_bytes = 1UL << 20U, .passes = 1, .at_once = 2});
  std::atomic<int> hashed{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 16; ++i) {
      threads.emplace_back([&] {
        if (hasher.hash(Secret("correct horse"))) ++hashed;
      });
    }
  }
  EXPECT_EQ(hashed, 16);
}

}  // namespace
}  // namespace berth::identity
