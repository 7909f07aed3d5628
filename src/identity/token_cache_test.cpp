#include "identity/token_cache.h"

#include <gtest/gtest.h>

#include <string>

namespace berth::identity {
namespace {

TokenCache::Digest numbered(int i) {
  return TokenCache::digest(std::to_string(i));
}

TEST(TokenCache, what_was_kept_is_found_in_its_epoch_only) {
  TokenCache cache;
  const auto principal = std::make_shared<Principal>();
  cache.keep(numbered(1), 7, principal);
  EXPECT_EQ(cache.find(numbered(1), 7), principal);
  EXPECT_EQ(cache.find(numbered(1), 8), nullptr);
  EXPECT_EQ(cache.find(numbered(2), 7), nullptr);
}

TEST(TokenCache, a_newer_answer_replaces_an_older_one) {
  TokenCache cache;
  const auto newer = std::make_shared<Principal>();
  cache.keep(numbered(1), 7, std::make_shared<Principal>());
  cache.keep(numbered(1), 8, newer);
  EXPECT_EQ(cache.find(numbered(1), 8), newer);
  EXPECT_EQ(cache.find(numbered(1), 7), nullptr);
}

TEST(TokenCache, it_never_grows_beyond_two_generations) {
  TokenCache cache(100);
  for (int i = 0; i < 10'000; ++i) {
    cache.keep(numbered(i), 1, std::make_shared<Principal>());
    ASSERT_LE(cache.size(), 200U);
  }
}

TEST(TokenCache, what_is_asked_for_again_and_again_stays) {
  TokenCache cache(100);
  cache.keep(numbered(-1), 1, std::make_shared<Principal>());
  for (int i = 0; i < 10'000; ++i) {
    cache.keep(numbered(i), 1, std::make_shared<Principal>());
    ASSERT_NE(cache.find(numbered(-1), 1), nullptr) << i;
  }
  EXPECT_EQ(cache.find(numbered(0), 1), nullptr);
}

}  // namespace
}  // namespace berth::identity
