#include "base/secret.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <new>

#include "temporary_folder.h"

namespace berth {
namespace {

constexpr std::string_view kShort = "hunter2";
const std::string kLong(100, 's');

/// Writes a file of that mode and returns its path.
std::string secret_file(const testing::TemporaryFolder& folder, std::string_view content, mode_t mode = 0600) {
  const std::string path = folder.write("secret", content);
  EXPECT_EQ(::chmod(path.c_str(), mode), 0);
  return path;
}

TEST(Secret, RevealsWhatItHolds) {
  const Secret secret{std::string(kShort)};
  EXPECT_EQ(secret.reveal(), kShort);
  EXPECT_FALSE(secret.empty());
  EXPECT_TRUE(Secret().empty());
}

TEST(Secret, CopiesAreIndependent) {
  Secret first(kLong);
  const Secret second = first;
  first = Secret("other");
  EXPECT_EQ(second.reveal(), kLong);
  EXPECT_EQ(first.reveal(), "other");
}

TEST(Secret, AssignmentToItselfChangesNothing) {
  Secret secret(kLong);
  Secret& same = secret;
  secret = same;
  EXPECT_EQ(secret.reveal(), kLong);
  secret = std::move(same);
  EXPECT_EQ(secret.reveal(), kLong);
}

TEST(Secret, MatchesOnlyTheSameBytes) {
  const Secret secret{std::string(kShort)};
  EXPECT_TRUE(secret.matches("hunter2"));
  EXPECT_FALSE(secret.matches("hunter3"));
  EXPECT_FALSE(secret.matches("hunter"));
  EXPECT_FALSE(secret.matches("hunter22"));
  EXPECT_FALSE(secret.matches(""));
  EXPECT_TRUE(Secret().matches(""));
}

TEST(Secret, WhatWasMovedFromHoldsNothingAnyMore) {
  Secret short_one{std::string(kShort)};
  const char* inside = short_one.reveal().data();
  const Secret taken = std::move(short_one);
  EXPECT_EQ(taken.reveal(), kShort);
  EXPECT_TRUE(short_one.empty());  // NOLINT(bugprone-use-after-move): that is what is tested
  // A short text lies inside of the object, which still lives.
  EXPECT_EQ(std::string_view(inside, kShort.size()).find("hunter"), std::string_view::npos);
  for (std::size_t i = 0; i < kShort.size(); ++i) EXPECT_EQ(inside[i], '\0');

  Secret long_one(kLong);
  Secret target("before");
  target = std::move(long_one);
  EXPECT_EQ(target.reveal(), kLong);
  EXPECT_TRUE(long_one.empty());  // NOLINT(bugprone-use-after-move)
}

TEST(Secret, LeavesNoBytesBehindWhenDestroyed) {
  alignas(Secret) std::array<char, sizeof(Secret)> room{};
  auto* secret = new (room.data()) Secret(std::string(kShort));
  std::array<char, sizeof(Secret)> bytes{};
  std::memcpy(bytes.data(), room.data(), room.size());
  ASSERT_NE(std::string_view(bytes.data(), bytes.size()).find(kShort), std::string_view::npos);
  secret->~Secret();
  std::memcpy(bytes.data(), room.data(), room.size());
  EXPECT_EQ(std::string_view(bytes.data(), bytes.size()).find("hunter"), std::string_view::npos);
}

TEST(Wipe, ClearsUpToTheCapacity) {
  std::string text = kLong;
  text.resize(3);
  const char* bytes = text.data();
  wipe(text);
  EXPECT_TRUE(text.empty());
  ASSERT_EQ(text.data(), bytes);
  text.resize(kLong.size(), '\0');
  EXPECT_EQ(text, std::string(kLong.size(), '\0'));
}

TEST(SecretFile, IsReadWithoutItsLineEnds) {
  const testing::TemporaryFolder folder;
  EXPECT_EQ(read_secret_file(secret_file(folder, "hunter2\r\n\n"))->reveal(), "hunter2");
  EXPECT_EQ(read_secret_file(secret_file(folder, "a\nb\n", 0400))->reveal(), "a\nb");
  EXPECT_TRUE(read_secret_file(secret_file(folder, "\n"))->empty());
  EXPECT_TRUE(read_secret_file(secret_file(folder, ""))->empty());
}

TEST(SecretFile, ThatOthersCanReadIsRefused) {
  const testing::TemporaryFolder folder;
  for (const mode_t mode : {0640, 0604, 0610, 0644, 0660, 0601}) {
    const auto secret = read_secret_file(secret_file(folder, "x", mode));
    ASSERT_FALSE(secret) << mode;
    EXPECT_EQ(secret.error().code(), ErrorCode::conflict);
    EXPECT_EQ(secret.error().reason(), "secret.mode");
  }
}

TEST(SecretFile, MustBeARegularFile) {
  const testing::TemporaryFolder folder;
  const std::string pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  for (const std::string& path : {folder / "missing", pipe, folder.path().string(), std::string("/dev/null")}) {
    const auto secret = read_secret_file(path);
    ASSERT_FALSE(secret) << path;
    EXPECT_EQ(secret.error().code(), ErrorCode::unavailable);
    EXPECT_EQ(secret.error().reason(), "secret.unreadable");
  }
}

TEST(SecretFile, TooLongIsRefusedRatherThanCut) {
  const testing::TemporaryFolder folder;
  EXPECT_EQ(read_secret_file(secret_file(folder, std::string(65536, 'x')))->reveal().size(), 65536U);
  EXPECT_FALSE(read_secret_file(secret_file(folder, std::string(65537, 'x'))));
}

TEST(SecretFile, ErrorsTellThePathToTheLogOnly) {
  const auto secret = read_secret_file("/nowhere/secret-of-mine");
  ASSERT_FALSE(secret);
  EXPECT_EQ(secret.error().message().en.find("nowhere"), std::string::npos);
  EXPECT_EQ(secret.error().message().zh.find("nowhere"), std::string::npos);
  EXPECT_NE(secret.error().detail().find("/nowhere/secret-of-mine"), std::string::npos);
}

}  // namespace
}  // namespace berth
