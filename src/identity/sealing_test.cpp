#include "identity/sealing.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "base/encoding.h"

namespace berth::identity {
namespace {

class SealingTest : public ::testing::Test {
 protected:
  SealingTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "berth-sealing-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    file_ = folder_ / "sealing.key";
  }
  ~SealingTest() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& content, mode_t mode) const {
    std::ofstream(file_) << content;
    ::chmod(file_.c_str(), mode);
  }
  std::vector<std::string> lines() const {
    std::ifstream stream(file_);
    std::vector<std::string> found;
    for (std::string line; std::getline(stream, line);) found.push_back(line);
    return found;
  }
  std::size_t files_in_folder() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder_), {}));
  }

  std::filesystem::path folder_;
  std::filesystem::path file_;
};

Secret key_of(char fill) {
  return Secret(std::string(32, fill));
}

TEST_F(SealingTest, what_was_sealed_opens) {
  const auto sealing = Sealing::from_keys({key_of('a')});
  for (const std::string& plain :
       {std::string(), std::string("secret"), std::string("a\0b", 3), std::string(100'000, 'x')}) {
    const auto opened = sealing.open(sealing.seal(plain, "totp:1"), "totp:1");
    ASSERT_TRUE(opened);
    EXPECT_EQ(opened->reveal(), plain);
  }
}

TEST_F(SealingTest, sealing_twice_gives_different_text_that_does_not_hold_the_plain_one) {
  const auto sealing = Sealing::from_keys({key_of('a')});
  const std::string first = sealing.seal("plain-secret", "c");
  EXPECT_NE(first, sealing.seal("plain-secret", "c"));
  EXPECT_EQ(first.find("plain-secret"), std::string::npos);
}

TEST_F(SealingTest, a_value_moved_to_another_place_does_not_open) {
  const auto sealing = Sealing::from_keys({key_of('a')});
  const auto opened = sealing.open(sealing.seal("secret", "totp:1"), "totp:2");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), ErrorCode::internal);
  EXPECT_EQ(opened.error().reason(), "sealing.broken");
}

TEST_F(SealingTest, no_altered_value_opens) {
  const auto sealing = Sealing::from_keys({key_of('a')});
  const std::string sealed = sealing.seal("secret", "c");
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    std::string altered = sealed;
    altered[i] = altered[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(sealing.open(altered, "c")) << i;
    EXPECT_FALSE(sealing.open(sealed.substr(0, i), "c")) << i;
  }
  for (const char* garbage : {"", ".", "..", "v1", "v1.", "v1..", "v2.x.y", "v1.0000000000000000.AAAA"}) {
    EXPECT_FALSE(sealing.open(garbage, "c")) << garbage;
  }
}

TEST_F(SealingTest, a_value_whose_key_is_gone_does_not_open) {
  const std::string sealed = Sealing::from_keys({key_of('a')}).seal("secret", "c");
  EXPECT_FALSE(Sealing::from_keys({key_of('b')}).open(sealed, "c"));
}

TEST_F(SealingTest, an_old_key_still_opens_and_its_values_are_outdated) {
  const std::string sealed = Sealing::from_keys({key_of('a')}).seal("secret", "c");
  const auto rotated = Sealing::from_keys({key_of('b'), key_of('a')});
  ASSERT_TRUE(rotated.open(sealed, "c"));
  EXPECT_TRUE(rotated.outdated(sealed));
  EXPECT_FALSE(rotated.outdated(rotated.seal("secret", "c")));
  EXPECT_TRUE(rotated.outdated("garbage"));
}

TEST_F(SealingTest, derived_keys_differ_by_purpose_and_survive_rotation) {
  const auto before = Sealing::from_keys({key_of('a')});
  const auto after = Sealing::from_keys({key_of('b'), key_of('a')});
  EXPECT_EQ(before.derive("tokens").reveal().size(), 32U);
  EXPECT_NE(before.derive("tokens").reveal(), before.derive("audit").reveal());
  EXPECT_EQ(before.derive("tokens").reveal(), after.derive("tokens").reveal());
  EXPECT_NE(before.derive("tokens").reveal(), key_of('a').reveal());
}

TEST_F(SealingTest, a_missing_file_is_made_with_mode_0600_and_read_again) {
  const auto made = Sealing::load(file_, true);
  ASSERT_TRUE(made) << made.error().describe();
  struct stat status {};
  ASSERT_EQ(::stat(file_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
  EXPECT_EQ(files_in_folder(), 1U) << "nothing temporary stays";
  const auto again = Sealing::load(file_, true);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->open(made->seal("secret", "c"), "c"));
}

TEST_F(SealingTest, a_missing_file_is_an_error_unless_it_may_be_made) {
  EXPECT_FALSE(Sealing::load(file_, false));
  EXPECT_FALSE(std::filesystem::exists(file_));
  EXPECT_FALSE(Sealing::load(folder_ / "absent" / "key", true));
}

TEST_F(SealingTest, several_processes_starting_at_once_agree_on_one_key) {
  std::vector<std::optional<Sealing>> loaded(8);
  {
    std::vector<std::jthread> threads;
    for (auto& slot : loaded) {
      threads.emplace_back([&slot, this] {
        auto sealing = Sealing::load(file_, true);
        if (sealing) slot = *sealing;
      });
    }
  }
  std::set<std::string> derived;
  for (const auto& sealing : loaded) {
    ASSERT_TRUE(sealing);
    derived.insert(std::string(sealing->derive("tokens").reveal()));
  }
  EXPECT_EQ(derived.size(), 1U);
  EXPECT_EQ(files_in_folder(), 1U);
}

TEST_F(SealingTest, a_file_that_others_can_read_is_refused) {
  for (const mode_t mode : {0640U, 0604U, 0660U, 0644U}) {
    write(std::string(64, 'a') + "\n", mode);
    const auto loaded = Sealing::load(file_, true);
    ASSERT_FALSE(loaded) << mode;
    EXPECT_EQ(loaded.error().reason(), "secret.mode");
  }
  write(std::string(64, 'a') + "\n", 0400);
  EXPECT_TRUE(Sealing::load(file_, true)) << "a systemd credential";
}

TEST_F(SealingTest, a_file_of_anything_but_keys_is_refused) {
  for (const std::string& content : {std::string(), std::string("\n\n"), std::string("hello"), std::string(63, 'a'),
                                     std::string(66, 'a'), std::string(64, 'g'), std::string(64, 'a') + "\nrest"}) {
    write(content, 0600);
    const auto loaded = Sealing::load(file_, true);
    ASSERT_FALSE(loaded) << content;
    EXPECT_EQ(loaded.error().reason(), "sealing.key_file");
  }
}

TEST_F(SealingTest, rotation_puts_a_new_key_in_front_and_keeps_the_old_ones) {
  const auto first = Sealing::load(file_, true);
  ASSERT_TRUE(first);
  const std::string sealed = first->seal("secret", "c");
  const auto before = lines();
  ASSERT_TRUE(Sealing::rotate(file_));
  const auto after = lines();
  ASSERT_EQ(after.size(), 2U);
  EXPECT_EQ(after[1], before[0]);
  EXPECT_NE(after[0], before[0]);
  const auto second = Sealing::load(file_, false);
  ASSERT_TRUE(second);
  EXPECT_TRUE(second->open(sealed, "c"));
  EXPECT_TRUE(second->outdated(sealed));
  EXPECT_EQ(second->derive("tokens").reveal(), first->derive("tokens").reveal());
  EXPECT_EQ(files_in_folder(), 1U);
}

TEST_F(SealingTest, rotations_at_once_lose_no_key) {
  ASSERT_TRUE(Sealing::load(file_, true));
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 6; ++i) {
      threads.emplace_back([this] { EXPECT_TRUE(Sealing::rotate(file_)); });
    }
  }
  EXPECT_EQ(lines().size(), 7U);
  EXPECT_TRUE(Sealing::load(file_, false));
}

TEST_F(SealingTest, rotating_a_broken_file_leaves_it_alone) {
  write("broken", 0600);
  EXPECT_FALSE(Sealing::rotate(file_));
  EXPECT_EQ(lines(), std::vector<std::string>{"broken"});
  EXPECT_EQ(files_in_folder(), 1U);
}

}  // namespace
}  // namespace berth::identity
