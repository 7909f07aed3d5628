// What SQLite's store does when the file, the disk or the process fails under it.
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <fstream>
#include <functional>
#include <random>
#include <set>
#include <thread>
#include <utility>

#include "eventually.h"
#include "store/both_engines_fixture.h"

namespace berth::store {
namespace {

using namespace std::chrono_literals;

unsigned mode_of(const std::filesystem::path& file) {
  struct stat status {};
  return ::stat(file.c_str(), &status) == 0 ? status.st_mode & 0777U : 0U;
}

Result<std::int64_t> insert(Database& database, std::string name, std::string note = "") {
  return database.write([&](Transaction& transaction) {
    return transaction.insert("INSERT INTO things (name, note) VALUES (:name, :note)",
                              {{"name", name}, {"note", note}});
  });
}

Result<std::int64_t> count(Database& database) {
  return database.read([](Transaction& transaction) -> Result<std::int64_t> {
    return BERTH_TRY(transaction.query("SELECT count(*) AS n FROM things")).front().integer("n");
  });
}

bool is_unavailable(const Error& error, std::string_view words) {
  return error.code() == ErrorCode::unavailable && error.reason() == "store.unavailable" &&
         error.message().en.find(words) != std::string::npos && !error.message().zh.empty();
}

// Runs `work` in a child process, which has no threads of this one; yields what it returned.
int in_child(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    int outcome = 120;
    try {
      outcome = work();
    } catch (const std::exception& error) {
      std::fputs(error.what(), stderr);
    }
    ::_exit(outcome);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

class SqliteFaultTest : public ::testing::Test {
 protected:
  std::filesystem::path file() { return place_.settings().file; }

  Place place_{Dialect::sqlite};
};

TEST_F(SqliteFaultTest, keeps_its_files_private) {
  const auto database = place_.ready();
  ASSERT_TRUE(insert(*database, "x"));
  EXPECT_EQ(mode_of(file()), 0600U);
  EXPECT_EQ(mode_of(file().string() + "-wal"), 0600U);
  EXPECT_EQ(mode_of(file().string() + "-shm"), 0600U);
}

TEST_F(SqliteFaultTest, takes_a_file_from_others) {
  std::ofstream(file()).close();
  ::chmod(file().c_str(), 0644);
  ASSERT_TRUE(place_.open());
  EXPECT_EQ(mode_of(file()), 0600U);
}

TEST_F(SqliteFaultTest, opens_files_of_any_name) {
  for (const char* name : {"with space.db", "a=b.db", "a=b c d.db", "数据库.db", "q\".db", "semi;colon'.db"}) {
    place_.settings().file = place_.folder() / name;
    {
      const auto database = place_.ready();
      ASSERT_TRUE(insert(*database, "x")) << name;
    }
    EXPECT_TRUE(std::filesystem::exists(place_.folder() / name)) << name;
  }
}

TEST_F(SqliteFaultTest, says_that_the_folder_is_missing) {
  place_.settings().file = place_.folder() / "missing" / "store.db";
  const auto refused = place_.open();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::unavailable);
}

TEST_F(SqliteFaultTest, commits_durably_and_in_wal_mode) {
  const auto database = place_.ready();
  EXPECT_TRUE(database->write([](Transaction& transaction) -> Result<void> {
    // 2 is FULL.
    EXPECT_EQ(BERTH_TRY(transaction.query("PRAGMA synchronous")).front().integer("synchronous"), 2);
    EXPECT_EQ(BERTH_TRY(transaction.query("PRAGMA journal_mode")).front().text("journal_mode"), "wal");
    return {};
  }));
}

TEST_F(SqliteFaultTest, says_that_another_process_holds_the_file_and_heals) {
  place_.settings().wait = 150ms;
  const auto database = place_.ready();
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(file().c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const auto refused = insert(*database, "x");
  ASSERT_FALSE(refused);
  EXPECT_TRUE(is_unavailable(refused.error(), "busy")) << refused.error().describe();
  EXPECT_TRUE(count(*database));
  ASSERT_EQ(sqlite3_exec(other, "COMMIT", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  EXPECT_TRUE(insert(*database, "x"));
}

TEST_F(SqliteFaultTest, waits_for_another_process_as_long_as_it_may) {
  const auto database = place_.ready();
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(file().c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  std::atomic<bool> written = false;
  std::jthread writer([&] {
    EXPECT_TRUE(insert(*database, "x"));
    written = true;
  });
  ASSERT_FALSE(testing::eventually([&] { return written.load(); }, 100ms));
  ASSERT_EQ(sqlite3_exec(other, "COMMIT", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  writer.join();
  EXPECT_TRUE(written);
}

// Another process that opens the file, reads it and closes it, once it is told to. It must be made
// before this process opens the file: SQLite does not survive a fork.
class Visitor {
 public:
  explicit Visitor(const std::filesystem::path& file) {
    if (::pipe2(signal_.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    child_ = ::fork();
    if (child_ != 0) return;
    ::close(signal_[1]);
    char byte = 0;
    if (::read(signal_[0], &byte, 1) != 1) ::_exit(1);
    sqlite3* database = nullptr;
    if (sqlite3_open(file.c_str(), &database) != SQLITE_OK) ::_exit(2);
    if (sqlite3_exec(database, "SELECT count(*) FROM things", nullptr, nullptr, nullptr) != SQLITE_OK) {
      ::_exit(3);
    }
    ::_exit(sqlite3_close(database) == SQLITE_OK ? 0 : 4);
  }
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;
  ~Visitor() {
    ::close(signal_[0]);
    ::close(signal_[1]);
    if (child_ > 0) ::waitpid(child_, nullptr, 0);
  }
  int visit() {
    int status = 0;
    if (::write(signal_[1], "x", 1) != 1) return 5;
    ::waitpid(std::exchange(child_, -1), &status, 0);
    return WEXITSTATUS(status);
  }

 private:
  std::array<int, 2> signal_{};
  pid_t child_ = -1;
};

TEST_F(SqliteFaultTest, keeps_its_locks_when_it_is_opened_again) {
  Visitor visitor(file());
  const auto database = place_.ready();
  ASSERT_TRUE(insert(*database, "x"));
  ASSERT_TRUE(place_.open());
  ASSERT_TRUE(database->schema_version());
  // Who closes a file last removes its WAL: the visitor must not take itself for the last.
  EXPECT_EQ(visitor.visit(), 0);
  EXPECT_TRUE(std::filesystem::exists(file().string() + "-wal"));
  EXPECT_TRUE(insert(*database, "y"));
  EXPECT_EQ(count(*database), 2);
}

TEST_F(SqliteFaultTest, says_that_it_may_not_write) {
  place_.ready();
  // Root may write anything, so another user tries.
  const int outcome = in_child([&] {
    ::chmod(place_.folder().c_str(), 0755);
    ::chmod(file().c_str(), 0444);
    if (::geteuid() == 0 && ::setuid(65534) != 0) return 2;
    const auto refused = place_.open();
    return !refused && is_unavailable(refused.error(), "read-only") ? 0 : 1;
  });
  EXPECT_EQ(outcome, 0);
}

TEST_F(SqliteFaultTest, says_that_the_file_is_no_database) {
  std::ofstream(file()) << std::string(8192, 'x');
  const auto refused = place_.open();
  ASSERT_FALSE(refused);
  EXPECT_TRUE(is_unavailable(refused.error(), "damaged")) << refused.error().describe();
}

TEST_F(SqliteFaultTest, says_that_the_file_is_damaged) {
  {
    const auto database = place_.ready();
    for (int index = 0; index < 50; ++index) {
      ASSERT_TRUE(insert(*database, "name " + std::to_string(index), std::string(2000, 'x')));
    }
  }
  {
    std::fstream damaged(file(), std::ios::in | std::ios::out | std::ios::binary);
    // Everything after the page of the schema.
    for (int page = 1; page < 20; ++page) {
      damaged.seekp(page * 4096);
      damaged << std::string(4096, '\x5a');
    }
  }
  const auto database = place_.open();
  const auto refused = database ? count(**database) : Result<std::int64_t>(database.error());
  ASSERT_FALSE(refused);
  EXPECT_TRUE(is_unavailable(refused.error(), "damaged")) << refused.error().describe();
}

// A limit on the size of a file stands for a full disk where no file system can be mounted.
TEST_F(SqliteFaultTest, says_that_nothing_more_can_be_written_and_heals) {
  const int outcome = in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const auto database = place_.ready();
    if (!insert(*database, "before")) return 1;
    const rlimit small{256 << 10, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &small);
    const auto refused = insert(*database, "too large", std::string(1 << 20, 'x'));
    if (refused) return 2;
    if (!is_unavailable(refused.error(), "database")) return 3;
    if (count(*database) != 1) return 4;
    const rlimit lifted{RLIM_INFINITY, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &lifted);
    if (!insert(*database, "too large", std::string(1 << 20, 'x'))) return 5;
    return count(*database) == 2 ? 0 : 6;
  });
  EXPECT_EQ(outcome, 0);
}

// A file system of its own, as small as it gets.
class TinyDisk {
 public:
  explicit TinyDisk(std::filesystem::path folder) : folder_(std::move(folder)) {
    std::filesystem::create_directory(folder_);
    mounted_ = ::mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=1m") == 0;
  }
  TinyDisk(const TinyDisk&) = delete;
  TinyDisk& operator=(const TinyDisk&) = delete;
  ~TinyDisk() {
    if (mounted_) ::umount2(folder_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }

 private:
  std::filesystem::path folder_;
  bool mounted_ = false;
};

TEST_F(SqliteFaultTest, fails_every_write_of_a_group_when_the_disk_is_full_and_heals) {
  const std::string disk = (place_.folder() / "disk").string();
  const TinyDisk mount(disk);
  // Needs root; without it the limit on the file's size above stands for this.
  if (!mount.mounted()) return;
  place_.settings().file = std::filesystem::path(disk) / "store.db";
  const auto database = place_.ready();
  ASSERT_TRUE(insert(*database, "before"));
  const std::string ballast = disk + "/ballast";
  {
    std::ofstream fill(ballast, std::ios::binary);
    const std::string block(4096, 'x');
    while (fill.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  std::atomic<int> failed = 0;
  {
    std::vector<std::jthread> writers;
    for (int writer = 0; writer < 8; ++writer) {
      writers.emplace_back([&, writer] {
        const auto result = insert(*database, "full " + std::to_string(writer), std::string(300'000, 'x'));
        if (!result && is_unavailable(result.error(), "disk is full")) ++failed;
      });
    }
  }
  EXPECT_EQ(failed, 8);
  EXPECT_EQ(count(*database), 1);
  std::filesystem::remove(ballast);
  EXPECT_TRUE(insert(*database, "after"));
  EXPECT_EQ(count(*database), 2);
}

TEST_F(SqliteFaultTest, writes_a_backup_that_opens_alone) {
  const auto database = place_.ready();
  ASSERT_TRUE(insert(*database, "kept"));
  const auto target = place_.folder() / "copy it's.db";
  ASSERT_TRUE(database->backup_to(target));
  EXPECT_EQ(mode_of(target), 0600U);
  ASSERT_TRUE(insert(*database, "later"));
  place_.settings().file = target;
  const auto copy = place_.open();
  ASSERT_TRUE(copy) << copy.error().describe();
  EXPECT_EQ(count(**copy), 1);
}

TEST_F(SqliteFaultTest, never_overwrites_a_backup) {
  const auto database = place_.ready();
  const auto target = place_.folder() / "copy.db";
  std::ofstream(target) << "older";
  const auto refused = database->backup_to(target);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::already_exists);
  std::string content;
  std::ifstream(target) >> content;
  EXPECT_EQ(content, "older");
}

TEST_F(SqliteFaultTest, leaves_nothing_of_a_backup_that_failed) {
  const auto database = place_.ready();
  const auto refused = database->backup_to(place_.folder() / "missing" / "copy.db");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::unavailable);
}

// --- kill -9 in the middle of many writes
// ---------------------------------------------------------

// What a child that is killed had acknowledged, read from its pipe.
std::set<std::int64_t> acknowledged_until_killed(Place& place, int round, std::chrono::microseconds after) {
  std::array<int, 2> channel{};
  if (::pipe2(channel.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  const pid_t child = ::fork();
  if (child == 0) {
    const auto database = place.ready();
    std::vector<std::jthread> writers;
    for (int writer = 0; writer < 8; ++writer) {
      writers.emplace_back([&, writer] {
        for (std::int64_t index = 0;; ++index) {
          const std::int64_t number = (round * 100 + writer) * std::int64_t{1'000'000} + index;
          const auto done = database->write([&](Transaction& transaction) -> Result<void> {
            BERTH_CHECK(transaction.insert("INSERT INTO things (number) VALUES (:number)", {{"number", number}}));
            BERTH_CHECK(transaction.insert("INSERT INTO things (number) VALUES (:number)", {{"number", -number - 1}}));
            return {};
          });
          if (!done || ::write(channel[1], &number, sizeof number) != sizeof number) ::_exit(3);
        }
      });
    }
    writers.clear();
    ::_exit(4);
  }
  ::close(channel[1]);
  std::set<std::int64_t> numbers;
  std::int64_t number = 0;
  if (::read(channel[0], &number, sizeof number) == sizeof number) numbers.insert(number);
  std::this_thread::sleep_for(after);
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << status;
  while (::read(channel[0], &number, sizeof number) == sizeof number) numbers.insert(number);
  ::close(channel[0]);
  return numbers;
}

TEST_F(SqliteFaultTest, keeps_every_acknowledged_write_through_kill_9) {
  place_.ready().reset();
  std::set<std::int64_t> acknowledged;
  std::mt19937 random(20260123);
  constexpr int kRounds = 25;
  for (int round = 0; round < kRounds; ++round) {
    const std::chrono::microseconds after(std::uniform_int_distribution<>(0, 40'000)(random));
    const auto numbers = acknowledged_until_killed(place_, round, after);
    EXPECT_FALSE(numbers.empty());
    acknowledged.insert(numbers.begin(), numbers.end());
    const auto database = place_.ready();
    const auto rows =
        database->read([](Transaction& transaction) { return transaction.query("SELECT number FROM things"); });
    ASSERT_TRUE(rows) << rows.error().describe();
    std::set<std::int64_t> found;
    for (const Row& row : *rows) found.insert(row.integer("number"));
    for (const std::int64_t number : acknowledged) ASSERT_TRUE(found.contains(number)) << number;
    // No write is there by half.
    for (const std::int64_t number : found) ASSERT_TRUE(found.contains(-number - 1)) << number;
  }
}

}  // namespace
}  // namespace berth::store
