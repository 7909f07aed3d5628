#include "base/log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "temporary_folder.h"

namespace berth::log {
namespace {

/// Logs into a file of its own for one test.
class LogFile : public ::testing::Test {
 protected:
  void start(Level level, Format format = Format::text) {
    configure({.level = level, .format = format, .file = folder_ / "log"});
  }
  std::string content() {
    flush();
    return folder_.read("log");
  }
  void TearDown() override { configure({.level = Level::warning, .format = Format::text, .file = ""}); }

  berth::testing::TemporaryFolder folder_;
};

TEST(Redact, HidesSecretsInEveryForm) {
  const std::vector<std::pair<std::string_view, std::string_view>> table = {
      {"Authorization: Bearer abc.def-123", "Authorization: [redacted]"},
      {"authorization: Basic dXNlcjpwYXNz\r\nHost: x", "authorization: [redacted]\r\nHost: x"},
      {"got BEARER abc123, then", "got BEARER [redacted], then"},
      {"X-API-Key: berth_0011", "X-API-Key: [redacted]"},
      {"Cookie: a=b; session=c", "Cookie: [redacted]"},
      {"Set-Cookie: a=b", "Set-Cookie: [redacted]"},
      {"/login?user=me&password=hunter2&next=/", "/login?user=me&password=[redacted]&next=/"},
      {"/ws/monitor?token=abc.def", "/ws/monitor?token=[redacted]"},
      {R"({"username":"me","password":"hunter2"})", R"({"username":"me","password":"[redacted]"})"},
      {R"({"password": "hun\"ter2", "x": 1})", R"({"password": "[redacted]", "x": 1})"},
      {R"({"root_password" : "p w, d"})", R"({"root_password" : "[redacted]"})"},
      {R"({"access_token":"a","refresh_token":"b"})", R"({"access_token":"[redacted]","refresh_token":"[redacted]"})"},
      {R"("body":"{\"password\":\"hunter2\",\"x\":1}")", R"("body":"{\"password\":\"[redacted]\",\"x\":1}")"},
      {"{'password': 'hunter2'}", "{'password': '[redacted]'}"},
      {"PASSWORD = hunter2", "PASSWORD = [redacted]"},
      {"passwd:hunter2;", "passwd:[redacted];"},
      {"PrivateKey = aGVsbG8=\nAddress = x", "PrivateKey = [redacted]\nAddress = x"},
      {R"("private_key":"k","preshared_key":"l","otp":"123456")",
       R"("private_key":"[redacted]","preshared_key":"[redacted]","otp":"[redacted]")"},
      {"client_secret=s api_key=k apikey=l", "client_secret=[redacted] api_key=[redacted] apikey=[redacted]"},
      {"postgresql://berth:hunter2@db:5432/x", "postgresql://berth:[redacted]@db:5432/x"},
      {"https://me:p@ss@host/", "https://me:[redacted]@host/"},
      {"key berth_0123abcd_0123456789abcdef0123456789abcdef refused", "key berth_0123abcd_[redacted] refused"},
      {"sent eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl.", "sent [redacted]"},
      {"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nrest",
       "-----BEGIN PRIVATE KEY-----[redacted]-----END PRIVATE KEY-----\nrest"},
      {"-----BEGIN EC PRIVATE KEY-----\nMIIE", "-----BEGIN EC PRIVATE KEY-----[redacted]"},
      {"password=\"unclosed", "password=\"[redacted]"},
  };
  for (const auto& [message, expected] : table) EXPECT_EQ(redact(message), expected);
}

TEST(Redact, LeavesEverythingElseAlone) {
  for (const std::string_view message : {"",
                                         "instance test1 started",
                                         "the token expired",
                                         "password",
                                         "password=",
                                         "password: ",
                                         "passwords do not match",
                                         "token_type=bearer",
                                         "password_file=/etc/berth/password",
                                         "http://localhost:8000/api/instances",
                                         "a://b",
                                         "user@host",
                                         "https://host/?mail=a@b",
                                         "eyJ",
                                         "eyJust a word",
                                         "berth_http_requests_total 5",
                                         "{\"otp\":\"\"}",
                                         "日志 密码",
                                         "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
                                         "bearer",
                                         "\\",
                                         "secret\\",
                                         "token\""}) {
    EXPECT_EQ(redact(message), message);
  }
}

TEST(Redact, EndsOnAnyBytes) {
  std::uint32_t state = 2463534242U;
  const std::string_view alphabet = "password=\"\\':token bearer eyJ.-berth_://@\n{},";
  for (int round = 0; round < 2000; ++round) {
    std::string message;
    for (int i = 0; i < 60; ++i) {
      state ^= state << 13U;
      state ^= state >> 17U;
      state ^= state << 5U;
      message.push_back(alphabet[state % alphabet.size()]);
    }
    EXPECT_LE(redact("password=hunter2 " + message).find("[redacted]"), 9U);
  }
}

TEST_F(LogFile, WritesLinesWithLevelAndPart) {
  start(Level::info);
  info("store", "opened {}", "x.db");
  error("http", "failed");
  const std::string text = content();
  EXPECT_NE(text.find("Z info    store      opened x.db\n"), std::string::npos) << text;
  EXPECT_NE(text.find("Z error   http       failed\n"), std::string::npos) << text;
}

TEST_F(LogFile, WritesNothingBelowItsLevel) {
  start(Level::warning);
  EXPECT_FALSE(enabled(Level::info));
  EXPECT_TRUE(enabled(Level::error));
  debug("x", "debug");
  info("x", "info");
  write(Level::info, "x", "direct");
  warning("x", "warned");
  const std::string text = content();
  EXPECT_NE(text.find("warned"), std::string::npos);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

TEST_F(LogFile, RedactsWhatItWrites) {
  start(Level::info);
  info("http", "password={}", "hunter2");
  EXPECT_EQ(content().find("hunter2"), std::string::npos);
}

TEST_F(LogFile, OneMessageStaysOneLine) {
  start(Level::info);
  info("http", "a\nb\r\x1b[31m\x7f c \xff");
  const std::string text = content();
  EXPECT_NE(text.find("a\\nb\\r [31m  c ?\n"), std::string::npos) << text;
}

TEST_F(LogFile, WritesJsonWhenAsked) {
  start(Level::debug, Format::json);
  debug("store", "said \"no\"\n\x01 {}", "实例");
  const std::string text = content();
  EXPECT_TRUE(text.starts_with(R"({"time":"20)")) << text;
  EXPECT_TRUE(text.ends_with(R"(,"level":"debug","part":"store","message":"said \"no\"\u000a\u0001 实例"})"
                             "\n"))
      << text;
}

TEST_F(LogFile, ReopensAfterRotation) {
  start(Level::info);
  info("x", "first");
  flush();
  std::filesystem::rename(folder_.path() / "log", folder_.path() / "log.1");
  reopen();
  info("x", "second");
  flush();
  EXPECT_NE(folder_.read("log.1").find("first"), std::string::npos);
  EXPECT_NE(folder_.read("log").find("second"), std::string::npos);
  EXPECT_EQ(folder_.read("log").find("first"), std::string::npos);
}

TEST_F(LogFile, AFileThatCannotBeOpenedDoesNotEndTheProcess) {
  folder_.write("file", "");
  configure({.level = Level::info, .format = Format::text, .file = folder_ / "file/log"});
  info("x", "goes to standard error");
  flush();
}

TEST_F(LogFile, ThreadsWriteWholeLines) {
  start(Level::info);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([t] {
        for (int i = 0; i < 200; ++i) info("x", "{}{}", t, std::string(100, static_cast<char>('a' + t)));
      });
    }
  }
  const std::string text = content();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 800);
  for (int t = 0; t < 4; ++t) {
    const std::string line = std::to_string(t) + std::string(100, static_cast<char>('a' + t)) + "\n";
    std::size_t found = 0;
    for (std::size_t at = text.find(line); at != std::string::npos; at = text.find(line, at + 1)) ++found;
    EXPECT_EQ(found, 200U);
  }
}

}  // namespace
}  // namespace berth::log
