#include "app/command_line.h"

#include <gtest/gtest.h>

#include <sstream>

#include "app/commands.h"
#include "app/completion.h"

namespace berth::app {
namespace {

class CommandLineTest : public ::testing::Test {
 protected:
  ExitCode run(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "berth");
    out_.str("");
    err_.str("");
    return line_.run(static_cast<int>(arguments.size()), arguments.data());
  }

  std::ostringstream out_;
  std::ostringstream err_;
  Console console_{out_, err_, {}, Language::en, false, false, nullptr};
  CommandLine line_{console_};
};

TEST_F(CommandLineTest, RunsTheCommandThatWasCalledWithItsOptions) {
  std::string name;
  std::string format = "table";
  std::vector<std::string> scopes;
  std::int64_t limit = 50;
  bool force = false;
  int calls = 0;
  auto command = line_.root().add("users", "Users").add("add", "Add one");
  command.argument("NAME", name, "Name");
  command.choice("-o,--output", format, {"table", "json"}, "How");
  command.option("--scope", scopes, "Scope");
  command.option("--limit", limit, "Limit");
  command.flag("-f,--force", force, "Force");
  command.action([&] {
    ++calls;
    return ExitCode::ok;
  });
  EXPECT_EQ(run({"users", "add", "-o", "json", "--scope", "a", "--scope", "b", "bob", "-f"}), ExitCode::ok);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(name, "bob");
  EXPECT_EQ(format, "json");
  EXPECT_EQ(scopes, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(limit, 50);
  EXPECT_TRUE(force);
}

TEST_F(CommandLineTest, PassesOnTheCodeThatACommandEndsWith) {
  line_.root().add("lost", "Fails").action([] { return ExitCode::not_found; });
  EXPECT_EQ(run({"lost"}), ExitCode::not_found);
  EXPECT_EQ(err_.str(), "");
}

TEST_F(CommandLineTest, CallsMistakesUsage) {
  std::string format = "table";
  std::int64_t limit = 0;
  auto group = line_.root().add("users", "Users");
  auto command = group.add("list", "List");
  command.choice("-o", format, {"table", "json"}, "How");
  command.option("--limit", limit, "Limit");
  command.action([] { return ExitCode::ok; });
  EXPECT_EQ(run({}), ExitCode::usage);
  EXPECT_EQ(run({"users"}), ExitCode::usage);
  EXPECT_EQ(run({"user"}), ExitCode::usage);
  EXPECT_EQ(run({"users", "list", "--colour"}), ExitCode::usage);
  EXPECT_EQ(run({"users", "list", "-o", "xml"}), ExitCode::usage);
  EXPECT_EQ(run({"users", "list", "--limit", "many"}), ExitCode::usage);
  EXPECT_EQ(run({"users", "list", "extra"}), ExitCode::usage);
  EXPECT_NE(err_.str(), "");
}

TEST_F(CommandLineTest, TakesWordsBehindTwoDashesAsTheyAre) {
  std::string name;
  std::vector<std::string> words;
  auto command = line_.root().add("exec", "Run");
  command.argument("NAME", name, "Name");
  command.arguments("COMMAND", words, "Command", false);
  command.action([] { return ExitCode::ok; });
  EXPECT_EQ(run({"exec", "box", "--", "ls", "-l", "--all"}), ExitCode::ok);
  EXPECT_EQ(words, (std::vector<std::string>{"ls", "-l", "--all"}));
}

TEST_F(CommandLineTest, ExplainsABugWithoutEndingTheProgram) {
  line_.root().add("bug", "Throws").action([]() -> ExitCode { throw std::logic_error("broken"); });
  EXPECT_EQ(run({"bug"}), ExitCode::failure);
  EXPECT_NE(err_.str().find("broken"), std::string::npos);
}

/// The program's own command line.
class BerthCommandLine : public CommandLineTest {
 protected:
  BerthCommandLine() {
    auto root = line_.root();
    add_serve_command(root, console_);
    add_doctor_command(root, console_);
    add_instance_commands(root, console_);
    add_login_commands(root, console_);
    add_user_commands(root, console_);
    add_key_commands(root, console_);
    add_config_commands(root, console_);
    add_migrate_command(root, console_);
    add_audit_commands(root, console_);
    add_sealing_commands(root, console_);
    add_version_command(root, console_);
    add_completion_command(root, line_.shape(), console_);
  }

  static void every_path(const CommandShape& shape, std::vector<const char*> path,
                         const std::function<void(const std::vector<const char*>&)>& see) {
    if (!path.empty()) see(path);
    for (const auto& child : shape.commands) {
      auto longer = path;
      longer.push_back(child->name.c_str());
      every_path(*child, longer, see);
    }
  }
};

TEST_F(BerthCommandLine, ExplainsEveryCommand) {
  int seen = 0;
  every_path(line_.shape(), {}, [&](std::vector<const char*> path) {
    const std::string name = path.back();
    path.push_back("--help");
    EXPECT_EQ(run(path), ExitCode::ok) << name;
    EXPECT_NE(out_.str().find("Usage:"), std::string::npos) << name;
    ++seen;
  });
  EXPECT_GT(seen, 30);
}

TEST_F(BerthCommandLine, DocumentsItsExitCodes) {
  EXPECT_EQ(run({"--help"}), ExitCode::ok);
  EXPECT_NE(out_.str().find("3 not found"), std::string::npos);
}

TEST_F(BerthCommandLine, PrintsAReferenceThatItChecksItself) {
  ASSERT_EQ(run({"config", "reference"}), ExitCode::ok);
  EXPECT_NE(out_.str().find("#[server]"), std::string::npos);
}

TEST_F(BerthCommandLine, SaysWhichConfigurationIsMissing) {
  EXPECT_EQ(run({"config", "check", "--config", "/nonexistent/berth.toml"}), ExitCode::not_found);
  EXPECT_NE(err_.str().find("/nonexistent/berth.toml"), std::string::npos);
  EXPECT_EQ(run({"user", "list", "--config", "/nonexistent/berth.toml"}), ExitCode::not_found);
}

TEST_F(BerthCommandLine, SaysWhenNoDaemonAnswers) {
  EXPECT_EQ(run({"instances", "list", "--server", "http://127.0.0.1:1"}), ExitCode::unavailable);
  EXPECT_NE(err_.str().find("http://127.0.0.1:1"), std::string::npos);
}

TEST_F(BerthCommandLine, RefusesAServerThatIsNoAddress) {
  EXPECT_EQ(run({"instances", "list", "--server", "localhost"}), ExitCode::usage);
}

TEST_F(BerthCommandLine, RefusesLimitsThatAreNone) {
  for (const auto* memory : {"512MB", "lots", "0MiB", "1KiB", "-1MiB"}) {
    EXPECT_EQ(run({"instances", "create", "x", "--image", "i", "--memory", memory, "--server", "http://127.0.0.1:1"}),
              ExitCode::usage)
        << memory;
  }
  EXPECT_EQ(run({"instances", "create", "x", "--image", "i", "--cpu", "two", "--server", "http://127.0.0.1:1"}),
            ExitCode::usage);
}

TEST_F(BerthCommandLine, CompletesEveryCommandInEveryShell) {
  for (const auto& shell : completion_shells()) {
    ASSERT_EQ(run({"completion", shell.c_str()}), ExitCode::ok);
    const auto script = out_.str();
    every_path(line_.shape(), {}, [&](const std::vector<const char*>& path) {
      EXPECT_NE(script.find(path.back()), std::string::npos) << shell << " " << path.back();
    });
    EXPECT_NE(script.find("reset-totp"), std::string::npos);
    EXPECT_NE(script.find("password-file"), std::string::npos);
  }
}

}  // namespace
}  // namespace berth::app
