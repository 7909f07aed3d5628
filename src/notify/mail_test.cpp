#include "notify/mail.h"

#include <gtest/gtest.h>

#include "base/encoding.h"

namespace berth::notify {
namespace {

using namespace std::chrono_literals;

constexpr Timestamp kNow{std::chrono::seconds(1'800'000'000)};

Mail mail(std::string subject = "Hello", std::string body = "A body\n") {
  return {"alice@example.com", std::move(subject), std::move(body), "id-1@example.org", "id-1", kNow};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = text.find("\r\n", begin);
    lines.push_back(text.substr(begin, end - begin));
    begin = end == std::string::npos ? text.size() : end + 2;
  }
  return lines;
}

TEST(Mail, KeepsAShortAsciiHeaderAsItIs) {
  EXPECT_EQ(encode_header("Rental of web-1 ends 2026-12-30"), "Rental of web-1 ends 2026-12-30");
}

TEST(Mail, EncodesEverythingElse) {
  EXPECT_EQ(encode_header("容器"), "=?UTF-8?B?" + to_base64("容器") + "?=");
  EXPECT_EQ(encode_header("a =?x?= b"), "=?UTF-8?B?" + to_base64("a =?x?= b") + "?=");
  EXPECT_EQ(encode_header("Berth, Ltd."), "=?UTF-8?B?" + to_base64("Berth, Ltd.") + "?=");
}

TEST(Mail, FoldsALongHeaderBetweenCharacters) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "容器";
  std::string joined;
  for (const auto& line : lines_of(encode_header(text))) {
    EXPECT_LE(line.size(), 76U);
    const std::string word = line.starts_with(' ') ? line.substr(1) : line;
    ASSERT_TRUE(word.starts_with("=?UTF-8?B?") && word.ends_with("?=")) << word;
    const auto part = from_base64(word.substr(10, word.size() - 12));
    ASSERT_TRUE(part);
    EXPECT_TRUE(is_utf8(*part)) << "a character was parted";
    joined += *part;
  }
  EXPECT_EQ(joined, text);
}

TEST(Mail, BoundsAHeaderWithoutPartingACharacter) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "容";
  std::string joined;
  for (const auto& line : lines_of(encode_header(text))) {
    const std::string word = line.starts_with(' ') ? line.substr(1) : line;
    joined += from_base64(word.substr(10, word.size() - 12)).value_or("");
  }
  EXPECT_TRUE(is_utf8(joined));
  EXPECT_LE(joined.size(), 1000U);
  EXPECT_GE(joined.size(), 990U);
}

TEST(Mail, LetsNoTextAddAHeader) {
  const auto message =
      compose(mail("Hi\r\nBcc: eve@example.com\r\n\r\nBody", "x"), "berth@example.org", "Berth\r\nX-Evil: 1\n");
  int headers = 0;
  for (const auto& line : lines_of(message)) {
    if (line.empty()) break;
    EXPECT_FALSE(line.starts_with("Bcc") || line.starts_with("X-Evil")) << line;
    if (!line.starts_with(' ')) ++headers;
  }
  EXPECT_EQ(headers, 10);
}

TEST(Mail, EncodesItsBodySoThatNoLineIsTakenForTheEnd) {
  const std::string body = "第一行\n.\n..\nFrom here\n" + std::string(5000, 'x');
  const auto message = compose(mail("Hello", body), "berth@example.org", "Berth");
  const std::size_t begin = message.find("\r\n\r\n") + 4;
  std::string encoded;
  for (const auto& line : lines_of(message.substr(begin))) {
    EXPECT_LE(line.size(), 76U);
    EXPECT_FALSE(line.starts_with('.'));
    encoded += line;
  }
  EXPECT_EQ(from_base64(encoded), body);
}

TEST(Mail, IsTheSameAtEveryAttempt) {
  EXPECT_EQ(compose(mail(), "berth@example.org", "Berth"), compose(mail(), "berth@example.org", "Berth"));
}

TEST(Mail, TellsTheTimeAsMailDoes) {
  EXPECT_EQ(format_mail_date(kNow), "Fri, 15 Jan 2027 08:00:00 +0000");
  EXPECT_EQ(format_mail_date(kNow + 24h * 16 + 61s), "Sun, 31 Jan 2027 08:01:01 +0000");
}

}  // namespace
}  // namespace berth::notify
