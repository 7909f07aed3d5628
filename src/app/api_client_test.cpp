#include "app/api_client.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <thread>

namespace berth::app {
namespace {

TEST(ServerAddress, PartsTheHostFromThePrefix) {
  const auto plain = ServerAddress::parse("http://127.0.0.1:8000");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->base, "http://127.0.0.1:8000");
  EXPECT_EQ(plain->prefix, "");
  const auto mounted = ServerAddress::parse("https://[::1]:8443/lxd-panel/");
  ASSERT_TRUE(mounted);
  EXPECT_EQ(mounted->base, "https://[::1]:8443");
  EXPECT_EQ(mounted->prefix, "/lxd-panel");
  EXPECT_EQ(mounted->url(), "https://[::1]:8443/lxd-panel");
}

TEST(ServerAddress, RefusesWhatIsNoServer) {
  for (const auto* url : {"", "localhost:8000", "ftp://a", "http://", "http://a@b", "http://a/?q", "http://a b",
                          "http://a#f", "http://a\r\nX: y"}) {
    EXPECT_FALSE(ServerAddress::parse(url)) << url;
  }
}

TEST(ErrorOfAnswer, KeepsTheServersWordsAndFields) {
  const auto error = error_of_answer(422, R"({"detail":"bad","errors":[{"field":"name","message":"too long"}]})", {});
  EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
  EXPECT_EQ(error.message().en, "bad");
  ASSERT_EQ(error.fields().size(), 1U);
  EXPECT_EQ(error.fields()[0].field, "name");
  EXPECT_EQ(error.fields()[0].message.zh, "too long");
}

TEST(ErrorOfAnswer, FallsBackToTheStatus) {
  EXPECT_EQ(error_of_answer(404, "<html>", {}).code(), ErrorCode::not_found);
  EXPECT_EQ(error_of_answer(404, "<html>", {}).message().en, "HTTP 404");
  EXPECT_EQ(error_of_answer(503, "", {}).code(), ErrorCode::unavailable);
  EXPECT_EQ(error_of_answer(418, "", {}).code(), ErrorCode::internal);
}

TEST(ErrorOfAnswer, TellsHowLongToWait) {
  EXPECT_EQ(error_of_answer(429, "{}", {{"Retry-After", "7"}}).retry_after(), std::chrono::seconds(7));
  EXPECT_FALSE(error_of_answer(429, "{}", {{"Retry-After", "soon"}}).retry_after());
}

class CredentialFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "berth-credentials-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path file() const { return folder_ / "config" / "berth" / "credentials"; }
  static mode_t mode_of(const std::filesystem::path& path) {
    struct stat status {};
    stat(path.c_str(), &status);
    return status.st_mode & 0777U;
  }

  std::filesystem::path folder_;
};

TEST_F(CredentialFileTest, KeepsALoginPerServerForItsOwnerAlone) {
  const CredentialFile credentials(file());
  EXPECT_FALSE(credentials.find("http://a")->has_value());
  ASSERT_TRUE(credentials.store("http://a", {"ann", "access-a", "refresh-a"}));
  ASSERT_TRUE(credentials.store("http://b", {"bob", "access-b", "refresh-b"}));
  const auto found = credentials.find("http://a");
  ASSERT_TRUE(found);
  ASSERT_TRUE(found->has_value());
  EXPECT_EQ((*found)->username, "ann");
  EXPECT_EQ((*found)->refresh_token, "refresh-a");
  EXPECT_EQ(mode_of(file()), 0600U);
  EXPECT_EQ(mode_of(file().parent_path()), 0700U);
}

TEST_F(CredentialFileTest, ForgetsOneLoginAndKeepsTheOthers) {
  const CredentialFile credentials(file());
  ASSERT_TRUE(credentials.store("http://a", {"ann", "x", "y"}));
  ASSERT_TRUE(credentials.store("http://b", {"bob", "x", "y"}));
  ASSERT_TRUE(credentials.remove("http://a"));
  EXPECT_FALSE(credentials.find("http://a")->has_value());
  EXPECT_TRUE(credentials.find("http://b")->has_value());
  EXPECT_TRUE(credentials.remove("http://a")) << "again is harmless";
}

TEST_F(CredentialFileTest, RefusesAFileThatOthersCanRead) {
  const CredentialFile credentials(file());
  ASSERT_TRUE(credentials.store("http://a", {"ann", "x", "y"}));
  ASSERT_EQ(chmod(file().c_str(), 0644), 0);
  EXPECT_EQ(credentials.find("http://a").error().reason(), "secret.mode");
}

TEST_F(CredentialFileTest, SaysThatItIsBrokenInsteadOfLosingIt) {
  std::filesystem::create_directories(file().parent_path());
  std::ofstream(file()) << "{";
  ASSERT_EQ(chmod(file().c_str(), 0600), 0);
  const CredentialFile credentials(file());
  EXPECT_EQ(credentials.find("http://a").error().reason(), "cli.credentials");
  EXPECT_FALSE(credentials.store("http://a", {"ann", "x", "y"}));
}

TEST_F(CredentialFileTest, LetsOneRenewAtATime) {
  const CredentialFile credentials(file());
  std::atomic<int> inside{0};
  std::atomic<bool> together{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        const auto guard = credentials.lock();
        ASSERT_TRUE(guard);
        if (++inside > 1) together = true;
        --inside;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_FALSE(together);
}

TEST(CredentialFilePlace, FollowsTheUsersConfigurationFolder) {
  EXPECT_TRUE(CredentialFile::of({{"HOME", "/home/x"}}));
  EXPECT_FALSE(CredentialFile::of({}));
}

}  // namespace
}  // namespace berth::app
