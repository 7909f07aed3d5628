#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "http/io_thread.h"
#include "http/request_parser.h"
#include "http/server.h"

namespace berth::http {

using TlsStream = boost::asio::ssl::stream<TcpSocket>;

/// What a listener gives each of its connections; immutable.
struct ListenerState {
  std::vector<Mount> mounts;              ///< longest prefix first
  std::shared_ptr<Application> fallback;  ///< speaks for paths outside every mount and for refusals
};

/// One HTTP/1.1 connection on its I/O thread: reads, lets the application decide, writes, in the order of
/// arrival. Answers to pipelined requests that are ready together leave in one write. Lives as long as one of
/// its handlers is pending. `Stream` is TcpSocket or an ssl::stream of it.
template <class Stream>
class Connection final : public Tracked, public std::enable_shared_from_this<Connection<Stream>> {
 public:
  Connection(Stream stream, IoThread& thread, std::shared_ptr<const ListenerState> listener, IpAddress peer);
  ~Connection() override;

  /// Begins; for TLS with the handshake.
  void start();

  void check_time(Instant now) override;
  void begin_drain() override;
  void abort() override;

 private:
  enum class Phase { handshake, idle, header, body, working, writing, closed };
  enum class Outcome { answered, waiting };

  /// One answer on its way: its head, and its body where that is not part of the head's buffer.
  struct Outgoing {
    std::string head;
    std::string body;
    ContentPointer content;
    std::string_view shared_body;  // points into `content`
  };

  void read();
  void on_read(const boost::system::error_code& error, std::size_t bytes);
  void process();
  bool parse();
  void begin_request();
  void refuse(int status);
  Outcome handle();
  Outcome dispatch();
  Dispatch decide();
  Response guarded(std::move_only_function<Response()>& work);
  bool answer_preflight();
  void finish(Response response);
  bool write();
  std::optional<std::size_t> send_now();
  bool go_on();
  void on_written(const boost::system::error_code& error, std::size_t bytes);
  void upgrade();
  void shut_down();
  void drain_input();
  void close();
  void set_phase(Phase phase, std::chrono::milliseconds limit);
  std::string_view allowed_origin() const;

  Stream stream_;
  IoThread& thread_;
  ServerState& state_;
  std::shared_ptr<const ListenerState> listener_;
  IpAddress peer_address_;
  Peer peer_;
  bool peer_is_proxy_;

  std::vector<char> input_;
  std::size_t input_begin_ = 0;
  std::size_t input_end_ = 0;
  std::optional<RequestParser> parser_;
  Request request_;
  Application* application_ = nullptr;  // of the request under way
  std::shared_ptr<WebSocketHandler> upgrade_handler_;

  std::vector<Outgoing> queued_;
  std::size_t queued_count_ = 0;
  std::vector<Outgoing> sending_;
  std::vector<boost::asio::const_buffer> buffers_;

  Phase phase_ = Phase::handshake;
  Instant deadline_;
  bool waiting_ = false;  // a worker makes the answer
  bool writing_ = false;
  bool keep_alive_ = true;
  bool counted_ = true;  // handed to a WebSocket otherwise
};

extern template class Connection<TcpSocket>;
extern template class Connection<TlsStream>;

}  // namespace berth::http
