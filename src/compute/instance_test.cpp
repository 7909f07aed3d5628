#include "compute/instance.h"

#include <gtest/gtest.h>

#include <cmath>

namespace berth::compute {
namespace {

TEST(InstanceName, OfLettersDigitsAndHyphensIsTaken) {
  for (const char* name : {"a", "A1", "test-1", "web--2"}) EXPECT_TRUE(check_instance_name(name)) << name;
  EXPECT_TRUE(check_instance_name(std::string(63, 'a')));
}

TEST(InstanceName, OfAnyOtherFormIsRefusedWithItsField) {
  for (const char* name : {"", "1a", "-a", "a-", "a_b", "a.b", "a b", "a/b", "../x", "ä", "实例", "a\n"}) {
    const auto checked = check_instance_name(name);
    ASSERT_FALSE(checked) << name;
    EXPECT_EQ(checked.error().reason(), "instance.name");
    ASSERT_EQ(checked.error().fields().size(), 1u);
    EXPECT_EQ(checked.error().fields()[0].field, "name");
  }
  EXPECT_FALSE(check_instance_name(std::string(64, 'a')));
  EXPECT_FALSE(check_instance_name(std::string_view("a\0b", 3)));
}

TEST(SnapshotName, MayHaveDotsAndUnderscores) {
  EXPECT_TRUE(check_snapshot_name("before_upgrade-1.2"));
  for (const char* name : {"", ".", "..", "-x", "a/b", "a b", "快照"}) {
    EXPECT_FALSE(check_snapshot_name(name)) << name;
  }
}

TEST(Limits, WithinTheirRangesAreTaken) {
  EXPECT_TRUE(check_limits({}));
  EXPECT_TRUE(check_limits({.cpus = 0.5, .memory_bytes = kMinimumMemoryBytes, .disk_bytes = kMaximumBytes}));
}

TEST(Limits, NameEveryFieldThatIsOutOfRange) {
  const auto checked = check_limits({.cpus = 0.0, .memory_bytes = 5, .disk_bytes = kMaximumBytes + 1});
  ASSERT_FALSE(checked);
  ASSERT_EQ(checked.error().fields().size(), 3u);
  EXPECT_EQ(checked.error().fields()[0].field, "cpus");
  EXPECT_EQ(checked.error().fields()[1].field, "memory_bytes");
  EXPECT_EQ(checked.error().fields()[2].field, "disk_bytes");
}

TEST(Limits, RefuseNumbersThatAreNone) {
  EXPECT_FALSE(check_limits({.cpus = std::nan(""), .memory_bytes = {}, .disk_bytes = {}}));
  EXPECT_FALSE(check_limits({.cpus = INFINITY, .memory_bytes = {}, .disk_bytes = {}}));
  EXPECT_FALSE(check_limits({.cpus = -1.0, .memory_bytes = {}, .disk_bytes = {}}));
}

TEST(DescriptionText, IsUtf8WithoutControlCharacters) {
  EXPECT_TRUE(check_description("测试 test\tx"));
  EXPECT_FALSE(check_description("a\x1b[31m"));
  EXPECT_FALSE(check_description("\xff"));
  EXPECT_FALSE(check_description(std::string(kMaximumDescription + 1, 'a')));
}

TEST(InstanceNotFound, SpeaksAsThePanelsDocumentDoes) {
  const Error error = instance_not_found("test1");
  EXPECT_EQ(error.message().zh, "实例 test1 不存在");
  EXPECT_EQ(error.reason(), "instance.not_found");
  EXPECT_EQ(error.code(), ErrorCode::not_found);
}

}  // namespace
}  // namespace berth::compute
