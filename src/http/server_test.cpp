#include "http/server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>

#include "eventually.h"
#include "http/websocket_client.h"

namespace berth::http {
namespace {

using namespace std::chrono_literals;
using berth::testing::eventually;

/// A plain TCP connection that says exactly what it is told.
class RawConnection {
 public:
  explicit RawConnection(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;
  ~RawConnection() { ::close(socket_); }

  bool connected() const { return connected_; }
  void send(std::string_view text) const {
    ASSERT_EQ(::send(socket_, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }

  /// Reads until `count` whole answers with Content-Length are there, or the peer closes, or time is up.
  std::string read_answers(int count = 1, std::chrono::milliseconds limit = 5s) {
    const Deadline deadline = Deadline::after(limit);
    while (answers_in(received_) < count && read_some(deadline)) {
    }
    return received_;
  }
  std::string read_to_end(std::chrono::milliseconds limit = 5s) {
    const Deadline deadline = Deadline::after(limit);
    while (read_some(deadline)) {
    }
    return received_;
  }
  bool closed_by_peer() const { return closed_; }

 private:
  bool read_some(Deadline deadline) {
    pollfd waiting{socket_, POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(deadline.remaining().count())) <= 0) return false;
    std::array<char, 16384> buffer{};
    const ssize_t bytes = ::recv(socket_, buffer.data(), buffer.size(), 0);
    closed_ = bytes <= 0;
    if (closed_) return false;
    received_.append(buffer.data(), static_cast<std::size_t>(bytes));
    return true;
  }
  static int answers_in(std::string_view text) {
    int count = 0;
    while (true) {
      const std::size_t head = text.find("\r\n\r\n");
      if (head == std::string_view::npos) return count;
      const std::size_t field = text.substr(0, head).find("Content-Length: ");
      const std::size_t length =
          field == std::string_view::npos ? 0 : std::stoul(std::string(text.substr(field + 16, 12)));
      if (text.size() < head + 4 + length) return count;
      text.remove_prefix(head + 4 + length);
      ++count;
    }
  }

  int socket_;
  bool connected_ = false;
  bool closed_ = false;
  std::string received_;
};

/// Sends back what it receives over a WebSocket, and notes the end.
class EchoHandler final : public WebSocketHandler {
 public:
  explicit EchoHandler(std::atomic<int>& closed) : closed_(closed) {}
  void on_open(std::shared_ptr<WebSocket> socket) override { socket_ = std::move(socket); }
  void on_message(std::string_view message, Frame frame) override {
    if (message == "bye") return socket_->close(1000, "as asked");
    if (message == "flood") {
      for (int i = 0; i < 64; ++i) socket_->send(std::make_shared<std::string>(1 << 20, 'x'), Frame::binary);
      return;
    }
    socket_->send(std::make_shared<std::string>(message), frame);
  }
  void on_close() override {
    socket_.reset();
    ++closed_;
  }

 private:
  std::atomic<int>& closed_;
  std::shared_ptr<WebSocket> socket_;
};

class TestApplication final : public Application {
 public:
  Dispatch dispatch(Request& request) override {
    {
      const std::lock_guard lock(mutex);
      last_peer_ = request.peer;
    }
    if (request.path == "/content") return Response::of(content);
    if (request.path == "/large") return Response::json(200, std::string(200'000, 'a'));
    if (request.path == "/echo") return Response::json(200, request.body);
    if (request.path == "/throw") throw std::runtime_error("a bug");
    if (request.path == "/worker") {
      return Deferred{&pool, [] { return Response::json(200, "\"worked\""); },
                      [] { return Response::json(503, "\"busy\""); }};
    }
    if (request.path == "/worker-throws") {
      return Deferred{&pool, []() -> Response { throw std::runtime_error("a bug"); },
                      [] { return Response::json(503, "\"busy\""); }};
    }
    if (request.path == "/blocked") {
      return Deferred{&pool,
                      [this] {
                        std::unique_lock lock(mutex);
                        released.wait(lock, [this] { return open; });
                        return Response::json(200, "\"released\"");
                      },
                      [] { return Response::json(503, "\"busy\""); }};
    }
    if (request.path == "/ws") return Upgrade{std::make_shared<EchoHandler>(websockets_closed)};
    return Response::json(200, "\"" + std::string(name(request.method)) + " " + request.path + "\"");
  }
  Response refuse(int status, Language) override { return Response::json(status, "\"refused\""); }
  std::size_t body_limit(const Request&) const override { return 1000; }

  Peer last_peer() {
    const std::lock_guard lock(mutex);
    return last_peer_;
  }
  void release() {
    const std::lock_guard lock(mutex);
    open = true;
    released.notify_all();
  }

  WorkerPool pool{{"test", 1, 1}};
  ContentPointer content = std::make_shared<Content>("application/json", std::string(5000, 'c'));
  std::atomic<int> websockets_closed{0};
  std::mutex mutex;
  std::condition_variable released;
  bool open = false;

 private:
  Peer last_peer_;
};

class ServerTest : public ::testing::Test {
 protected:
  void serve(ServerSettings settings = {}) {
    settings.threads = 1;
    ListenerSettings listener;
    listener.address = "127.0.0.1";
    listener.mounts = {{"", application_}, {"/mounted", application_}};
    settings.listeners = {listener};
    auto server = Server::create(std::move(settings), metrics_);
    ASSERT_TRUE(server) << server.error().describe();
    server_ = std::move(*server);
    server_->start();
    port_ = server_->ports().front();
  }
  void TearDown() override {
    application_->release();
    if (server_) server_->drain(Deadline::after(5s));
  }
  std::string ask(std::string_view request) {
    RawConnection connection(port_);
    connection.send(request);
    return connection.read_answers();
  }

  metrics::Registry metrics_;
  std::shared_ptr<TestApplication> application_ = std::make_shared<TestApplication>();
  std::unique_ptr<Server> server_;
  std::uint16_t port_ = 0;
};

TEST_F(ServerTest, AnswersAndKeepsTheConnectionOpen) {
  serve();
  RawConnection connection(port_);
  connection.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(connection.read_answers(1).find("\"GET /a\""), std::string::npos);
  connection.send("POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
  EXPECT_NE(connection.read_answers(2).find("\"POST /b\""), std::string::npos);
}

TEST_F(ServerTest, AnswersPipelinedRequestsInTheirOrderWorkersIncluded) {
  serve();
  RawConnection connection(port_);
  connection.send(
      "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /worker HTTP/1.1\r\nHost: x\r\n\r\nGET /3 HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string answers = connection.read_answers(3);
  const auto first = answers.find("\"GET /1\"");
  const auto second = answers.find("\"worked\"");
  const auto third = answers.find("\"GET /3\"");
  ASSERT_NE(third, std::string::npos) << answers;
  EXPECT_LT(first, second);
  EXPECT_LT(second, third);
}

TEST_F(ServerTest, ServesALongPipelineWhole) {
  serve();
  RawConnection connection(port_);
  std::string requests;
  for (int i = 0; i < 500; ++i) requests += "GET /content HTTP/1.1\r\nHost: x\r\n\r\n";
  connection.send(requests);
  const std::string answers = connection.read_answers(500);
  std::size_t count = 0;
  for (auto at = answers.find("HTTP/1.1 200"); at != std::string::npos; at = answers.find("HTTP/1.1 200", at + 1))
    ++count;
  EXPECT_EQ(count, 500U);
}

TEST_F(ServerTest, ReadsARequestThatArrivesByteByByte) {
  serve();
  RawConnection connection(port_);
  for (const char c : std::string_view("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")) {
    connection.send({&c, 1});
  }
  EXPECT_TRUE(connection.read_answers().ends_with("\r\n\r\nabc"));
}

TEST_F(ServerTest, ReadsAChunkedBody) {
  serve();
  EXPECT_TRUE(
      ask("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
          .ends_with("\r\n\r\nabcde"));
}

TEST_F(ServerTest, ReadsAChunkedBodyThatArrivesByteByByte) {
  serve();
  RawConnection connection(port_);
  for (const char c : std::string_view("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                                       "3\r\nabc\r\n0\r\n\r\n")) {
    connection.send({&c, 1});
  }
  EXPECT_TRUE(connection.read_answers().ends_with("\r\n\r\nabc"));
}

TEST_F(ServerTest, AsksForABodyThatWaitsForContinue) {
  serve();
  RawConnection connection(port_);
  connection.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_TRUE(connection.read_answers(1).starts_with("HTTP/1.1 100 Continue\r\n\r\n"));
  connection.send("abc");
  EXPECT_TRUE(connection.read_answers(2).ends_with("\r\n\r\nabc"));
}

TEST_F(ServerTest, SendsTheHeadAloneForHead) {
  serve();
  RawConnection connection(port_);
  connection.send("HEAD /content HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string answer = connection.read_to_end();
  EXPECT_NE(answer.find("Content-Length: 5000"), std::string::npos);
  EXPECT_TRUE(answer.ends_with("\r\n\r\n"));
}

TEST_F(ServerTest, AnswersNotModifiedToAKnownETag) {
  serve();
  const std::string request = "GET /content HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"other\", " +
                              application_->content->etag() + "\r\nConnection: close\r\n\r\n";
  RawConnection connection(port_);
  connection.send(request);
  const std::string answer = connection.read_to_end();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 304 Not Modified"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n"));
}

TEST_F(ServerTest, CompressesLargerAnswersForThoseWhoTakeIt) {
  serve();
  EXPECT_NE(ask("GET /content HTTP/1.1\r\nHost: x\r\nAccept-Encoding: br, gzip\r\n\r\n").find("Content-Encoding: gzip"),
            std::string::npos);
  EXPECT_EQ(ask("GET /content HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip;q=0\r\n\r\n").find("Content-Encoding"),
            std::string::npos);
  EXPECT_EQ(ask("GET /a HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n").find("Content-Encoding"),
            std::string::npos);
}

/// Text whose every part differs from its neighbours, so that a piece lost or sent twice shows.
std::string counted_text(std::size_t size) {
  std::string text;
  for (int i = 0; text.size() < size; ++i) text += std::to_string(i) + ",";
  text.resize(size);
  return text;
}

TEST_F(ServerTest, SendsAContentWholeHoweverOftenItIsAskedFor) {
  const std::string body = counted_text(50'000);
  application_->content = std::make_shared<Content>("application/json", body);
  serve();
  RawConnection connection(port_);
  for (int i = 1; i <= 20; ++i) {
    connection.send("GET /content HTTP/1.1\r\nHost: x\r\n\r\n");
    ASSERT_TRUE(connection.read_answers(i).ends_with("\r\n\r\n" + body)) << "answer " << i;
  }
}

TEST_F(ServerTest, GivesAReaderThatPausesTheRestOfALargeContent) {
  const std::string body = counted_text(20'000'000);  // more than a socket's buffers hold
  application_->content = std::make_shared<Content>("application/json", body);
  serve();
  for (int i = 1; i <= 10; ++i) {
    RawConnection connection(port_);
    connection.send("GET /content HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    // The answer to a later connection shows that the first one was begun, and waits for its reader.
    ASSERT_NE(ask("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").find("GET /a"), std::string::npos);
    const std::string answer = connection.read_to_end();
    ASSERT_TRUE(answer.ends_with("\r\n\r\n" + body)) << "answer " << i << ": " << answer.size();
  }
}

TEST_F(ServerTest, GivesAMountThePathBelowItsPrefix) {
  serve();
  EXPECT_NE(ask("GET /mounted/x HTTP/1.1\r\nHost: x\r\n\r\n").find("\"GET /x\""), std::string::npos);
  EXPECT_NE(ask("GET /mounted HTTP/1.1\r\nHost: x\r\n\r\n").find("\"GET /\""), std::string::npos);
  EXPECT_NE(ask("GET /mountedx HTTP/1.1\r\nHost: x\r\n\r\n").find("\"GET /mountedx\""), std::string::npos);
}

struct BadRequest {
  const char* what;
  std::string text;
  const char* status;
};

TEST_F(ServerTest, RefusesWhatIsNoRequestAndCloses) {
  serve();
  const std::vector<BadRequest> cases = {
      {"garbage", "\x16\x03\x01\x02\r\n\r\n", "400"},
      {"no host", "GET / HTTP/1.1\r\n\r\n", "400"},
      {"length twice", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400"},
      {"length and chunks",
       "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
      {"negative length", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "400"},
      {"space before colon", "GET / HTTP/1.1\r\nHost : x\r\n\r\n", "400"},
      {"folded field", "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\x01: d\r\n\r\n", "400"},
      {"long header", "GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(20'000, 'a') + "\r\n\r\n", "431"},
      {"long target", "GET /" + std::string(20'000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n", "431"},
      {"announced body", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n", "413"},
      {"chunked body",
       "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + std::string(1024, 'a') + "\r\n",
       "413"},
      {"huge chunk", "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
       "400"},
  };
  for (const auto& bad : cases) {
    RawConnection connection(port_);
    connection.send(bad.text);
    const std::string answer = connection.read_to_end();
    EXPECT_TRUE(answer.starts_with(std::string("HTTP/1.1 ") + bad.status)) << bad.what << ": " << answer.substr(0, 80);
    EXPECT_NE(answer.find("Connection: close"), std::string::npos) << bad.what;
    EXPECT_TRUE(connection.closed_by_peer()) << bad.what;
  }
}

TEST_F(ServerTest, EndsASlowSenderAtItsLimit) {
  ServerSettings settings;
  settings.limits.header_time = 300ms;
  serve(settings);
  RawConnection connection(port_);
  connection.send("GET / HTTP/1.1\r\nHo");
  EXPECT_TRUE(connection.read_to_end().starts_with("HTTP/1.1 408"));
  EXPECT_TRUE(connection.closed_by_peer());
}

TEST_F(ServerTest, EndsASlowBodyAtItsLimit) {
  ServerSettings settings;
  settings.limits.body_time = 300ms;
  serve(settings);
  RawConnection connection(port_);
  connection.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_TRUE(connection.read_to_end().starts_with("HTTP/1.1 408"));
}

TEST_F(ServerTest, EndsAnIdleConnectionSilently) {
  ServerSettings settings;
  settings.limits.idle_time = 300ms;
  serve(settings);
  RawConnection connection(port_);
  connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  connection.read_answers(1);
  const std::string all = connection.read_to_end();
  EXPECT_TRUE(connection.closed_by_peer());
  EXPECT_EQ(all.find("408"), std::string::npos);
}

TEST_F(ServerTest, LimitsTheConnectionsOfOneAddress) {
  ServerSettings settings;
  settings.limits.connections_per_address = 2;
  serve(settings);
  RawConnection first(port_);
  RawConnection second(port_);
  first.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  second.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  first.read_answers();
  second.read_answers();
  RawConnection third(port_);
  third.read_to_end();
  EXPECT_TRUE(third.closed_by_peer());
}

TEST_F(ServerTest, AnswersABugWithAPlain500) {
  serve();
  EXPECT_TRUE(ask("GET /throw HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 500"));
  EXPECT_TRUE(ask("GET /worker-throws HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 500"));
  EXPECT_TRUE(ask("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 200"));
}

TEST_F(ServerTest, SaysBusyWhenTheWorkersQueueIsFull) {
  serve();
  const std::string request = "GET /blocked HTTP/1.1\r\nHost: x\r\n\r\n";
  RawConnection running(port_);
  running.send(request);
  ASSERT_TRUE(eventually([&] { return application_->pool.usage().busy == 1; }, 5s));
  RawConnection waiting(port_);
  waiting.send(request);
  ASSERT_TRUE(eventually([&] { return application_->pool.usage().waiting == 1; }, 5s));
  EXPECT_TRUE(ask(request).starts_with("HTTP/1.1 503"));
  application_->release();
  EXPECT_TRUE(running.read_answers().starts_with("HTTP/1.1 200"));
  EXPECT_TRUE(waiting.read_answers().starts_with("HTTP/1.1 200"));
}

TEST_F(ServerTest, SurvivesClientsThatLeaveBeforeTheirAnswer) {
  serve();
  {
    RawConnection gone(port_);
    gone.send("GET /blocked HTTP/1.1\r\nHost: x\r\n\r\n");
    ASSERT_TRUE(eventually([&] { return application_->pool.usage().busy == 1; }, 5s));
  }
  application_->release();
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }, 5s));
}

TEST_F(ServerTest, BelievesForwardedAddressesOnlyFromTrustedProxies) {
  serve();
  ask("GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n");
  EXPECT_EQ(application_->last_peer().address, "127.0.0.1");
  EXPECT_TRUE(application_->last_peer().loopback);
}

TEST_F(ServerTest, TakesTheClientsAddressFromATrustedProxy) {
  ServerSettings settings;
  settings.trusted_proxies = {"127.0.0.0/8"};
  serve(settings);
  ask("GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.1, 203.0.113.9\r\nX-Forwarded-Proto: https\r\n\r\n");
  EXPECT_EQ(application_->last_peer().address, "203.0.113.9");
  EXPECT_FALSE(application_->last_peer().loopback);
  EXPECT_TRUE(application_->last_peer().secure);
}

TEST_F(ServerTest, AnswersPreflightsOfAllowedOriginsOnly) {
  ServerSettings settings;
  settings.allowed_origins = {"https://panel.example"};
  serve(settings);
  const auto preflight = [&](std::string_view origin) {
    return ask("OPTIONS /a HTTP/1.1\r\nHost: x\r\nAccess-Control-Request-Method: POST\r\nOrigin: " +
               std::string(origin) + "\r\nConnection: close\r\n\r\n");
  };
  EXPECT_NE(preflight("https://panel.example").find("Access-Control-Allow-Origin: https://panel.example"),
            std::string::npos);
  EXPECT_EQ(preflight("https://evil.example").find("Access-Control-Allow-Origin"), std::string::npos);
}

TEST_F(ServerTest, FinishesRunningRequestsWhenItDrains) {
  serve();
  RawConnection running(port_);
  running.send("GET /blocked HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return application_->pool.usage().busy == 1; }, 5s));
  auto drained = std::async(std::launch::async, [&] { server_->drain(Deadline::after(10s)); });
  ASSERT_TRUE(eventually([&] { return !RawConnection(port_).connected(); }, 5s));
  application_->release();
  const std::string answer = running.read_to_end();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200"));
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
  drained.get();
}

TEST_F(ServerTest, RefusesAPortThatIsTaken) {
  serve();
  ServerSettings settings;
  ListenerSettings listener;
  listener.address = "127.0.0.1";
  listener.port = port_;
  settings.listeners = {listener};
  const auto second = Server::create(settings, metrics_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().reason(), "http.listen");
}

/// Collects what a WebSocket receives.
class Collector final : public WebSocketHandler {
 public:
  void on_open(std::shared_ptr<WebSocket>) override {}
  void on_message(std::string_view message, Frame) override {
    const std::lock_guard lock(mutex_);
    messages_.emplace_back(message);
  }
  void on_close() override { closed = true; }
  std::vector<std::string> messages() const {
    const std::lock_guard lock(mutex_);
    return messages_;
  }
  std::atomic<bool> closed{false};

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> messages_;
};

class ServerWebSocketTest : public ServerTest {
 protected:
  std::shared_ptr<WebSocketClient::Connection> connect(const std::shared_ptr<Collector>& collector) {
    const Endpoint endpoint{"http://127.0.0.1:" + std::to_string(port_), "", "", "", ""};
    auto connection = client_.connect(endpoint, "/ws", {}, collector, Deadline::after(5s), 30s);
    EXPECT_TRUE(connection) << connection.error().describe();
    return connection ? *connection : nullptr;
  }
  WebSocketClient client_{"test-ws"};
};

TEST_F(ServerWebSocketTest, CarriesMessagesBothWays) {
  serve();
  const auto collector = std::make_shared<Collector>();
  const auto connection = connect(collector);
  ASSERT_TRUE(connection);
  connection->send(std::make_shared<std::string>("你好"), Frame::text);
  EXPECT_TRUE(eventually([&] { return collector->messages() == std::vector<std::string>{"你好"}; }, 5s));
  EXPECT_EQ(server_->websockets(), 1U);
}

TEST_F(ServerWebSocketTest, TellsItsHandlerOnceWhenThePeerGoes) {
  serve();
  auto connection = connect(std::make_shared<Collector>());
  ASSERT_TRUE(connection);
  connection.reset();
  EXPECT_TRUE(eventually([&] { return application_->websockets_closed == 1; }, 5s));
  EXPECT_TRUE(eventually([&] { return server_->websockets() == 0; }, 5s));
}

TEST_F(ServerWebSocketTest, ClosesWhenAskedTo) {
  serve();
  const auto collector = std::make_shared<Collector>();
  const auto connection = connect(collector);
  ASSERT_TRUE(connection);
  connection->send(std::make_shared<std::string>("bye"), Frame::text);
  EXPECT_TRUE(eventually([&] { return collector->closed.load(); }, 5s));
}

TEST_F(ServerWebSocketTest, ClosesAReaderThatLetsTheQueueOverflow) {
  serve();
  const auto collector = std::make_shared<Collector>();
  const auto connection = connect(collector);
  ASSERT_TRUE(connection);
  connection->pause_reading();
  connection->send(std::make_shared<std::string>("flood"), Frame::text);
  connection->resume_reading();
  EXPECT_TRUE(eventually([&] { return application_->websockets_closed == 1; }, 10s));
}

TEST_F(ServerWebSocketTest, EndsEveryWebSocketWhenItDrains) {
  serve();
  const auto collector = std::make_shared<Collector>();
  const auto connection = connect(collector);
  ASSERT_TRUE(connection);
  server_->drain(Deadline::after(5s));
  EXPECT_TRUE(eventually([&] { return collector->closed.load(); }, 5s));
  EXPECT_EQ(application_->websockets_closed, 1);
}

TEST_F(ServerTest, RefusesAnIncompleteUpgrade) {
  serve();
  RawConnection connection(port_);
  connection.send("GET /ws HTTP/1.1\r\nHost: x\r\n\r\n");
  connection.read_to_end();
  EXPECT_TRUE(connection.closed_by_peer());
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }, 5s));
}

}  // namespace
}  // namespace berth::http
