#include <gtest/gtest.h>

#include <map>

#include "json/read.h"

namespace berth::json {
namespace {

enum class Order { name, created };
BOOST_DESCRIBE_ENUM(Order, name, created)

struct Query {
  std::string name;
  std::optional<bool> force;
  int page = 1;
  std::optional<std::uint16_t> size;
  std::optional<Order> order;
  std::vector<std::string> tags;
  std::vector<int> ids;
  std::optional<double> above;
  std::optional<UserId> user;
};
BOOST_DESCRIBE_STRUCT(Query, (), (name, force, page, size, order, tags, ids, above, user))
void describe_fields(Fields<Query>& fields) {
  fields("page").has_default().min(1);
  fields("size").range(1, 500);
  fields("tags").has_default().items(0, 3).length(1, 4);
  fields("ids").has_default();
}

struct Flag {
  bool on = false;
};
BOOST_DESCRIBE_STRUCT(Flag, (), (on))

struct Nothing {};
BOOST_DESCRIBE_STRUCT(Nothing, (), ())

std::map<std::string, std::string> complaints(const Pairs& pairs) {
  std::map<std::string, std::string> found;
  const auto query = from_pairs<Query>(pairs);
  if (query) return found;
  EXPECT_EQ(query.error().reason(), "request.invalid");
  for (const auto& field : query.error().fields()) found[field.field] = field.message.en;
  return found;
}
using Complaints = std::map<std::string, std::string>;

TEST(Pairs, EveryKindOfValue) {
  const auto query = from_pairs<Query>({{"name", "实例"},
                                        {"force", "true"},
                                        {"page", "3"},
                                        {"size", "50"},
                                        {"order", "created"},
                                        {"tags", "a,b"},
                                        {"tags", "c"},
                                        {"ids", "1,-2"},
                                        {"above", "1.5"},
                                        {"user", "7"},
                                        {"unknown", "x"}});
  ASSERT_TRUE(query) << query.error().describe();
  EXPECT_EQ(query->name, "实例");
  EXPECT_EQ(query->force, true);
  EXPECT_EQ(query->page, 3);
  EXPECT_EQ(query->size, 50);
  EXPECT_EQ(query->order, Order::created);
  EXPECT_EQ(query->tags, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(query->ids, (std::vector<int>{1, -2}));
  EXPECT_EQ(query->above, 1.5);
  EXPECT_EQ(query->user, UserId(7));
}

TEST(Pairs, WhatIsAbsentKeepsItsDefault) {
  const auto query = from_pairs<Query>({{"name", ""}});
  ASSERT_TRUE(query);
  EXPECT_EQ(query->name, "");
  EXPECT_EQ(query->page, 1);
  EXPECT_FALSE(query->force);
  EXPECT_TRUE(query->tags.empty());
}

TEST(Pairs, EveryBadValueIsReportedAtOnce) {
  EXPECT_EQ(complaints({{"force", "maybe"},
                        {"page", "0"},
                        {"size", "501"},
                        {"order", "age"},
                        {"tags", "a,toolong"},
                        {"ids", "1,x"},
                        {"above", "1,5"},
                        {"user", ""}}),
            (Complaints{{"name", "This field is required"},
                        {"force", "Must be a boolean (true or false)"},
                        {"page", "Must be at least 1"},
                        {"size", "Must be between 1 and 500"},
                        {"order", "Must be one of: name, created"},
                        {"tags.1", "Must be 1 to 4 characters long"},
                        {"ids.1", "Must be an integer"},
                        {"above", "Must be a number"},
                        {"user", "Must be an integer"}}));
}

TEST(Pairs, BooleansHaveEightSpellingsInAnyCase) {
  for (const char* text : {"true", "TRUE", "1", "yes", "Yes", "on", "oN"}) {
    EXPECT_TRUE(from_pairs<Flag>({{"on", text}})->on) << text;
  }
  for (const char* text : {"false", "False", "0", "no", "NO", "off"}) {
    const auto flag = from_pairs<Flag>({{"on", text}});
    ASSERT_TRUE(flag) << text;
    EXPECT_FALSE(flag->on);
  }
  for (const char* text : {"", "2", "t", "truee", " true", "-1"})
    EXPECT_FALSE(from_pairs<Flag>({{"on", text}})) << text;
}

TEST(Pairs, IntegersAreStrict) {
  for (const char* text : {"", " 1", "1 ", "+1", "0x1", "1.0", "1e3", "١", "--1", "-"}) {
    EXPECT_EQ(complaints({{"name", "n"}, {"page", text}}), (Complaints{{"page", "Must be an integer"}})) << text;
  }
  EXPECT_EQ(complaints({{"name", "n"}, {"page", "2147483648"}}),
            (Complaints{{"page", "Must be between -2147483648 and 2147483647"}}));
  EXPECT_EQ(complaints({{"name", "n"}, {"page", "99999999999999999999999"}}),
            (Complaints{{"page", "Must be between -2147483648 and 2147483647"}}));
  EXPECT_EQ(complaints({{"name", "n"}, {"size", "-1"}}), (Complaints{{"size", "Must be between 0 and 65535"}}));
  EXPECT_EQ(complaints({{"name", "n"}, {"size", "-x"}}), (Complaints{{"size", "Must be an integer"}}));
}

TEST(Pairs, NumbersMustBeFinite) {
  for (const char* text : {"nan", "inf", "-inf", "infinity", "1e999", "", "1.5x"}) {
    EXPECT_EQ(complaints({{"name", "n"}, {"above", text}}), (Complaints{{"above", "Must be a number"}})) << text;
  }
}

TEST(Pairs, TheLastOfARepeatedSingleValueCounts) {
  EXPECT_EQ(from_pairs<Query>({{"name", "a"}, {"name", "b"}})->name, "b");
}

TEST(Pairs, EmptyPiecesOfAListAreDropped) {
  EXPECT_EQ(from_pairs<Query>({{"name", "n"}, {"tags", ",a,,b,"}})->tags, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(from_pairs<Query>({{"name", "n"}, {"tags", ""}})->tags.empty());
}

TEST(Pairs, AListLongerThanItsRuleIsRefused) {
  EXPECT_EQ(complaints({{"name", "n"}, {"tags", "a,b,c,d"}}), (Complaints{{"tags", "Must have at most 3 items"}}));
}

TEST(Pairs, TextThatIsNotUtf8OrHoldsANulIsRefused) {
  EXPECT_EQ(complaints({{"name", "\xff"}}), (Complaints{{"name", "Must be valid UTF-8 text"}}));
  EXPECT_EQ(complaints({{"name", std::string("a\0b", 3)}}), (Complaints{{"name", "Must not contain a NUL character"}}));
}

TEST(Pairs, AStructWithoutMembersAcceptsAnything) {
  EXPECT_TRUE(from_pairs<Nothing>({}));
  EXPECT_TRUE(from_pairs<Nothing>({{"a", "b"}}));
}

}  // namespace
}  // namespace berth::json
