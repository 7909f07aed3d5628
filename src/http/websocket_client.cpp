#include "http/websocket_client.h"

#include <future>
#include <set>

#include "http/client_loop.h"
#include "http/client_tls.h"
#include "http/websocket_client_session.h"

namespace berth::http {
namespace {

/// What the caller holds: its end is the connection's end.
class ConnectionHandle final : public WebSocketClient::Connection {
 public:
  ConnectionHandle(std::shared_ptr<ClientLoop> loop, std::shared_ptr<WebSocketClientSession> session)
      : loop_(std::move(loop)), session_(std::move(session)) {}
  ~ConnectionHandle() override {
    loop_->run_and_wait([this] { session_->detach(true); });
  }
  void send(Payload message, Frame frame) override { session_->send(std::move(message), frame); }
  void offer(Payload state) override { session_->offer(std::move(state)); }
  void close(std::uint16_t code, std::string_view reason) override { session_->close(code, reason); }
  std::size_t waiting_bytes() const override { return session_->waiting_bytes(); }
  void pause_reading() override { session_->pause_reading(); }
  void resume_reading() override { session_->resume_reading(); }

 private:
  std::shared_ptr<ClientLoop> loop_;
  std::shared_ptr<WebSocketClientSession> session_;
};

}  // namespace

struct WebSocketClient::Impl {
  std::shared_ptr<ClientLoop> loop;
  // On the I/O thread only. Weak: a session lives by its own pending work and its handle.
  std::set<std::weak_ptr<WebSocketClientSession>, std::owner_less<>> sessions;
  bool stopping = false;

  void forget_ended() {
    std::erase_if(sessions, [](const auto& session) { return session.expired(); });
  }
};

WebSocketClient::WebSocketClient(std::string thread_name) : impl_(std::make_unique<Impl>()) {
  impl_->loop = std::make_shared<ClientLoop>(thread_name);
}

WebSocketClient::~WebSocketClient() {
  impl_->loop->end([this] {
    for (const auto& weak : impl_->sessions) {
      if (const auto session = weak.lock()) session->detach(false);
    }
  });
}

void WebSocketClient::stop() {
  impl_->loop->run_and_wait([this] {
    impl_->stopping = true;
    for (const auto& weak : impl_->sessions) {
      if (const auto session = weak.lock()) session->abort();
    }
  });
}

Result<std::shared_ptr<WebSocketClient::Connection>> WebSocketClient::connect(
    const Endpoint& endpoint, const std::string& target, const std::vector<Header>& headers,
    std::shared_ptr<WebSocketHandler> handler, Deadline deadline, std::chrono::milliseconds silence) {
  const EndpointAddress address = BERTH_TRY(parse_endpoint_address(endpoint.base_url));
  const auto& loop = impl_->loop;
  TlsContextPointer tls;
  if (address.tls) tls = BERTH_TRY(make_client_tls_context(endpoint, address.host));
  const auto session = make_websocket_client_session(loop, std::move(handler), silence, std::move(tls));

  std::promise<Result<void>> promise;
  auto outcome = promise.get_future();
  loop->post([&] {
    if (impl_->stopping) return promise.set_value(websocket_client_stopped());
    impl_->forget_ended();
    impl_->sessions.insert(session);
    session->open(endpoint, address, target, headers, deadline,
                  [&promise](Result<void> result) { promise.set_value(std::move(result)); });
  });
  BERTH_CHECK(outcome.get());
  return std::shared_ptr<Connection>(std::make_shared<ConnectionHandle>(loop, session));
}

}  // namespace berth::http