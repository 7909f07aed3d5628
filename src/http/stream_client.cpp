#include "http/stream_client.h"

#include <algorithm>
#include <future>
#include <set>

#include "http/client_loop.h"
#include "http/client_tls.h"
#include "http/stream_client_session.h"

namespace berth::http {
namespace {

/// What the caller holds: its end is the connection's end.
class StreamHandle final : public StreamClient::Stream {
 public:
  StreamHandle(std::shared_ptr<ClientLoop> loop, std::shared_ptr<StreamClientSession> session)
      : loop_(std::move(loop)), session_(std::move(session)) {}
  ~StreamHandle() override {
    loop_->run_and_wait([this] { session_->detach(); });
  }
  void send(std::string bytes) override { session_->send(std::move(bytes)); }
  void finish_sending() override { session_->finish_sending(); }
  void pause() override { session_->pause(); }
  void resume() override { session_->resume(); }
  void close() override { session_->close(); }

 private:
  std::shared_ptr<ClientLoop> loop_;
  std::shared_ptr<StreamClientSession> session_;
};

bool is_sound(std::string_view text, bool spaces) {
  return std::ranges::none_of(text, [spaces](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < ' ' || byte == 0x7f || (byte == ' ' && !spaces);
  });
}

/// The request as it goes over the wire.
Result<std::string> write_request(const ClientRequest& request, const std::string& authority) {
  bool sound = request.target.starts_with('/') && is_sound(request.target, false) && request.method != Method::other;
  for (const auto& header : request.headers) {
    sound = sound && !header.name.empty() && is_sound(header.name, false) && is_sound(header.value, true);
  }
  if (!sound) {
    return Error(ErrorCode::invalid_argument, "http.request",
                 Text{"请求中含有不允许的字符", "the request holds characters that are not allowed"});
  }
  std::string text(name(request.method));
  text += ' ' + request.target + " HTTP/1.1\r\nHost: " + authority + "\r\n";
  for (const auto& header : request.headers) text += header.name + ": " + header.value + "\r\n";
  if (!request.body.empty() || request.method == Method::post || request.method == Method::put) {
    text += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  }
  return text + "\r\n" + request.body;
}

}  // namespace

struct StreamClient::Impl {
  std::shared_ptr<ClientLoop> loop;
  // On the I/O thread only. Weak: a session lives by its own pending work and its handle.
  std::set<std::weak_ptr<StreamClientSession>, std::owner_less<>> sessions;
  bool stopping = false;

  void forget_ended() {
    std::erase_if(sessions, [](const auto& session) { return session.expired(); });
  }
};

StreamClient::StreamClient(std::string thread_name) : impl_(std::make_unique<Impl>()) {
  impl_->loop = std::make_shared<ClientLoop>(thread_name);
}

StreamClient::~StreamClient() {
  impl_->loop->end([this] {
    for (const auto& weak : impl_->sessions) {
      if (const auto session = weak.lock()) session->detach();
    }
  });
}

void StreamClient::stop() {
  impl_->loop->run_and_wait([this] {
    impl_->stopping = true;
    for (const auto& weak : impl_->sessions) {
      if (const auto session = weak.lock()) session->abort();
    }
  });
}

Result<StreamClient::Opened> StreamClient::open(const Endpoint& endpoint, const ClientRequest& request,
                                                std::shared_ptr<StreamHandler> handler, Deadline deadline) {
  const EndpointAddress address = BERTH_TRY(parse_endpoint_address(endpoint.base_url));
  std::string text = BERTH_TRY(write_request(request, address.authority));
  const auto& loop = impl_->loop;
  TlsContextPointer tls;
  if (address.tls) tls = BERTH_TRY(make_client_tls_context(endpoint, address.host));
  const auto session = make_stream_client_session(loop, std::move(handler), std::move(tls));

  std::promise<Result<StreamClientSession::Head>> promise;
  auto outcome = promise.get_future();
  loop->post([&] {
    if (impl_->stopping) return promise.set_value(stream_client_stopped());
    impl_->forget_ended();
    impl_->sessions.insert(session);
    session->open(endpoint, address, std::move(text), request.method == Method::head, deadline,
                  [&promise](Result<StreamClientSession::Head> result) { promise.set_value(std::move(result)); });
  });
  StreamClientSession::Head head = BERTH_TRY(outcome.get());
  Opened opened{.answer = std::move(head.answer), .stream = nullptr};
  if (head.streams) opened.stream = std::make_shared<StreamHandle>(loop, session);
  return opened;
}

}  // namespace berth::http
