#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace berth::http {

enum class Frame { text, binary };

using Payload = std::shared_ptr<const std::string>;

/// The sending side of one open WebSocket (RFC 6455). Thread-safe; every call returns at once.
class WebSocket {
 public:
  virtual ~WebSocket() = default;
  /// Queues a message that must arrive. Beyond the limit of 4 MiB waiting the connection is closed (1013).
  virtual void send(Payload message, Frame frame) = 0;
  /// Offers the newest state: replaces an offered message that has not begun to be sent, so a slow reader
  /// skips states and never grows a queue.
  virtual void offer(Payload state) = 0;
  /// Closes with a code of RFC 6455 section 7.4; `reason` at most 123 bytes.
  virtual void close(std::uint16_t code, std::string_view reason) = 0;
  /// Bytes given to `send` that are not yet on their way.
  virtual std::size_t waiting_bytes() const = 0;
};

/// What an application does with a WebSocket. Every call comes from the connection's I/O thread, one at a
/// time, and must not block.
class WebSocketHandler {
 public:
  virtual ~WebSocketHandler() = default;
  virtual void on_open(std::shared_ptr<WebSocket> socket) = 0;
  virtual void on_message(std::string_view message, Frame frame) = 0;
  /// Everything given to `send` is on its way.
  virtual void on_drained() {}
  /// The last call: the peer is gone or the connection was closed.
  virtual void on_close() = 0;
};

}  // namespace berth::http
