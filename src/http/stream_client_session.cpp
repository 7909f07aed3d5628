#include "http/stream_client_session.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <deque>
#include <mutex>
#include <type_traits>

namespace berth::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;
// One socket type for unix and TCP: half the templates to build.
using Socket = asio::generic::stream_protocol::socket;
using TlsStream = asio::ssl::stream<Socket>;

constexpr std::size_t kSendLimit = 4UL << 20U;
constexpr std::size_t kReadStep = 32UL << 10U;
constexpr std::size_t kRefusalLimit = 64UL << 10U;
constexpr std::uint32_t kHeaderLimit = 64U << 10U;

Error unreachable(std::string detail) {
  return Error(ErrorCode::unavailable, "http.unreachable", Text{"无法连接服务器", "the server cannot be reached"})
      .with_detail(std::move(detail));
}
Error timed_out() {
  return Error(ErrorCode::deadline_exceeded, "http.timeout", Text{"等待应答超时", "no answer within the time allowed"});
}
Error protocol_fault(std::string detail) {
  return Error(ErrorCode::internal, "http.protocol", Text{"服务器的应答无法理解", "the server's answer makes no sense"})
      .with_detail(std::move(detail));
}

/// A peer that is gone without a word is noticed within half a minute, also on a stream that says nothing for days.
void keep_alive(Socket& socket) {
  if (socket.local_endpoint().protocol().family() == AF_UNIX) return;
  const auto set = [&](int level, int option, int value) {
    ::setsockopt(socket.native_handle(), level, option, &value, sizeof value);
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 15);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
  set(IPPROTO_TCP, TCP_NODELAY, 1);
}

/// One connection. The queue is guarded by a mutex; everything else belongs to the I/O thread.
template <class Transport>
class Session final : public StreamClientSession {
 public:
  /// `tls` is what the arguments of the stream refer to, if anything.
  template <class... Args>
  Session(std::shared_ptr<ClientLoop> loop, std::shared_ptr<StreamHandler> handler, TlsContextPointer tls,
          Args&&... args)
      : loop_(std::move(loop)),
        tls_(std::move(tls)),
        handler_(std::move(handler)),
        resolver_(loop_->context()),
        stream_(std::forward<Args>(args)...),
        open_timer_(loop_->context()) {}

  void open(const Endpoint& endpoint, const EndpointAddress& address, std::string request, bool head_only,
            Deadline deadline, Opened opened) override {
    opened_ = std::move(opened);
    host_ = address.host;
    request_ = std::move(request);
    if (deadline.expired()) return fail_open(timed_out());
    parser_.header_limit(kHeaderLimit);
    parser_.body_limit(boost::none);
    parser_.eager(true);
    parser_.skip(head_only);
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

  void send(std::string bytes) override {
    if (bytes.empty()) return;
    bool overflow = false;
    {
      const std::lock_guard lock(queue_mutex_);
      if (refusing_) return;
      if (waiting_ + bytes.size() > kSendLimit) {
        overflow = true;
        refusing_ = true;
      } else {
        waiting_ += bytes.size();
        queue_.push_back(std::move(bytes));
      }
    }
    if (overflow) {
      loop_->post([self = self()] { self->end(protocol_fault("too much is waiting to be sent")); });
    } else {
      schedule_pump();
    }
  }

  void finish_sending() override {
    {
      const std::lock_guard lock(queue_mutex_);
      refusing_ = true;
      finishing_ = true;
    }
    schedule_pump();
  }

  void pause() override {
    loop_->post([self = self()] { self->paused_ = true; });
  }

  void resume() override {
    loop_->post([self = self()] {
      if (!std::exchange(self->paused_, false)) return;
      self->read();
    });
  }

  void close() override {
    loop_->post([self = self()] { self->abort(); });
  }

  void detach() override {
    handler_.reset();
    abort();
  }

  void abort() override {
    if (state_ == State::opening) return fail_open(stream_client_stopped());
    end(stream_client_stopped());
  }

 private:
  enum class State { opening, open, ended };

  std::shared_ptr<Session> self() { return std::static_pointer_cast<Session>(this->shared_from_this()); }
  Socket& socket() {
    if constexpr (std::is_same_v<Transport, TlsStream>) {
      return stream_.next_layer();
    } else {
      return stream_;
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
      keep_alive(self->socket());
      self->secure();
    });
  }

  void secure() {
    if constexpr (std::is_same_v<Transport, TlsStream>) {
      error_code not_an_address;
      asio::ip::make_address(host_, not_an_address);
      if (not_an_address) SSL_set_tlsext_host_name(stream_.native_handle(), host_.c_str());
      stream_.async_handshake(asio::ssl::stream_base::client, [self = self()](error_code failure) {
        if (self->state_ != State::opening) return;
        if (failure) return self->fail_open(unreachable("TLS: " + failure.message()));
        self->ask();
      });
    } else {
      ask();
    }
  }

  void ask() {
    asio::async_write(stream_, asio::buffer(request_), [self = self()](error_code failure, std::size_t) {
      if (self->state_ != State::opening) return;
      // A server that refuses early may have closed its reading side: its answer says why.
      if (failure) self->write_failure_ = failure.message();
      self->read_header();
    });
  }

  void read_header() {
    beast::http::async_read_header(stream_, buffer_, parser_, [self = self()](error_code failure, std::size_t) {
      if (self->state_ != State::opening) return;
      if (failure) return self->fail_open(self->answer_error(failure));
      self->take_header();
    });
  }

  Error answer_error(error_code failure) const {
    const bool http = failure.category() == beast::http::make_error_code(beast::http::error::bad_version).category();
    // Nothing at all came before the end: the peer went, it did not talk nonsense.
    if (http && failure != beast::http::error::end_of_stream) return protocol_fault(failure.message());
    return unreachable("answer: " + (write_failure_.empty() ? failure.message() : write_failure_));
  }

  void take_header() {
    const int status = static_cast<int>(parser_.get().result_int());
    head_.answer.status = status;
    for (const auto& field : parser_.get().base()) {
      head_.answer.headers.push_back({std::string(field.name_string()), std::string(field.value())});
    }
    raw_ = status == 101;
    head_.streams = raw_ || (status >= 200 && status < 300);
    if (status < 200 && !raw_) return fail_open(protocol_fault("status " + std::to_string(status)));
    if (!head_.streams) return read_refusal();
    state_ = State::open;
    open_timer_.cancel();
    auto opened = std::exchange(opened_, nullptr);
    if (handler_) handler_->on_open();
    opened(std::move(head_));
    if (raw_ && buffer_.size() > 0) give_rest();
    if (state_ == State::open) read();
    pump();
  }

  /// What came behind the header of an upgrade.
  void give_rest() {
    const auto data = buffer_.cdata();
    if (handler_) handler_->on_data({static_cast<const char*>(data.data()), data.size()});
    buffer_.consume(buffer_.size());
  }

  void read_refusal() {
    if (parser_.is_done() || head_.answer.body.size() >= kRefusalLimit) return tell_refusal();
    next_piece();
    beast::http::async_read_some(stream_, buffer_, parser_, [self = self()](error_code failure, std::size_t) {
      if (self->state_ != State::opening) return;
      if (failure && failure != beast::http::error::need_buffer) return self->fail_open(self->answer_error(failure));
      self->head_.answer.body.append(self->piece());
      self->read_refusal();
    });
  }

  void tell_refusal() {
    handler_.reset();
    auto opened = std::exchange(opened_, nullptr);
    end({});
    opened(std::move(head_));
  }

  void next_piece() {
    auto& body = parser_.get().body();
    body.data = bytes_.data();
    body.size = bytes_.size();
    body.more = true;
  }
  /// What the last step put into the buffer.
  std::string_view piece() { return {bytes_.data(), bytes_.size() - parser_.get().body().size}; }

  void read() {
    if (reading_ || paused_ || state_ != State::open) return;
    if (!raw_ && parser_.is_done()) return end({});
    reading_ = true;
    const auto done = [self = self()](error_code failure, std::size_t count) {
      self->reading_ = false;
      self->after_read(failure, count);
    };
    if (raw_) {
      stream_.async_read_some(asio::buffer(bytes_), done);
    } else {
      next_piece();
      beast::http::async_read_some(stream_, buffer_, parser_, done);
    }
  }

  void after_read(error_code failure, std::size_t count) {
    if (state_ != State::open) return;
    const std::string_view bytes = raw_ ? std::string_view(bytes_.data(), count) : piece();
    if (handler_ && !bytes.empty()) handler_->on_data(bytes);
    if (state_ != State::open) return;
    if (failure && failure != beast::http::error::need_buffer) return end(end_of(failure));
    read();
  }

  /// What the end of the reading means.
  Result<void> end_of(error_code failure) const {
    // Docker ends TLS streams without a closing word, and containers end raw ones as they like.
    if (raw_ && (failure == asio::error::eof || failure == asio::ssl::error::stream_truncated)) return {};
    if (failure == beast::http::error::end_of_stream) return {};
    if (failure == beast::http::error::partial_message) return protocol_fault("cut off");
    return answer_error(failure);
  }

  void schedule_pump() {
    if (pump_scheduled_.exchange(true)) return;
    loop_->post([self = self()] {
      self->pump_scheduled_ = false;
      self->pump();
    });
  }

  void pump() {
    if (writing_ || state_ != State::open) return;
    bool finish = false;
    current_.clear();
    {
      const std::lock_guard lock(queue_mutex_);
      for (; !queue_.empty(); queue_.pop_front()) current_ += queue_.front();
      waiting_ = 0;
      finish = finishing_ && current_.empty();
    }
    if (!raw_ && !current_.empty()) return end(protocol_fault("bytes for a peer that did not upgrade"));
    if (finish) return half_close();
    if (current_.empty()) return;
    writing_ = true;
    asio::async_write(stream_, asio::buffer(current_), [self = self()](error_code failure, std::size_t) {
      self->writing_ = false;
      if (self->state_ != State::open) return;
      // What the peer said before it stopped listening still counts, so the reading decides about the end.
      if (!failure) self->pump();
    });
  }

  void half_close() {
    if constexpr (!std::is_same_v<Transport, TlsStream>) {
      error_code ignored;
      socket().shutdown(asio::socket_base::shutdown_send, ignored);
    }
  }

  void fail_open(Error error) {
    if (state_ != State::opening) return;
    handler_.reset();
    auto opened = std::exchange(opened_, nullptr);
    end({});
    if (opened) opened(std::move(error));
  }

  void end(Result<void> outcome) {
    if (state_ == State::ended) return;
    state_ = State::ended;
    {
      const std::lock_guard lock(queue_mutex_);
      refusing_ = true;
      queue_.clear();
      waiting_ = 0;
    }
    error_code ignored;
    resolver_.cancel();
    open_timer_.cancel();
    socket().close(ignored);
    if (auto handler = std::exchange(handler_, nullptr)) handler->on_end(outcome);
  }

  std::shared_ptr<ClientLoop> loop_;
  TlsContextPointer tls_;
  std::shared_ptr<StreamHandler> handler_;
  State state_ = State::opening;
  Opened opened_;
  Head head_;
  std::string host_;
  std::string request_;
  std::string write_failure_;
  std::vector<asio::generic::stream_protocol::endpoint> candidates_;
  std::size_t candidate_ = 0;

  asio::ip::tcp::resolver resolver_;
  Transport stream_;
  beast::flat_buffer buffer_;
  beast::http::response_parser<beast::http::buffer_body> parser_;
  std::array<char, kReadStep> bytes_{};
  asio::steady_timer open_timer_;
  bool raw_ = false;
  bool reading_ = false;
  bool paused_ = false;
  bool writing_ = false;
  std::string current_;

  std::atomic<bool> pump_scheduled_{false};
  std::mutex queue_mutex_;
  bool refusing_ = false;
  bool finishing_ = false;
  std::size_t waiting_ = 0;
  std::deque<std::string> queue_;
};

}  // namespace

Error stream_client_stopped() {
  return Error(ErrorCode::cancelled, "http.stopped", Text{"正在关闭", "shutting down"});
}

std::shared_ptr<StreamClientSession> make_stream_client_session(std::shared_ptr<ClientLoop> loop,
                                                                std::shared_ptr<StreamHandler> handler,
                                                                TlsContextPointer tls) {
  auto& context = loop->context();
  if (tls == nullptr) {
    return std::make_shared<Session<Socket>>(std::move(loop), std::move(handler), nullptr, context);
  }
  auto& stream_context = *tls;
  return std::make_shared<Session<TlsStream>>(std::move(loop), std::move(handler), std::move(tls), context,
                                              stream_context);
}

}  // namespace berth::http
