#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace berth {
namespace {

Error refusal(std::string_view reason = "thing.refused") {
  return Error(ErrorCode::conflict, reason, {"被拒绝", "Refused"});
}

Result<int> parse(bool good) {
  if (!good) return refusal();
  return 7;
}

Result<std::string> add_one(bool good) {
  const int value = BERTH_TRY(parse(good));
  return std::to_string(value + 1);
}

Result<void> check(bool good, int& reached) {
  BERTH_CHECK(add_one(good));
  ++reached;
  return {};
}

Result<std::unique_ptr<std::string>> make() {
  return std::make_unique<std::string>("held on the heap, not in place");
}

Result<std::unique_ptr<std::string>> pass_on() {
  auto value = BERTH_TRY(make());
  value->push_back('!');
  return value;
}

TEST(Result, HoldsAValueOrAnError) {
  EXPECT_EQ(parse(true).value(), 7);
  const auto failed = parse(false);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().reason(), "thing.refused");
}

TEST(Result, TryYieldsTheValueOrReturnsTheErrorAsTheFailureOfAnotherType) {
  EXPECT_EQ(add_one(true).value(), "8");
  const auto failed = add_one(false);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code(), ErrorCode::conflict);
  EXPECT_EQ(failed.error().message().zh, "被拒绝");
}

TEST(Result, CheckGoesOnOnlyAfterSuccess) {
  int reached = 0;
  EXPECT_TRUE(check(true, reached));
  EXPECT_FALSE(check(false, reached));
  EXPECT_EQ(reached, 1);
}

TEST(Result, MoveOnlyValuesPassThrough) {
  const auto value = pass_on();
  ASSERT_TRUE(value);
  EXPECT_EQ(**value, "held on the heap, not in place!");
}

TEST(Result, TakeErrorMovesTheErrorOut) {
  auto failed = parse(false);
  const Result<std::string> other = take_error(failed);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().reason(), "thing.refused");
}

TEST(Result, OfNothingSucceedsByDefault) {
  EXPECT_TRUE(Result<void>());
  const Result<void> failed = refusal();
  EXPECT_FALSE(failed);
}

}  // namespace
}  // namespace berth
