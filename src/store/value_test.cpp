#include "store/value.h"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

namespace berth::store {
namespace {

class RowTest : public ::testing::Test {
 protected:
  Row row(Scalar scalar) { return Row(&names_, {std::move(scalar)}); }

  std::vector<std::string> names_ = {"column"};
};

TEST_F(RowTest, reads_an_integer_from_text_and_from_a_whole_real) {
  EXPECT_EQ(row(std::string("-42")).integer("column"), -42);
  EXPECT_EQ(row(3.0).integer("column"), 3);
}

TEST_F(RowTest, refuses_an_integer_where_something_would_be_lost) {
  EXPECT_THROW(row(3.5).integer("column"), std::logic_error);
  EXPECT_THROW(row(1e300).integer("column"), std::logic_error);
  EXPECT_THROW(row(std::string("12 ")).integer("column"), std::logic_error);
  EXPECT_THROW(row(std::string("")).integer("column"), std::logic_error);
  EXPECT_THROW(row(std::string("9223372036854775808")).integer("column"), std::logic_error);
}

TEST_F(RowTest, reads_a_real_from_an_integer_only_if_it_is_exact) {
  EXPECT_EQ(row(std::int64_t{7}).real("column"), 7.0);
  EXPECT_THROW(row(std::numeric_limits<std::int64_t>::max()).real("column"), std::logic_error);
}

TEST_F(RowTest, reads_text_from_an_integer) {
  EXPECT_EQ(row(std::int64_t{-7}).text("column"), "-7");
}

TEST_F(RowTest, refuses_null_where_a_value_is_wanted) {
  EXPECT_THROW(row(std::monostate{}).text("column"), std::logic_error);
  EXPECT_THROW(row(std::monostate{}).integer("column"), std::logic_error);
  EXPECT_THROW(row(std::monostate{}).time("column"), std::logic_error);
}

TEST_F(RowTest, tells_null_from_an_empty_text) {
  EXPECT_EQ(row(std::monostate{}).optional_text("column"), std::nullopt);
  EXPECT_EQ(row(std::string()).optional_text("column"), "");
}

TEST_F(RowTest, refuses_a_column_that_the_answer_does_not_have) {
  EXPECT_THROW(row(std::int64_t{1}).integer("other"), std::logic_error);
}

TEST(ValueTest, holds_what_the_domain_uses) {
  EXPECT_EQ(Value(true).scalar(), Scalar(std::int64_t{1}));
  EXPECT_EQ(Value(UserId(12)).scalar(), Scalar(std::int64_t{12}));
  EXPECT_EQ(Value(OperationId("x")).scalar(), Scalar(std::string("x")));
  EXPECT_EQ(Value(Timestamp(std::chrono::microseconds(5))).scalar(), Scalar(std::int64_t{5}));
  EXPECT_EQ(Value(std::optional<std::string>()).scalar(), Scalar());
  EXPECT_EQ(Value(std::optional<std::string>("")).scalar(), Scalar(std::string()));
}

}  // namespace
}  // namespace berth::store
