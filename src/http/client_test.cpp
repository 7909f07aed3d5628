#include "http/client.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <cstdlib>
#include <filesystem>
#include <future>
#include <mutex>

#include "scripted_server.h"
#include "temporary_folder.h"

namespace berth::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ScriptedServer;
using testing::TemporaryFolder;

Deadline soon() {
  return Deadline::after(seconds(10));
}

milliseconds since(Instant begin) {
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin);
}

Client::Settings settings_for(const std::string& socket) {
  Client::Settings settings;
  settings.endpoint.base_url = "http://localhost";
  settings.endpoint.unix_socket = socket;
  return settings;
}

class ClientTest : public ::testing::Test {
 protected:
  std::unique_ptr<ScriptedServer> serve(ScriptedServer::Script script) {
    return std::make_unique<ScriptedServer>(folder_ / "s", std::move(script));
  }
  Client client() { return Client(settings_for(folder_ / "s")); }

  /// The error of one GET from a server of that script.
  Error error_from(ScriptedServer::Script script, Deadline deadline = soon()) {
    const auto server = serve(std::move(script));
    auto made = client();
    auto response = made.send({.method = Method::get, .target = "/", .headers = {}, .body = {}}, deadline);
    EXPECT_FALSE(response);
    return response ? internal_error("no error") : response.error();
  }

  TemporaryFolder folder_;
};

const ClientRequest kGet{.method = Method::get, .target = "/1.0?a=b", .headers = {}, .body = {}};

TEST_F(ClientTest, SendsMethodTargetHeadersAndBodyAsGiven) {
  std::mutex mutex;
  std::string seen;
  const auto server = serve([&](ScriptedServer::Peer& peer) {
    const std::lock_guard lock(mutex);
    seen = peer.read_request();
    peer.answer(202, "{}", "ETag: \"x\"\r\nX-Empty:\r\n");
  });
  auto made = client();
  const auto response = made.send({.method = Method::patch,
                                   .target = "/1.0/../a%2Fb?q=%20",
                                   .headers = {{"Content-Type", "application/json"}, {"If-Match", "abc"}},
                                   .body = "{\"zh\":\"实例\"}"},
                                  soon());
  ASSERT_TRUE(response) << response.error().describe();
  EXPECT_EQ(response->status, 202);
  EXPECT_EQ(response->body, "{}");
  ASSERT_GE(response->headers.size(), 3u);
  EXPECT_EQ(response->headers[1].name, "ETag");
  EXPECT_EQ(response->headers[1].value, "\"x\"");
  const std::lock_guard lock(mutex);
  EXPECT_TRUE(seen.starts_with("PATCH /1.0/../a%2Fb?q=%20 HTTP/1.1\r\n")) << seen;
  EXPECT_NE(seen.find("\r\nIf-Match: abc\r\n"), std::string::npos);
  EXPECT_EQ(seen.find("Expect:"), std::string::npos);
  EXPECT_TRUE(seen.ends_with("\r\n\r\n{\"zh\":\"实例\"}"));
}

TEST_F(ClientTest, SendsEveryMethodWithAndWithoutBody) {
  std::mutex mutex;
  std::vector<std::string> lines;
  const auto server = serve([&](ScriptedServer::Peer& peer) {
    for (std::string request; !(request = peer.read_request()).empty();) {
      const std::lock_guard lock(mutex);
      lines.push_back(request.substr(0, request.find(' ')) + request.substr(request.find("\r\n\r\n") + 4));
      peer.answer(200, "", "");
    }
  });
  auto made = client();
  for (const Method method : {Method::get, Method::post, Method::put, Method::delete_, Method::head}) {
    for (const char* body : {"", "x"}) {
      if (method == Method::head && *body != '\0') continue;
      ASSERT_TRUE(made.send({.method = method, .target = "/", .headers = {}, .body = body}, soon()));
    }
  }
  const std::lock_guard lock(mutex);
  EXPECT_EQ(lines,
            (std::vector<std::string>{"GET", "GETx", "POST", "POSTx", "PUT", "PUTx", "DELETE", "DELETEx", "HEAD"}));
}

TEST_F(ClientTest, KeepsOneConnectionForCallsInARow) {
  const auto server = serve([](ScriptedServer::Peer& peer) {
    while (!peer.read_request().empty()) peer.answer(200, "ok");
  });
  auto made = client();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(made.send(kGet, soon()));
  EXPECT_EQ(server->connections(), 1);
}

TEST_F(ClientTest, ServesManyThreadsAtOnce) {
  const auto server = serve([](ScriptedServer::Peer& peer) {
    for (std::string request; !(request = peer.read_request()).empty();) {
      peer.answer(200, request.substr(request.find("\r\n\r\n") + 4));
    }
  });
  auto made = client();
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 20; ++round) {
        const std::string body = std::to_string(i * 1000 + round);
        const auto response = made.send({.method = Method::post, .target = "/", .headers = {}, .body = body}, soon());
        ASSERT_TRUE(response) << response.error().describe();
        EXPECT_EQ(response->body, body);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_LE(server->connections(), 8);
}

TEST_F(ClientTest, ConnectsAnewWhereTheServerClosedAKeptConnection) {
  const auto server = serve([](ScriptedServer::Peer& peer) {
    peer.read_request();
    peer.answer(200, "ok");
  });
  auto made = client();
  for (int i = 0; i < 5; ++i) {
    const auto response = made.send(kGet, soon());
    ASSERT_TRUE(response) << response.error().describe();
  }
}

TEST_F(ClientTest, IsUnreachableWithoutASocketOrAListener) {
  auto missing = client();
  EXPECT_EQ(missing.send(kGet, soon()).error().reason(), "http.unreachable");
  folder_.write("s", "no socket");
  EXPECT_EQ(missing.send(kGet, soon()).error().code(), ErrorCode::unavailable);
  Client::Settings refused;
  refused.endpoint.base_url = "http://127.0.0.1:1";
  EXPECT_EQ(Client(refused).send(kGet, soon()).error().code(), ErrorCode::unavailable);
}

TEST_F(ClientTest, EndsAtTheDeadlineToTheMillisecondWhenNobodyAnswers) {
  for (const milliseconds wait : {milliseconds(30), milliseconds(250)}) {
    const auto begin = std::chrono::steady_clock::now();
    const Error error = error_from([](ScriptedServer::Peer& peer) { peer.hang(); }, Deadline::after(wait));
    EXPECT_EQ(error.reason(), "http.timeout");
    EXPECT_GE(since(begin), wait);
    EXPECT_LT(since(begin), wait + milliseconds(400));
  }
}

TEST_F(ClientTest, EndsAtTheDeadlineWhenTheAnswerNeverEnds) {
  const Error error = error_from(
      [](ScriptedServer::Peer& peer) {
        peer.read_request();
        peer.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        peer.hang();
      },
      Deadline::after(milliseconds(200)));
  EXPECT_EQ(error.reason(), "http.timeout");
}

TEST_F(ClientTest, AsksNobodyOnceTheDeadlineHasPassed) {
  const auto server = serve([](ScriptedServer::Peer& peer) { peer.hang(); });
  auto made = client();
  EXPECT_EQ(made.send(kGet, Deadline::after(milliseconds(-1))).error().reason(), "http.timeout");
  EXPECT_EQ(server->connections(), 0);
}

TEST_F(ClientTest, CallsGarbageAndHalfAnswersAProtocolFault) {
  for (const char* answer :
       {"garbage\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"}) {
    const Error error = error_from([&](ScriptedServer::Peer& peer) {
      peer.read_request();
      peer.write(answer);
    });
    EXPECT_EQ(error.reason(), "http.protocol") << answer << ": " << error.describe();
    EXPECT_EQ(error.code(), ErrorCode::internal);
  }
}

TEST_F(ClientTest, IsUnreachableWhereTheServerHangsUpWithoutAWord) {
  EXPECT_EQ(error_from([](ScriptedServer::Peer& peer) { peer.read_request(); }).code(), ErrorCode::unavailable);
}

TEST_F(ClientTest, RefusesAnswersOverTheLimit) {
  const auto server = serve([](ScriptedServer::Peer& peer) {
    peer.read_request();
    peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    const std::string chunk = "1000\r\n" + std::string(4096, 'x') + "\r\n";
    while (peer.write(chunk)) {
    }
  });
  auto limited = settings_for(folder_ / "s");
  limited.response_limit = 100'000;
  const auto response = Client(limited).send(kGet, soon());
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code(), ErrorCode::too_large);
  EXPECT_EQ(response.error().reason(), "http.too_large");
}

TEST_F(ClientTest, RefusesEndlessHeaders) {
  const Error error = error_from([](ScriptedServer::Peer& peer) {
    peer.read_request();
    peer.write("HTTP/1.1 200 OK\r\n");
    while (peer.write("X-Filler: " + std::string(1000, 'x') + "\r\n")) {
    }
  });
  EXPECT_EQ(error.reason(), "http.too_large") << error.describe();
}

TEST_F(ClientTest, ReturnsRedirectsInsteadOfFollowingThem) {
  const auto server = serve([](ScriptedServer::Peer& peer) {
    while (!peer.read_request().empty()) peer.answer(301, "", "Location: /elsewhere\r\n");
  });
  auto made = client();
  const auto response = made.send(kGet, soon());
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 301);
}

TEST_F(ClientTest, TakesTheFinalAnswerAfterInterimOnes) {
  const auto server = serve([](ScriptedServer::Peer& peer) {
    peer.read_request();
    peer.write("HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\n");
    peer.answer(204, "");
  });
  auto made = client();
  const auto response = made.send(kGet, soon());
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 204);
  for (const auto& header : response->headers) EXPECT_NE(header.name, "X-Interim");
}

TEST_F(ClientTest, IgnoresProxiesOfTheEnvironment) {
  ::setenv("http_proxy", "http://127.0.0.1:1", 1);
  ::setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
  const auto server = serve([](ScriptedServer::Peer& peer) {
    while (!peer.read_request().empty()) peer.answer(200, "direct");
  });
  auto made = client();
  const auto response = made.send(kGet, soon());
  ::unsetenv("http_proxy");
  ::unsetenv("ALL_PROXY");
  ASSERT_TRUE(response) << response.error().describe();
  EXPECT_EQ(response->body, "direct");
}

TEST_F(ClientTest, RefusesWhatWouldBreakOutOfItsPlaceInTheRequest) {
  auto made = client();
  std::vector<ClientRequest> bad(5, kGet);
  bad[0].target = "/a b";
  bad[1].target = "/a\r\nX: y";
  bad[2].target = "http://elsewhere/";
  bad[3].headers = {{"X", "a\r\nY: b"}};
  bad[4].headers = {{"X\n", "a"}};
  for (const auto& request : bad) {
    EXPECT_EQ(made.send(request, soon()).error().code(), ErrorCode::invalid_argument) << request.target;
  }
}

TEST_F(ClientTest, UploadsAFileAndTellsHowFarItIs) {
  const std::string content(3'000'000, 'x');
  const std::string file = folder_.write("image", content);
  const auto server = serve([](ScriptedServer::Peer& peer) {
    const std::string request = peer.read_request();
    peer.answer(200, std::to_string(request.size() - request.find("\r\n\r\n") - 4));
  });
  auto made = client();
  std::vector<std::uint64_t> steps;
  const auto response = made.upload({.method = Method::post, .target = "/", .headers = {}, .body = {}}, file, soon(),
                                    [&](std::uint64_t done, std::uint64_t all) {
                                      EXPECT_EQ(all, content.size());
                                      steps.push_back(done);
                                      return true;
                                    });
  ASSERT_TRUE(response) << response.error().describe();
  EXPECT_EQ(response->body, "3000000");
  ASSERT_FALSE(steps.empty());
  EXPECT_TRUE(std::is_sorted(steps.begin(), steps.end()));
  EXPECT_EQ(steps.back(), content.size());
}

TEST_F(ClientTest, SaysThatAFileToUploadIsNotThere) {
  auto made = client();
  const auto response = made.upload(kGet, folder_ / "none", soon(), {});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().reason(), "http.file");
}

TEST_F(ClientTest, EndsAnUploadThatNobodyWantsAnyMore) {
  const std::string file = folder_.write("image", std::string(1'000'000, 'x'));
  const auto server = serve([](ScriptedServer::Peer& peer) { peer.hang(); });
  auto made = client();
  const auto response = made.upload({.method = Method::post, .target = "/", .headers = {}, .body = {}}, file, soon(),
                                    [](std::uint64_t, std::uint64_t) { return false; });
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().reason(), "http.cancelled");
}

TEST_F(ClientTest, DownloadsALargeAnswerIntoAFile) {
  const std::string content(100'000, 'x');
  const auto server = serve([&](ScriptedServer::Peer& peer) {
    while (!peer.read_request().empty()) {
      peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      for (int i = 0; i < 30; ++i) peer.write("186a0\r\n" + content + "\r\n");
      peer.write("0\r\n\r\n");
    }
  });
  auto settings = settings_for(server->path());
  settings.response_limit = 1000;
  Client made(settings);
  std::uint64_t last = 0;
  const auto response = made.download(kGet, folder_ / "got", soon(), [&](std::uint64_t done, std::uint64_t) {
    last = done;
    return true;
  });
  ASSERT_TRUE(response) << response.error().describe();
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "");
  EXPECT_EQ(folder_.read("got").size(), 3'000'000u);
  EXPECT_EQ(last, 3'000'000u);
  EXPECT_EQ(made.download(kGet, folder_ / "got", soon(), {}).error().code(), ErrorCode::already_exists);
}

TEST_F(ClientTest, LeavesNoFileBehindADownloadThatFailed) {
  int turn = 0;
  const auto server = serve([&](ScriptedServer::Peer& peer) {
    peer.read_request();
    if (turn++ == 0) return peer.answer(404, R"({"message":"no"})");
    peer.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
  });
  auto made = client();
  const auto refused = made.download(kGet, folder_ / "got", soon(), {});
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 404);
  EXPECT_EQ(refused->body, R"({"message":"no"})");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "got"));
  auto second = client();
  EXPECT_EQ(second.download(kGet, folder_ / "got", soon(), {}).error().reason(), "http.protocol");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "got"));
}

TEST_F(ClientTest, SaysThatTheDiskIsFull) {
  const auto server = serve([](ScriptedServer::Peer& peer) {
    peer.read_request();
    peer.answer(200, std::string(1'000'000, 'x'));
  });
  // A limit on the size of files ends a write as a full disk does, and signals besides.
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{10'000, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  auto made = client();
  const auto response = made.download(kGet, folder_ / "got", soon(), {});
  ::setrlimit(RLIMIT_FSIZE, &before);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().reason(), "http.disk_full") << response.error().describe();
  EXPECT_FALSE(std::filesystem::exists(folder_ / "got"));
}

TEST_F(ClientTest, EndsRunningCallsWhenItIsStopped) {
  const auto server = serve([](ScriptedServer::Peer& peer) { peer.hang(); });
  auto made = client();
  auto call = std::async(std::launch::async, [&] { return made.send(kGet, soon()); });
  while (server->connections() == 0) std::this_thread::yield();
  const auto begin = std::chrono::steady_clock::now();
  made.stop();
  EXPECT_EQ(call.get().error().reason(), "http.stopped");
  EXPECT_LT(since(begin), milliseconds(900));
  EXPECT_EQ(made.send(kGet, soon()).error().reason(), "http.stopped");
}

TEST_F(ClientTest, SaysWhichServerCertificateItCannotRead) {
  Client::Settings remote;
  remote.endpoint.base_url = "https://127.0.0.1:1";
  remote.endpoint.server_certificate = folder_ / "none.crt";
  EXPECT_EQ(Client(remote).send(kGet, soon()).error().reason(), "http.unreachable");
  remote.endpoint.server_certificate = folder_.write("bad.crt", "no certificate");
  EXPECT_EQ(Client(remote).send(kGet, soon()).error().reason(), "http.unreachable");
}

}  // namespace
}  // namespace berth::http
