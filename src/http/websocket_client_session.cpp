#include "http/websocket_client_session.h"

#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <deque>
#include <mutex>
#include <type_traits>

namespace berth::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;
// One socket type for unix and TCP: half the templates to build.
using Socket = asio::generic::stream_protocol::socket;
using TlsStream = asio::ssl::stream<Socket>;

constexpr std::size_t kSendLimit = 4UL << 20U;
constexpr std::size_t kMessageLimit = 16UL << 20U;
constexpr std::size_t kReadStep = 64UL << 10U;
constexpr std::chrono::milliseconds kCloseTime{2000};

Error unreachable(std::string detail) {
  return Error(ErrorCode::unavailable, "http.unreachable", Text{"无法连接服务器", "the server cannot be reached"})
      .with_detail(std::move(detail));
}
Error timed_out() {
  return Error(ErrorCode::deadline_exceeded, "http.timeout", Text{"等待应答超时", "no answer within the time allowed"});
}

/// One connection. The queue is guarded by a mutex; everything else belongs to the I/O thread.
template <class Stream>
class Session final : public WebSocketClientSession {
 public:
  /// `tls` is what the arguments of the stream refer to, if anything.
  template <class... Args>
  Session(std::shared_ptr<ClientLoop> loop, std::shared_ptr<WebSocketHandler> handler,
          std::chrono::milliseconds silence, TlsContextPointer tls, Args&&... args)
      : loop_(std::move(loop)),
        tls_(std::move(tls)),
        handler_(std::move(handler)),
        silence_(silence),
        resolver_(loop_->context()),
        stream_(std::forward<Args>(args)...),
        open_timer_(loop_->context()),
        ping_timer_(loop_->context()),
        close_timer_(loop_->context()) {}

  void open(const Endpoint& endpoint, const EndpointAddress& address, std::string target, std::vector<Header> headers,
            Deadline deadline, Opened opened) override {
    opened_ = std::move(opened);
    authority_ = address.authority;
    host_ = address.host;
    target_ = std::move(target);
    headers_ = std::move(headers);
    open_timer_.expires_at(deadline.at());
    open_timer_.async_wait([self = self()](error_code failure) {
      if (!failure) self->fail_open(timed_out());
    });
    if (!endpoint.unix_socket.empty()) {
      connect_unix(endpoint.unix_socket);
      return;
    }
    resolver_.async_resolve(address.host, address.port, [self = self()](error_code failure, auto results) {
      if (failure) return self->fail_open(unreachable("resolve: " + failure.message()));
      for (const auto& entry : results) self->candidates_.emplace_back(entry.endpoint());
      self->connect_next(error_code());
    });
  }

  void send(Payload message, Frame frame) override {
    bool overflow = false;
    {
      const std::lock_guard lock(queue_mutex_);
      if (refusing_) return;
      if (waiting_ + message->size() > kSendLimit) {
        overflow = true;
        refusing_ = true;
      } else {
        waiting_ += message->size();
        queue_.push_back({std::move(message), frame});
      }
    }
    if (overflow) {
      close(websocket::close_code::try_again_later, "too much is waiting");
    } else {
      schedule_pump();
    }
  }

  void offer(Payload state) override {
    {
      const std::lock_guard lock(queue_mutex_);
      if (refusing_) return;
      offered_ = std::move(state);
    }
    schedule_pump();
  }

  void close(std::uint16_t code, std::string_view reason) override {
    {
      const std::lock_guard lock(queue_mutex_);
      refusing_ = true;
    }
    loop_->post([self = self(), code, text = std::string(reason.substr(0, 123))] { self->begin_close(code, text); });
  }

  std::size_t waiting_bytes() const override {
    const std::lock_guard lock(queue_mutex_);
    return waiting_;
  }

  void pause_reading() override {
    loop_->post([self = self()] { self->paused_ = true; });
  }

  void resume_reading() override {
    loop_->post([self = self()] {
      if (!self->paused_) return;
      self->paused_ = false;
      self->heard_ = std::chrono::steady_clock::now();
      self->read();
    });
  }

  void detach(bool polite) override {
    handler_.reset();
    if (state_ == State::opening) return fail_open(websocket_client_stopped());
    if (state_ == State::ended) return;
    if (polite) {
      begin_close(websocket::close_code::normal, "");
    } else {
      end();
    }
  }

  void abort() override {
    if (state_ == State::opening) return fail_open(websocket_client_stopped());
    end();
  }

 private:
  enum class State { opening, open, closing, ended };
  struct Outgoing {
    Payload payload;
    Frame frame = Frame::text;
  };

  std::shared_ptr<Session> self() { return std::static_pointer_cast<Session>(this->shared_from_this()); }
  Socket& socket() {
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      return stream_.next_layer().next_layer();
    } else {
      return stream_.next_layer();
    }
  }

  void connect_unix(const std::string& path) {
    try {
      candidates_.emplace_back(asio::local::stream_protocol::endpoint(path));
    } catch (const boost::system::system_error& failure) {
      return fail_open(unreachable(path + ": " + failure.what()));
    }
    connect_next(error_code());
  }

  void connect_next(error_code last) {
    if (state_ != State::opening) return;
    if (candidate_ == candidates_.size()) return fail_open(unreachable("connect: " + last.message()));
    error_code ignored;
    socket().close(ignored);
    socket().async_connect(candidates_[candidate_++], [self = self()](error_code failure) {
      if (self->state_ != State::opening) return;
      if (failure) return self->connect_next(failure);
      self->secure();
    });
  }

  void secure() {
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      error_code not_an_address;
      asio::ip::make_address(host_, not_an_address);
      if (not_an_address) SSL_set_tlsext_host_name(stream_.next_layer().native_handle(), host_.c_str());
      stream_.next_layer().async_handshake(asio::ssl::stream_base::client, [self = self()](error_code failure) {
        if (self->state_ != State::opening) return;
        if (failure) return self->fail_open(unreachable("TLS: " + failure.message()));
        self->upgrade();
      });
    } else {
      upgrade();
    }
  }

  void upgrade() {
    stream_.set_option(websocket::stream_base::decorator([this](websocket::request_type& request) {
      for (const auto& header : headers_) request.set(header.name, header.value);
    }));
    stream_.read_message_max(kMessageLimit);
    stream_.auto_fragment(false);
    stream_.control_callback(
        [this](websocket::frame_type, beast::string_view) { heard_ = std::chrono::steady_clock::now(); });
    stream_.async_handshake(answer_, authority_, target_, [self = self()](error_code failure) {
      if (self->state_ != State::opening) return;
      if (failure) return self->fail_open(self->upgrade_error(failure));
      self->opened();
    });
  }

  Error upgrade_error(error_code failure) const {
    if (failure == websocket::error::upgrade_declined) {
      return Error(ErrorCode::internal, "http.upgrade",
                   Text{"服务器拒绝升级为 WebSocket", "the server refused the WebSocket"})
          .with_detail("status " + std::to_string(answer_.result_int()) + " " + answer_.body());
    }
    const bool garbage =
        failure.category() == beast::http::make_error_code(beast::http::error::bad_version).category() ||
        failure.category() == websocket::make_error_code(websocket::error::bad_http_version).category();
    const bool cut_off = failure == beast::http::error::partial_message;
    if (garbage || cut_off) {
      return Error(ErrorCode::internal, "http.protocol",
                   Text{"服务器的应答无法理解", "the server's answer makes no sense"})
          .with_detail(failure.message());
    }
    return unreachable("upgrade: " + failure.message());
  }

  void opened() {
    state_ = State::open;
    open_timer_.cancel();
    heard_ = std::chrono::steady_clock::now();
    auto opened = std::exchange(opened_, nullptr);
    if (handler_) handler_->on_open(self());
    opened({});
    read();
    arm_ping();
    pump();
  }

  void fail_open(Error error) {
    if (state_ != State::opening) return;
    handler_.reset();
    auto opened = std::exchange(opened_, nullptr);
    end();
    if (opened) opened(std::move(error));
  }

  void read() {
    if (reading_ || paused_ || state_ != State::open) return;
    reading_ = true;
    stream_.async_read_some(buffer_, kReadStep, [self = self()](error_code failure, std::size_t) {
      self->reading_ = false;
      self->after_read(failure);
    });
  }

  void after_read(error_code failure) {
    if (state_ == State::ended) return;
    if (failure) {
      // While closing, the closing handshake reports the end.
      if (state_ == State::open) end();
      return;
    }
    heard_ = std::chrono::steady_clock::now();
    if (stream_.is_message_done()) {
      const auto data = buffer_.cdata();
      const Frame frame = stream_.got_binary() ? Frame::binary : Frame::text;
      if (handler_ && state_ == State::open) {
        handler_->on_message({static_cast<const char*>(data.data()), data.size()}, frame);
      }
      buffer_.consume(buffer_.size());
      if (buffer_.capacity() > 4 * kReadStep) buffer_ = beast::flat_buffer();
    }
    read();
  }

  void schedule_pump() {
    if (pump_scheduled_.exchange(true)) return;
    loop_->post([self = self()] {
      self->pump_scheduled_ = false;
      self->pump();
    });
  }

  void pump() {
    if (writing_ || state_ == State::opening || state_ == State::ended) return;
    if (take_next()) {
      writing_ = true;
      stream_.binary(current_.frame == Frame::binary);
      stream_.async_write(asio::buffer(*current_.payload), [self = self()](error_code failure, std::size_t) {
        self->writing_ = false;
        self->after_write(failure);
      });
    } else if (state_ == State::closing) {
      start_close();
    }
  }

  bool take_next() {
    const std::lock_guard lock(queue_mutex_);
    if (!queue_.empty()) {
      current_ = std::move(queue_.front());
      queue_.pop_front();
      waiting_ -= current_.payload->size();
      return true;
    }
    if (offered_ == nullptr) return false;
    current_ = {std::exchange(offered_, nullptr), Frame::text};
    return true;
  }

  void after_write(error_code failure) {
    current_.payload.reset();
    if (state_ == State::ended) return;
    if (failure) return end();
    bool drained = false;
    {
      const std::lock_guard lock(queue_mutex_);
      drained = queue_.empty();
    }
    if (drained && handler_ && state_ == State::open) handler_->on_drained();
    pump();
  }

  void arm_ping() {
    ping_timer_.expires_after(silence_ / 2);
    ping_timer_.async_wait([self = self()](error_code failure) {
      if (!failure) self->check_silence();
    });
  }

  void check_silence() {
    if (state_ != State::open) return;
    // With reading paused nothing can be heard, and that is our own wish.
    if (!paused_ && std::chrono::steady_clock::now() - heard_ >= silence_) return end();
    if (!pinging_) {
      pinging_ = true;
      stream_.async_ping({}, [self = self()](error_code) { self->pinging_ = false; });
    }
    arm_ping();
  }

  void begin_close(std::uint16_t code, const std::string& reason) {
    if (state_ != State::open) return;
    state_ = State::closing;
    close_reason_ = websocket::close_reason(static_cast<websocket::close_code>(code), reason);
    close_timer_.expires_after(kCloseTime);
    close_timer_.async_wait([self = self()](error_code failure) {
      if (!failure) self->end();
    });
    pump();
  }

  void start_close() {
    if (std::exchange(close_started_, true)) return;
    stream_.async_close(close_reason_, [self = self()](error_code) { self->end(); });
  }

  void end() {
    if (state_ == State::ended) return;
    state_ = State::ended;
    {
      const std::lock_guard lock(queue_mutex_);
      refusing_ = true;
      queue_.clear();
      offered_.reset();
      waiting_ = 0;
    }
    error_code ignored;
    resolver_.cancel();
    open_timer_.cancel();
    ping_timer_.cancel();
    close_timer_.cancel();
    socket().close(ignored);
    if (auto handler = std::exchange(handler_, nullptr)) handler->on_close();
  }

  std::shared_ptr<ClientLoop> loop_;
  TlsContextPointer tls_;
  std::shared_ptr<WebSocketHandler> handler_;
  const std::chrono::milliseconds silence_;
  State state_ = State::opening;
  Opened opened_;
  std::string authority_;
  std::string host_;
  std::string target_;
  std::vector<Header> headers_;
  std::vector<asio::generic::stream_protocol::endpoint> candidates_;
  std::size_t candidate_ = 0;

  asio::ip::tcp::resolver resolver_;
  websocket::stream<Stream> stream_;
  websocket::response_type answer_;
  beast::flat_buffer buffer_;
  asio::steady_timer open_timer_;
  asio::steady_timer ping_timer_;
  asio::steady_timer close_timer_;
  websocket::close_reason close_reason_;
  Instant heard_{};
  bool reading_ = false;
  bool paused_ = false;
  bool writing_ = false;
  bool pinging_ = false;
  bool close_started_ = false;
  Outgoing current_;

  std::atomic<bool> pump_scheduled_{false};
  mutable std::mutex queue_mutex_;
  bool refusing_ = false;
  std::size_t waiting_ = 0;
  std::deque<Outgoing> queue_;
  Payload offered_;
};

}  // namespace

Error websocket_client_stopped() {
  return Error(ErrorCode::cancelled, "http.stopped", Text{"正在关闭", "shutting down"});
}

std::shared_ptr<WebSocketClientSession> make_websocket_client_session(std::shared_ptr<ClientLoop> loop,
                                                                      std::shared_ptr<WebSocketHandler> handler,
                                                                      std::chrono::milliseconds silence,
                                                                      TlsContextPointer tls) {
  auto& context = loop->context();
  if (tls == nullptr) {
    return std::make_shared<Session<Socket>>(std::move(loop), std::move(handler), silence, nullptr, context);
  }
  auto& stream_context = *tls;
  return std::make_shared<Session<TlsStream>>(std::move(loop), std::move(handler), silence, std::move(tls), context,
                                              stream_context);
}

}  // namespace berth::http
