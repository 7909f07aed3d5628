#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/shared/socket_watch.h"
#include "api/shared/terminal_socket.h"
#include "base/result.h"
#include "base/worker_pool.h"
#include "compute/container_engine.h"

namespace berth::api {

/// Begins to follow the log; runs on a worker thread.
using OpenLog =
    std::function<Result<std::unique_ptr<compute::LogFollowing>>(std::shared_ptr<compute::LogReader> reader)>;

/// Why a log ended, in a word for programs, and with what its socket is closed.
struct LogEnd {
  std::string reason;
  Farewell farewell;
};
/// Finds that out from what the engine said; runs on a worker thread and may block.
using ExplainLogEnd = std::function<LogEnd(const Result<void>& outcome)>;

/// A log as it is written, over a WebSocket.
///
/// To the client: binary frames are the log's bytes, both streams in the order of writing; one last text frame
/// {"type":"end","reason":"stopped"} or {"type":"error","detail":"…"} before the close. What the client sends is not
/// looked at. A client that does not keep up stops the reading of the engine's log, which waits there for it: neither
/// the daemon's memory nor the container feels it.
std::shared_ptr<WatchedSocket> make_log_socket(OpenLog open, ExplainLogEnd explain, WorkerPool& pool, ErrorWords words);

}  // namespace berth::api
