#include "notify/webhook.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "eventually.h"
#include "scripted_server.h"

namespace berth::notify {
namespace {

using namespace std::chrono_literals;
using testing::ScriptedServer;

constexpr Timestamp kNow{std::chrono::seconds(1'800'000'000)};

template <class T>
std::string reason_of(const Result<T>& result) {
  return result ? std::string("ok") : std::string(result.error().reason());
}

std::string url_of(const ScriptedServer& server, std::string_view target = "/hook?a=1") {
  return fmt::format("http://127.0.0.1:{}{}", server.port(), target);
}

WebhookMessage message(std::string url) {
  return {std::move(url), Secret("a secret of sixteen+"), "test", "4b1c", "{\"a\":1}"};
}

TEST(WebhookUrl, TakesHttpAndHttpsApart) {
  const auto parts = WebhookUrl::parse("https://hooks.example.com:8443/a/b?c=%20d");
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->base, "https://hooks.example.com:8443");
  EXPECT_EQ(parts->target, "/a/b?c=%20d");
  EXPECT_EQ(WebhookUrl::parse("http://[2001:db8::1]?x")->target, "/?x");
  EXPECT_EQ(WebhookUrl::parse("http://[2001:db8::1]:80/")->base, "http://[2001:db8::1]:80");
  EXPECT_EQ(WebhookUrl::parse("http://192.0.2.1")->target, "/");
}

TEST(WebhookUrl, RefusesEverythingElse) {
  for (const std::string url : {"",
                                "hooks.example.com",
                                "ftp://x/",
                                "file:///etc/passwd",
                                "gopher://x/",
                                "HTTP://x/",
                                "http://",
                                "http:///a",
                                "http://user:pass@x/",
                                "http://x@y/",
                                "http://x:0/",
                                "http://x:65536/",
                                "http://x:/",
                                "http://x:8o/",
                                "http://x/#frag",
                                "http://x/a b",
                                "http://x/\r\nHost: y",
                                "http://x/\x7f",
                                "http://é/",
                                "http://[::1/",
                                "http://[g::1]/",
                                "http://x\\y/"}) {
    EXPECT_EQ(reason_of(WebhookUrl::parse(url)), "webhook.url") << url;
  }
  EXPECT_FALSE(WebhookUrl::parse("http://x/" + std::string(2048, 'a')));
}

TEST(WebhookSignature, IsHmacSha256OverTimeAndBody) {
  EXPECT_EQ(sign(Secret("a secret of sixteen+"), "{\"a\":1}", kNow),
            "t=1800000000,v1=109d21ff98252f1ad1d0866aa246d8cf41a39a93688b3d4ab7c140d4fc9e136a");
}

TEST(WebhookClient, PostsTheSignedBody) {
  std::mutex mutex;
  std::string request;
  const ScriptedServer server([&](ScriptedServer::Peer& peer) {
    const std::string got = peer.read_request();
    {
      const std::lock_guard lock(mutex);
      request = got;
    }
    peer.answer(204, "");
  });
  WebhookClient client;
  EXPECT_EQ(reason_of(client.send(message(url_of(server)), kNow, Deadline::after(5s))), "ok");
  const std::lock_guard lock(mutex);
  EXPECT_TRUE(request.starts_with("POST /hook?a=1 HTTP/1.1\r\n")) << request;
  EXPECT_NE(request.find("X-Berth-Event: test\r\n"), std::string::npos);
  EXPECT_NE(request.find("X-Berth-Delivery: 4b1c\r\n"), std::string::npos);
  EXPECT_NE(request.find("X-Berth-Signature: " + sign(Secret("a secret of sixteen+"), "{\"a\":1}", kNow) + "\r\n"),
            std::string::npos);
  EXPECT_TRUE(request.ends_with("\r\n\r\n{\"a\":1}"));
}

TEST(WebhookClient, DoesNotFollowARedirect) {
  const ScriptedServer elsewhere([](ScriptedServer::Peer& peer) { peer.answer(200, "{}"); });
  const ScriptedServer server([&](ScriptedServer::Peer& peer) {
    (void)peer.read_request();
    peer.answer(307, "", fmt::format("Location: {}\r\n", url_of(elsewhere)));
  });
  WebhookClient client;
  EXPECT_EQ(reason_of(client.send(message(url_of(server)), kNow, Deadline::after(5s))), "webhook.refused");
  EXPECT_EQ(elsewhere.connections(), 0);
}

TEST(WebhookClient, TellsForGoodFromForNow) {
  std::atomic<int> status{500};
  const ScriptedServer server([&](ScriptedServer::Peer& peer) {
    (void)peer.read_request();
    peer.answer(status, "{}");
  });
  WebhookClient client;
  for (const int refusal : {400, 404, 429, 500, 503}) {
    status = refusal;
    EXPECT_EQ(reason_of(client.send(message(url_of(server)), kNow, Deadline::after(5s))), "webhook.refused");
  }
  status = 410;
  EXPECT_EQ(reason_of(client.send(message(url_of(server)), kNow, Deadline::after(5s))), "webhook.gone");
}

TEST(WebhookClient, KnowsWhenItDoesNotKnow) {
  WebhookClient client;
  {
    const ScriptedServer silent([](ScriptedServer::Peer& peer) { peer.hang(); });
    EXPECT_EQ(reason_of(client.send(message(url_of(silent)), kNow, Deadline::after(200ms))), "webhook.uncertain");
  }
  const ScriptedServer garbled([](ScriptedServer::Peer& peer) {
    (void)peer.read_request();
    peer.write("this is not HTTP\r\n\r\n");
  });
  EXPECT_EQ(reason_of(client.send(message(url_of(garbled)), kNow, Deadline::after(5s))), "webhook.uncertain");
}

TEST(WebhookClient, SaysSoWhenNobodyListens) {
  std::string url;
  {
    const ScriptedServer gone([](ScriptedServer::Peer&) {});
    url = url_of(gone);
  }
  WebhookClient client;
  EXPECT_EQ(reason_of(client.send(message(url), kNow, Deadline::after(5s))), "webhook.unreachable");
}

TEST(WebhookClient, StopsInTheMiddle) {
  const ScriptedServer silent([](ScriptedServer::Peer& peer) { peer.hang(); });
  WebhookClient client;
  std::thread stopper([&] {
    EXPECT_TRUE(testing::eventually([&] { return silent.connections() > 0; }));
    client.stop();
  });
  EXPECT_EQ(reason_of(client.send(message(url_of(silent)), kNow, Deadline::after(60s))), "webhook.stopped");
  stopper.join();
  EXPECT_EQ(reason_of(client.send(message(url_of(silent)), kNow, Deadline::after(60s))), "webhook.stopped");
}

}  // namespace
}  // namespace berth::notify
