#pragma once

#include <atomic>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include "http/access_log.h"
#include "http/client_address.h"
#include "http/server.h"

namespace berth::http {

/// A socket bound to a plain io_context: no type erasure on the hot path.
using TcpSocket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;

/// What every I/O thread shares.
struct ServerState {
  ServerSettings settings;
  TrustedProxies proxies;
  std::unique_ptr<AccessLog> access_log;
  std::atomic<bool> draining{false};
  std::atomic<std::size_t> connections{0};
  std::atomic<std::size_t> websockets{0};
  std::string id_prefix;  ///< of request ids; differs between runs of the daemon
  std::atomic<std::uint64_t> next_id{1};

  std::mutex address_mutex;
  std::unordered_map<std::string, std::size_t> per_address;

  metrics::Counter* accepted = nullptr;
  metrics::Counter* refused = nullptr;  ///< over the limit per address
  metrics::Counter* timed_out = nullptr;
  metrics::Counter* received_bytes = nullptr;
  metrics::Counter* sent_bytes = nullptr;
  metrics::Counter* websocket_messages = nullptr;
  metrics::Counter* websocket_skipped = nullptr;  ///< offered states that a newer one replaced
};

/// Takes a connection's place among the limits; false if its address has too many.
bool admit_connection(ServerState& state, const std::string& address);
/// Gives the place back.
void release_connection(ServerState& state, const std::string& address);

/// What a thread does with each of its connections, whatever their stream.
class Tracked {
 public:
  virtual ~Tracked() = default;
  /// Called every half second: ends what took too long.
  virtual void check_time(Instant now) = 0;
  /// The server is going down: end as soon as nothing is under way.
  virtual void begin_drain() = 0;
  virtual void abort() = 0;
};

/// One I/O thread: its loop, its connections, and one timer that serves them all.
class IoThread {
 public:
  IoThread(ServerState& state, std::size_t index);
  ~IoThread();

  boost::asio::io_context& context() { return context_; }
  ServerState& state() { return state_; }

  void run();
  void stop();
  void join();

  // From the thread itself only.
  void track(Tracked* connection) { connections_.insert(connection); }
  void untrack(Tracked* connection) { connections_.erase(connection); }
  void begin_drain();
  void abort_all();
  /// The Date field's value, renewed twice a second.
  std::string_view date() const { return date_; }
  void log_access(const Request& request, int status, std::size_t bytes, std::chrono::nanoseconds duration);

 private:
  void sweep();
  void flush_access_log();

  ServerState& state_;
  std::size_t index_;
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{context_.get_executor()};
  boost::asio::steady_timer timer_{context_};
  std::unordered_set<Tracked*> connections_;
  std::string date_;
  std::string log_time_;
  std::string log_lines_;
  std::thread thread_;
};

}  // namespace berth::http
