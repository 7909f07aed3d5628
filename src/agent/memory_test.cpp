#include "agent/memory.h"

#include <gtest/gtest.h>

#include <fstream>

#include "temporary_folder.h"

namespace berth::agent {
namespace {

class MemoryTest : public ::testing::Test {
 protected:
  Memory open() {
    auto memory = Memory::open(file_);
    if (!memory) throw std::runtime_error(memory.error().describe());
    return std::move(*memory);
  }

  testing::TemporaryFolder folder_;
  std::filesystem::path file_ = folder_.path() / "state" / "memory.json";
};

TEST_F(MemoryTest, WhereNothingIsKeptNothingIsOwed) {
  EXPECT_EQ(open().content(), Memory::Content());
}

TEST_F(MemoryTest, WhatIsKeptComesBack) {
  Memory::Content content;
  content.lease = {.bound = true, .standing = false, .until = Instant(std::chrono::seconds(1234))};
  content.ids = {"a", "b"};
  content.stopped = {"网站", "shop"};
  content.taken = {{"shop", compute::RestartPolicy::always}};
  ASSERT_TRUE(open().keep(content));
  EXPECT_EQ(open().content(), content);
}

TEST_F(MemoryTest, ATimedLeaseEndsWithTheMachineAndTheBondDoesNot) {
  Memory::Content content;
  content.lease = {.bound = true, .standing = false, .until = Instant(std::chrono::hours(10'000))};
  ASSERT_TRUE(open().keep(content));
  std::string text;
  std::getline(std::ifstream(file_), text);
  const auto boot = text.find("\"boot\":\"") + 8;
  text.replace(boot, 1, text[boot] == '0' ? "1" : "0");
  std::ofstream(file_) << text;
  EXPECT_TRUE(open().content().lease.bound);
  EXPECT_EQ(open().content().lease.until, Instant());
}

TEST_F(MemoryTest, AFileThatMakesNoSenseIsNotTakenForAnEmptyOne) {
  ASSERT_TRUE(open().keep({.lease = {.bound = true}}));
  std::ofstream(file_) << "{\"bound\":";
  const auto opened = Memory::open(file_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().reason(), "agent.memory");
}

TEST_F(MemoryTest, WhatCannotBeWrittenIsAnErrorAndTheOldContentStays) {
  Memory memory = open();
  ASSERT_TRUE(memory.keep({.lease = {.bound = true}}));
  std::filesystem::create_directory(file_.string() + ".new");
  EXPECT_FALSE(memory.keep({}));
  EXPECT_TRUE(memory.content().lease.bound);
  EXPECT_TRUE(open().content().lease.bound);
}

}  // namespace
}  // namespace berth::agent
