#include "http/websocket_session.h"

#include <boost/asio/post.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <deque>
#include <mutex>

namespace berth::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;

constexpr std::size_t kQueueLimit = 4UL << 20U;
constexpr std::size_t kMessageLimit = 1UL << 20U;
constexpr std::uint16_t kGoingAway = 1001;
constexpr std::uint16_t kTryAgainLater = 1013;

template <class Stream>
class WebSocketSession final : public WebSocket,
                               public Tracked,
                               public std::enable_shared_from_this<WebSocketSession<Stream>> {
 public:
  WebSocketSession(Stream stream, IoThread& thread, std::string address, std::shared_ptr<WebSocketHandler> handler)
      : stream_(std::move(stream)),
        thread_(thread),
        state_(thread.state()),
        address_(std::move(address)),
        handler_(std::move(handler)) {
    thread_.track(this);
    state_.websockets.fetch_add(1);
  }

  ~WebSocketSession() override {
    state_.websockets.fetch_sub(1);
    release_connection(state_, address_);
  }

  void accept(const Request& request) {
    websocket::stream_base::timeout timeouts{};
    timeouts.handshake_timeout = state_.settings.limits.header_time;
    timeouts.idle_timeout = 2 * state_.settings.websocket_ping;
    timeouts.keep_alive_pings = true;
    stream_.set_option(timeouts);
    stream_.read_message_max(kMessageLimit);
    stream_.auto_fragment(false);
    beast::http::request<beast::http::empty_body> handshake(beast::http::verb::get, request.target, 11);
    for (const Header& field : request.headers) handshake.insert(field.name, field.value);
    stream_.async_accept(handshake, [self = this->shared_from_this()](const beast::error_code& error) {
      if (error) return self->end();
      self->open_ = true;
      self->handler_->on_open(self);
      self->read();
      self->write_next();
    });
  }

  void send(Payload message, Frame frame) override {
    {
      const std::lock_guard lock(mutex_);
      if (refused_) return;
      queued_bytes_ += message->size();
      if (queued_bytes_ > kQueueLimit) {
        refused_ = true;
        queue_.clear();
        close_code_ = kTryAgainLater;
        close_reason_ = "too slow";
      } else {
        queue_.push_back({std::move(message), frame, true});
      }
    }
    schedule();
  }

  void offer(Payload state) override {
    {
      const std::lock_guard lock(mutex_);
      if (refused_) return;
      if (offered_) state_.websocket_skipped->add();
      offered_ = std::move(state);
    }
    schedule();
  }

  void close(std::uint16_t code, std::string_view reason) override {
    {
      const std::lock_guard lock(mutex_);
      if (refused_) return;
      refused_ = true;
      close_code_ = code;
      close_reason_ = reason.substr(0, 123);
    }
    schedule();
  }

  std::size_t waiting_bytes() const override {
    const std::lock_guard lock(mutex_);
    return queued_bytes_;
  }

  void check_time(Instant) override {}  // Beast's own timer watches over an open WebSocket
  void begin_drain() override { close(kGoingAway, "shutting down"); }
  void abort() override {
    boost::system::error_code ignored;
    beast::get_lowest_layer(stream_).close(ignored);
  }

 private:
  struct Message {
    Payload payload;
    Frame frame = Frame::text;
    bool queued = false;  // counts towards the queue's limit; an offered state does not
  };

  /// Makes the I/O thread look at what is waiting; one look serves everything given until it happens.
  void schedule() {
    if (scheduled_.exchange(true)) return;
    asio::post(thread_.context(), [self = this->shared_from_this()] {
      self->scheduled_ = false;
      self->write_next();
    });
  }

  void read() {
    stream_.async_read(input_, [self = this->shared_from_this()](const beast::error_code& error, std::size_t) {
      if (error) return self->end();
      const auto bytes = self->input_.cdata();
      self->handler_->on_message({static_cast<const char*>(bytes.data()), bytes.size()},
                                 self->stream_.got_text() ? Frame::text : Frame::binary);
      self->input_.consume(self->input_.size());
      self->read();
    });
  }

  void write_next() {
    if (!open_ || writing_ || ended_) return;
    std::uint16_t code = 0;
    std::string reason;
    {
      const std::lock_guard lock(mutex_);
      if (!queue_.empty()) {
        current_ = std::move(queue_.front());
        queue_.pop_front();
      } else if (refused_) {
        code = close_code_;
        reason = close_reason_;
      } else if (offered_) {
        current_ = {std::move(offered_), Frame::text, false};
        offered_ = nullptr;
      } else {
        return;
      }
    }
    if (code != 0) return send_close(code, reason);
    writing_ = true;
    stream_.text(current_.frame == Frame::text);
    stream_.async_write(asio::buffer(*current_.payload),
                        [self = this->shared_from_this()](const beast::error_code& error, std::size_t bytes) {
                          self->on_written(error, bytes);
                        });
  }

  void on_written(const beast::error_code& error, std::size_t bytes) {
    writing_ = false;
    if (error) return abort();
    state_.websocket_messages->add();
    state_.sent_bytes->add(bytes);
    bool drained = false;
    {
      const std::lock_guard lock(mutex_);
      if (current_.queued) queued_bytes_ -= std::min(queued_bytes_, current_.payload->size());
      drained = queue_.empty();
    }
    current_.payload.reset();
    if (drained && !ended_) handler_->on_drained();
    write_next();
  }

  void send_close(std::uint16_t code, const std::string& reason) {
    writing_ = true;
    websocket::close_reason why;
    why.code = code;
    why.reason = beast::string_view(reason.data(), reason.size());
    stream_.async_close(why, [self = this->shared_from_this()](const beast::error_code&) { self->abort(); });
  }

  void end() {
    if (std::exchange(ended_, true)) return;
    thread_.untrack(this);
    {
      const std::lock_guard lock(mutex_);
      refused_ = true;
      queue_.clear();
      offered_ = nullptr;
    }
    handler_->on_close();
    handler_.reset();
  }

  websocket::stream<Stream> stream_;
  IoThread& thread_;
  ServerState& state_;
  std::string address_;
  std::shared_ptr<WebSocketHandler> handler_;
  beast::flat_buffer input_;
  Message current_;
  bool open_ = false;
  bool writing_ = false;
  bool ended_ = false;
  std::atomic<bool> scheduled_{false};

  mutable std::mutex mutex_;
  std::deque<Message> queue_;
  Payload offered_;
  std::size_t queued_bytes_ = 0;
  bool refused_ = false;  // takes nothing more: closing or over the limit
  std::uint16_t close_code_ = 0;
  std::string close_reason_;
};

}  // namespace

template <class Stream>
void start_websocket(Stream stream, IoThread& thread, const Request& request,
                     std::shared_ptr<WebSocketHandler> handler) {
  const auto session =
      std::make_shared<WebSocketSession<Stream>>(std::move(stream), thread, request.peer.address, std::move(handler));
  session->accept(request);
}

template void start_websocket(TcpSocket, IoThread&, const Request&, std::shared_ptr<WebSocketHandler>);
template void start_websocket(TlsStream, IoThread&, const Request&, std::shared_ptr<WebSocketHandler>);

}  // namespace berth::http
