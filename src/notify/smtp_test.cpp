#include "notify/smtp.h"

#include <gtest/gtest.h>

#include <thread>

#include "certificate.h"
#include "eventually.h"
#include "json/document.h"
#include "smtp_sink.h"

namespace berth::notify {
namespace {

using namespace std::chrono_literals;
using testing::SmtpSink;

constexpr Timestamp kNow{std::chrono::seconds(1'800'000'000)};

std::string reason_of(const Result<void>& result) {
  return result ? std::string("ok") : std::string(result.error().reason());
}

SmtpSettings settings_for(const SmtpSink& sink, TlsMode tls = TlsMode::none) {
  SmtpSettings settings;
  settings.host = "127.0.0.1";
  settings.port = sink.port();
  settings.tls = tls;
  settings.sender = "berth@example.org";
  settings.sender_name = "Berth 面板";
  return settings;
}

Mail mail_to(std::string to) {
  return {std::move(to), "容器 web-1 的租赁即将到期", "您好：\n.\n续租即可。\n", "id-1@example.org", "id-1", kNow};
}

Result<void> send(SmtpClient& client, std::string to, std::chrono::milliseconds time = 20s) {
  return client.send(mail_to(std::move(to)), Deadline::after(time));
}

json::Document parsed(const std::string& text) {
  auto document = json::Document::parse(text);
  if (!document) throw std::runtime_error(text);
  return *std::move(document);
}

/// A sink with a certificate of its own.
class SmtpTls : public ::testing::TestWithParam<TlsMode> {
 protected:
  std::vector<std::string> options(bool with_password = true) const {
    std::vector<std::string> options = {GetParam() == TlsMode::implicit ? "tls=implicit" : "tls=starttls",
                                        "certificate=" + certificate_.certificate(), "key=" + certificate_.key()};
    if (with_password) options.emplace_back("password=correct horse");
    return options;
  }
  SmtpSettings settings(const SmtpSink& sink, std::string_view password = "correct horse") const {
    auto settings = settings_for(sink, GetParam());
    settings.username = "berth";
    settings.password = Secret(std::string(password));
    settings.server_certificate = certificate_.certificate();
    return settings;
  }

  testing::TemporaryFolder folder_;
  testing::Certificate certificate_{folder_ / "sink"};
};

INSTANTIATE_TEST_SUITE_P(Modes, SmtpTls, ::testing::Values(TlsMode::starttls, TlsMode::implicit),
                         [](const auto& info) { return info.param == TlsMode::starttls ? "starttls" : "implicit"; });

TEST(Smtp, DeliversWhatAnotherProgramReadsAsItWasMeant) {
  const SmtpSink sink;
  SmtpClient client(settings_for(sink));
  ASSERT_EQ(reason_of(send(client, "alice@example.com")), "ok");
  ASSERT_EQ(sink.mails().size(), 1U);
  const auto document = parsed(sink.mails().front());
  const auto mail = document.root();
  EXPECT_EQ(mail["from"].string(), "berth@example.org");
  EXPECT_EQ(mail["to"].at(0).string(), "alice@example.com");
  EXPECT_EQ(mail["subject"].string(), "容器 web-1 的租赁即将到期");
  EXPECT_EQ(mail["sender"].string(), "Berth 面板 <berth@example.org>");
  EXPECT_EQ(mail["message_id"].string(), "<id-1@example.org>");
  EXPECT_EQ(mail["date"].string(), "Fri, 15 Jan 2027 08:00:00 +0000");
  EXPECT_EQ(mail["text"].string(), "您好：\n.\n续租即可。\n");
}

TEST(Smtp, TellsRefusedForGoodFromRefusedForNow) {
  const SmtpSink sink;
  SmtpClient client(settings_for(sink));
  EXPECT_EQ(reason_of(send(client, "perm@example.com")), "mail.rejected");
  EXPECT_EQ(reason_of(send(client, "temp@example.com")), "mail.deferred");
  EXPECT_EQ(reason_of(send(client, "full@example.com")), "mail.rejected");
  const auto failed = send(client, "perm@example.com");
  EXPECT_NE(failed.error().detail().find("No such mailbox"), std::string::npos) << failed.error().describe();
  EXPECT_EQ(reason_of(send(client, "once@example.com")), "mail.deferred");
  EXPECT_EQ(reason_of(send(client, "once@example.com")), "ok");
}

TEST(Smtp, KnowsWhenAMailMayHaveArrived) {
  const SmtpSink sink;
  SmtpClient client(settings_for(sink));
  EXPECT_EQ(reason_of(send(client, "lost@example.com")), "mail.uncertain");
  EXPECT_EQ(reason_of(send(client, "late@example.com", 500ms)), "mail.uncertain");
  EXPECT_EQ(sink.mails().size(), 2U);
}

TEST(Smtp, WaitsNoLongerThanItMayForAServerThatHangs) {
  SmtpSink sink;
  SmtpClient client(settings_for(sink));
  sink.pause();
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(reason_of(send(client, "alice@example.com", 300ms)), "mail.unreachable");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 10s);
  sink.resume();
}

TEST(Smtp, SaysSoWhenNobodyListensAndComesBackWhenSomebodyDoes) {
  SmtpSink sink;
  SmtpClient client(settings_for(sink));
  sink.kill();
  EXPECT_EQ(reason_of(send(client, "alice@example.com")), "mail.unreachable");
  sink.restart();
  EXPECT_EQ(reason_of(send(client, "alice@example.com")), "ok");
}

TEST(Smtp, StopsInTheMiddle) {
  SmtpSink sink;
  SmtpClient client(settings_for(sink));
  std::thread stopper([&] {
    EXPECT_TRUE(testing::eventually([&] { return !sink.mails().empty(); }));
    client.stop();
  });
  EXPECT_EQ(reason_of(send(client, "late@example.com", 60s)), "mail.stopped");
  stopper.join();
  EXPECT_EQ(reason_of(send(client, "alice@example.com")), "mail.stopped");
}

TEST(Smtp, SendsToNothingThatIsNoAddress) {
  const SmtpSink sink;
  SmtpClient client(settings_for(sink));
  for (const std::string address : {"", "alice", "a@b.c>\r\nRCPT TO:<eve@example.com", "a b@example.com",
                                    "<alice@example.com>", "alice@example.com,eve@example.com"}) {
    EXPECT_EQ(reason_of(send(client, address)), "mail.rejected") << address;
  }
  EXPECT_TRUE(sink.mails().empty());
}

TEST(Smtp, ChecksItsSettings) {
  SmtpSettings settings;
  settings.host = "mail.example.org/x";
  settings.sender = "nobody";
  settings.username = "berth";
  auto checked = check_smtp_settings(settings);
  ASSERT_EQ(reason_of(checked), "mail.settings");
  EXPECT_EQ(checked.error().fields().size(), 3U);
  settings = {.host = "mail.example.org",
              .tls = TlsMode::none,
              .username = "berth",
              .password = Secret("x"),
              .sender = "berth@example.org"};
  checked = check_smtp_settings(settings);
  ASSERT_EQ(reason_of(checked), "mail.settings");
  EXPECT_EQ(checked.error().fields().front().field, "password");
  settings.tls = TlsMode::starttls;
  EXPECT_EQ(reason_of(check_smtp_settings(settings)), "ok");
}

TEST_P(SmtpTls, SendsWithAPasswordUnderTls) {
  const SmtpSink sink(options());
  SmtpClient client(settings(sink));
  ASSERT_EQ(reason_of(send(client, "alice@example.com")), "ok");
  const auto mail = parsed(sink.mails().front());
  EXPECT_EQ(mail.root()["tls"].boolean(), true);
  EXPECT_EQ(mail.root()["user"].string(), "berth");
}

TEST_P(SmtpTls, DoesNotBlameTheMailForAWrongPassword) {
  const SmtpSink sink(options());
  SmtpClient client(settings(sink, "wrong"));
  const auto refused = send(client, "alice@example.com");
  ASSERT_EQ(reason_of(refused), "mail.unreachable");
  EXPECT_TRUE(refused.error().detail().starts_with("535")) << refused.error().detail();
  EXPECT_TRUE(sink.mails().empty());
}

TEST_P(SmtpTls, TrustsNoOtherCertificate) {
  const SmtpSink sink(options());
  const testing::Certificate other(folder_ / "other");
  auto settings = this->settings(sink);
  settings.server_certificate = other.certificate();
  SmtpClient stranger(settings);
  EXPECT_EQ(reason_of(send(stranger, "alice@example.com")), "mail.unreachable");
  settings.server_certificate.clear();
  SmtpClient system(settings);
  EXPECT_EQ(reason_of(send(system, "alice@example.com")), "mail.unreachable");
  EXPECT_TRUE(sink.mails().empty());
}

TEST(Smtp, SendsNothingInTheClearToAServerWithoutStarttls) {
  const SmtpSink sink;
  SmtpClient client(settings_for(sink, TlsMode::starttls));
  EXPECT_EQ(reason_of(send(client, "alice@example.com")), "mail.unreachable");
  EXPECT_TRUE(sink.mails().empty());
}

}  // namespace
}  // namespace berth::notify
