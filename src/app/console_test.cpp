#include "app/console.h"

#include <gtest/gtest.h>

#include <deque>
#include <sstream>

#include "base/error.h"

namespace berth::app {
namespace {

TEST(ExitCode, TellsApartWhatAScriptHasToTellApart) {
  EXPECT_EQ(exit_code(ErrorCode::invalid_argument), ExitCode::usage);
  EXPECT_EQ(exit_code(ErrorCode::malformed), ExitCode::usage);
  EXPECT_EQ(exit_code(ErrorCode::not_found), ExitCode::not_found);
  EXPECT_EQ(exit_code(ErrorCode::unauthenticated), ExitCode::not_permitted);
  EXPECT_EQ(exit_code(ErrorCode::permission_denied), ExitCode::not_permitted);
  EXPECT_EQ(exit_code(ErrorCode::unavailable), ExitCode::unavailable);
  EXPECT_EQ(exit_code(ErrorCode::deadline_exceeded), ExitCode::unavailable);
  EXPECT_EQ(exit_code(ErrorCode::conflict), ExitCode::failure);
  EXPECT_EQ(exit_code(ErrorCode::internal), ExitCode::failure);
}

TEST(ExitCode, HasTheDocumentedNumbers) {
  EXPECT_EQ(static_cast<int>(ExitCode::ok), 0);
  EXPECT_EQ(static_cast<int>(ExitCode::failure), 1);
  EXPECT_EQ(static_cast<int>(ExitCode::usage), 2);
  EXPECT_EQ(static_cast<int>(ExitCode::not_found), 3);
  EXPECT_EQ(static_cast<int>(ExitCode::not_permitted), 4);
  EXPECT_EQ(static_cast<int>(ExitCode::unavailable), 5);
}

TEST(EnvironmentLanguage, FollowsTheFirstVariableThatIsSet) {
  EXPECT_EQ(environment_language({}), Language::en);
  EXPECT_EQ(environment_language({{"LANG", "zh_CN.UTF-8"}}), Language::zh);
  EXPECT_EQ(environment_language({{"LANG", "zh_CN.UTF-8"}, {"LC_ALL", "C.UTF-8"}}), Language::en);
  EXPECT_EQ(environment_language({{"LANG", "zh_CN.UTF-8"}, {"LC_ALL", ""}}), Language::zh);
  EXPECT_EQ(environment_language({{"LANG", "de_DE.UTF-8"}, {"LC_MESSAGES", "zh_TW"}}), Language::zh);
}

class ConsoleTest : public ::testing::Test {
 protected:
  Console make(bool interactive = true) {
    Console console{out_, err_, {}, Language::en, false, interactive, nullptr};
    console.read_line = [this](std::string& line, bool hidden) {
      if (input_.empty()) return false;
      hidden_ = hidden_ && hidden;
      line = input_.front();
      input_.pop_front();
      return true;
    };
    return console;
  }

  std::ostringstream out_;
  std::ostringstream err_;
  std::deque<std::string> input_;
  bool hidden_ = true;
};

TEST_F(ConsoleTest, ExplainsAnErrorWithItsFieldsInTheLanguageOfTheEnvironment) {
  auto console = make();
  const auto error = Error(ErrorCode::invalid_argument, "x", {"有误", "not valid"})
                         .with_field("a.b", {"太大", "is too large"})
                         .with_detail("native words");
  EXPECT_EQ(console.fail(error), ExitCode::usage);
  EXPECT_EQ(err_.str(), "berth: not valid\n  a.b: is too large\n  native words\n");
  err_.str("");
  console.language = Language::zh;
  console.fail(error);
  EXPECT_EQ(err_.str(), "berth: 有误\n  a.b: 太大\n  native words\n");
  EXPECT_EQ(out_.str(), "");
}

TEST_F(ConsoleTest, TakesAPasswordThatIsTypedTwiceAlike) {
  input_ = {"secret-1", "secret-1"};
  auto console = make();
  const auto password = new_password(console, "", false);
  ASSERT_TRUE(password);
  EXPECT_EQ(password->reveal(), "secret-1");
  EXPECT_TRUE(hidden_);
}

TEST_F(ConsoleTest, RefusesAPasswordThatIsTypedDifferently) {
  input_ = {"secret-1", "secret-2"};
  auto console = make();
  EXPECT_EQ(new_password(console, "", false).error().reason(), "cli.passwords_differ");
}

TEST_F(ConsoleTest, ReadsAPasswordFromAPipeOnce) {
  input_ = {"secret-1"};
  auto console = make(false);
  const auto password = new_password(console, "", false);
  ASSERT_TRUE(password);
  EXPECT_EQ(err_.str(), "") << "nobody is there to be asked";
}

TEST_F(ConsoleTest, SaysSoWhenThereIsNoInput) {
  auto console = make();
  EXPECT_EQ(new_password(console, "", true).error().reason(), "cli.no_input");
  EXPECT_EQ(ask(console, {"?", "?"}).error().reason(), "cli.no_input");
}

}  // namespace
}  // namespace berth::app
