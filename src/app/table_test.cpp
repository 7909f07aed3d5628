#include "app/table.h"

#include <gtest/gtest.h>

namespace berth::app {
namespace {

TEST(DisplayWidth, CountsColumnsAndNotBytes) {
  EXPECT_EQ(display_width("abc"), 3U);
  EXPECT_EQ(display_width("实例"), 4U);
  EXPECT_EQ(display_width("é"), 1U);
  EXPECT_EQ(display_width("e\u0301"), 1U) << "a combining mark";
  EXPECT_EQ(display_width(""), 0U);
}

TEST(DisplayWidth, SurvivesBrokenUtf8) {
  EXPECT_EQ(display_width("\xe5\xae"), 1U);
  EXPECT_EQ(display_width("\xff\xff"), 2U);
}

TEST(Printable, KeepsAValueFromDrivingTheTerminal) {
  EXPECT_EQ(printable("a\x1b[2Jb\n"), "a?[2Jb?");
  EXPECT_EQ(printable("a\xc2\x9b"
                      "b"),
            "a?b")
      << "the one-byte escape sequence of UTF-8 terminals";
  EXPECT_EQ(printable("实例 é"), "实例 é");
}

TEST(Table, AlignsColumnsByTheirWidestCell) {
  Table table({{"NAME"}, {"SIZE", Table::Align::right}, {"NOTE"}});
  table.add({"实例", "5", "x"});
  table.add({"longer", "1234567", ""});
  EXPECT_EQ(table.text(false),
            "NAME       SIZE  NOTE\n"
            "实例          5  x\n"
            "longer  1234567\n");
}

TEST(Table, ColoursCellsWithoutMovingColumns) {
  Table table({{"A"}, {"B"}});
  table.add({{"on", Colour::green}, "x"});
  EXPECT_EQ(table.text(true), "\x1b[1mA\x1b[0m   \x1b[1mB\x1b[0m\n\x1b[32mon\x1b[0m  x\n");
}

TEST(Table, ShowsItsTitlesWithoutRows) {
  const Table table({{"A"}, {"B"}});
  EXPECT_EQ(table.text(false), "A  B\n");
}

TEST(Table, RefusesARowOfAnotherLength) {
  Table table({{"A"}, {"B"}});
  EXPECT_THROW(table.add({"x"}), std::logic_error);
}

TEST(Table, MakesForeignValuesHarmless) {
  Table table({{"A"}});
  table.add({"\x1b]0;title\x07"});
  EXPECT_EQ(table.text(false), "A\n?]0;title?\n");
}

}  // namespace
}  // namespace berth::app
