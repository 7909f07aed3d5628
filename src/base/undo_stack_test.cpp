#include "base/undo_stack.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace berth {
namespace {

TEST(UndoStack, UnmakesInReverseOrderWhenItEnds) {
  std::string undone;
  {
    UndoStack undo;
    undo.push([&] { undone += "a"; });
    undo.push([&] { undone += "b"; });
    undo.push([&] { undone += "c"; });
    EXPECT_EQ(undone, "");
  }
  EXPECT_EQ(undone, "cba");
}

TEST(UndoStack, ClearedUnmakesNothing) {
  bool undone = false;
  {
    UndoStack undo;
    undo.push([&] { undone = true; });
    undo.clear();
  }
  EXPECT_FALSE(undone);
}

TEST(UndoStack, UnwindsOnceAndMayBeUsedAgain) {
  std::string undone;
  UndoStack undo;
  undo.push([&] { undone += "a"; });
  undo.unwind();
  EXPECT_EQ(undone, "a");
  undo.push([&] { undone += "b"; });
  undo.unwind();
  undo.unwind();
  EXPECT_EQ(undone, "ab");
}

TEST(UndoStack, UnmakesWhenAnExceptionPasses) {
  bool undone = false;
  const auto fail = [&] {
    UndoStack undo;
    undo.push([&] { undone = true; });
    throw 1;
  };
  EXPECT_THROW(fail(), int);
  EXPECT_TRUE(undone);
}

TEST(UndoStack, HoldsActionsThatOnlyMove) {
  int value = 0;
  {
    UndoStack undo;
    undo.push([&value, held = std::make_unique<int>(5)] { value = *held; });
  }
  EXPECT_EQ(value, 5);
}

}  // namespace
}  // namespace berth
