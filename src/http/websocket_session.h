#pragma once

#include <memory>

#include "http/connection.h"
#include "http/websocket.h"

namespace berth::http {

/// Takes over a connection's stream and finishes the WebSocket handshake that `request` began (RFC 6455), then
/// serves `handler` until either side closes. The connection keeps its place among the limits.
template <class Stream>
void start_websocket(Stream stream, IoThread& thread, const Request& request,
                     std::shared_ptr<WebSocketHandler> handler);

extern template void start_websocket(TcpSocket, IoThread&, const Request&, std::shared_ptr<WebSocketHandler>);
extern template void start_websocket(TlsStream, IoThread&, const Request&, std::shared_ptr<WebSocketHandler>);

}  // namespace berth::http
