#include "agent/restart_policies.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "temporary_folder.h"

namespace berth::agent {
namespace {

using compute::RestartPolicy;

/// A folder as Docker 20.10 keeps it.
class RestartPoliciesTest : public ::testing::Test {
 protected:
  void put(char id, const std::string& name, const std::string& policy, const std::string& state = "{}",
           bool stopped_by_hand = false) {
    const auto folder = folder_of(id);
    std::filesystem::create_directory(folder);
    std::ofstream(folder / "config.v2.json")
        << R"({"State":)" << state << R"(,"ID":"x","Name":"/)" << name << R"(","HasBeenManuallyStopped":)"
        << (stopped_by_hand ? "true" : "false") << "}\n";
    std::ofstream(folder / "hostconfig.json")
        << R"({"Binds":null,"NetworkMode":"none","RestartPolicy":{"Name":")" << policy
        << R"(","MaximumRetryCount":0},"AutoRemove":false,"Note":"\"RestartPolicy\":{\"Name\":\"always\""})" << "\n";
  }
  std::filesystem::path folder_of(char id) const { return folder_.path() / std::string(64, id); }
  std::string host(char id) const {
    std::ostringstream text;
    text << std::ifstream(folder_of(id) / "hostconfig.json").rdbuf();
    return text.str();
  }

  testing::TemporaryFolder folder_;
};

TEST_F(RestartPoliciesTest, EveryPolicyIsTakenAndToldAndTheRestStays) {
  put('a', "web", "always");
  put('b', "shop", "no");
  put('c', "db", "unless-stopped");
  const std::string before = host('a');
  const auto taken = take_restart_policies(folder_.path());
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_EQ(taken.at(std::string(64, 'a')), (TakenPolicy{"web", RestartPolicy::always, true}));
  EXPECT_EQ(taken.at(std::string(64, 'c')), (TakenPolicy{"db", RestartPolicy::unless_stopped, true}));
  std::string expected = before;
  expected.replace(expected.find("always"), 6, "no");
  EXPECT_EQ(host('a'), expected);
  EXPECT_TRUE(take_restart_policies(folder_.path()).empty()) << "there is nothing left to take";
}

TEST_F(RestartPoliciesTest, WhatItsEngineWouldStartIsToldByDockersOwnRule) {
  put('a', "always-by-hand", "always", R"({"Running":false})", true);
  put('b', "unless-by-hand", "unless-stopped", R"({"Running":false})", true);
  put('c', "failed", "on-failure", R"({"Running":false,"ExitCode":137})");
  put('d', "ended", "on-failure", R"({"Running":false,"ExitCode":0})");
  put('e', "ran", "on-failure", R"({"Running":true,"ExitCode":0})");
  const auto taken = take_restart_policies(folder_.path());
  const auto starts = [&](char id) { return taken.at(std::string(64, id)).starts; };
  EXPECT_TRUE(starts('a'));
  EXPECT_FALSE(starts('b'));
  EXPECT_TRUE(starts('c'));
  EXPECT_FALSE(starts('d'));
  EXPECT_TRUE(starts('e'));
}

TEST_F(RestartPoliciesTest, WhatCannotBeUnderstoodIsLeftAsItIs) {
  put('a', "web", "sometimes");
  put('b', "shop", "always");
  std::ofstream(folder_of('b') / "config.v2.json") << "{";
  std::filesystem::create_directory(folder_of('c'));
  std::filesystem::create_directory(folder_.path() / "no-id");
  const std::string before = host('a') + host('b');
  EXPECT_TRUE(take_restart_policies(folder_.path()).empty());
  EXPECT_EQ(host('a') + host('b'), before);
  EXPECT_TRUE(take_restart_policies(folder_.path() / "nowhere").empty());
}

TEST_F(RestartPoliciesTest, TheFilesRightsStay) {
  put('a', "web", "always");
  const auto file = folder_of('a') / "hostconfig.json";
  std::filesystem::permissions(file, std::filesystem::perms(0600));
  ASSERT_EQ(take_restart_policies(folder_.path()).size(), 1u);
  EXPECT_EQ(std::filesystem::status(file).permissions(), std::filesystem::perms(0600));
}

}  // namespace
}  // namespace berth::agent
