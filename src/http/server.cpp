#include "http/server.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <future>

#include "base/encoding.h"
#include "base/log.h"
#include "http/connection.h"
#include "http/io_thread.h"
#include "http/tls.h"

namespace berth::http {
namespace {

namespace asio = boost::asio;
using Acceptor = asio::basic_socket_acceptor<asio::ip::tcp, asio::io_context::executor_type>;

/// Speaks for a listener that has no mount at its root.
class NoApplication final : public Application {
 public:
  Dispatch dispatch(Request& request) override { return refuse(404, request.language_or(Language::zh)); }
  Response refuse(int status, Language) override { return Response::json(status, R"({"detail":"Not Found"})"); }
  std::size_t body_limit(const Request&) const override { return 0; }
};

/// One configured address. The socket is opened once and duplicated for every thread: unlike SO_REUSEPORT this
/// refuses a second daemon on the same port.
struct Listener {
  ListenerSettings settings;
  std::shared_ptr<const ListenerState> state;
  int socket = -1;
  asio::ip::tcp::endpoint endpoint;
  std::mutex tls_mutex;
  TlsContextPointer tls;

  ~Listener() { close_socket(); }
  void close_socket() {
    if (socket >= 0) ::close(std::exchange(socket, -1));
  }
  TlsContextPointer tls_context() {
    const std::lock_guard lock(tls_mutex);
    return tls;
  }
};

Result<void> open_socket(Listener& listener) {
  const auto cannot = [&](const std::string& why) {
    const std::string where = fmt::format("{}:{}", listener.settings.address, listener.settings.port);
    return Error(ErrorCode::unavailable, "http.listen",
                 {fmt::format("无法监听 {}：{}", where, why), fmt::format("Cannot listen on {}: {}", where, why)});
  };
  boost::system::error_code error;
  const auto address = asio::ip::make_address(listener.settings.address, error);
  if (error) return cannot(error.message());
  asio::io_context scratch;
  asio::ip::tcp::acceptor acceptor(scratch);
  const asio::ip::tcp::endpoint endpoint(address, listener.settings.port);
  acceptor.open(endpoint.protocol(), error);
  if (error) return cannot(error.message());
  acceptor.set_option(asio::socket_base::reuse_address(true), error);
  // "::" and "0.0.0.0" side by side would clash otherwise.
  if (address.is_v6()) acceptor.set_option(asio::ip::v6_only(true), error);
  acceptor.bind(endpoint, error);
  if (error) return cannot(error.message());
  acceptor.listen(4096, error);
  if (error) return cannot(error.message());
  listener.endpoint = acceptor.local_endpoint(error);
  listener.socket = acceptor.release(error);
  if (error) return cannot(error.message());
  return {};
}

/// Accepts for one listener on one thread. Pauses while the process has as many connections as it may.
class AcceptLoop : public std::enable_shared_from_this<AcceptLoop> {
 public:
  AcceptLoop(Listener& listener, IoThread& thread)
      : listener_(listener), thread_(thread), acceptor_(thread.context()), pause_(thread.context()) {}

  void start() {
    boost::system::error_code error;
    acceptor_.assign(listener_.endpoint.protocol(), ::dup(listener_.socket), error);
    if (error) {
      log::error("http", "cannot share a listening socket: {}", error.message());
      return;
    }
    accept();
  }

  void stop() {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
  }

 private:
  void accept() {
    const ServerState& state = thread_.state();
    if (state.connections.load(std::memory_order_relaxed) >= state.settings.limits.connections) return wait();
    acceptor_.async_accept(thread_.context(), peer_,
                           [self = shared_from_this()](const boost::system::error_code& error, TcpSocket socket) {
                             self->on_accept(error, std::move(socket));
                           });
  }

  void on_accept(const boost::system::error_code& error, TcpSocket socket) {
    if (error == asio::error::operation_aborted || !acceptor_.is_open()) return;
    if (error) return wait();  // out of descriptors, most likely
    begin(std::move(socket));
    accept();
  }

  void begin(TcpSocket socket) {
    const auto peer = IpAddress::parse(peer_.address().to_string());
    if (!peer || !admit_connection(thread_.state(), peer->text())) return;
    boost::system::error_code ignored;
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    if (const TlsContextPointer tls = listener_.tls_context()) {
      std::make_shared<Connection<TlsStream>>(TlsStream(std::move(socket), *tls), thread_, listener_.state, *peer)
          ->start();
    } else {
      std::make_shared<Connection<TcpSocket>>(std::move(socket), thread_, listener_.state, *peer)->start();
    }
  }

  void wait() {
    pause_.expires_after(std::chrono::milliseconds(50));
    pause_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (!error) self->accept();
    });
  }

  Listener& listener_;
  IoThread& thread_;
  Acceptor acceptor_;
  asio::steady_timer pause_;
  asio::ip::tcp::endpoint peer_;
};

class BeastServer final : public Server {
 public:
  BeastServer() = default;
  ~BeastServer() override { drain(Deadline::after(std::chrono::milliseconds(0))); }

  Result<void> open(ServerSettings settings, metrics::Registry& metrics) {
    state_.proxies = BERTH_TRY(TrustedProxies::create(settings.trusted_proxies));
    state_.access_log = BERTH_TRY(AccessLog::open(settings.access_log));
    state_.id_prefix = to_hex(random_bytes(4)) + "-";
    state_.settings = std::move(settings);
    declare(metrics);
    for (const ListenerSettings& wanted : state_.settings.listeners) {
      auto listener = std::make_unique<Listener>();
      listener->settings = wanted;
      listener->state = make_state(wanted);
      if (wanted.tls) listener->tls = BERTH_TRY(make_tls_context(*wanted.tls));
      BERTH_CHECK(open_socket(*listener));
      listeners_.push_back(std::move(listener));
    }
    const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
    const std::size_t count = state_.settings.threads == 0 ? cores : state_.settings.threads;
    for (std::size_t i = 0; i < count; ++i) threads_.push_back(std::make_unique<IoThread>(state_, i));
    return {};
  }

  void start() override {
    for (auto& thread : threads_) {
      for (auto& listener : listeners_) {
        auto loop = std::make_shared<AcceptLoop>(*listener, *thread);
        loops_.emplace_back(thread.get(), loop);
        asio::post(thread->context(), [loop] { loop->start(); });
      }
      thread->run();
    }
  }

  std::vector<std::uint16_t> ports() const override {
    std::vector<std::uint16_t> ports;
    for (const auto& listener : listeners_) ports.push_back(listener->endpoint.port());
    return ports;
  }

  Result<void> reload_tls() override {
    std::vector<TlsContextPointer> fresh;
    for (const auto& listener : listeners_) {
      fresh.push_back(listener->settings.tls ? BERTH_TRY(make_tls_context(*listener->settings.tls)) : nullptr);
    }
    for (std::size_t i = 0; i < listeners_.size(); ++i) {
      const std::lock_guard lock(listeners_[i]->tls_mutex);
      listeners_[i]->tls = fresh[i];
    }
    return {};
  }

  void reopen_access_log() override { state_.access_log->reopen(); }

  void drain(Deadline deadline) override {
    if (std::exchange(stopped_, true)) return;
    state_.draining = true;
    on_every_thread([this](IoThread& thread) {
      for (auto& [owner, loop] : loops_) {
        if (owner == &thread) loop->stop();
      }
      thread.begin_drain();
    });
    // The kernel would go on accepting for a socket that is open anywhere.
    for (auto& listener : listeners_) listener->close_socket();
    while (state_.connections.load() > 0 && !deadline.expired()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    on_every_thread([](IoThread& thread) { thread.abort_all(); });
    for (auto& thread : threads_) thread->stop();
    for (auto& thread : threads_) thread->join();
    loops_.clear();
  }

  std::size_t connections() const override { return state_.connections.load(); }
  std::size_t websockets() const override { return state_.websockets.load(); }

 private:
  static std::shared_ptr<const ListenerState> make_state(const ListenerSettings& settings) {
    auto state = std::make_shared<ListenerState>();
    state->mounts = settings.mounts;
    std::stable_sort(state->mounts.begin(), state->mounts.end(),
                     [](const Mount& a, const Mount& b) { return a.prefix.size() > b.prefix.size(); });
    const bool rooted = !state->mounts.empty() && state->mounts.back().prefix.empty();
    state->fallback = rooted ? state->mounts.back().application : std::make_shared<NoApplication>();
    return state;
  }

  void declare(metrics::Registry& metrics) {
    state_.accepted = &metrics.counter("berth_http_connections_total", "Connections accepted");
    state_.refused =
        &metrics.counter("berth_http_connections_refused_total", "Connections over the limit of their address");
    state_.timed_out = &metrics.counter("berth_http_timeouts_total", "Requests that were sent too slowly");
    state_.received_bytes = &metrics.counter("berth_http_received_bytes_total", "Bytes received from clients");
    state_.sent_bytes = &metrics.counter("berth_http_sent_bytes_total", "Bytes sent to clients");
    state_.websocket_messages = &metrics.counter("berth_websocket_messages_total", "WebSocket messages sent");
    state_.websocket_skipped =
        &metrics.counter("berth_websocket_skipped_total", "States that slow WebSocket readers did not get");
    metrics.observe("berth_http_connections", "Open connections, WebSockets included", {},
                    [this] { return static_cast<double>(state_.connections.load()); });
    metrics.observe("berth_websocket_clients", "Open WebSockets", {},
                    [this] { return static_cast<double>(state_.websockets.load()); });
  }

  /// Runs `task` on each thread and waits until all have.
  void on_every_thread(const std::function<void(IoThread&)>& task) {
    std::vector<std::future<void>> done;
    for (auto& thread : threads_) {
      auto promise = std::make_shared<std::promise<void>>();
      done.push_back(promise->get_future());
      asio::post(thread->context(), [&task, promise, thread = thread.get()] {
        task(*thread);
        promise->set_value();
      });
    }
    // A server that was never started has no thread to answer.
    for (auto& future : done) {
      if (!loops_.empty()) future.wait();
    }
  }

  ServerState state_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::unique_ptr<IoThread>> threads_;
  std::vector<std::pair<IoThread*, std::shared_ptr<AcceptLoop>>> loops_;
  bool stopped_ = false;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::create(ServerSettings settings, metrics::Registry& metrics) {
  auto server = std::make_unique<BeastServer>();
  BERTH_CHECK(server->open(std::move(settings), metrics));
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace berth::http
