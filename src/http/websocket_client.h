#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "http/client.h"
#include "http/websocket.h"

namespace berth::http {

/// The client side of WebSockets towards an engine (events, consoles), over unix sockets, TCP and TLS.
/// One client owns one I/O thread that serves all of its connections.
class WebSocketClient {
 public:
  explicit WebSocketClient(std::string thread_name);
  ~WebSocketClient();

  /// One open connection. `handler` calls come from the client's thread. Destroying the handle closes the
  /// connection; after that no handler call is running or will come.
  class Connection : public WebSocket {
   public:
    /// Stops reading from the peer, so that its sender feels the pressure; `resume_reading` goes on.
    virtual void pause_reading() = 0;
    virtual void resume_reading() = 0;
  };

  /// Connects and upgrades before `deadline`; blocks the caller, so never from a handler. `silence` is how
  /// long the peer may say nothing, pongs included, before the connection counts as dead (pings are sent at
  /// half of it). Errors as those of Client, and internal "http.upgrade" with the status in the detail.
  Result<std::shared_ptr<Connection>> connect(const Endpoint& endpoint, const std::string& target,
                                              const std::vector<Header>& headers,
                                              std::shared_ptr<WebSocketHandler> handler, Deadline deadline,
                                              std::chrono::milliseconds silence);

  /// Ends every connection, also those being made (cancelled "http.stopped"), and makes no more. Handlers
  /// hear on_close.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace berth::http
