#include "http/stream_client.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
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
using boost::system::error_code;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Certificate;
using testing::eventually;
using testing::ScriptedServer;
using testing::TemporaryFolder;

Deadline soon() {
  return Deadline::after(seconds(10));
}

/// Collects what a stream brings.
class Collector : public StreamHandler {
 public:
  void on_data(std::string_view bytes) override {
    const std::lock_guard lock(mutex_);
    after_end_ = after_end_ || end_;
    text_ += bytes;
    changed_.notify_all();
  }
  void on_end(const Result<void>& outcome) override {
    const std::lock_guard lock(mutex_);
    after_end_ = after_end_ || end_;
    end_ = outcome ? "" : outcome.error().reason();
    changed_.notify_all();
  }
  bool wait_for(const std::string& part) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, seconds(10), [&] { return text_.find(part) != std::string::npos; });
  }
  bool wait_for_size(std::size_t size) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, seconds(10), [&] { return text_.size() >= size; });
  }
  /// The end's reason, "" for a proper one; "none" if it does not come.
  std::string end() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, seconds(10), [&] { return end_.has_value(); });
    return end_.value_or("none");
  }
  bool ended() {
    const std::lock_guard lock(mutex_);
    return end_.has_value();
  }
  std::string text() {
    const std::lock_guard lock(mutex_);
    return text_;
  }
  bool called_after_end() {
    const std::lock_guard lock(mutex_);
    return after_end_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
  std::optional<std::string> end_;
  bool after_end_ = false;
};

constexpr std::string_view kChunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Kind: test\r\n\r\n";
constexpr std::string_view kUpgrade = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";

class StreamClientTest : public ::testing::Test {
 protected:
  void serve(ScriptedServer::Script script) {
    server_ = std::make_unique<ScriptedServer>(folder_ / "s", std::move(script));
  }
  Endpoint endpoint() const {
    return {.base_url = "http://localhost",
            .unix_socket = folder_ / "s",
            .client_certificate = {},
            .client_key = {},
            .server_certificate = {}};
  }
  Result<StreamClient::Opened> open(Deadline deadline = soon()) {
    return client_.open(endpoint(), request_, output_, deadline);
  }
  /// The reason why a stream of that script does not open.
  std::string failure_of(ScriptedServer::Script script, Deadline deadline = soon()) {
    serve(std::move(script));
    const auto opened = open(deadline);
    return opened ? "none" : std::string(opened.error().reason());
  }

  TemporaryFolder folder_;
  std::unique_ptr<ScriptedServer> server_;
  ClientRequest request_{.method = Method::get, .target = "/events?a=b", .headers = {}, .body = {}};
  std::shared_ptr<Collector> output_ = std::make_shared<Collector>();
  StreamClient client_{"test-streams"};
};

TEST_F(StreamClientTest, GivesPiecesAsTheyComeAndTheEnd) {
  std::promise<void> seen;
  serve([&](ScriptedServer::Peer& peer) {
    peer.read_request();
    peer.write(kChunked);
    peer.write("5\r\nfirst\r\n");
    seen.get_future().wait();
    peer.write("6\r\nsecond\r\n0\r\n\r\n");
  });
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error().describe();
  EXPECT_EQ(opened->answer.status, 200);
  EXPECT_EQ(opened->answer.headers.back().name, "X-Kind");
  ASSERT_NE(opened->stream, nullptr);
  EXPECT_TRUE(output_->wait_for("first"));
  EXPECT_FALSE(output_->ended());
  seen.set_value();
  EXPECT_EQ(output_->end(), "");
  EXPECT_EQ(output_->text(), "firstsecond");
}

TEST_F(StreamClientTest, ReadsBodiesOfEveryLength) {
  for (const std::string& head :
       {std::string("Content-Length: 100000\r\n\r\n"), std::string("Connection: close\r\n\r\n")}) {
    output_ = std::make_shared<Collector>();
    server_.reset();
    serve([&](ScriptedServer::Peer& peer) {
      peer.read_request();
      peer.write("HTTP/1.1 200 OK\r\n" + head + std::string(100'000, 'x'));
    });
    const auto opened = open();
    ASSERT_TRUE(opened) << opened.error().describe();
    EXPECT_EQ(output_->end(), "") << head;
    EXPECT_EQ(output_->text().size(), 100'000u) << head;
  }
}

TEST_F(StreamClientTest, SendsTheRequestAsGiven) {
  std::promise<std::string> seen;
  serve([&](ScriptedServer::Peer& peer) {
    seen.set_value(peer.read_request());
    peer.answer(200, "");
  });
  request_ = {
      .method = Method::post, .target = "/x%2F?q=%20", .headers = {{"X-One", "a b"}}, .body = "{\"zh\":\"实例\"}"};
  ASSERT_TRUE(open());
  EXPECT_EQ(
      seen.get_future().get(),
      "POST /x%2F?q=%20 HTTP/1.1\r\nHost: localhost\r\nX-One: a b\r\nContent-Length: 15\r\n\r\n{\"zh\":\"实例\"}");
}

TEST_F(StreamClientTest, RefusesRequestsThatWouldBreakTheLine) {
  std::vector<ClientRequest> bad(4, request_);
  bad[0].target = "/a b";
  bad[1].target = "/a\r\nX: y";
  bad[2].target = "http://elsewhere/";
  bad[3].headers = {{"X", "a\r\nY: b"}};
  for (const auto& request : bad) {
    request_ = request;
    EXPECT_EQ(open().error().code(), ErrorCode::invalid_argument) << request.target;
  }
}

TEST_F(StreamClientTest, GivesARefusalWholeAndCallsNoHandler) {
  serve([](ScriptedServer::Peer& peer) {
    peer.read_request();
    peer.answer(404, R"({"message":"No such container"})");
  });
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error().describe();
  EXPECT_EQ(opened->stream, nullptr);
  EXPECT_EQ(opened->answer.status, 404);
  EXPECT_EQ(opened->answer.body, R"({"message":"No such container"})");
  EXPECT_FALSE(output_->ended());
}

TEST_F(StreamClientTest, TurnsIntoRawBytesBothWays) {
  serve([](ScriptedServer::Peer& peer) {
    peer.read_request();
    // The first bytes come in one piece with the header.
    peer.write(std::string(kUpgrade) + "hello ");
    const std::string said = peer.read_request();
    peer.write("you said " + said);
  });
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error().describe();
  EXPECT_EQ(opened->answer.status, 101);
  ASSERT_TRUE(output_->wait_for("hello "));
  opened->stream->send("one, ");
  opened->stream->send("two\r\n\r\n");
  EXPECT_EQ(output_->end(), "");
  EXPECT_EQ(output_->text(), "hello you said one, two\r\n\r\n");
  opened->stream->send("too late");
  opened->stream->close();
  EXPECT_FALSE(output_->called_after_end());
}

TEST_F(StreamClientTest, TellsThePeerThatNoMoreComesAndReadsOn) {
  serve([](ScriptedServer::Peer& peer) {
    peer.read_request();
    peer.write(kUpgrade);
    peer.hang();  // until our end of the line is closed
    peer.write("that was all");
  });
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error().describe();
  opened->stream->send("input");
  opened->stream->finish_sending();
  EXPECT_EQ(output_->end(), "");
  EXPECT_EQ(output_->text(), "that was all");
}

TEST_F(StreamClientTest, HoldsBackASenderWhileItIsPaused) {
  std::atomic<std::size_t> written{0};
  serve([&](ScriptedServer::Peer& peer) {
    peer.read_request();
    peer.write(kUpgrade);
    const std::string piece(64UL << 10U, 'x');
    for (int i = 0; i < 256 && peer.write(piece); ++i) written += piece.size();
  });
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error().describe();
  opened->stream->pause();
  std::size_t before = 0;
  // The sender stands still once the socket's buffers are full.
  ASSERT_TRUE(eventually([&] {
    const bool stands = written == before && before > 0;
    before = written;
    if (!stands) std::this_thread::sleep_for(milliseconds(50));
    return stands;
  }));
  EXPECT_LT(before, 16UL << 20U);
  opened->stream->resume();
  EXPECT_TRUE(output_->wait_for_size(16UL << 20U));
}

TEST_F(StreamClientTest, EndsAConnectionWhosePeerDoesNotRead) {
  serve([](ScriptedServer::Peer& peer) {
    peer.read_request();
    peer.write(kUpgrade);
    std::this_thread::sleep_for(seconds(1));
  });
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error().describe();
  for (int i = 0; i < 20; ++i) opened->stream->send(std::string(1UL << 20U, 'x'));
  EXPECT_EQ(output_->end(), "http.protocol");
}

TEST_F(StreamClientTest, SaysHowAStreamEnded) {
  serve([](ScriptedServer::Peer& peer) {
    peer.read_request();
    peer.write(std::string(kChunked) + "5\r\nfir");
  });
  auto opened = open();
  ASSERT_TRUE(opened) << opened.error().describe();
  EXPECT_EQ(output_->end(), "http.protocol");

  server_.reset();
  output_ = std::make_shared<Collector>();
  serve([](ScriptedServer::Peer& peer) {
    peer.read_request();
    peer.write(std::string(kChunked) + "garbage\r\n");
    peer.hang();
  });
  opened = open();
  EXPECT_EQ(output_->end(), "http.protocol");
}

TEST_F(StreamClientTest, SaysWhyAStreamDoesNotOpen) {
  const auto soon_over = Deadline::after(milliseconds(300));
  EXPECT_EQ(open().error().reason(), "http.unreachable");
  EXPECT_EQ(failure_of([](ScriptedServer::Peer& peer) { peer.read_request(); }), "http.unreachable");
  server_.reset();
  EXPECT_EQ(failure_of([](ScriptedServer::Peer& peer) {
              peer.write("SSH-2.0-OpenSSH\r\n\r\n");
              peer.hang();
            }),
            "http.protocol");
  server_.reset();
  EXPECT_EQ(failure_of([](ScriptedServer::Peer& peer) {
              peer.read_request();
              peer.write("HTTP/1.1 200 OK\r\nX: y");
            }),
            "http.protocol");
  server_.reset();
  EXPECT_EQ(failure_of([](ScriptedServer::Peer& peer) { peer.hang(); }, soon_over), "http.timeout");
  server_.reset();
  EXPECT_EQ(failure_of([](ScriptedServer::Peer& peer) { peer.hang(); }, Deadline::after(milliseconds(-1))),
            "http.timeout");
  EXPECT_FALSE(output_->ended());
}

TEST_F(StreamClientTest, ARefusalThatNeverEndsIsGivenUpAtTheDeadline) {
  EXPECT_EQ(failure_of(
                [](ScriptedServer::Peer& peer) {
                  peer.write("HTTP/1.1 500 Any\r\nContent-Length: 100\r\n\r\n{");
                  peer.hang();
                },
                Deadline::after(milliseconds(300))),
            "http.timeout");
}

TEST_F(StreamClientTest, CallsNoHandlerAfterItsStreamIsDestroyed) {
  serve([](ScriptedServer::Peer& peer) {
    peer.read_request();
    peer.write(kChunked);
    while (peer.write("1\r\nx\r\n")) {
    }
  });
  auto opened = open();
  ASSERT_TRUE(opened) << opened.error().describe();
  ASSERT_TRUE(output_->wait_for("x"));
  opened->stream.reset();
  EXPECT_EQ(output_.use_count(), 1);
  EXPECT_FALSE(output_->ended());
}

TEST_F(StreamClientTest, EndsEverythingWhenItIsStopped) {
  serve([](ScriptedServer::Peer& peer) {
    if (peer.read_request().starts_with("GET /events")) peer.write(kChunked);
    peer.hang();
  });
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error().describe();
  request_.target = "/never";
  auto other = std::async(std::launch::async, [&] { return open(); });
  ASSERT_TRUE(eventually([&] { return server_->connections() == 2; }));
  client_.stop();
  EXPECT_EQ(output_->end(), "http.stopped");
  EXPECT_EQ(other.get().error().reason(), "http.stopped");
  EXPECT_EQ(open().error().reason(), "http.stopped");
}

/// Accepts one TLS connection whose client has a certificate, and answers with an echo of raw bytes.
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
      asio::ssl::stream<asio::ip::tcp::socket> peer(acceptor_.accept(), tls_);
      peer.handshake(asio::ssl::stream_base::server, failure);
      std::array<char, 4096> bytes{};
      if (!failure) peer.read_some(asio::buffer(bytes), failure);
      if (!failure) asio::write(peer, asio::buffer(kUpgrade), failure);
      while (!failure) {
        const std::size_t count = peer.read_some(asio::buffer(bytes), failure);
        if (!failure) asio::write(peer, asio::buffer(bytes, count), failure);
      }
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

TEST_F(StreamClientTest, SpeaksTlsWithACertificateAndOnlyToThePinnedServer) {
  const Certificate server_certificate(folder_ / "server");
  const Certificate own(folder_ / "own");
  Endpoint secured{.base_url = {},
                   .unix_socket = {},
                   .client_certificate = own.certificate(),
                   .client_key = own.key(),
                   .server_certificate = server_certificate.certificate()};
  {
    TlsServer server(server_certificate);
    secured.base_url = server.url();
    const auto opened = client_.open(secured, request_, output_, soon());
    ASSERT_TRUE(opened) << opened.error().describe();
    opened->stream->send("over TLS");
    EXPECT_TRUE(output_->wait_for("over TLS"));
  }
  TlsServer server(server_certificate);
  secured.base_url = server.url();
  secured.server_certificate = own.certificate();
  EXPECT_EQ(client_.open(secured, request_, output_, soon()).error().reason(), "http.unreachable");
}

}  // namespace
}  // namespace berth::http
