#include "base/error.h"

#include <gtest/gtest.h>

#include <set>

#include "base/id.h"

namespace berth {
namespace {

TEST(Error, DescribesItselfForTheLog) {
  const Error error = Error(ErrorCode::invalid_argument, "request.invalid", {"无效", "Not valid"})
                          .with_field("name", {"太长", "Too long"})
                          .with_field("limits.cpu", {"太小", "Too small"})
                          .with_detail("errno 5");
  EXPECT_EQ(error.describe(),
            "invalid_argument request.invalid: Not valid; name: Too long; limits.cpu: Too small "
            "[errno 5]");
}

TEST(Error, KeepsWhatItWasGiven) {
  const Error error = Error(ErrorCode::rate_limited, "login.slow", {"慢", "Slow"})
                          .with_fields({{"a", {"一", "one"}}})
                          .with_retry_after(std::chrono::seconds(30));
  EXPECT_EQ(error.code(), ErrorCode::rate_limited);
  EXPECT_EQ(error.message().in(Language::zh), "慢");
  EXPECT_EQ(error.message().in(Language::en), "Slow");
  EXPECT_EQ(error.retry_after(), std::chrono::seconds(30));
  ASSERT_EQ(error.fields().size(), 1U);
  EXPECT_EQ(error.detail(), "");
}

TEST(Error, AnInternalOneTellsTheCallerNothing) {
  const Error error = internal_error("SELECT failed");
  EXPECT_EQ(error.code(), ErrorCode::internal);
  EXPECT_EQ(error.message().en, "Internal server error");
  EXPECT_EQ(error.message().zh, "服务器内部错误");
  EXPECT_EQ(error.detail(), "SELECT failed");
}

TEST(ErrorCode, EveryCodeHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(ErrorCode::internal); ++code)
    names.insert(name(static_cast<ErrorCode>(code)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(ErrorCode::internal) + 1);
}

TEST(Id, ComparesAndHashesByValue) {
  EXPECT_EQ(EngineId("a"), EngineId("a"));
  EXPECT_LT(EngineId("a"), EngineId("b"));
  EXPECT_EQ(std::hash<UserId>{}(UserId(7)), std::hash<UserId>{}(UserId(7)));
  EXPECT_EQ(UserId().value(), 0);
  static_assert(!std::is_convertible_v<std::string, EngineId>);
  static_assert(!std::is_constructible_v<EngineId, OperationId>);
}

}  // namespace
}  // namespace berth
