#include "base/child_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "eventually.h"

namespace berth {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::eventually;

Deadline soon() {
  return Deadline::after(seconds(20));
}

ChildProcess::Settings command(std::vector<std::string> argv) {
  ChildProcess::Settings settings;
  settings.argv = std::move(argv);
  return settings;
}

ChildProcess begin(const ChildProcess::Settings& settings) {
  auto child = ChildProcess::start(settings);
  EXPECT_TRUE(child) << child.error().describe();
  return std::move(*child);
}

/// What a program says on its standard output until it ends.
std::string output_of(ChildProcess::Settings settings) {
  std::array<int, 2> pipe{};
  EXPECT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  settings.output = pipe[1];
  auto child = begin(settings);
  ::close(pipe[1]);
  std::string text;
  std::array<char, 512> part{};
  for (ssize_t got = 0; (got = ::read(pipe[0], part.data(), part.size())) > 0;) {
    text.append(part.data(), static_cast<std::size_t>(got));
  }
  ::close(pipe[0]);
  EXPECT_TRUE(child.wait(soon()));
  return text;
}

bool runs(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  const std::string state{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const auto at = state.rfind(") ");
  return at != std::string::npos && state[at + 2] != 'Z';
}

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

TEST(ChildProcess, TellsHowItEnded) {
  const auto ending_of = [](std::vector<std::string> argv) {
    auto child = begin(command(std::move(argv)));
    EXPECT_TRUE(child.wait(soon()));
    return child.end();
  };
  EXPECT_EQ(ending_of({"true"}).code, 0);
  EXPECT_EQ(ending_of({"/bin/sh", "-c", "exit 7"}).code, 7);
  EXPECT_EQ(ending_of({"/bin/sh", "-c", "kill -9 $$"}).signal, SIGKILL);
}

TEST(ChildProcess, SaysWhyItDoesNotStart) {
  for (const std::string program : {"/nowhere/at/all", "no-such-program-anywhere", "/etc/passwd"}) {
    const auto child = ChildProcess::start(command({program}));
    ASSERT_FALSE(child);
    EXPECT_EQ(child.error().reason(), "process.start");
    EXPECT_NE(child.error().detail().find(program), std::string::npos);
  }
  EXPECT_FALSE(ChildProcess::start(command({})));
  auto elsewhere = command({"true"});
  elsewhere.folder = "/nowhere/at/all";
  EXPECT_FALSE(ChildProcess::start(elsewhere));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a zombie was left";
}

TEST(ChildProcess, HasItsEnvironmentItsFolderAndNothingElse) {
  const int leaked = ::open("/dev/null", O_RDONLY);  // as a library would that forgets O_CLOEXEC
  auto settings = command({"/bin/sh", "-c", "pwd; echo \"$A|$HOME\"; ls /proc/self/fd | wc -l; cat"});
  settings.environment = {"A=b c", "PATH=" + std::string(ChildProcess::kPath)};
  settings.folder = "/usr";
  // Of the four one is the folder that ls reads.
  EXPECT_EQ(output_of(settings), "/usr\nb c|\n4\n");
  ::close(leaked);
}

TEST(ChildProcess, IsGivenDescriptors) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  ASSERT_EQ(::write(pipe[1], "hello", 5), 5);
  ::close(pipe[1]);
  auto settings = command({"cat"});
  settings.input = pipe[0];
  EXPECT_EQ(output_of(settings), "hello");
  ::close(pipe[0]);
}

TEST(ChildProcess, TakesItsSignalsAsANewProgramDoes) {
  struct sigaction ignore {};
  struct sigaction before {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &before);
  const std::string ignored = output_of(command({"/bin/sh", "-c", "grep -E '^Sig(Ign|Blk)' /proc/self/status"}));
  ::sigaction(SIGPIPE, &before, nullptr);
  EXPECT_EQ(ignored, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST(ChildProcess, GoesWithWhatItBegan) {
  auto settings = command({"/bin/sh", "-c", "sleep 1000 & echo $!; wait"});
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  settings.output = pipe[1];
  std::array<char, 32> text{};
  pid_t grandchild = 0;
  {
    const auto child = begin(settings);
    ASSERT_GT(::read(pipe[0], text.data(), text.size() - 1), 0);
    grandchild = static_cast<pid_t>(std::stol(text.data()));
    EXPECT_TRUE(runs(grandchild));
    EXPECT_FALSE(child.wait(Deadline::after(milliseconds(50))));
  }
  ::close(pipe[0]);
  ::close(pipe[1]);
  EXPECT_TRUE(eventually([&] { return !runs(grandchild); }));
}

TEST(ChildProcess, ABoundOneDoesNotOutliveItsThread) {
  auto settings = command({"sleep", "1000"});
  settings.bond = ChildProcess::Bond::thread;
  std::optional<ChildProcess> child;
  std::thread starter([&] { child.emplace(begin(settings)); });
  starter.join();
  EXPECT_TRUE(child->wait(soon()));
  EXPECT_EQ(child->end().signal, SIGKILL);

  settings.bond = ChildProcess::Bond::none;
  std::thread other([&] { child.emplace(begin(settings)); });
  other.join();
  EXPECT_FALSE(child->wait(Deadline::after(milliseconds(100))));
}

TEST(ChildProcess, LeavesNoDescriptorAndNoZombie) {
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 20; ++i) {
    const auto child = begin(command({i % 2 == 0 ? "true" : "sleep", "1000"}));
    (void)ChildProcess::start(command({"/nowhere/at/all"}));
  }
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

}  // namespace
}  // namespace berth
