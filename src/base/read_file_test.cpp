#include "base/read_file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "temporary_folder.h"

namespace berth {
namespace {

TEST(ReadFileTest, YieldsTheWholeContent) {
  const testing::TemporaryFolder folder;
  const std::string content = std::string(100'000, 'x') + '\0' + "end";
  std::ofstream(folder.path() / "file", std::ios::binary) << content;
  EXPECT_EQ(*read_file(folder.path() / "file"), content);
}

TEST(ReadFileTest, ReadsWhatHasNoSize) {
  EXPECT_FALSE(read_file("/proc/self/stat")->empty());
}

TEST(ReadFileTest, TellsWhatIsWrong) {
  const testing::TemporaryFolder folder;
  EXPECT_EQ(read_file(folder.path() / "nothing").error().reason(), "file.missing");
  EXPECT_EQ(read_file(folder.path()).error().reason(), "file.unreadable");
  std::ofstream(folder.path() / "file") << "four";
  EXPECT_TRUE(read_file(folder.path() / "file", 4));
  EXPECT_EQ(read_file(folder.path() / "file", 3).error().reason(), "file.too_large");
}

}  // namespace
}  // namespace berth
