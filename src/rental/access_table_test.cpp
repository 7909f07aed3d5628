#include "rental/access_table.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace berth::rental {
namespace {

using fleet::ContainerId;
using fleet::Right;

UserRights one(ContainerId container, Right right) {
  UserRights rights;
  rights.containers[container].add(right);
  return rights;
}

TEST(RightsTest, EveryRightHoldsTheRightToSee) {
  Rights rights;
  EXPECT_TRUE(rights.empty());
  rights.add(Right::execute);
  EXPECT_TRUE(rights.has(Right::read));
  EXPECT_FALSE(rights.has(Right::write));
  EXPECT_EQ(Rights::of_bits(2).bits(), 3);
  EXPECT_EQ(Rights::of_bits(0xF8).bits(), 0) << "bits of tomorrow grant nothing today";
}

TEST(AccessTableTest, AnAnswerChangesWithTheGrantsOnEveryThread) {
  AccessTable table;
  const UserId user(7);
  const ContainerId web(1);
  EXPECT_FALSE(table.allows(user, web, Right::read));
  table.replace_user(user, one(web, Right::write));
  EXPECT_TRUE(table.allows(user, web, Right::write));
  std::jthread([&] { EXPECT_TRUE(table.allows(user, web, Right::write)); }).join();
  table.replace_user(user, {});
  EXPECT_FALSE(table.allows(user, web, Right::read));
  table.replace_all({{user, std::make_shared<const UserRights>(one(web, Right::read))}});
  EXPECT_TRUE(table.allows(user, web, Right::read));
  table.replace_all({});
  EXPECT_FALSE(table.allows(user, web, Right::read));
}

TEST(AccessTableTest, AnotherTableInTheSamePlaceAnswersForItself) {
  const UserId user(7);
  const ContainerId web(1);
  std::optional<AccessTable> table(std::in_place);
  table->replace_user(user, one(web, Right::read));
  ASSERT_TRUE(table->allows(user, web, Right::read));
  table.emplace();
  table->replace_user(UserId(8), one(web, Right::read));
  EXPECT_FALSE(table->allows(user, web, Right::read));
}

TEST(AccessTableTest, WhatWasRevokedIsAllowedToNobodyAfterwards) {
  AccessTable table;
  const UserId user(7);
  const ContainerId web(1);
  std::atomic<int> revoked{-1};  // rounds whose grant is certainly over
  std::atomic<int> granted{-1};
  std::atomic<int> late{0};
  std::atomic<bool> stop{false};
  std::vector<std::jthread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!stop) {
        const int over = revoked;
        const bool allowed = table.allows(user, web, Right::read);
        if (allowed && granted == over) ++late;
      }
    });
  }
  for (int round = 0; round < 20'000; ++round) {
    granted = round;
    table.replace_user(user, one(web, Right::read));
    table.replace_user(user, {});
    revoked = round;
  }
  stop = true;
  readers.clear();
  EXPECT_EQ(late, 0);
}

}  // namespace
}  // namespace berth::rental
