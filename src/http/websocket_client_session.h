#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "http/client_loop.h"
#include "http/client_tls.h"
#include "http/endpoint_address.h"
#include "http/websocket_client.h"

namespace berth::http {

/// The failure of a connection that was still being made when its client stopped.
Error websocket_client_stopped();

/// What a handle and the client need of a session, whatever its stream. What WebSocketClient::Connection declares
/// may be called from any thread, the rest on the loop's thread alone.
class WebSocketClientSession : public WebSocketClient::Connection,
                               public std::enable_shared_from_this<WebSocketClientSession> {
 public:
  using Opened = std::function<void(Result<void>)>;

  /// Connects, secures and upgrades until `deadline`; calls `opened` once.
  virtual void open(const Endpoint& endpoint, const EndpointAddress& address, std::string target,
                    std::vector<Header> headers, Deadline deadline, Opened opened) = 0;
  /// Makes no further handler call, then ends the connection politely if `polite`, else at once.
  virtual void detach(bool polite) = 0;
  /// Ends the connection, also one being made, at once; its handler hears it.
  virtual void abort() = 0;
};

/// A session over plain sockets, or over TLS where `tls` is given, that ends after `silence` without a sign of the
/// peer.
std::shared_ptr<WebSocketClientSession> make_websocket_client_session(std::shared_ptr<ClientLoop> loop,
                                                                      std::shared_ptr<WebSocketHandler> handler,
                                                                      std::chrono::milliseconds silence,
                                                                      TlsContextPointer tls);

}  // namespace berth::http
