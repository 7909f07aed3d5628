#include "http/websocket_client.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

#include "certificate.h"
#include "eventually.h"
#include "scripted_server.h"
#include "temporary_folder.h"

namespace berth::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Certificate;
using testing::eventually;
using testing::ScriptedServer;
using testing::TemporaryFolder;

using UnixSocket = asio::local::stream_protocol::socket;
using Peer = websocket::stream<UnixSocket>;

constexpr milliseconds kQuiet{60'000};

Deadline soon() {
  return Deadline::after(seconds(10));
}
Payload text(std::string content) {
  return std::make_shared<const std::string>(std::move(content));
}

/// Accepts one WebSocket on a unix socket and lets `script` talk; its errors end the connection.
class PeerServer {
 public:
  PeerServer(const std::string& path, std::function<void(Peer&, error_code&)> script)
      : acceptor_(context_, asio::local::stream_protocol::endpoint(path)), thread_([this, script = std::move(script)] {
          Peer peer(acceptor_.accept());
          beast::flat_buffer buffer;
          error_code failure;
          beast::http::read(peer.next_layer(), buffer, request_, failure);
          if (!failure) peer.accept(request_, failure);
          if (!failure) script(peer, failure);
          end_ = failure;
          code_ = peer.reason().code;
        }) {}
  ~PeerServer() {
    if (thread_.joinable()) thread_.join();
  }
  /// Waits for the script's end.
  void join() { thread_.join(); }
  const beast::http::request<beast::http::string_body>& request() const { return request_; }
  error_code end() const { return end_; }
  std::uint16_t close_code() const { return code_; }

 private:
  asio::io_context context_;
  asio::local::stream_protocol::acceptor acceptor_;
  beast::http::request<beast::http::string_body> request_;
  error_code end_;
  std::uint16_t code_ = 0;
  std::thread thread_;
};

void echo(Peer& peer, error_code& failure) {
  while (!failure) {
    beast::flat_buffer buffer;
    peer.read(buffer, failure);
    if (failure) return;
    peer.binary(peer.got_binary());
    peer.write(buffer.data(), failure);
  }
}

void read_until_closed(Peer& peer, error_code& failure) {
  while (!failure) {
    beast::flat_buffer buffer;
    peer.read(buffer, failure);
  }
}

/// Writes down every call.
class Recorder : public WebSocketHandler {
 public:
  void on_open(std::shared_ptr<WebSocket> /*socket*/) override { add("open"); }
  void on_message(std::string_view message, Frame frame) override {
    add((frame == Frame::binary ? "b:" : "t:") + std::string(message));
  }
  void on_drained() override { ++drained_; }
  void on_close() override { add("close"); }

  std::vector<std::string> calls() {
    const std::lock_guard lock(mutex_);
    return calls_;
  }
  std::size_t count() {
    const std::lock_guard lock(mutex_);
    return calls_.size();
  }
  bool wait_for(const std::string& call, milliseconds limit = seconds(10)) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return std::ranges::find(calls_, call) != calls_.end(); });
  }
  int drained() const { return drained_; }

 private:
  void add(std::string call) {
    const std::lock_guard lock(mutex_);
    calls_.push_back(std::move(call));
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> calls_;
  std::atomic<int> drained_{0};
};

class WebSocketClientTest : public ::testing::Test {
 protected:
  Result<std::shared_ptr<WebSocketClient::Connection>> connect(milliseconds silence = kQuiet,
                                                               Deadline deadline = soon()) {
    Endpoint endpoint;
    endpoint.base_url = "http://localhost";
    endpoint.unix_socket = folder_ / "s";
    return client_.connect(endpoint, "/events?type=a%20b", {{"X-Test", "yes"}}, recorder_, deadline, silence);
  }
  /// For tests in which it must succeed.
  std::shared_ptr<WebSocketClient::Connection> open(milliseconds silence = kQuiet) {
    auto connection = connect(silence);
    if (!connection) throw std::runtime_error(connection.error().describe());
    return *connection;
  }

  TemporaryFolder folder_;
  std::shared_ptr<Recorder> recorder_ = std::make_shared<Recorder>();
  WebSocketClient client_{"test-ws"};
};

TEST_F(WebSocketClientTest, CarriesTextAndBinaryBothWaysInOrder) {
  PeerServer server(folder_ / "s", echo);
  const auto connection = open();
  connection->send(text("first 实例"), Frame::text);
  connection->send(text(std::string("\0\xff", 2)), Frame::binary);
  connection->send(text(""), Frame::text);
  connection->send(text("last"), Frame::text);
  ASSERT_TRUE(recorder_->wait_for("t:last"));
  EXPECT_EQ(recorder_->calls(),
            (std::vector<std::string>{"open", "t:first 实例", std::string("b:\0\xff", 4), "t:", "t:last"}));
  EXPECT_TRUE(eventually([&] { return recorder_->drained() > 0 && connection->waiting_bytes() == 0; }));
}

TEST_F(WebSocketClientTest, AsksForItsTargetWithItsHeaders) {
  PeerServer server(folder_ / "s", [](Peer& peer, error_code& failure) { peer.close({}, failure); });
  const auto connection = open();
  server.join();
  EXPECT_EQ(server.request().target(), "/events?type=a%20b");
  EXPECT_EQ(server.request()["X-Test"], "yes");
  EXPECT_EQ(server.request()["Host"], "localhost");
}

TEST_F(WebSocketClientTest, CarriesLargeMessages) {
  PeerServer server(folder_ / "s", echo);
  const auto connection = open();
  std::string large(3'000'000, 'x');
  large.back() = 'y';
  connection->send(text(large), Frame::binary);
  EXPECT_TRUE(recorder_->wait_for("b:" + large));
}

TEST_F(WebSocketClientTest, EndsOnAMessageBeyondAnyReason) {
  PeerServer server(folder_ / "s", [](Peer& peer, error_code& failure) {
    const std::string huge(20'000'000, 'x');
    peer.write(asio::buffer(huge), failure);
    read_until_closed(peer, failure);
  });
  const auto connection = open();
  EXPECT_TRUE(recorder_->wait_for("close"));
}

TEST_F(WebSocketClientTest, TellsOnceThatThePeerClosed) {
  PeerServer server(folder_ / "s", [](Peer& peer, error_code& failure) {
    peer.write(asio::buffer("bye", 3), failure);
    peer.close(websocket::close_code::going_away, failure);
  });
  const auto connection = open();
  ASSERT_TRUE(recorder_->wait_for("close"));
  connection->send(text("late"), Frame::text);
  connection->offer(text("late"));
  connection->close(1000, "late");
  EXPECT_EQ(recorder_->calls(), (std::vector<std::string>{"open", "t:bye", "close"}));
}

TEST_F(WebSocketClientTest, TellsThatThePeerIsGoneWithoutAWord) {
  PeerServer server(folder_ / "s", [](Peer&, error_code&) {});
  const auto connection = open();
  EXPECT_TRUE(recorder_->wait_for("close"));
}

TEST_F(WebSocketClientTest, ClosesWithItsCodeBehindWhatWasSent) {
  std::vector<std::string> seen;
  PeerServer server(folder_ / "s", [&](Peer& peer, error_code& failure) {
    while (!failure) {
      beast::flat_buffer buffer;
      peer.read(buffer, failure);
      if (!failure) seen.push_back(beast::buffers_to_string(buffer.data()));
    }
  });
  const auto connection = open();
  for (int i = 0; i < 50; ++i) connection->send(text(std::to_string(i)), Frame::text);
  connection->close(4001, "done");
  connection->send(text("too late"), Frame::text);
  ASSERT_TRUE(recorder_->wait_for("close"));
  server.join();
  EXPECT_EQ(server.close_code(), 4001);
  ASSERT_EQ(seen.size(), 50u);
  EXPECT_EQ(seen.back(), "49");
}

TEST_F(WebSocketClientTest, ClosesAlsoWhereThePeerDoesNotAnswerTheClose) {
  std::promise<void> end;
  PeerServer server(folder_ / "s", [&](Peer&, error_code&) { end.get_future().wait(); });
  const auto connection = open();
  connection->close(1000, "");
  EXPECT_TRUE(recorder_->wait_for("close", seconds(5)));
  end.set_value();
}

TEST_F(WebSocketClientTest, SkipsStatesThatASlowPeerDidNotTake) {
  std::promise<void> go;
  std::vector<std::string> seen;
  PeerServer server(folder_ / "s", [&](Peer& peer, error_code& failure) {
    go.get_future().wait();
    while (!failure) {
      beast::flat_buffer buffer;
      peer.read(buffer, failure);
      if (!failure) seen.push_back(beast::buffers_to_string(buffer.data()).substr(0, 4));
      if (!seen.empty() && seen.back() == "0999") break;
    }
    peer.close({}, failure);
  });
  const auto connection = open();
  for (int i = 0; i < 1000; ++i) connection->offer(text(fmt::format("{:04}", i) + std::string(200'000, 'x')));
  EXPECT_EQ(connection->waiting_bytes(), 0u);
  go.set_value();
  server.join();
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.back(), "0999");
  EXPECT_LT(seen.size(), 50u);
  EXPECT_TRUE(std::ranges::is_sorted(seen));
}

TEST_F(WebSocketClientTest, ClosesOnAPeerThatLetsTooMuchWait) {
  std::promise<void> go;
  PeerServer server(folder_ / "s", [&](Peer& peer, error_code& failure) {
    go.get_future().wait();
    read_until_closed(peer, failure);
  });
  const auto connection = open();
  for (int i = 0; i < 10; ++i) connection->send(text(std::string(1'000'000, 'x')), Frame::binary);
  EXPECT_LE(connection->waiting_bytes(), 4u << 20U);
  go.set_value();
  ASSERT_TRUE(recorder_->wait_for("close"));
  server.join();
  EXPECT_EQ(server.close_code(), 1013);
}

TEST_F(WebSocketClientTest, CountsAPeerThatSaysNothingAsGone) {
  std::promise<void> end;
  PeerServer server(folder_ / "s", [&](Peer&, error_code&) { end.get_future().wait(); });
  const auto begin = std::chrono::steady_clock::now();
  const auto connection = open(milliseconds(400));
  EXPECT_TRUE(recorder_->wait_for("close", seconds(5)));
  const auto taken = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(taken, milliseconds(400));
  EXPECT_LT(taken, milliseconds(1500));
  end.set_value();
}

TEST_F(WebSocketClientTest, KeepsAPeerThatOnlyAnswersPings) {
  PeerServer server(folder_ / "s", read_until_closed);
  const auto connection = open(milliseconds(300));
  EXPECT_FALSE(recorder_->wait_for("close", milliseconds(1200)));
  connection->close(1000, "");
  EXPECT_TRUE(recorder_->wait_for("close"));
}

TEST_F(WebSocketClientTest, MakesThePeerWaitWhileReadingIsPaused) {
  std::atomic<int> written{0};
  PeerServer server(folder_ / "s", [&](Peer& peer, error_code& failure) {
    peer.binary(true);
    const std::string block(100'000, 'x');
    for (; written < 200 && !failure; ++written) peer.write(asio::buffer(block), failure);
    read_until_closed(peer, failure);
  });
  const auto connection = open(milliseconds(300));
  connection->pause_reading();
  int before = -1;
  // Longer than the silence that would count as death, too.
  EXPECT_TRUE(eventually([&] {
    const int now = written;
    const bool still = now == before;
    before = now;
    std::this_thread::sleep_for(milliseconds(500));
    return still;
  }));
  EXPECT_LT(written, 200);
  EXPECT_FALSE(recorder_->wait_for("close", milliseconds(0)));
  connection->resume_reading();
  EXPECT_TRUE(eventually([&] { return recorder_->count() == 201; }));
}

TEST_F(WebSocketClientTest, CallsNobodyAfterItsHandleIsGone) {
  PeerServer server(folder_ / "s", [](Peer& peer, error_code& failure) {
    while (!failure) peer.write(asio::buffer("tick", 4), failure);
  });
  auto connection = open();
  ASSERT_TRUE(eventually([&] { return recorder_->count() > 10; }));
  connection.reset();
  const std::size_t count = recorder_->count();
  server.join();
  EXPECT_EQ(recorder_->count(), count);
  EXPECT_NE(recorder_->calls().back(), "close");
}

TEST_F(WebSocketClientTest, ClosesPolitelyWhenItsHandleIsLetGo) {
  PeerServer server(folder_ / "s", read_until_closed);
  auto connection = open();
  connection.reset();
  server.join();
  EXPECT_EQ(server.close_code(), 1000);
}

TEST_F(WebSocketClientTest, MayBeClosedFromItsOwnCalls) {
  class Closer : public WebSocketHandler {
   public:
    void on_open(std::shared_ptr<WebSocket> socket) override { socket_ = std::move(socket); }
    void on_message(std::string_view, Frame) override { socket_->close(1000, ""); }
    void on_close() override { closed_.set_value(); }
    std::future<void> closed() { return closed_.get_future(); }

   private:
    std::shared_ptr<WebSocket> socket_;
    std::promise<void> closed_;
  };
  PeerServer server(folder_ / "s", echo);
  const auto closer = std::make_shared<Closer>();
  Endpoint endpoint;
  endpoint.base_url = "http://localhost";
  endpoint.unix_socket = folder_ / "s";
  const auto connection = client_.connect(endpoint, "/", {}, closer, soon(), kQuiet);
  ASSERT_TRUE(connection);
  (*connection)->send(text("x"), Frame::text);
  EXPECT_EQ(closer->closed().wait_for(seconds(5)), std::future_status::ready);
}

TEST_F(WebSocketClientTest, EndsEverythingWhenItIsStopped) {
  PeerServer server(folder_ / "s", read_until_closed);
  const auto connection = open();
  client_.stop();
  EXPECT_TRUE(recorder_->wait_for("close", milliseconds(0)));
  EXPECT_EQ(connect().error().reason(), "http.stopped");
}

TEST_F(WebSocketClientTest, EndsAConnectThatIsUnderWayWhenItIsStopped) {
  ScriptedServer server(folder_ / "s", [](ScriptedServer::Peer& peer) { peer.hang(); });
  auto call = std::async(std::launch::async, [&] { return connect(); });
  ASSERT_TRUE(eventually([&] { return server.connections() == 1; }));
  client_.stop();
  EXPECT_EQ(call.get().error().reason(), "http.stopped");
}

TEST_F(WebSocketClientTest, MayEndBeforeTheHandlesOfItsConnections) {
  PeerServer server(folder_ / "s", read_until_closed);
  std::shared_ptr<WebSocketClient::Connection> connection;
  {
    WebSocketClient client("short");
    Endpoint endpoint;
    endpoint.base_url = "http://localhost";
    endpoint.unix_socket = folder_ / "s";
    auto made = client.connect(endpoint, "/", {}, recorder_, soon(), kQuiet);
    ASSERT_TRUE(made);
    connection = *made;
  }
  connection->send(text("nobody"), Frame::text);
  connection->close(1000, "");
  connection.reset();
}

TEST_F(WebSocketClientTest, IsUnreachableWithoutASocket) {
  EXPECT_EQ(connect().error().reason(), "http.unreachable");
}

TEST_F(WebSocketClientTest, EndsAConnectAtItsDeadline) {
  ScriptedServer server(folder_ / "s", [](ScriptedServer::Peer& peer) { peer.hang(); });
  const auto begin = std::chrono::steady_clock::now();
  const auto connection = connect(kQuiet, Deadline::after(milliseconds(200)));
  ASSERT_FALSE(connection);
  EXPECT_EQ(connection.error().reason(), "http.timeout");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(1));
  EXPECT_EQ(recorder_->count(), 0u);
}

TEST_F(WebSocketClientTest, SaysThatTheServerRefusedTheUpgrade) {
  ScriptedServer server(folder_ / "s", [](ScriptedServer::Peer& peer) {
    peer.read_request();
    peer.answer(403, R"({"error":"no"})");
  });
  const auto connection = connect();
  ASSERT_FALSE(connection);
  EXPECT_EQ(connection.error().reason(), "http.upgrade");
  EXPECT_NE(connection.error().detail().find("403"), std::string::npos);
}

TEST_F(WebSocketClientTest, CallsGarbageAndHalfAnswersAProtocolFault) {
  for (const char* answer : {"garbage\r\n\r\n", "HTTP/1.1 101 Switching Pro"}) {
    ScriptedServer server(folder_ / "s", [&](ScriptedServer::Peer& peer) {
      peer.read_request();
      peer.write(answer);
    });
    const auto connection = connect();
    ASSERT_FALSE(connection);
    EXPECT_EQ(connection.error().reason(), "http.protocol") << answer << ": " << connection.error().describe();
  }
}

TEST_F(WebSocketClientTest, EndsOnFramesThatAreNone) {
  PeerServer server(folder_ / "s", [](Peer& peer, error_code& failure) {
    // Every reserved bit is set.
    asio::write(peer.next_layer(), asio::buffer("\xf1\x01x", 3), failure);
    read_until_closed(peer, failure);
  });
  const auto connection = open();
  EXPECT_TRUE(recorder_->wait_for("close"));
}

/// One TLS WebSocket server that asks for the client's certificate and echoes one message.
class TlsServer {
 public:
  explicit TlsServer(const Certificate& own)
      : acceptor_(context_, {asio::ip::make_address("127.0.0.1"), 0}), tls_(asio::ssl::context::tls_server) {
    tls_.use_certificate_chain_file(own.certificate());
    tls_.use_private_key_file(own.key(), asio::ssl::context::pem);
    tls_.set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
    tls_.set_verify_callback([](bool, asio::ssl::verify_context&) { return true; });
    thread_ = std::thread([this] {
      error_code failure;
      websocket::stream<asio::ssl::stream<asio::ip::tcp::socket>> peer(acceptor_.accept(), tls_);
      peer.next_layer().handshake(asio::ssl::stream_base::server, failure);
      if (!failure) peer.accept(failure);
      beast::flat_buffer buffer;
      if (!failure) peer.read(buffer, failure);
      if (!failure) peer.write(buffer.data(), failure);
      while (!failure) peer.read(buffer, failure);
    });
  }
  ~TlsServer() { thread_.join(); }
  std::string url() const { return "https://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()); }

 private:
  asio::io_context context_;
  asio::ip::tcp::acceptor acceptor_;
  asio::ssl::context tls_;
  std::thread thread_;
};

TEST_F(WebSocketClientTest, SpeaksTlsWithACertificateAndOnlyToThePinnedServer) {
  const Certificate server_certificate(folder_ / "server");
  const Certificate own(folder_ / "own");
  Endpoint endpoint;
  endpoint.client_certificate = own.certificate();
  endpoint.client_key = own.key();
  {
    TlsServer server(server_certificate);
    endpoint.base_url = server.url();
    endpoint.server_certificate = server_certificate.certificate();
    const auto connection = client_.connect(endpoint, "/", {}, recorder_, soon(), kQuiet);
    ASSERT_TRUE(connection) << connection.error().describe();
    (*connection)->send(text("secret"), Frame::text);
    EXPECT_TRUE(recorder_->wait_for("t:secret"));
  }
  for (const std::string& trusted : {own.certificate(), std::string()}) {
    TlsServer server(server_certificate);
    endpoint.base_url = server.url();
    endpoint.server_certificate = trusted;
    const auto refused = client_.connect(endpoint, "/", {}, recorder_, soon(), kQuiet);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason(), "http.unreachable") << refused.error().describe();
  }
}

}  // namespace
}  // namespace berth::http
