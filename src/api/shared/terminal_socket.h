#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/shared/socket_watch.h"
#include "base/result.h"
#include "base/worker_pool.h"
#include "compute/engine.h"
#include "http/websocket.h"

namespace berth::api {

/// Opens the terminal; runs on a worker thread.
using OpenTerminal =
    std::function<Result<std::shared_ptr<compute::Terminal>>(std::shared_ptr<compute::TerminalOutput> output)>;

/// A contract's words for an error, in the caller's language.
using ErrorWords = std::function<std::string(const Error& error)>;

/// A terminal over a WebSocket.
///
/// To the server: binary frames are input as typed; text frames are JSON: {"type":"input","data":"ls\n"},
/// {"type":"resize","cols":120,"rows":40}. To the client: binary frames are output; one last text frame
/// {"type":"exit","code":0} (null if cut off) or {"type":"error","detail":"…"} before the close.
/// A client that does not keep up holds its own guest's output back, nothing else.
std::shared_ptr<WatchedSocket> make_terminal_socket(OpenTerminal open, WorkerPool& pool, ErrorWords words);

/// The last that a client hears of what failed: {"type":"error","detail":"…"}, then the close.
void close_failed(http::WebSocket& socket, const std::string& words);

}  // namespace berth::api
