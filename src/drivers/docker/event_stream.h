#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "compute/engine.h"
#include "drivers/docker/api.h"
#include "http/stream_client.h"

namespace berth::drivers::docker {

/// What one line of /events says.
struct ContainerEvent {
  std::string id;
  compute::EngineEvent event;
};

/// Nothing if it changes nothing that is shown of a container.
std::optional<ContainerEvent> decode_event(std::string_view line);

/// Listens to the engine's events on a connection of its own, reconnecting for ever: at once after a good connection,
/// then with growing, jittered pauses of at most 5 s. Docker's stream says nothing while nothing happens, so the engine
/// is asked for a sign of life beside it.
class EventStream : public compute::EngineWatch {
 public:
  /// `seen` hears of each container's id, and of "" where anything may have changed, before the watcher does.
  EventStream(Api& api, compute::EngineWatcher& watcher, std::function<void(std::string_view id)> seen);
  ~EventStream() override;

 private:
  class Receiver;

  void run();
  /// One connection from its beginning to its end; false if it never stood.
  bool serve();
  /// False once the stream is to end.
  bool pause(std::chrono::milliseconds wait);

  Api api_;
  compute::EngineWatcher& watcher_;
  const std::function<void(std::string_view id)> seen_;
  http::StreamClient client_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace berth::drivers::docker
