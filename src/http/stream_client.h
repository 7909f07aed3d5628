#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "http/client.h"

namespace berth::http {

/// Takes an answer that arrives in pieces. Calls come from the client's thread, one at a time, and must not block.
class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  /// The answer has begun; comes before everything else.
  virtual void on_open() {}
  /// Bytes of the body, or, behind an upgrade, of the connection.
  virtual void on_data(std::string_view bytes) = 0;
  /// The last call. Success where the peer ended it in order; else internal "http.protocol" (cut off, garbage),
  /// unavailable "http.unreachable" (the connection broke) or cancelled "http.stopped" (ended by us).
  virtual void on_end(const Result<void>& outcome) = 0;
};

/// A client for answers without a known end (events, logs, progress) and for connections that turn into raw bytes
/// both ways (status 101), over unix sockets, TCP and TLS. One client owns one I/O thread that serves all of its
/// connections. Thread-safe.
class StreamClient {
 public:
  explicit StreamClient(std::string thread_name);
  ~StreamClient();

  /// One open answer. Destroying it ends the connection; after that no handler call is running or will come. Every
  /// call returns at once.
  class Stream {
   public:
    virtual ~Stream() = default;
    /// Queues bytes for the peer, behind an upgrade only. Beyond 4 MiB waiting the connection is ended.
    virtual void send(std::string bytes) = 0;
    /// Tells the peer that no more comes, once everything sent is on its way. Over TLS it does nothing.
    virtual void finish_sending() = 0;
    /// Stops reading from the peer, so that its sender feels the pressure; `resume` goes on.
    virtual void pause() = 0;
    virtual void resume() = 0;
    /// Ends the connection; the handler hears it.
    virtual void close() = 0;
  };

  struct Opened {
    ClientResponse answer;           ///< without a body where `stream` is there
    std::shared_ptr<Stream> stream;  ///< null if the status is neither 101 nor 2xx: then `answer` is whole
  };

  /// Sends the request and waits for the answer's header until `deadline`; blocks the caller, so never from a handler.
  /// A refusal is read whole within `deadline`, up to 64 KiB of it, and its handler never called. Errors as those of
  /// Client.
  Result<Opened> open(const Endpoint& endpoint, const ClientRequest& request, std::shared_ptr<StreamHandler> handler,
                      Deadline deadline);

  /// Ends every connection, also those being made (cancelled "http.stopped"), and makes no more. Handlers hear
  /// on_end.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace berth::http
