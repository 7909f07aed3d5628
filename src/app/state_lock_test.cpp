#include "app/state_lock.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

namespace berth::app {
namespace {

class StateLockTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "berth-lock-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  /// Another process that holds the lock until `release`.
  pid_t hold_elsewhere() {
    std::array<int, 2> ready{};
    EXPECT_EQ(pipe(ready.data()), 0);
    const pid_t child = fork();
    if (child == 0) {
      const auto lock = StateLock::acquire(folder_);
      const char answer = lock ? 'y' : 'n';
      [[maybe_unused]] const auto written = write(ready[1], &answer, 1);
      pause();
      _exit(0);
    }
    char answer = 'n';
    EXPECT_EQ(read(ready[0], &answer, 1), 1);
    EXPECT_EQ(answer, 'y');
    close(ready[0]);
    close(ready[1]);
    return child;
  }
  static void release(pid_t child) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }

  std::filesystem::path folder_;
};

TEST_F(StateLockTest, NamesTheProcessThatHoldsIt) {
  EXPECT_FALSE(running_daemon(folder_));
  const auto other = hold_elsewhere();
  EXPECT_EQ(running_daemon(folder_), other);
  const auto refused = StateLock::acquire(folder_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason(), "state.locked");
  EXPECT_NE(refused.error().message().en.find(std::to_string(other)), std::string::npos);
  release(other);
}

TEST_F(StateLockTest, EndsWithItsProcessHoweverThatEnds) {
  release(hold_elsewhere());
  EXPECT_FALSE(running_daemon(folder_));
  EXPECT_TRUE(StateLock::acquire(folder_));
}

TEST_F(StateLockTest, ToldNobodyWhereNobodyRuns) {
  tell_running_daemon(folder_);
  tell_running_daemon(folder_ / "absent");
}

TEST_F(StateLockTest, SaysThatAFolderCannotBeUsed) {
  EXPECT_EQ(StateLock::acquire(folder_ / "absent").error().reason(), "state.folder");
  EXPECT_EQ(make_state_folder("/proc/berth").error().reason(), "state.folder");
}

TEST_F(StateLockTest, MakesTheFolderForItsOwnerAlone) {
  const auto inner = folder_ / "a" / "state";
  ASSERT_TRUE(make_state_folder(inner));
  struct stat status {};
  ASSERT_EQ(stat(inner.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0700U);
  EXPECT_TRUE(make_state_folder(inner)) << "again is harmless";
}

}  // namespace
}  // namespace berth::app
