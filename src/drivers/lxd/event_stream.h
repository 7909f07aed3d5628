#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "compute/engine.h"
#include "drivers/lxd/api.h"
#include "http/websocket_client.h"

namespace berth::drivers::lxd {

/// What one message of `/1.0/events` means for instances of `project`; nothing if it does not concern any.
std::vector<compute::EngineEvent> decode_event(std::string_view message, std::string_view project);

/// Listens to the engine's events over a WebSocket of its own, reconnecting for ever: at once after a good
/// connection, then with growing, jittered pauses of at most 5 s.
class EventStream : public compute::EngineWatch {
 public:
  EventStream(const Api& api, compute::EngineWatcher& watcher);
  ~EventStream() override;

 private:
  class Receiver;

  void run();
  /// One connection from its beginning to its end; false if it never stood.
  bool serve();
  /// False once the stream is to end.
  bool pause(std::chrono::milliseconds wait);

  const http::Endpoint endpoint_;
  const std::string project_;
  const std::string target_;
  compute::EngineWatcher& watcher_;
  http::WebSocketClient client_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace berth::drivers::lxd
